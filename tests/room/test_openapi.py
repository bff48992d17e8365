"""The API description: it has every route, its references resolve, and the answers are what it says."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # it ships no types

from cleanroom import __version__
from cleanroom.api.problems import Problem
from cleanroom.commitments import commit_days
from partners import keys, withdrawal
from partners.key_change import Action as KeyAction
from partners.key_change import KeyChange, Role, SignedChange
from partners.replacement import Replacement
from partners.transparency.encoding import encode_base64
from partners.withdrawal import Action, Batch
from policies.purpose import Purpose
from tests.room.conftest import Collaboration
from tests.room.described import types
from tests.room.stage import DRIVE, READERS, Stage, people
from tests.room.test_joining import claim as join_claim

TUS = {"Tus-Resumable": "1.0.0"}
PUBLIC = {"/v1/room", "/v1/health", "/v1/ready", "/v1/join", "/v1/token", "/v1/cosignatures", "/v1/log/{name}"}
METHODS = {"get", "post", "head", "patch", "put", "delete", "options"}


@pytest.fixture(scope="module")
def document(shared_joined: Stage) -> dict[str, Any]:
    with shared_joined.anybody() as client:
        answer = client.get("/v1/openapi.json")
    assert answer.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in METHODS:
                yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def resolved(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """The object that a reference stands for, or the object itself."""
    if "$ref" not in value:
        return value
    found: Any = document
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    assert isinstance(found, dict)
    return found


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"] == {"title": "Clean room", "version": __version__}
    assert set(document) <= {"openapi", "info", "servers", "paths", "components", "tags", "security"}
    for name, schema in document["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert "nullable" not in str(schema), name
    names = {tag["name"] for tag in document["tags"]}
    for _, _, operation in operations(document):
        assert set(operation["tags"]) <= names


def test_every_route_is_described(document: dict[str, Any], shared_joined: Stage) -> None:
    described = {(path, method.upper()) for path, method, _ in operations(document)}
    routed = set()
    for rule in shared_joined.app.url_map.iter_rules():
        if rule.rule.startswith("/v1/") and rule.rule != "/v1/openapi.json":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            methods = set(rule.methods or ())
            made_up = {"OPTIONS"} if getattr(rule, "provide_automatic_options", True) else set()
            routed |= {(path, method) for method in methods - made_up - ({"HEAD"} if "GET" in methods else set())}
    assert described == routed
    assert len(routed) > 20


def test_every_operation_is_whole(document: dict[str, Any]) -> None:
    seen = set()
    for path, method, operation in operations(document):
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["operationId"] not in seen if "operationId" in operation else True
        seen.add(operation.get("operationId"))
        assert any(code.startswith("2") for code in operation["responses"]), where
        for code, response in operation["responses"].items():
            assert response["description"], where
            assert code[0] == "2" or described_problems(operation, code), where
        named = set(re.findall(r"{(\w+)}", path))
        parameters = [*document["paths"][path].get("parameters", []), *operation.get("parameters", [])]
        described = {each["name"]: each for each in (resolved(document, each) for each in parameters)}
        assert {name for name, each in described.items() if each["in"] == "path"} == named, where
        assert all(described[name]["required"] for name in named), where


def test_every_reference_resolves(document: dict[str, Any]) -> None:
    found = set(references(document))
    assert found
    for reference in found:
        assert reference.startswith("#/components/")
        resolved(document, {"$ref": reference})


def test_the_token_is_asked_for_where_it_is_needed(document: dict[str, Any]) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, method, operation in operations(document):
        expected = [] if path in PUBLIC or method == "options" else [{"bearer": []}]
        assert operation.get("security", []) == expected, path


def test_an_upload_says_which_headers_and_which_body_it_takes(document: dict[str, Any]) -> None:
    def asked(path: str, method: str) -> dict[str, bool]:
        parameters = (resolved(document, each) for each in document["paths"][path][method].get("parameters", []))
        return {each["name"]: each["required"] for each in parameters if each["in"] == "header"}

    one = "/v1/uploads/{identifier}"
    version = {"Tus-Resumable": True}
    assert asked("/v1/uploads", "post") == version | {"Upload-Length": True}
    assert asked(one, "head") == asked(one, "delete") == version
    assert asked(one, "patch") == version | {"Upload-Offset": True, "Upload-Checksum": False}
    body = document["paths"][one]["patch"]["requestBody"]
    assert (body["required"], set(body["content"])) == (True, {"application/offset+octet-stream"})
    for path, method, operation in operations(document):
        if method in ("post", "put", "patch") and path != "/v1/uploads":
            assert operation["requestBody"]["content"], f"{method} {path}"


def described_problems(operation: dict[str, Any], status: str) -> list[Problem]:
    """The problems that an operation documents for a status, each with its code and title."""
    found = [each for each in Problem if each.type in types(operation, int(status))]
    answer = operation["responses"][status]
    assert answer["content"].keys() == {"application/problem+json"}
    assert answer["content"]["application/problem+json"]["schema"]["$ref"] == "#/components/schemas/Problem"
    assert answer["description"] == "; ".join(f"`{each.code}`: {each.title}" for each in found)
    assert {str(each.status) for each in found} == {status}
    return found


def test_every_problem_is_documented_by_some_operation(document: dict[str, Any]) -> None:
    """But for `method`: where it is the answer, there is no operation."""
    found = {
        each
        for _, _, operation in operations(document)
        for status in operation["responses"]
        if status[0] in "45"
        for each in described_problems(operation, status)
    }
    assert found == set(Problem) - {Problem.METHOD}


def test_an_operation_documents_its_own_problems_and_no_others(document: dict[str, Any]) -> None:
    def codes(method: str, path: str) -> set[str]:
        responses = document["paths"][path][method]["responses"]
        found = (described_problems(document["paths"][path][method], status) for status in responses if status > "3")
        return {each.code for problems in found for each in problems}

    anybody = {"internal"}
    partner = anybody | {"unauthorized", "too-many-requests", "busy", "disk-unavailable", "disk-full"}
    assert codes("get", "/v1/health") == codes("options", "/v1/uploads") == anybody
    assert codes("get", "/v1/ready") == anybody | {"not-ready"}
    assert codes("get", "/v1/keys") == partner, "every role may"
    assert codes("get", "/v1/ledger") == partner | {"role"}
    assert codes("get", "/v1/collaborations/{identifier}") == partner | {"role", "not-found"}


class Checked:
    """Sends requests and holds every answer to the description."""

    def __init__(self, document: dict[str, Any], client: httpx.Client) -> None:
        self._document = document
        self._client = client
        self.seen: set[tuple[str, str, int]] = set()

    def send(self, method: str, path: str, address: str, **arguments: Any) -> httpx.Response:
        answer = self._client.request(method, address, **arguments)
        self.holds(method, path, answer)
        return answer

    def holds(self, method: str, path: str, answer: httpx.Response) -> None:
        responses = self._document["paths"][path][method.lower()]["responses"]
        described = responses.get(str(answer.status_code))
        assert described is not None, f"{method} {path} answered {answer.status_code}"
        self.seen.add((path, method, answer.status_code))
        content = resolved(self._document, described).get("content", {})
        kind = answer.headers.get("Content-Type", "").partition(";")[0]
        if not answer.content:
            return
        assert kind in content, f"{method} {path} answered {kind}, not {set(content)}"
        if kind.endswith("json"):
            schema = {**content[kind]["schema"], "components": self._document["components"]}
            errors = list(Draft202012Validator(schema).iter_errors(answer.json()))
            assert errors == [], f"{method} {path}"
            if "$ref" in content[kind]["schema"]:
                assert set(answer.json()) <= set(resolved(self._document, content[kind]["schema"])["properties"])


def signed_batch(stage: Stage, collaboration: str) -> dict[str, Any]:
    """A withdrawal of fresh's, as it is sent."""
    batch = Batch(
        collaboration=collaboration,
        partner="fresh",
        audience=None,
        epoch=1,
        key_check=str(stage.players["fresh"].room.collaboration(collaboration).key_check),
        action=Action.WITHDRAW,
        purposes=frozenset(Purpose),
        match_key="email",
        tokens=(bytes(16),),
        created="2026-03-14T12:00:00Z",
        nonce=withdrawal.nonce(),
    )
    return withdrawal.sign(stage.players["fresh"].identity, batch).to_json()


def added_key(stage: Stage) -> dict[str, Any]:
    """A marketer's key for fresh, as it is sent."""
    key = keys.generate().public.signing
    change = KeyChange("fresh", KeyAction.ADD, 1, "2026-03-14T12:00:00Z", Role.MARKETER, key, None, None)
    signature = stage.players["fresh"].identity.sign("key/v1", change.canonical())
    return SignedChange(change, signature, None).to_json()


def test_the_answers_of_the_main_path_are_as_described(document: dict[str, Any], opened: Collaboration) -> None:
    stage, base = opened.stage, f"/v1/collaborations/{opened.id}"
    made = stage.prepare(opened.id, DRIVE, people(range(100)))
    envelope = stage.players["tasty"].room.envelopes(opened.id)[0].to_json()
    eve = stage.appoint("eve", opened.id)
    auditor = {"Authorization": f"Bearer {stage.token('eve', eve.identity)}"}
    with stage.http("fresh") as client:
        checked = Checked(document, client)
        send = checked.send
        for path in ("/v1/audit/export", "/v1/audit/ledger"):
            send("GET", path, path, headers=auditor)
            send("GET", path, path)
        checked.holds("POST", "/v1/token", stage.sign_in(stage.assertion("fresh")))
        checked.holds("POST", "/v1/token", stage.sign_in("x"))
        send("GET", "/v1/room", "/v1/room")
        send("GET", "/v1/health", "/v1/health")
        send("GET", "/v1/ready", "/v1/ready")
        send("POST", "/v1/join", "/v1/join", json={"code": 1})
        send("GET", "/v1/partners/{name}", "/v1/partners/tasty")
        send("GET", "/v1/collaborations", "/v1/collaborations")
        send("POST", "/v1/collaborations", "/v1/collaborations", json={})
        one = "/v1/collaborations/{identifier}"
        send("GET", one, base)
        send("GET", one, "/v1/collaborations/none")
        send("GET", f"{one}/agreement", f"{base}/agreement")
        send("POST", f"{one}/signatures", f"{base}/signatures", json={"signature": "A" * 86 + "=="})
        send("GET", f"{one}/envelopes", f"{base}/envelopes")
        send("POST", f"{one}/envelopes", f"{base}/envelopes", json=envelope)
        content = made.audience_path.read_bytes()
        headers = {**TUS, "Upload-Length": str(len(content))}
        upload = send("POST", "/v1/uploads", "/v1/uploads", headers=headers).headers["Location"]
        send("HEAD", "/v1/uploads/{identifier}", upload, headers=TUS)
        headers = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        send("PATCH", "/v1/uploads/{identifier}", upload, headers=headers, content=content)
        body = {**made.manifest.to_json(), "upload": upload.rpartition("/")[2]}
        versions, there = f"{one}/audiences/{{name}}/versions", f"{base}/audiences/drive/versions"
        version = send("POST", versions, there, json=body).json()["id"]
        send("POST", versions, there, json=body)
        stage.work()
        send("GET", versions, there)
        send("GET", f"{versions}/{{version}}", f"{there}/{version}")
        stage.publish(opened.id, READERS, people(range(100)))
        for asked in (
            {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]},
            {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"], "purpose": "modelling"},
            {
                "kind": "statistics",
                "count": "fresh/drive",
                "by": ["tasty/readers.genre"],
                "sum": ["tasty/readers.clicks"],
            },
        ):
            for dry_run in (True, False):
                answer = send("POST", f"{one}/reports", f"{base}/reports", json={**asked, "dry_run": dry_run})
            send("GET", "/v1/reports/{identifier}", f"/v1/reports/{answer.json()['id']}")
            send("GET", "/v1/reports/{identifier}/evidence", f"/v1/reports/{answer.json()['id']}/evidence")
        send("POST", f"{one}/reports", f"{base}/reports", json={"kind": "overlap"})
        send("GET", f"{one}/reports", f"{base}/reports")
        signed = signed_batch(stage, opened.id)
        for body in (signed, signed, {**signed, "batch": {}}):
            send("POST", f"{one}/withdrawals", f"{base}/withdrawals", json=body)
        send("GET", f"{one}/withdrawals/{{batch}}", f"{base}/withdrawals/none")
        stage.clock.forward(days=1)
        with stage.room.catalog() as catalog:
            commit_days(stage.room, catalog)
        stage.clock.forward(days=-1)  # the token is of today
        send("GET", "/v1/consents/{day}", f"/v1/consents/{stage.clock().date().isoformat()}")
        sha256 = client.get(base).json()["agreement_sha256"]
        send("GET", f"{one}/agreements/{{sha256}}", f"{base}/agreements/{sha256}")
        send("POST", f"{one}/amendments", f"{base}/amendments", json={})
        path = f"{one}/amendments/{{sha256}}/signatures"
        send("POST", path, f"{base}/amendments/{'0' * 64}/signatures", json={"signature": "A" * 86 + "=="})
        send("POST", f"{one}/tightenings", f"{base}/tightenings", json={})
        send("POST", f"{one}/departures", f"{base}/departures", json={})
        send("POST", f"{one}/rotations", f"{base}/rotations", json={})
        with stage.anybody() as other_client:
            claimed = Checked(document, other_client)
            claim = join_claim(stage.invite("tasty"), keys.generate())
            claimed.send("POST", "/v1/join", "/v1/join", json=claim)
        replacement = send("GET", "/v1/replacements", "/v1/replacements").json()["replacements"][0]
        document_of = Replacement.from_json(replacement["replacement"])
        signature = encode_base64(document_of.sign(stage.players["fresh"].identity))
        for body in ({"signature": signature}, {"signature": signature}, {}):
            path = "/v1/replacements/{key}/consents"
            send("POST", path, f"/v1/replacements/{replacement['key']}/consents", json=body)
        for body in (added_key(stage), {}):
            send("POST", "/v1/keys", "/v1/keys", json=body)
        send("GET", "/v1/keys", "/v1/keys")
        send("GET", "/v1/ledger", "/v1/ledger")
        send("POST", "/v1/grants", "/v1/grants", json={})
        send("GET", "/v1/log/{name}", "/v1/log/tile/0/000")
        send("POST", "/v1/cosignatures", "/v1/cosignatures", json={"checkpoint": "none", "cosignature": "none"})
        send("DELETE", f"{versions}/{{version}}", f"{there}/{version}")
        send("OPTIONS", "/v1/uploads", "/v1/uploads")
        other = send("POST", "/v1/uploads", "/v1/uploads", headers={**TUS, "Upload-Length": "1"}).headers["Location"]
        send("DELETE", "/v1/uploads/{identifier}", other, headers=TUS)
    assert {(path, method) for path, method, _ in checked.seen} == {
        (path, method.upper()) for path, method, _ in operations(document)
    }
    assert {status for _, _, status in checked.seen} >= {200, 201, 202, 204, 401, 403, 404, 409, 422}


def test_what_is_created_is_as_described(
    document: dict[str, Any], joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers that take a signature: the real client makes them, and they pass through here."""
    checked = Checked(document, joined.anybody())
    paths = {re.sub(r"{\w+}", "[^/]+", path): path for path in document["paths"]}

    class Listening(httpx.WSGITransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            answer = super().handle_request(request)
            answer.read()
            path = next(path for pattern, path in paths.items() if re.fullmatch(pattern, request.url.path))
            checked.holds(request.method, path, answer)
            return answer

    monkeypatch.setattr(Stage, "transport", lambda stage: Listening(app=stage.app))
    joined.join("salty")
    for name in ("fresh", "tasty"):
        joined._enter(joined.players[name].home, name)
    identifier = joined.agree(DRIVE, READERS)
    joined.share_secret(identifier)
    assert {
        ("/v1/collaborations", "POST", 201),
        ("/v1/collaborations/{identifier}/envelopes", "POST", 201),
        ("/v1/collaborations/{identifier}/signatures", "POST", 201),
        ("/v1/join", "POST", 201),
        ("/v1/token", "POST", 200),
    } <= checked.seen

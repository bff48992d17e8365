"""Every error of every route is a problem (RFC 9457): one shape, one content type, nothing of what was sent."""

import errno
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.routing import Rule

from cleanroom.api import audiences, collaborations, ledger, public, reports, uploads
from cleanroom.api.problems import Problem
from cleanroom.audit.publisher import LogUnavailable
from cleanroom.catalog import catalog, withdrawals
from tests.room.conftest import Collaboration
from tests.room.stage import URL, Stage
from tests.room.test_matrix import MATRIX

TESTS = Path(__file__).parents[1]
CANARY = "canary-7f3a"
TUS = {"Tus-Resumable": "1.0.0"}
JSON = {"Content-Type": "application/json"}
OPEN = {
    "/v1/room",
    "/v1/health",
    "/v1/ready",
    "/v1/join",
    "/v1/token",
    "/v1/cosignatures",
    "/v1/log/<path:name>",
    "/v1/openapi.json",
}
POSTS = (
    "/v1/join",
    "/v1/collaborations",
    "/v1/collaborations/{id}/signatures",
    "/v1/collaborations/{id}/envelopes",
    "/v1/collaborations/{id}/audiences/drive/versions",
    "/v1/collaborations/{id}/reports",
    "/v1/grants",
)
"""Every route that takes JSON."""


def is_problem(answer: httpx.Response, problem: Problem) -> None:
    """The answer is this problem, whole, and repeats no canary."""
    assert answer.status_code == problem.status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert set(body) - {"error"} == {"type", "title", "status", "detail", "hint"}
    assert (body["type"], body["title"]) == (f"/problems/{problem.code}", problem.title)
    assert (body["status"], body["hint"]) == (problem.status, problem.hint)
    assert body["detail"]
    assert CANARY not in answer.text + str(answer.headers)


def routes(stage: Stage) -> Iterator[tuple[str, str, str]]:
    """Every method and address of the API, as a rule and with its variables filled."""
    for rule in stage.app.url_map.iter_rules():
        if rule.rule.startswith("/v1/"):
            for method in sorted((rule.methods or set()) - {"OPTIONS", "HEAD"} | _head(rule)):
                yield method, rule.rule, re.sub(r"<(?:\w+:)?\w+>", CANARY, rule.rule)


def _head(rule: Rule) -> set[str]:
    return {"HEAD"} & (rule.methods or set()) if "GET" not in (rule.methods or set()) else set()


def _send(client: httpx.Client, method: str, path: str, **arguments: Any) -> httpx.Response:
    headers = {**TUS, **arguments.pop("headers", {})}
    return client.request(method, path, headers=headers, **arguments)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", f"Bearer {CANARY}", f"Basic {CANARY}", f"bearer  {CANARY}", CANARY]
)
def test_every_route_but_the_open_ones_needs_a_token(shared_joined: Stage, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    seen = set()
    with shared_joined.anybody() as client:
        for method, rule, path in routes(shared_joined):
            if rule in OPEN:
                continue
            seen.add(rule)
            answer = _send(client, method, path, headers=headers)
            if method == "HEAD":
                assert (answer.status_code, answer.content) == (401, b"")
                assert answer.headers["Content-Type"] == "application/problem+json"
            else:
                is_problem(answer, Problem.UNAUTHORIZED)
            assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert seen == {route.partition(" ")[2] for route in MATRIX}


def test_an_expired_token_is_none(joined: Stage) -> None:
    with joined.http("fresh") as client:
        joined.clock.forward(seconds=599)
        assert client.get("/v1/ledger").status_code == 200
        joined.clock.forward(seconds=1)
        is_problem(client.get("/v1/ledger"), Problem.UNAUTHORIZED)


def test_an_unknown_address(shared_joined: Stage) -> None:
    addresses = ("/v1/", "/v1/{c}", "/{c}", "/v1/collaborations/{c}/{c}", "/v1//{c}", "/v1//room", "/v1/room/", "//{c}")
    with shared_joined.anybody() as client:
        for path in addresses:
            for method in ("GET", "POST", "PATCH", "DELETE"):
                is_problem(client.request(method, URL + path.format(c=CANARY)), Problem.NOT_FOUND)
        is_problem(client.get(f"/v1/log/{CANARY}"), Problem.NOT_FOUND)


def test_a_wrong_method(shared_joined: Stage) -> None:
    seen = 0
    with shared_joined.http("fresh") as client:
        for _, rule, path in routes(shared_joined):
            allowed = {
                method
                for each in shared_joined.app.url_map.iter_rules()
                if each.rule == rule
                for method in each.methods or set()
            }
            for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - allowed:
                answer = _send(client, method, path)
                is_problem(answer, Problem.METHOD)
                assert set(answer.headers["Allow"].split(", ")) == allowed
                seen += 1
    assert seen > 50


UNREADABLE = {
    "cut off": b'{"' + CANARY.encode(),
    "no JSON": CANARY.encode(),
    "not UTF-8": b'{"code": "\xff"}',
    "UTF-16": '{"code": ""}'.encode("utf-16"),
    "empty": b"",
    "half a character": b'{"code": "\\ud800", "signature": "", "signing_key": "", "sealing_key": ""}',
    "endless nesting": b"[" * 100_000,
    "deep": b'{"kind": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
    "NaN": b'{"grant": {"epsilon": NaN}, "signature": ""}',
    "thousands of digits": b'{"kind": ' + b"1" * 5_000 + b"}",
}


@pytest.mark.parametrize("body", UNREADABLE.values(), ids=UNREADABLE)
def test_a_body_that_cannot_be_read(shared_opened: Collaboration, body: bytes) -> None:
    with shared_opened.stage.http("fresh") as client:
        for path in POSTS:
            answer = client.post(path.format(id=shared_opened.id), content=body, headers=JSON)
            is_problem(answer, Problem.BAD_REQUEST)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"17", b"null", b"{}", b'[{"code": "x"}]'])
def test_a_body_of_another_kind(shared_opened: Collaboration, body: bytes) -> None:
    with shared_opened.stage.http("fresh") as client:
        for path in POSTS:
            is_problem(client.post(path.format(id=shared_opened.id), content=body, headers=JSON), Problem.INVALID)


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded", "application/jso"])
def test_a_wrong_content_type(shared_opened: Collaboration, content_type: str | None) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    with shared_opened.stage.http("fresh") as client:
        for path in POSTS:
            body = json.dumps({"code": CANARY}).encode()
            is_problem(client.post(path.format(id=shared_opened.id), content=body, headers=headers), Problem.MEDIA_TYPE)
        answer = client.post("/v1/token", json={"grant_type": CANARY})
        is_problem(answer, Problem.MEDIA_TYPE)
        assert answer.json()["error"] == "invalid_request"


def test_fields_are_named_and_values_are_not(shared_opened: Collaboration) -> None:
    with shared_opened.stage.http("fresh") as client:
        for path in POSTS:
            answer = client.post(path.format(id=shared_opened.id), json={CANARY: CANARY})
            is_problem(answer, Problem.INVALID)
            assert "an unknown field" in answer.json()["detail"]
        answer = client.post("/v1/join", json={"code": [CANARY], "signing_key": CANARY * 20})
        is_problem(answer, Problem.INVALID)
        assert answer.json()["detail"] == "Missing or wrong: `code`, `sealing_key`, `signature`, `signing_key`."
        is_problem(client.post("/v1/join", json=[CANARY]), Problem.INVALID)


def test_token_errors_carry_what_oauth_wants(shared_joined: Stage) -> None:
    with shared_joined.anybody() as client:
        for form in ({}, {"grant_type": CANARY}, {"grant_type": "password", "client_assertion": CANARY}):
            answer = client.post("/v1/token", data=form, headers={"Content-Type": "application/x-www-form-urlencoded"})
            is_problem(answer, Problem.INVALID)
            assert answer.json()["error"] == "invalid_request"
    answer = shared_joined.sign_in(CANARY)
    is_problem(answer, Problem.BAD_ASSERTION)
    assert answer.json()["error"] == "invalid_client"


@pytest.mark.parametrize("path", [*POSTS, "/v1/token"])
def test_a_body_that_is_too_large(shared_opened: Collaboration, path: str) -> None:
    kind = "application/x-www-form-urlencoded" if path == "/v1/token" else "application/json"
    body = b'{"a": "' + b"a" * (4 * 2**20) + b'"}'
    with shared_opened.stage.http("fresh") as client:
        answer = client.post(path.format(id=shared_opened.id), content=body, headers={"Content-Type": kind})
    is_problem(answer, Problem.TOO_LARGE)


def test_a_question_too_long_for_the_log(shared_opened: Collaboration) -> None:
    asked = {"kind": "statistics", "count": "fresh/drive", "where": {"is": ["fresh/drive.tier", [CANARY * 30_000]]}}
    with shared_opened.stage.http("fresh") as client:
        is_problem(client.post(f"/v1/collaborations/{shared_opened.id}/reports", json=asked), Problem.BAD_QUESTION)


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_question_without_a_canonical_form(shared_opened: Collaboration, dry_run: bool) -> None:
    """It tells too many kinds of people apart: nothing is measured, charged or logged."""
    leaves = shared_opened.stage.leaves()
    where = {"any": [{"matched": f"p{number}/x"} for number in range(17)]}
    asked = {"kind": "statistics", "count": "fresh/drive", "where": where, "dry_run": dry_run}
    with shared_opened.stage.http("fresh") as client:
        is_problem(client.post(f"/v1/collaborations/{shared_opened.id}/reports", json=asked), Problem.BAD_QUESTION)
    assert shared_opened.stage.leaves() == leaves


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "overlap"},
        {"kind": "overlap", "audiences": [CANARY, CANARY]},
        {"kind": "overlap", "audiences": ["fresh/drive", "fresh/drive"]},
        {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"], "count": CANARY},
        {"kind": "statistics", "count": f"fresh/{CANARY}", "where": {CANARY: CANARY}},
        {"kind": "statistics", "count": "fresh/drive", "by": [{"matched": CANARY}]},
        {"kind": "statistics", "count": "fresh/drive", "purpose": CANARY},
    ],
)
def test_a_question_that_does_not_parse(shared_opened: Collaboration, asked: dict[str, Any]) -> None:
    with shared_opened.stage.http("fresh") as client:
        is_problem(client.post(f"/v1/collaborations/{shared_opened.id}/reports", json=asked), Problem.BAD_QUESTION)
    assert shared_opened.stage.rows("select * from reports") == []


FAILING = (
    ("GET", "/v1/room", public, "terms"),
    ("GET", "/v1/ready", public, "readiness"),
    ("POST", "/v1/join", public, "canonical"),
    ("GET", "/v1/log/checkpoint", public, "send_from_directory"),
    ("GET", "/v1/partners/tasty", collaborations, "_text"),
    ("GET", "/v1/collaborations", collaborations, "to_json"),
    ("POST", "/v1/uploads", uploads, "Upload"),
    ("GET", "/v1/collaborations/{id}/audiences/drive/versions", audiences, "versions"),
    ("POST", "/v1/collaborations/{id}/reports", reports, "gate"),
    ("GET", "/v1/ledger", ledger, "reports"),
)


@pytest.mark.parametrize(("method", "path", "module", "name"), FAILING)
def test_a_bug_is_a_problem_too(
    shared_opened: Collaboration, monkeypatch: pytest.MonkeyPatch, method: str, path: str, module: Any, name: str
) -> None:
    class Broken:
        def __call__(self, *_: Any, **__: Any) -> None:
            raise KeyError(CANARY)

        def __getattr__(self, _: str) -> None:
            raise RuntimeError(CANARY)

    bodies: dict[str, Any] = {
        "/v1/join": dict.fromkeys(("signing_key", "sealing_key"), "A" * 43 + "=") | {"code": "x", "signature": "x"},
        "/v1/collaborations/{id}/reports": {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]},
    }
    with shared_opened.stage.http("fresh") as client:
        monkeypatch.setattr(module, name, Broken())
        body = bodies.get(path)
        answer = _send(client, method, path.format(id=shared_opened.id), json=body, headers={"Upload-Length": "1"})
    is_problem(answer, Problem.INTERNAL)


def _sqlite(code: int) -> sqlite3.OperationalError:
    """As the driver raises it."""
    error = sqlite3.OperationalError(CANARY)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (OSError(CANARY), Problem.DISK),
        (OSError(errno.EIO, CANARY), Problem.DISK),
        (PermissionError(errno.EACCES, CANARY), Problem.DISK),
        (OSError(errno.ENOSPC, CANARY), Problem.DISK_FULL),
        (OSError(errno.EDQUOT, CANARY), Problem.DISK_FULL),
        (LogUnavailable(errno.EIO, CANARY), Problem.LOG),
        (LogUnavailable(errno.ENOSPC, CANARY), Problem.DISK_FULL),
        (sqlite3.OperationalError(CANARY), Problem.DISK),
        (_sqlite(sqlite3.SQLITE_IOERR), Problem.DISK),
        (_sqlite(sqlite3.SQLITE_FULL), Problem.DISK_FULL),
        (_sqlite(sqlite3.SQLITE_LOCKED), Problem.BUSY),
    ],
)
def test_what_cannot_be_stored_or_read_fails_closed_and_names_its_cause(
    shared_opened: Collaboration, monkeypatch: pytest.MonkeyPatch, error: Exception, problem: Problem
) -> None:
    def broken(*_: Any) -> None:
        raise error

    with shared_opened.stage.http("fresh") as client:
        monkeypatch.setattr(withdrawals, "commitment_of", broken)
        is_problem(client.get("/v1/consents/2026-03-14"), problem)


def test_a_catalog_that_somebody_writes_for_too_long_is_busy(joined: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process holds the catalog's only lock for writing; then it lets go."""
    monkeypatch.setattr(catalog, "BUSY_SECONDS", 0.05)
    with joined.http("fresh") as client:
        with joined.room.catalog() as other, other.transaction():
            is_problem(_send(client, "POST", "/v1/uploads", headers={"Upload-Length": "1"}), Problem.BUSY)
        assert list(joined.room.settings.incoming.iterdir()) == []
        assert _send(client, "POST", "/v1/uploads", headers={"Upload-Length": "1"}).status_code == 201


def test_codes_are_distinct_and_every_text_is_a_sentence() -> None:
    assert len({problem.code for problem in Problem}) == len(Problem)
    for problem in Problem:
        assert 400 <= problem.status < 600
        assert problem.hint.endswith(".")
        assert "\n" not in problem.hint + problem.title


@pytest.mark.parametrize("problem", Problem, ids=lambda problem: problem.code)
def test_every_problem_is_met_by_some_test(problem: Problem) -> None:
    """Each type is answered somewhere where a test looks at it: by its name here, or by its code."""
    met = re.compile(rf"Problem\.{problem.name}\b|[\"' /]{problem.code}[\"']")
    sources = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    assert any(met.search(source) for source in sources)


def test_every_answer_has_the_safe_headers(shared_opened: Collaboration) -> None:
    with shared_opened.stage.http("fresh") as client:
        for path in ("/v1/room", "/v1/ledger", "/v1/nothing", "/", "/static/style.css", "/v1/log/checkpoint"):
            headers = client.get(path).headers
            assert headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self';")
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
            assert headers["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(
    "name",
    [
        ".lock",
        "tile/../.lock",
        "tile/%2e%2e/.lock",
        "../catalog.sqlite",
        "tile/0/../../../catalog.sqlite",
        "tile",
        "tile/0",
    ],
)
def test_the_log_serves_its_own_files_only(shared_joined: Stage, name: str) -> None:
    # Werkzeug's client sends the path as it is written; httpx would tidy it.
    answer = shared_joined.app.test_client().get(f"/v1/log/{name}", base_url=URL)
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"

"""Every route × who asks × whose it is: what the answer is, and that what is not yours looks like what is not there.

The routes come from the application; one without an entry here fails, and so does an entry without a route. Who asks:

* `owner`, a party whose objects they are (fresh), and `marketer`, with such a key of the same partner;
* `auditor`, who is appointed to the collaboration;
* `party`, another one of it (tasty); `stranger`, a partner of another collaboration (sunny);
* `elsewhere`, who is appointed to that one; `inhouse`, with an auditor's key of fresh, appointed to nothing.

Without a token, with one that ended, and with one whose key was revoked, every route but the open ones says the same.
Alike means status, headers, body, and the work behind it: as many statements to the catalog.
"""

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleanroom.catalog import catalog as catalogs
from cleanroom.commitments import commit_days
from partners.key_change import Role
from partners.keys import key_id
from partners.steps import keys as steps
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, VISITS, Brand, Stage, people
from tests.room.test_keys import colleague
from tests.room.test_replacements import ask_back
from tests.room.withdrawing import last, send

TUS = {"Tus-Resumable": "1.0.0"}
CHUNK = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
SIGNED = "A" * 86 + "=="
ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
CLUBS = Brand("salty", "clubs", ("email",))
COLLABORATION = "/v1/collaborations/<identifier>"
VERSIONS = f"{COLLABORATION}/audiences/<name>/versions"
ROLES = ("owner", "marketer", "auditor", "party", "stranger", "elsewhere", "inhouse")
OPEN = {
    "GET /",
    "GET /api",
    "GET /problems/<code>",
    "GET /static/<path:filename>",
    "GET /v1/room",
    "GET /v1/health",
    "GET /v1/ready",
    "GET /v1/openapi.json",
    "GET /v1/log/<path:name>",
    "POST /v1/join",
    "POST /v1/token",
    "POST /v1/cosignatures",
    "OPTIONS /v1/uploads",
}
"""Routes that answer everybody alike, with a token or without."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A request, and what each of `ROLES` gets: a status, with the problem's code where it is one.

    Auditors of something else get what the auditor gets, where nothing is named; else what is not there.
    `named`: the variables of the route that name an object; others name what everybody may know.
    """

    answers: tuple[str, str, str, str, str]
    named: tuple[str, ...] = ()
    json: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None

    def answer(self, role: str) -> str:
        if role in ("elsewhere", "inhouse"):
            return GONE if self.answers[2] == "200" and self.named else self.answers[2]
        return self.answers[ROLES.index(role)]


ROLE, GONE = "403 role", "404 not-found"


def reads(*named: str, auditor: str = ROLE) -> Entry:
    """What a collaboration's parties may read, marketers too."""
    return Entry(("200", "200", auditor, "200", GONE), named)


def decides(answer: str, json: dict[str, Any], *named: str) -> Entry:
    """What a party may do with an owner key; the body is such that `answer` says that it may, and nothing happens."""
    return Entry((answer, ROLE, ROLE, answer, GONE if named else answer), named, json)


MATRIX: dict[str, Entry] = {
    "GET /v1/keys": Entry(("200",) * 5),
    "POST /v1/keys": decides("422 invalid", {"change": {}, "signature": SIGNED, "proof": None}),
    "GET /v1/partners/<name>": Entry(("200", ROLE, ROLE, "200", "200")),
    "GET /v1/collaborations": Entry(("200",) * 5),
    "POST /v1/collaborations": decides("422 bad-agreement", {"agreement": {}, "signature": SIGNED}),
    f"GET {COLLABORATION}": reads("identifier", auditor="200"),
    f"GET {COLLABORATION}/agreement": reads("identifier", auditor="200"),
    f"GET {COLLABORATION}/agreements/<sha256>": reads("identifier", auditor="200"),
    f"POST {COLLABORATION}/signatures": decides("403 bad-signature", {"signature": SIGNED}, "identifier"),
    f"GET {COLLABORATION}/envelopes": Entry(("200", ROLE, ROLE, "200", GONE), ("identifier",)),
    f"POST {COLLABORATION}/envelopes": decides("422 invalid", {"envelope": {}, "signature": SIGNED}, "identifier"),
    f"POST {COLLABORATION}/amendments": decides(
        "422 bad-agreement", {"agreement": {}, "signature": SIGNED}, "identifier"
    ),
    f"POST {COLLABORATION}/amendments/<sha256>/signatures": decides("201", {"signature": SIGNED}, "identifier"),
    f"POST {COLLABORATION}/tightenings": decides("422 invalid", {"tightening": {}, "signature": SIGNED}, "identifier"),
    f"POST {COLLABORATION}/rotations": decides("422 invalid", {"rotation": {}, "signature": SIGNED}, "identifier"),
    f"POST {COLLABORATION}/departures": decides("422 invalid", {"leaving": {}, "signature": SIGNED}, "identifier"),
    f"GET {VERSIONS}": Entry(("200", ROLE, ROLE, "200", GONE), ("identifier",)),
    f"POST {VERSIONS}": Entry(
        ("422 bad-manifest", ROLE, ROLE, GONE, GONE), ("identifier", "name"), {"manifest": {}, "signature": SIGNED}
    ),
    f"GET {VERSIONS}/<version>": Entry(("200", ROLE, ROLE, GONE, GONE), ("identifier", "name", "version")),
    f"POST {COLLABORATION}/withdrawals": decides(
        "422 bad-withdrawal", {"batch": {}, "signature": SIGNED}, "identifier"
    ),
    f"GET {COLLABORATION}/withdrawals/<batch>": Entry(("200", ROLE, ROLE, GONE, GONE), ("identifier", "batch")),
    "GET /v1/consents/<day>": Entry(("200", ROLE, ROLE, "200", "200")),
    f"POST {COLLABORATION}/reports": Entry(("201", "201", ROLE, "201", GONE), ("identifier",), ASKED),
    f"GET {COLLABORATION}/reports": reads("identifier"),
    "GET /v1/reports/<identifier>": reads("identifier"),
    "GET /v1/reports/<identifier>/evidence": Entry(("200", ROLE, ROLE, "200", GONE), ("identifier",)),
    "GET /v1/audit/export": Entry((ROLE, ROLE, "200", ROLE, ROLE)),
    "GET /v1/audit/ledger": Entry((ROLE, ROLE, "200", ROLE, ROLE)),
    "GET /v1/ledger": Entry(("200", "200", ROLE, "200", "200")),
    "GET /v1/replacements": Entry(("200", ROLE, ROLE, "200", "200")),
    "POST /v1/replacements/<key>/consents": Entry(
        ("403 bad-signature", ROLE, ROLE, GONE, GONE), ("key",), {"signature": SIGNED}
    ),
    "POST /v1/grants": decides("422 invalid", {"grant": {}, "signature": SIGNED}),
    "POST /v1/uploads": Entry(("201", ROLE, ROLE, "201", "201"), headers={**TUS, "Upload-Length": "9"}),
    "HEAD /v1/uploads/<identifier>": Entry(("200", "403", "403", "404", "404"), ("identifier",), headers=TUS),
    "PATCH /v1/uploads/<identifier>": Entry(
        ("204", ROLE, ROLE, GONE, GONE), ("identifier",), headers=CHUNK, content=b"PAR1"
    ),
    # These end something, so they come last.
    "DELETE /v1/uploads/<identifier>": Entry(("204", ROLE, ROLE, GONE, GONE), ("identifier",), headers=TUS),
    f"DELETE {VERSIONS}/<version>": Entry(("200", ROLE, ROLE, GONE, GONE), ("identifier", "name", "version")),
}


@dataclass(frozen=True, slots=True)
class Scene:
    """A stage, the tokens of those who ask, and what fresh has: the value of each variable, by route."""

    stage: Stage
    tokens: dict[str, str]
    values: dict[str, str]
    work: list[str]

    def path(self, route: str, nothing: str = "") -> str:
        """The address of a route with everything in it there, and fresh's; but for the variable `nothing`."""
        path = route.partition(" ")[2]
        for variable in re.findall(r"<(\w+)>", path):
            value = self.value(route, variable)
            gone = value[:-4] + secrets.token_hex(2)  # as long, and not there
            path = path.replace(f"<{variable}>", gone if variable == nothing else value)
        return path

    def value(self, route: str, variable: str) -> str:
        return self.values[f"{route.split('/')[2]}.{variable}"]

    def send(self, role: str, route: str, path: str) -> httpx.Response:
        entry = MATRIX[route]
        headers = {"Authorization": f"Bearer {self.tokens[role]}"} if self.tokens.get(role) else {}
        arguments: dict[str, Any] = {"headers": {**entry.headers, **headers}}
        if entry.json is not None:
            arguments["json"] = entry.json
        if entry.content is not None:
            arguments["content"] = entry.content
        self.work.clear()
        with self.stage.anybody() as client:
            return client.request(route.partition(" ")[0], path, **arguments)


def scene_of(shared: Collaboration, folder: Path, work: list[str]) -> Iterator[Scene]:
    """fresh and tasty with one object of each kind, fresh's; sunny and salty in a collaboration of their own."""
    with shared.stage.copy(folder) as stage:
        at = Collaboration(stage, shared.id)
        stage.join("salty")
        other = stage.agree(VISITS, CLUBS)
        send(at, ["p1@mail.example"], owner="fresh")
        batch = last(at, "fresh").batch.sha256()
        day = stage.clock().date().isoformat()
        stage.clock.forward(days=1)
        with stage.room.catalog() as opened:
            commit_days(stage.room, opened)
        report = stage.ask("fresh", at.id, ASKED)
        made = stage.prepare(at.id, DRIVE, people(range(20)))
        (version,) = stage.rows("select id from versions where owner = 'fresh' and state = 'published'")[0]
        (sha256,) = stage.rows("select agreement_sha256 from collaborations where id = ?", at.id)[0]
        upload = stage.players["fresh"].room.begin_upload(made.manifest.manifest.bytes)
        expired = stage.token("fresh")
        stage.clock.forward(seconds=601)
        ada, inhouse = colleague(stage, "fresh", Role.MARKETER), colleague(stage, "fresh", Role.AUDITOR)
        eve, bob = stage.appoint("eve", at.id), stage.appoint("bob", other)
        gone = colleague_who_left(stage)
        waiting = ask_back(stage, "tasty").identity
        tokens = {
            "anonymous": "",
            "expired": expired,
            "revoked": gone,
            "owner": stage.token("fresh"),
            "marketer": sign_in(stage, ada.identity),
            "inhouse": sign_in(stage, inhouse.identity),
            "auditor": sign_in(stage, eve.identity, "eve"),
            "elsewhere": sign_in(stage, bob.identity, "bob"),
            "party": stage.token("tasty"),
            "waiting": sign_in(stage, waiting, "tasty"),
            "stranger": stage.token("sunny"),
        }
        values = {
            "partners.name": "fresh",
            "collaborations.identifier": at.id,
            "collaborations.name": "drive",
            "collaborations.version": version,
            "collaborations.sha256": sha256,
            "collaborations.batch": batch,
            "consents.day": day,
            "reports.identifier": report.id or "",
            "uploads.identifier": upload,
            "replacements.key": key_id(waiting.public.signing),
        }
        work.clear()
        yield Scene(stage, tokens, values, work)


def sign_in(stage: Stage, identity: Any, name: str = "fresh") -> str:
    answer = stage.sign_in(stage.assertion(name, identity))
    return str(answer.json()["access_token"])


def colleague_who_left(stage: Stage) -> str:
    """The token of a marketer's key that was revoked after it signed in."""
    folder = stage.folder / "partners" / "fresh-marketer"
    folder.rename(folder.with_name("fresh-ada"))
    left = colleague(stage, "fresh", Role.MARKETER)
    token = sign_in(stage, left.identity)
    fresh = stage.players["fresh"]
    steps.revoke(fresh.home, fresh.room, key_id(left.identity.public.signing), stage.clock())
    return token


@pytest.fixture(scope="module")
def work() -> Iterator[list[str]]:
    """Every statement that reaches a catalog meanwhile."""
    seen: list[str] = []
    connect = catalogs._connect

    def traced(path: Path) -> Any:
        connection = connect(path)
        connection.set_trace_callback(seen.append)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogs, "_connect", traced)
        yield seen


@pytest.fixture(scope="module")
def scene(
    shared_published: Collaboration, tmp_path_factory: pytest.TempPathFactory, work: list[str]
) -> Iterator[Scene]:
    yield from scene_of(shared_published, tmp_path_factory.mktemp("matrix"), work)


def routes(stage: Stage) -> set[str]:
    """Every method and rule of the application, but those that Flask adds by itself."""
    found = set()
    for rule in stage.app.url_map.iter_rules():
        methods = rule.methods or set()
        own = methods - {"HEAD", "OPTIONS"} if "GET" in methods else methods - ({"OPTIONS"} & methods)
        if rule.endpoint == "uploads.options":
            own = {"OPTIONS"}
        found |= {f"{method} {rule.rule}" for method in own}
    return found


def test_every_route_has_an_entry(shared_joined: Stage) -> None:
    known = routes(shared_joined)
    assert known - set(MATRIX) - OPEN == set(), "new routes: say who may use them"
    assert (set(MATRIX) | OPEN) - known == set(), "entries of routes that are gone"


def outcome(answer: httpx.Response) -> str:
    if answer.status_code < 400 or not answer.content:
        return str(answer.status_code)
    return f"{answer.status_code} {answer.json()['type'].removeprefix('/problems/')}"


@pytest.mark.parametrize("role", [role for role in ROLES if role != "owner"])
def test_what_each_role_gets(scene: Scene, role: str) -> None:
    before = scene.stage.rows("select count(*) from log_entries")
    found = {route: outcome(scene.send(role, route, scene.path(route))) for route in MATRIX}
    assert found == {route: entry.answer(role) for route, entry in MATRIX.items()}
    logged = [("/reports", "201"), ("/audit/export", "200"), ("/audit/ledger", "200")]
    asked = sum(1 for route in found for end, good in logged if route.endswith(end) and found[route] == good)
    assert scene.stage.rows("select count(*) from log_entries") == [(before[0][0] + asked,)]


def test_what_a_key_gets_that_waits_for_the_others(scene: Scene) -> None:
    """It can compare keys and see who consented; of its partner's work it sees nothing yet."""
    found = {route: outcome(scene.send("waiting", route, scene.path(route))) for route in MATRIX}
    open_to_it = {"GET /v1/keys", "GET /v1/partners/<name>", "GET /v1/replacements"}
    assert {route for route, answer in found.items() if answer == "200"} == open_to_it
    assert {found[route] for route in MATRIX if route not in open_to_it} == {ROLE, "403"}, "403: an answer to HEAD"


def test_what_the_owner_gets(shared_published: Collaboration, tmp_path: Path, work: list[str]) -> None:
    """With a stage of its own: some of it ends what is there."""
    for scene in scene_of(shared_published, tmp_path, work):
        found = {route: outcome(scene.send("owner", route, scene.path(route))) for route in MATRIX}
        assert found == {route: entry.answer("owner") for route, entry in MATRIX.items()}


def shown(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, answer.headers.multi_items()


@pytest.mark.parametrize("role", [role for role in ROLES if role != "owner"])
def test_what_is_not_yours_looks_like_what_is_not_there(scene: Scene, role: str) -> None:
    compared = 0
    for route, entry in MATRIX.items():
        if entry.answer(role)[:3] not in ("403", "404"):
            continue
        there, statements = shown(scene.send(role, route, scene.path(route))), len(scene.work)
        for variable in entry.named:
            if role == "party" and (COLLABORATION in route, variable) == (True, "identifier"):
                continue  # a party knows that the collaboration is there
            answer = shown(scene.send(role, route, scene.path(route, nothing=variable)))
            assert (answer, len(scene.work)) == (there, statements), f"{route}: {variable}"
            compared += 1
    assert compared > 5


def test_without_a_token_that_counts_every_route_says_the_same(scene: Scene) -> None:
    answers = set()
    for role in ("anonymous", "expired", "revoked"):
        for route in MATRIX:
            answer = scene.send(role, route, scene.path(route))
            if route.startswith("HEAD"):
                assert (answer.status_code, answer.content) == (401, b"")
                continue
            kept = [(name, value) for name, value in answer.headers.multi_items() if not name.startswith("tus-")]
            answers.add((answer.status_code, answer.content, tuple(kept)))
    assert len(answers) == 1
    assert next(iter(answers))[0] == 401


def test_open_routes_do_not_look_at_the_token(scene: Scene) -> None:
    paths = (
        "/",
        "/api",
        "/problems/role",
        "/v1/room",
        "/v1/health",
        "/v1/ready",
        "/v1/openapi.json",
        "/v1/log/checkpoint",
    )
    with scene.stage.anybody() as client:
        for path in paths:
            answers = {
                client.get(path, headers={"Authorization": f"Bearer {token}"} if token else {}).content
                for token in scene.tokens.values()
            }
            assert len(answers) == 1, path


LISTS = tuple(f"GET /v1/{each}" for each in ("collaborations", "ledger", "keys", "consents/<day>", "replacements"))
AUDITED = ("GET /v1/collaborations", "GET /v1/keys", "GET /v1/audit/ledger", "GET /v1/audit/export")


@pytest.mark.parametrize(("role", "routes"), [("stranger", LISTS), ("elsewhere", AUDITED)])
def test_lists_show_a_stranger_nothing(scene: Scene, role: str, routes: tuple[str, ...]) -> None:
    """Routes that answer everybody hold nothing of another collaboration or partner."""
    known = [value for name, value in scene.values.items() if not name.endswith((".day", ".name"))]
    for route in routes:
        answer = scene.send(role, route, scene.path(route))
        assert answer.status_code == 200
        assert not [value for value in (*known, "fresh", "tasty") if value.encode() in answer.content], route

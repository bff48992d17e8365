"""`cleanroom audit list`: what the log says, from the room and from an export, with filters."""

import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from cleanroom.audit import archive, export
from cleanroom.audit.documents import KEYS_BEGIN
from cleanroom.audit.events import EventKind
from cleanroom.audit.listing import Filter, _named
from cleanroom.audit.verify import Finding, Verdict
from cleanroom.auditing import _show
from cleanroom.catalog import documents
from cleanroom.cli import cli
from cleanroom.failures import EXPECTED
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.tiles import encode_bundle
from policies import canonical
from tests.room.conftest import Collaboration

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
Listed = list[dict[str, object]]


@pytest.fixture
def listed(published: Collaboration, tmp_path: Path) -> Callable[..., Listed]:
    """Runs the command with a room's folders, or on an export that opens what `may_read` says."""
    stage = published.stage
    stage.ask("tasty", published.id, OVERLAP)
    stage.clock.forward(days=1)
    stage.ask("fresh", published.id, {**OVERLAP, "purpose": "activation"})

    def run(*options: str, may_read: Callable[[Body], bool] | None = None) -> Listed:
        where = ["--data", str(stage.room.settings.data), "--keys", str(stage.room.settings.keys)]
        if may_read:
            file = tmp_path / "log.tar"
            stage.room.publish()
            with stage.room.catalog() as catalog:
                export.export(catalog.connection, stage.room.settings.log, file, may_read, documents.every(catalog))
            where = [str(file)]
        told = CliRunner().invoke(cli, ["audit", "list", *where, "--json", *options])
        assert told.exit_code == 0, told.output
        return [json.loads(line) for line in told.stdout.splitlines()]

    return run


def test_the_whole_log_in_order(published: Collaboration, listed: Callable[..., Listed]) -> None:
    found = listed()
    assert [each["seq"] for each in found] == list(range(len(published.stage.leaves())))
    assert [each["event"] for each in found] == [event for event, _ in published.stage.leaves()]
    assert found[0]["by"] == "the room"
    assert listed(may_read=lambda _: True) == found


def test_filters(published: Collaboration, listed: Callable[..., Listed]) -> None:
    (refused,) = listed("--decision", "refuse")
    assert (refused["event"], refused["by"]) == ("decision:refuse", "fresh")
    details = refused["details"]
    assert isinstance(details, dict)
    assert listed("--reason", str(details["reason"])) == [refused]
    assert listed("--reason", "budget_spent") == []
    assert {each["event"] for each in listed("--event", "decision:*")} == {"decision:release", "decision:refuse"}
    assert listed("--since", "2026-03-15") == listed("--until", "2099-01-01", "--since", "2026-03-15T00:00:00")
    assert refused in listed("--since", "2026-03-15")
    assert refused not in listed("--until", "2026-03-15")
    assert {each["by"] for each in listed("--partner", "tasty", "--event", "decision:*")} == {"tasty"}
    assert {each["collaboration"] for each in listed("--collab", published.id)} == {published.id}
    assert listed("--partner", "nobody") == []


def test_a_name_finds_nothing_in_a_file_and_that_is_said(
    published: Collaboration, listed: Callable[..., Listed], tmp_path: Path
) -> None:
    """A room knows which collaboration has the name; the entries of an export have ids only."""
    assert listed("--collab", "drive-2026") == listed("--collab", published.id)
    assert listed("--collab", published.id, may_read=lambda _: True)
    hint = "In FILE, --collab wants the collaboration's id, not its name.\n"
    for text, said in (("drive-2026", f"0 entries.\n{hint}"), (published.id, "entries.\n")):
        told = CliRunner().invoke(cli, ["audit", "list", str(tmp_path / "log.tar"), "--collab", text])
        assert (told.exit_code, told.stderr.endswith(said)) == (0, True)
        assert (hint in told.stderr) == (text == "drive-2026")


def test_what_was_not_opened_has_a_number_and_a_time(listed: Callable[..., Listed]) -> None:
    whole = listed()
    found = listed(may_read=lambda body: body.event.startswith("decision:"))
    assert [each["seq"] for each in found] == [each["seq"] for each in whole]
    assert {tuple(each) for each in found if "event" not in each} == {("seq", "time")}
    assert {each["event"] for each in found if "event" in each} == {"decision:release", "decision:refuse"}
    opened = listed("--event", "*", may_read=lambda body: body.event.startswith("decision:"))
    assert all("event" in each for each in opened), "a filter sees only what the reader sees"


def test_as_text(published: Collaboration, listed: Callable[..., Listed]) -> None:
    where = ["--data", str(published.stage.room.settings.data), "--keys", str(published.stage.room.settings.keys)]
    told = CliRunner().invoke(cli, ["audit", "list", *where, "--decision", "refuse"])
    head, line = told.stdout.splitlines()
    assert head.split() == ["entry", "time", "(UTC)", "event", "by", "collaboration", "what"]
    assert line.split()[3:6] == ["decision:refuse", "fresh", published.id]
    assert told.stderr == "1 entry.\n"


def test_a_file_that_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "log.tar").write_bytes(b"no tar")
    told = CliRunner().invoke(cli, ["audit", "list", str(tmp_path / "log.tar")])
    assert told.exit_code == 1
    assert told.exception is not None


def crafted(folder: Path, body: Body, time: int = 1) -> Path:
    """An archive of one entry, which no room wrote."""
    nonce = bytes(32)
    opened = {"body": body.encode().decode(), "nonce": encode_base64(nonce), "seq": 0}
    bundle = encode_bundle([Entry(0, time, commitment(nonce, body.encode())).encode()])
    path = folder / "crafted.tar"
    with path.open("wb") as file:
        lines = canonical.dumps(opened) + b"\n"
        archive.write(file, [("bodies.jsonl", io.BytesIO(lines)), ("tile/entries/000.p/1", io.BytesIO(bundle))])
    return path


def test_a_time_that_is_no_date(tmp_path: Path) -> None:
    told = CliRunner().invoke(cli, ["audit", "list", str(crafted(tmp_path, Body("room:init", None, None, {}), 10**15))])
    assert told.exit_code == 1
    assert isinstance(told.exception, EXPECTED)


HOSTILE = "\x1b]0;owned\x07\x9b2J\u202e"


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_archive_does_not_speak_to_the_terminal(tmp_path: Path, form: list[str]) -> None:
    body = Body("room:init", None, None, {"report": HOSTILE})
    told = CliRunner().invoke(cli, ["audit", "list", str(crafted(tmp_path, body)), *form])
    assert told.exit_code == 0
    assert all(line.isprintable() for line in told.stdout.split("\n"))
    assert r"]0;owned\u0007\u009b2J\u202e" in told.stdout
    if form:
        assert json.loads(told.stdout)["details"]["report"] == HOSTILE


def test_neither_do_findings(capsys: pytest.CaptureFixture[str]) -> None:
    _show(Verdict((), 1, findings=(Finding(0, HOSTILE, HOSTILE, HOSTILE),)), as_json=False)
    assert all(line.isprintable() for line in capsys.readouterr().out.split("\n"))


@pytest.mark.parametrize("event", sorted(KEYS_BEGIN - {EventKind.PARTNER_JOIN}))
def test_who_did_it_is_known_from_the_entry_with_which_the_key_came(event: EventKind) -> None:
    bodies = [
        Body(event, None, "old", {"partner": "tasty", "key": "new"}),
        Body("decision:release", "drive", "new", {"report": "r"}),
    ]
    lines = list(_named((Entry(at, 1, "0" * 64).encode(), body) for at, body in enumerate(bodies)))
    assert lines[1].by == "tasty"
    assert Filter(partner="tasty").takes(lines[1])

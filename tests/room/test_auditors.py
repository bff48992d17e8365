"""Auditors: appointed by the operator, shown to the partners; what they read, and that each reading is in the log."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from cleanroom import auditors
from cleanroom.audit.listing import Line, of_export
from cleanroom.audit.verify import verify
from cleanroom.auditors import NotAppointed
from cleanroom.commitments import commit_days
from cleanroom.naming import NotNamed
from partners import evidence
from partners.cli import main
from partners.evidence import Opened
from partners.room.connection import RoomRefused
from tests.room.conftest import Collaboration
from tests.room.losing import quiet
from tests.room.stage import URL, VISITS, Brand, Player, Stage, people
from tests.room.test_key_commands import operator
from tests.room.withdrawing import emails, send

CLUBS = Brand("salty", "clubs", ("email",))
ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def run(stage: Stage, name: str, *arguments: str) -> Result:
    home = stage.folder / "partners" / name
    return CliRunner().invoke(main, ["--home", str(home), *arguments], obj=stage.transport())


def busy(at: Collaboration) -> str:
    """A second collaboration beside the first, and something of every kind in both; the second one's id."""
    stage = at.stage
    stage.join("salty")
    other = stage.agree(VISITS, CLUBS)
    stage.share_secret(other)
    for brand in (VISITS, CLUBS):
        stage.publish(other, brand, people(range(50)))
    stage.ask("sunny", other, {"kind": "overlap", "audiences": ["sunny/visits", "salty/clubs"]})
    stage.ask("fresh", at.id, ASKED)
    send(at, emails(range(120, 125)), owner="tasty")
    stage.clock.forward(days=1)
    with stage.room.catalog() as catalog:
        commit_days(stage.room, catalog)
    return other


def exported(at: Collaboration, eve: Player, folder: Path) -> list[Line]:
    """The entries of the archive that an auditor gets, once it has been verified."""
    file = folder / "log.tar"
    with file.open("wb") as out:
        eve.room.audit_export(out, quiet)
    verdict = verify(file, at.stage.room.signer.verifier)
    assert verdict.ok, verdict.checks
    return list(of_export(file))


def test_an_auditor_reads_its_collaborations_and_nothing_else(published: Collaboration, tmp_path: Path) -> None:
    other = busy(published)
    eve = published.stage.appoint("eve", published.id)
    lines = exported(published, eve, tmp_path)
    assert [line.seq for line in lines] == list(range(len(published.stage.leaves())))
    opened = [line.body for line in lines if line.body]
    assert {body.collaboration for body in opened} == {published.id, None}
    about = {body.details.get("partner") for body in opened if body.collaboration is None} - {None}
    assert about == {"fresh", "tasty"}
    events = {body.event for body in opened}
    assert events >= {
        "room:init", "partner:join", "agreement:open", "secret:relay", "upload:receive", "audience:publish",
        "decision:release", "consent:commit", "auditor:appoint",
    }  # fmt: skip
    closed = [body for line, body in zip(lines, all_bodies(published.stage), strict=True) if line.body is None]
    assert closed
    for body in closed:
        about = body["details"].get("partner")
        assert body["collaboration"] == other or about in ("sunny", "salty", "eve"), body["event"]
    with pytest.raises(RoomRefused, match="Not found"):
        eve.room.agreement(other)
    assert [each.id for each in eve.room.collaborations()] == [published.id]
    assert eve.room.agreement(published.id) == published.stage.players["fresh"].room.agreement(published.id)


def all_bodies(stage: Stage) -> list[dict[str, Any]]:
    return [json.loads(body) for (body,) in stage.rows("select body from log_entries order by seq")]


def test_an_auditor_reads_the_ledgers(published: Collaboration) -> None:
    published.stage.ask("fresh", published.id, ASKED)
    eve = published.stage.appoint("eve", published.id)
    (spent,) = published.stage.rows("select sum(micro) from ledger where owner = 'tasty'")[0]
    assert [(line.owner, line.allotted, line.spent) for line in eve.room.audited_ledger()] == [
        ("fresh", 5_000_000, spent),
        ("tasty", 5_000_000, spent),
    ]
    assert "tasty" in run(published.stage, "eve", "audit", "ledger").stdout
    told = json.loads(run(published.stage, "eve", "audit", "ledger", "--json").stdout)
    assert told["lines"][0] == {
        "collaboration": published.id, "owner": "fresh", "allotted": 5_000_000, "spent": spent, "unbounded": False,
    }  # fmt: skip


def test_every_reading_is_logged_and_shown_to_the_partners(published: Collaboration) -> None:
    stage = published.stage
    eve = stage.appoint("eve", published.id)
    assert [event for event, _ in stage.leaves()[-2:]] == ["auditor:appoint", "partner:join"]
    assert "eve audits" in run(stage, "tasty", "status").stdout
    (told,) = json.loads(run(stage, "fresh", "status", "--json").stdout)["collaborations"]
    assert told["auditors"] == [{"name": "eve", "appointed": "2026-03-14T12:00:00Z", "read": None}]
    stage.clock.forward(hours=1)
    eve.room.audit_export(BytesIO(), quiet)
    eve.room.audited_ledger()
    reading = {"partner": "eve", "collaborations": [published.id]}
    assert stage.leaves()[-3:] == [
        ("auditor:enter", {"partner": "eve"}),
        ("auditor:read", {**reading, "what": "export"}),
        ("auditor:read", {**reading, "what": "ledger"}),
    ]
    (told,) = json.loads(run(stage, "fresh", "status", "--json").stdout)["collaborations"]
    assert told["auditors"][0]["read"] == "2026-03-14T13:00:00Z"


def test_an_appointment_ends(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    eve = stage.appoint("eve", published.id)
    assert eve.room.collaborations()
    with stage.room.catalog() as catalog:
        assert auditors.dismiss(stage.room, catalog, "eve", ()) == (published.id,)
        for identifiers in ((), (published.id,)):
            with pytest.raises(NotAppointed, match="no such appointment"):
                auditors.dismiss(stage.room, catalog, "eve", identifiers)
    assert stage.leaves()[-1] == ("auditor:dismiss", {"partner": "eve"})
    assert (eve.room.collaborations(), eve.room.audited_ledger()) == ((), ())
    assert {line.body.collaboration for line in exported(published, eve, tmp_path) if line.body} == {None}
    assert stage.players["fresh"].room.collaboration(published.id).auditors == ()
    with stage.room.catalog() as catalog:
        assert auditors.appoint(stage.room, catalog, "eve", [published.id]) is None, "it has joined"
    assert eve.room.collaborations()


def test_who_cannot_be_appointed(published: Collaboration) -> None:
    stage = published.stage
    with stage.room.catalog() as catalog, pytest.raises(NotAppointed, match="a partner has this name"):
        auditors.appoint(stage.room, catalog, "fresh", [published.id])
    refused = operator(stage, "appoint-auditor", "eve", published.id, "nothing")
    assert isinstance(refused.exception, NotNamed)
    assert stage.rows("select * from appointments") == []


def test_an_auditor_is_no_partner(published: Collaboration) -> None:
    """It has no days to commit to, no keys to compare, and is in no agreement."""
    stage = published.stage
    stage.appoint("eve", published.id)
    with pytest.raises(RoomRefused, match="no partner eve"):
        stage.players["fresh"].room.keys_of("eve")
    stage.clock.forward(days=1)
    with stage.room.catalog() as catalog:
        commit_days(stage.room, catalog)
    assert stage.rows("select distinct owner from commitments order by owner") == [("fresh",), ("sunny",), ("tasty",)]


def test_the_commands(published: Collaboration, tmp_path: Path) -> None:
    """As docs/auditors.md tells it."""
    stage, file = published.stage, tmp_path / "log.tar"
    done = operator(stage, "appoint-auditor", "eve", published.id)
    assert done.exit_code == 0, done.output
    code = done.stdout.strip()
    stage.clock.now = stage.clock.now.now(stage.clock.now.tzinfo)  # the operator's command takes the machine's time
    assert run(stage, "eve", "keygen").exit_code == 0
    joined = run(stage, "eve", "join", URL, code)
    assert "as the auditor eve" in joined.stdout
    assert "audit export" in joined.stdout
    assert "audit export" in run(stage, "eve", "status").stdout
    assert "people" in run(stage, "eve", "explain", published.id).stdout
    assert "cleanroom audit verify" in run(stage, "eve", "audit", "export", str(file)).stdout
    assert file.stat().st_mode & 0o077 == 0
    refused = run(stage, "fresh", "audit", "export", str(file))
    assert (refused.exit_code, "This key may not do that" in refused.stderr) == (1, True)
    assert operator(stage, "invite", "eve").exit_code == 1
    assert f"{published.id} is audited by eve" in operator(stage, "status").stdout
    done = operator(stage, "dismiss-auditor", "eve")
    assert done.stdout.startswith(f"eve audits no longer: {published.id}.")
    assert operator(stage, "dismiss-auditor", "eve").exit_code == 1
    assert "appointed to no collaboration" in run(stage, "eve", "audit", "ledger").stdout


def test_a_name_is_an_auditors_or_a_partners(joined: Stage) -> None:
    identifier = joined.propose(VISITS, Brand("tasty", "readers", ("email",)))
    assert operator(joined, "appoint-auditor", "eve", identifier).exit_code == 0
    assert "is an auditor's name" in operator(joined, "invite", "eve").output


def test_no_name_reads_like_another(joined: Stage) -> None:
    """Of partners that joined, and of auditors: agreements and figures are read by people."""
    identifier = joined.propose(VISITS, Brand("tasty", "readers", ("email",)))
    for name in ("Salty", "salty"):
        assert operator(joined, "invite", name).exit_code == 0
    assert joined.rows("select partner from invites") == [("salty",)], "in place of the code for a mistyped name"
    assert operator(joined, "appoint-auditor", "eve", identifier).exit_code == 0
    for name, other in (("FRESH", "fresh"), ("Eve", "eve")):
        for command in (("invite", name), ("appoint-auditor", name, identifier)):
            refused = operator(joined, *command)
            assert refused.exit_code == 1
            assert f"{name} reads like {other}; give the" in refused.output


def test_figures_are_opened_by_a_partner_alone(published: Collaboration, tmp_path: Path) -> None:
    stage, file = published.stage, tmp_path / "figures.json"
    report = stage.ask("fresh", published.id, ASKED)
    assert report.id
    eve = stage.appoint("eve", published.id)
    with pytest.raises(RoomRefused, match="This key may not do that"):
        eve.room.evidence(report.id)
    done = run(stage, "tasty", "disclose", report.id, str(file))
    assert done.exit_code == 0, done.output
    opened = Opened.from_json(json.loads(file.read_text()))
    assert evidence.check(opened).passed
    shown = run(stage, "eve", "verify", str(file))
    assert shown.exit_code == 0, shown.output
    assert "the body commits to these figures" in shown.stdout
    assert "people of fresh/drive" in shown.stdout
    value = json.loads(file.read_text())
    file.write_text(json.dumps({**value, "evidence": value["evidence"].replace("people", "peopla", 1)}))
    failed = run(stage, "eve", "verify", str(file))
    assert (failed.exit_code, "does not hold (figures)" in failed.stderr) == (1, True)
    refused = stage.ask("fresh", published.id, {**ASKED, "purpose": "modelling"})
    done = run(stage, "fresh", "disclose", refused.id or "", str(file))
    assert "A refused report has no figures" in done.stderr

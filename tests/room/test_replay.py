"""The replay of the policies: an honest room's log replays without a finding; each way to cheat is found in it."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner

from cleanroom import exporting, gate
from cleanroom.audit.events import EventKind
from cleanroom.audit.verify import Verdict, verify
from cleanroom.catalog.collaborations import Collaboration as Stored
from cleanroom.cli import cli
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.replay.judge import Judge
from partners import notices
from partners.keys import key_id
from partners.notices import Tightening
from partners.steps import reporting
from partners.transparency.encoding import encode_base64
from policies import budget, ruling
from policies.agreement import Agreement
from policies.budget import Price, Scales
from policies.decision import Reason, Refuse
from policies.question import AudienceRef
from policies.terms import MICRO, Terms
from tests.room import withdrawing
from tests.room.conftest import FRESH, TASTY, Collaboration
from tests.room.losing import follow, lose
from tests.room.stage import DRIVE, READERS, VISITS, Stage, people
from tests.room.test_amendments import enter, looser
from tests.room.test_budget import grant
from tests.room.test_departures import leave, tighten
from tests.room.test_gate import MATCHED, OVERLAP
from tests.room.test_rotation import accept, rotate, work

TIERS: dict[str, Any] = {"kind": "statistics", "count": "fresh/drive", "by": ["fresh/drive.tier"]}
CLICKS: dict[str, Any] = {"kind": "statistics", "count": "tasty/readers", "sum": ["tasty/readers.clicks"]}


def export(stage: Stage, only: tuple[str, ...] | None = None) -> Path:
    path = stage.folder / "log.tar"
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, path, only)
    return path


def verified(stage: Stage, only: tuple[str, ...] | None = None) -> Verdict:
    return verify(export(stage, only), stage.room.signer.verifier, replay=Judge)


def found(stage: Stage) -> list[tuple[str, str]]:
    """The findings: the event, and what it is about. Everything but the policies holds."""
    verdict = verified(stage)
    assert [check.name for check in verdict.checks if not check.passed] in ([], ["policy"])
    events = [event for event, _ in stage.leaves()]
    return [(events[finding.seq], finding.what) for finding in verdict.findings]


@pytest.fixture(scope="module")
def story(shared_published: Collaboration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Everything that a decision can depend on, once: see the assertions of the first test."""
    with shared_published.stage.copy(tmp_path_factory.mktemp("story"), allowance=300_000) as stage:
        at = Collaboration(stage, shared_published.id)
        ask = partial(stage.ask, "fresh", at.id)
        ask(OVERLAP)
        stage.ask("tasty", at.id, OVERLAP)
        ask({**OVERLAP, "purpose": "modelling"})
        assert ask(MATCHED).free  # a part of the overlap
        assert ask(TIERS).reason == "budget_spent"
        for name in ("fresh", "tasty"):
            assert grant(stage, name, epsilon=5 * MICRO).status_code == 201
        ask(TIERS)
        ask(CLICKS)
        withdrawing.send(at, withdrawing.emails(range(100, 150)))
        ask(OVERLAP)
        tighten(at, minimum_size=120)
        ask(OVERLAP)
        enter(at, looser(at))
        ask(OVERLAP)
        stage.publish(at.id, DRIVE, people(range(50, 350)))
        ask(OVERLAP)
        stage.clock.forward(days=1)
        ask(OVERLAP)
        rotate(at)
        accept(at)
        withdrawing.send(at, withdrawing.emails(range(100, 150)))
        for brand, customers in ((DRIVE, FRESH), (READERS, TASTY)):
            stage.publish(at.id, brand, customers)
            work(stage)
            ask(OVERLAP)
        exact = stage.agree(DRIVE, VISITS, name="exact", mode="threshold", minimum_size=10, rounding=10)
        stage.share_secret(exact)
        stage.ask("fresh", exact, {"kind": "statistics", "count": "fresh/drive"})
        stage.publish(exact, DRIVE, FRESH)
        stage.ask("fresh", exact, {"kind": "statistics", "count": "fresh/drive"})
        leave(at, "tasty")
        ask(OVERLAP)
        yield stage


def test_an_honest_room_replays_without_a_finding(story: Stage) -> None:
    events = [event for event, _ in story.leaves()]
    for event in EventKind:
        if event.value.split(":")[0] in ("agreement", "decision", "epoch", "budget", "collaboration", "audience"):
            assert event in (EventKind.AUDIENCE_REFUSE, EventKind.BUDGET_FORFEIT) or event in events
    reasons = {details["reason"] for event, details in story.leaves() if event == "decision:refuse"}
    assert reasons == {"purpose_not_agreed", "budget_spent", "audience_not_published", "collaboration_closed"}
    verdict = verified(story)
    assert [check.name for check in verdict.checks if not check.passed] == []
    assert verdict.findings == ()
    assert f"{sum(event.startswith('decision') for event in events)} decisions" in verdict.checks[-1].detail


def test_the_page_names_every_detail_of_every_event(story: Stage) -> None:
    page = (Path(__file__).parents[2] / "docs" / "audit-log.md").read_text(encoding="utf-8")
    table = page.partition("### Bodies, by event")[2]
    told: dict[str, set[str]] = {}
    for events, details in re.findall(r"^\| (`.*?) \| (.*) \|$", table, re.MULTILINE):
        for event in re.findall(r"`(.*?)`", events):
            told.setdefault(event, set()).update(re.findall(r"`(.*?)`", details))
    told["decision:refuse"] |= told["decision:release"]
    assert told.keys() == {event.value for event in EventKind}
    for event, details in story.leaves():
        assert details.keys() <= told[event], event


def test_the_command_prints_a_table_and_ends_with_1_for_a_finding(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    command = ["audit", "verify", str(export(stage)), "--vkey", stage.room.vkey]
    told = CliRunner().invoke(cli, command)
    assert told.exit_code == 0, told.output
    lines = told.stdout.splitlines()
    names = ["archive", "readme", "checkpoint", "members", "entries", "tiles", "root", "bodies", "documents"]
    assert [line.split()[1] for line in lines[:-1]] == [*names, "rebuilt", "policy"]
    assert len({line.index(line.split()[2]) for line in lines[:-1]}) == 1
    assert "1 signed document, named by a body; 2 signatures hold" in told.stdout
    assert "1 decision, derived again" in told.stdout
    root = json.loads(CliRunner().invoke(cli, [*command, "--json"]).stdout)["root"]
    assert root == (stage.room.settings.log / "checkpoint").read_text().splitlines()[2]

    with mock.patch.object(budget, "charge", return_value={"fresh": 1, "tasty": 1}):
        stage.ask("fresh", published.id, MATCHED)
    export(stage)
    told = CliRunner().invoke(cli, command)
    assert (told.exit_code, told.stdout.splitlines()[-1]) == (1, "The archive does not hold.")
    assert f"entry {len(stage.leaves()) - 1}, cost:" in told.stdout
    answer = CliRunner().invoke(cli, [*command, "--json"])
    document = json.loads(answer.stdout)
    assert (answer.exit_code, document["ok"], document["findings"][0]["what"]) == (1, False, "cost")
    assert json.loads(document["findings"][0]["written"])["fresh"]["micro"] == 1


# Ways to cheat


def nothing(_: Collaboration) -> AbstractContextManager[object]:
    return nullcontext()


def charges_less(_: Collaboration) -> AbstractContextManager[object]:
    return mock.patch.object(budget, "charge", return_value={"fresh": 1, "tasty": 1})


def admits_everything(_: Collaboration) -> AbstractContextManager[object]:
    return mock.patch.object(ruling, "refused", return_value=None)


def refuses(_: Collaboration) -> AbstractContextManager[object]:
    return mock.patch.object(ruling, "refused", return_value=Refuse(Reason.PURPOSE, "insights"))


def affords_everything(at: Collaboration) -> AbstractContextManager[object]:
    for _ in range(20):  # all that the agreement allots
        at.stage.ask("fresh", at.id, OVERLAP)
        at.stage.clock.forward(days=1)
    return mock.patch.object(budget, "affordable", return_value=None)


def draws_less_noise(_: Collaboration) -> AbstractContextManager[object]:
    real = budget.price

    def price(*arguments: Any) -> tuple[Price, ...]:
        return tuple(replace(each, scales=Scales(2, {})) for each in real(*arguments))

    return mock.patch.object(budget, "price", price)


def shows_smaller_cells(at: Collaboration) -> AbstractContextManager[object]:
    before: Agreement = at.stage.agreement(at.id)
    loose = replace(before, base=replace(before.base, minimum_size=20))
    return mock.patch.object(Stored, "agreement", loose)


def charges_a_repeat(at: Collaboration) -> AbstractContextManager[object]:
    at.stage.ask("fresh", at.id, OVERLAP)
    return mock.patch.multiple(gate.reports, release=lambda *_: None, keep_release=lambda *_: None)


def answers_on_an_old_version(at: Collaboration) -> AbstractContextManager[object]:
    with at.stage.room.catalog() as catalog:
        old = gate.versions.published(catalog, at.id)
        at.stage.publish(at.id, DRIVE, people(range(50, 350)))
        new = gate.versions.published(catalog, at.id)
    real, facts = EmbeddedEngine.measure, gate._facts

    def measure(self: EmbeddedEngine, asked: Any, agreement: Any, _: Mapping[AudienceRef, str], *rest: Any) -> Any:
        return real(self, asked, agreement, new, *rest)

    at.stage.clock.forward(days=1)
    patches = ExitStack()
    patches.enter_context(mock.patch.object(EmbeddedEngine, "measure", measure))
    patches.enter_context(mock.patch.object(gate, "_facts", lambda *asked: replace(facts(*asked), versions=old)))
    return patches


def loses_a_debit(at: Collaboration) -> AbstractContextManager[object]:
    at.stage.ask("fresh", at.id, MATCHED)
    with at.stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute("update ledger set micro = 1 where owner = 'tasty'")
    return nullcontext()


CHEATS: dict[str, tuple[Callable[[Collaboration], AbstractContextManager[object]], dict[str, Any], list[str]]] = {
    "none": (nothing, OVERLAP, []),
    "charges less": (charges_less, OVERLAP, ["cost"]),
    "admits a purpose that nobody agreed": (admits_everything, {**OVERLAP, "purpose": "modelling"}, ["decision"]),
    "refuses what is admitted": (refuses, OVERLAP, ["decision"]),
    "releases beyond the budget": (affords_everything, OVERLAP, ["decision"]),
    "draws less noise": (draws_less_noise, OVERLAP, ["scales"]),
    "shows smaller cells": (shows_smaller_cells, OVERLAP, ["minimum_size"]),
    "charges a repeat": (charges_a_repeat, OVERLAP, ["decision", "cost"]),
    "answers on an old version": (answers_on_an_old_version, OVERLAP, ["versions"]),
    "loses a debit": (loses_a_debit, OVERLAP, ["cost"]),
}


def test_a_version_that_is_over_is_in_force_for_nobody(published: Collaboration) -> None:
    """Before the worker has retired it; a gate that still answers on it is found out."""
    stage = published.stage
    stage.clock.forward(days=365)
    assert stage.ask("fresh", published.id, OVERLAP).reason == "audience_not_published"
    assert found(stage) == []
    with mock.patch.object(gate.retention, "ended", return_value=False):
        assert stage.ask("fresh", published.id, OVERLAP).released
    assert [what for _, what in found(stage)] == ["decision", "versions"]


@pytest.mark.parametrize("way", CHEATS)
def test_a_gate_that_cheats_is_found_out(published: Collaboration, way: str) -> None:
    cheat, asked, about = CHEATS[way]
    with cheat(published):
        published.stage.ask("fresh", published.id, asked)
    findings = found(published.stage)
    assert {event.partition(":")[0] for event, _ in findings} <= {"decision"}
    assert [what for _, what in findings] == about


# A room that was restored from a backup


@pytest.mark.parametrize("complete", [True, False])
def test_a_restored_room_replays_without_a_finding(published: Collaboration, tmp_path: Path, complete: bool) -> None:
    def meanwhile(stage: Stage) -> None:
        stage.ask("fresh", published.id, OVERLAP)
        grant(stage)
        tighten(published, minimum_size=120)  # its document is lost: what is decided now cannot be judged
        stage.ask("fresh", published.id, MATCHED)

    published.stage.ask("tasty", published.id, CLICKS)
    lost = lose(published, tmp_path, meanwhile)
    before = lost.newer / "catalog.sqlite"
    made = lost.recover(before if complete else None)
    assert made is not None
    assert made.complete is complete
    stage = lost.reopened()
    if not complete:
        follow(lost)
        assert stage.ask("fresh", published.id, OVERLAP).reason == "budget_spent"
        for name in ("fresh", "tasty"):
            player = stage.players[name]
            reporting.grant(player.home, player.room, MICRO, stage.clock())
    elif stage.ask("fresh", published.id, OVERLAP).reason == "audience_not_published":
        stage.publish(published.id, READERS, TASTY)
    assert stage.ask("fresh", published.id, OVERLAP).released
    verdict = verified(stage)
    assert verdict.findings == ()
    assert [check.name for check in verdict.checks if not check.passed] == []
    assert ("1 not" in verdict.checks[-1].detail) is complete
    part = verified(stage, (published.id,))
    assert (part.ok, part.findings) == (True, ())
    closed = export(stage, (published.id,)).read_bytes()
    assert (b"budget:forfeit" in closed, b"room:restore" in closed) == (False, True)


# What is no decision, and decisions rest on


def forge(
    stage: Stage, kind: EventKind, collaboration: str | None, by: str | None = None, /, **details: object
) -> None:
    """An entry that the room writes without cause; `by`: with the key of this partner."""
    actor = key_id(stage.players[by].identity.public.signing) if by else None
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        stage.room.record(connection, kind, collaboration, actor, details)


def test_an_agreement_that_not_everybody_signed(joined: Stage) -> None:
    identifier = joined.propose(DRIVE, READERS)
    forge(joined, EventKind.AGREEMENT_OPEN, identifier, agreement=joined.agreement(identifier).sha256())
    assert found(joined) == [("agreement:open", "signed"), ("agreement:open", "signatures")]


def test_an_agreement_that_follows_no_other(published: Collaboration) -> None:
    stage = published.stage
    forge(stage, EventKind.AGREEMENT_OPEN, published.id, agreement=stage.agreement(published.id).sha256())
    assert found(stage) == [("agreement:open", "agreement")]


def test_terms_that_became_looser(published: Collaboration) -> None:
    tighten(published, minimum_size=120)
    with mock.patch("policies.tightening.refused", return_value=None):
        tighten_anyway(published, minimum_size=60)
    assert found(published.stage) == [("agreement:tighten", "terms")]


def tighten_anyway(at: Collaboration, **stated: Any) -> None:
    """A second tightening of tasty's, whatever the client thinks of it."""
    before = at.stage.agreement(at.id)
    notice = Tightening(at.id, "tasty", before.sha256(), 2, Terms(**stated), "2026-03-14T12:00:00Z")
    signature = notices.sign(at.stage.players["tasty"].identity, notice)
    with at.stage.http("tasty") as client:
        body = {"tightening": notice.to_json(), "signature": encode_base64(signature)}
        answer = client.post(f"/v1/collaborations/{at.id}/tightenings", json=body)
        assert answer.status_code == 201, answer.text


def test_a_grant_that_is_counted_twice_or_as_more(joined: Stage) -> None:
    assert grant(joined).status_code == 201
    (details,) = [details for event, details in joined.leaves() if event == "budget:grant"]
    forge(joined, EventKind.BUDGET_GRANT, None, details["partner"], **details)
    assert found(joined) == [("budget:grant", "serial")]
    forge(joined, EventKind.BUDGET_GRANT, None, details["partner"], **{**details, "serial": 2, "micro": 2 * MICRO})
    assert ("budget:grant", "grant") in found(joined)


def test_a_version_that_was_never_published(published: Collaboration) -> None:
    about = {"version": f"v-{0:016}", "audience": "fresh/drive", "epoch": 1}
    forge(published.stage, EventKind.AUDIENCE_RETIRE, published.id, **about)
    assert found(published.stage) == [("audience:retire", "version")]


def test_a_version_that_replaces_another_in_silence(published: Collaboration) -> None:
    days = {"prepared": "2026-03-14", "expires": "2026-03-15"}
    about = {"version": f"v-{0:016}", "audience": "fresh/drive"}
    forge(published.stage, EventKind.UPLOAD_RECEIVE, published.id, "fresh", **about, manifest="0" * 64)
    forge(published.stage, EventKind.AUDIENCE_PUBLISH, published.id, **about, **days, epoch=1, retired=[])
    assert found(published.stage) == [("audience:publish", "retired")]


@pytest.mark.parametrize("details", [{}, {"epoch": "two"}, {"epoch": None}, {"epoch": [1]}])
def test_an_entry_without_its_details(published: Collaboration, details: dict[str, object]) -> None:
    forge(published.stage, EventKind.EPOCH_MOVE, published.id, **details)
    forge(published.stage, EventKind.EPOCH_MOVE, "somewhere-else", epoch=1, missing=[])
    assert found(published.stage) == [("epoch:move", "details"), ("epoch:move", "form")]


def test_a_decision_that_says_more_or_less(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    _, details = stage.leaves()[-1]
    forge(stage, EventKind.DECISION_REPEAT, published.id, **details)
    assert found(stage) == [("decision:repeat", "asker")]
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        del details["software"]
        actor = key_id(stage.players["fresh"].identity.public.signing)
        stage.room.record(connection, EventKind.DECISION_REPEAT, published.id, actor, {**details, "cost": {}, "x": 1})
    assert found(stage)[1:] == [("decision:repeat", "fields")]


# Exports for readers of some collaborations


def test_an_export_of_one_collaboration_replays_and_tells_nothing_of_others(story: Stage) -> None:
    drive, exact = (row[0] for row in story.rows("select id from collaborations order by rowid"))
    for one, other in ((drive, exact), (exact, drive)):
        verdict = verified(story, (one,))
        assert [check.name for check in verdict.checks if not check.passed] == []
        assert verdict.opened is not None
        assert verdict.size is not None
        assert 0 < verdict.opened < verdict.size
        assert other.encode() not in export(story, (one,)).read_bytes()
    assert "; 1 not: it rests on bodies" in verified(story, (drive,)).checks[-1].detail
    assert b"tasty" not in export(story, (exact,)).read_bytes()

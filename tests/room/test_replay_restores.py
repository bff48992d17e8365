"""The replay of rooms that were restored, once or more: an honest one is never accused, and it takes its time once."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from cleanroom import auditors, backup
from cleanroom.audit.documents import Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.catalog import documents
from cleanroom.replay.judge import Judge
from partners.key_change import Role
from partners.keys import key_id
from partners.steps import agreements
from partners.transparency.entry import Body, Entry
from tests.room.conftest import Collaboration
from tests.room.losing import Lost, lose, quiet
from tests.room.stage import DRIVE, READERS, Stage
from tests.room.test_amendments import enter, looser, propose
from tests.room.test_gate import OVERLAP
from tests.room.test_keys import colleague
from tests.room.test_replacements import come_back
from tests.room.test_replay import found, verified
from tests.room.test_replay_keys import KEY, asks, doctored


def recovered(lost: Lost) -> Stage:
    """The room after a recovery that lost nothing of the log."""
    made = lost.recover(lost.newer / "catalog.sqlite")
    assert made is not None
    assert made.complete
    return lost.reopened()


def test_from_two_backups_one_after_the_other(published: Collaboration, tmp_path: Path) -> None:
    """The second lies between the first and its loss: it knows a release that the first did not."""

    def meanwhile(stage: Stage) -> None:
        stage.ask("fresh", published.id, OVERLAP)
        backup.backup(stage.room, tmp_path / "second", quiet)

    lost = lose(published, tmp_path, meanwhile)
    stage = recovered(lost)
    stage.ask("tasty", published.id, {"kind": "statistics", "count": "tasty/readers"})
    lost.data.rename(tmp_path / "again")
    shutil.copytree(tmp_path / "second", lost.data)
    stage = recovered(Lost(stage, published.id, tmp_path / "again"))
    assert stage.ask("fresh", published.id, OVERLAP).free
    assert found(stage) == []


def test_a_signature_that_the_backup_has_not(joined: Stage, tmp_path: Path) -> None:
    """The agreement was opened after the backup; of its document the room has what it had before."""
    identifier = joined.propose(DRIVE, READERS)

    def meanwhile(stage: Stage) -> None:
        for name in ("fresh", "tasty"):
            player = stage.players[name]
            agreements.agree(player.home, player.room, agreements.read(player.home, player.room, identifier))

    stage = recovered(lose(Collaboration(joined, identifier), tmp_path, meanwhile))
    assert found(stage) == []
    assert "; 1 not:" in verified(stage).checks[-1].detail
    assert verified(stage, (identifier,)).ok


def test_an_amendment_that_is_proposed_again(published: Collaboration, tmp_path: Path) -> None:
    proposed = looser(published)
    stage = recovered(lose(published, tmp_path, lambda _: enter(published, proposed)))
    assert propose(published, proposed).status_code == 201
    assert found(stage) == []


def test_keys_that_were_replaced_since_the_backup(published: Collaboration, tmp_path: Path) -> None:
    """Nobody's old keys come back to life with it, in the room and in the replay."""
    stage = published.stage
    stage.ask("tasty", published.id, OVERLAP)
    ada = colleague(stage, "tasty", Role.MARKETER)
    stage = recovered(lose(published, tmp_path, lambda stage: come_back(stage, "tasty", "fresh")))
    assert stage.sign_in(stage.assertion("tasty", ada.identity)).status_code == 401
    doctored(stage, "over = 0, ends = null", key_id(ada.identity.public.signing))
    stage.clock.forward(seconds=61)
    asks(ada, published)
    assert found(stage) == KEY


def test_an_auditor_who_was_dismissed_since_the_backup(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    eve = stage.appoint("eve", published.id)

    def meanwhile(stage: Stage) -> None:
        with stage.room.catalog() as catalog:
            auditors.dismiss(stage.room, catalog, "eve", ())

    stage = recovered(lose(published, tmp_path, meanwhile))
    assert eve.room.collaborations() == ()
    assert found(stage) == []


def test_many_restores_take_their_number_and_not_two_to_the_power_of_it() -> None:
    judge, seq = Judge({}, whole=True), 0

    def take(event: str, **details: Any) -> None:
        nonlocal seq
        judge.take(Opened(seq, 1_700_000_000_000 + seq, Body(event, None, None, details)))
        seq += 1

    take("room:init", origin="room.example/audit-v1", software="1", allowance=1)
    for _ in range(60):
        take("room:start", software="1", allowance=1)
        take("room:restore", complete=True, had=seq, taken=0, log="x", size=seq, root="A" * 43 + "=", software="1")
    assert judge.told().findings == ()


@pytest.mark.parametrize("event", [EventKind.AGREEMENT_OPEN, EventKind.AGREEMENT_PROPOSE, EventKind.AGREEMENT_TIGHTEN])
def test_a_document_that_no_restore_lost_excuses_nothing(published: Collaboration, event: str) -> None:
    """Else an operator who names one that nobody has could decide as it likes from there on."""
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    with stage.room.catalog() as catalog:
        rows = catalog.connection.execute("select entry, body from log_entries order by seq").fetchall()
        judge = Judge(documents.every(catalog), whole=True)
    bodies = [(Entry.parse(entry).time_ms, Body.parse(body)) for entry, body in rows]
    invented: dict[str, object] = {"agreement": "0" * 64}
    if event == EventKind.AGREEMENT_TIGHTEN:
        invented |= {"terms": "0" * 64, "partner": "fresh", "serial": 1}
    fresh = None if event == EventKind.AGREEMENT_OPEN else bodies[-1][1].actor
    bodies.insert(-1, (bodies[-1][0], Body(event, published.id, fresh, invented)))
    for seq, (time, body) in enumerate(bodies):
        judge.take(Opened(seq, time, body))
    told = judge.told()
    assert [(each.seq, each.what) for each in told.findings] == [(len(bodies) - 2, "document")]
    assert told.unjudged == 1


def test_a_document_of_the_backup_is_not_lost() -> None:
    """Only what later entries name may be missing after a restore; named again, it may not."""
    proposed = Body(EventKind.AGREEMENT_PROPOSE, "drive-2026-00000001", None, {"agreement": "0" * 64})
    for had, lost in ((3, set[str]()), (2, {"0" * 64})):
        named = Named()
        named.add(2, proposed)
        named.add(7, Body(EventKind.ROOM_RESTORE, None, None, {"had": had, "taken": 7 - had}))
        assert named.lost == lost
        named.add(8, proposed)
        assert named.lost == set()

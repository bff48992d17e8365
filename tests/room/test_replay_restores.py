"""The replay of rooms that were restored, once or more: an honest one is never accused, and it takes its time once."""

import shutil
from pathlib import Path
from typing import Any

from cleanroom import auditors, backup
from cleanroom.audit.reading import Opened
from cleanroom.replay.judge import Judge
from partners.key_change import Role
from partners.keys import key_id
from partners.steps import agreements
from partners.transparency.entry import Body
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
        take("room:restore", complete=True, had=seq, taken=0, log="x", size=seq, root="", software="1")
    assert judge.told().findings == ()

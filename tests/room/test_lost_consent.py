"""Consent that a customer file has lost since the last one: it goes to the room with the upload, and holds there."""

import shutil
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from partners import files, lost
from partners.prepare import Prepared
from partners.room.answers import Version
from partners.steps import audiences
from partners.withdrawal import Action
from tests.room.conftest import TODAY, Collaboration
from tests.room.stage import DRIVE, READERS, Customer, Stage, people, write_customers
from tests.room.test_rotation import accept, epoch, rotate, work
from tests.room.withdrawing import emails, send

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


@pytest.fixture
def exact(opened: Collaboration) -> Collaboration:
    """A collaboration in threshold mode without rounding, so that figures can be compared."""
    stage = opened.stage
    terms = {"mode": "threshold", "rounding": 1, "minimum_size": 10}
    identifier = stage.agree(DRIVE, READERS, **terms)
    stage.share_secret(identifier)
    stage.publish(identifier, READERS, people(range(400)))
    return Collaboration(stage, identifier)


def prepare(exact: Collaboration, folder: Path, customers: Iterable[Customer]) -> Prepared:
    """Prepares in one folder, again and again."""
    folder.mkdir(exist_ok=True)
    write_customers(folder / "customers.csv", customers)
    home, stage = exact.stage.players["fresh"].home, exact.stage
    return audiences.prepare(home, DRIVE.map(folder), folder, stage.clock(), lambda *_: None, exact.id)


def upload(exact: Collaboration, made: Prepared) -> None:
    """What `cleanroom-partner upload` does, the worker beside it."""
    player = exact.stage.players["fresh"]
    settled = type(player.room).settled_version

    def worked(*asked: Any) -> Version:
        exact.stage.work()
        return settled(*asked)

    with mock.patch.object(type(player.room), "settled_version", worked):
        audiences.upload(player.home, player.room, made.manifest_path, lambda *_: None)


def matched(stage: Stage, identifier: str) -> int:
    stage.clock.forward(days=1)
    report = stage.ask("fresh", identifier, OVERLAP)
    return int(next(each.value for each in report.figures if each.where and each.value and each.measure == "people"))


def without(customers: list[Customer], numbers: Iterable[int], **changes: object) -> list[Customer]:
    chosen = set(numbers)
    return [replace(each, **changes) if n in chosen else each for n, each in enumerate(customers)]


LOST = {"insights": False, "measurement": False}


def test_lost_consent_holds_against_the_older_file(exact: Collaboration, tmp_path: Path) -> None:
    everybody = people(range(100))
    first = prepare(exact, tmp_path / "out", everybody)
    assert first.withdrawals == 0
    upload(exact, first)
    stale = shutil.copytree(tmp_path / "out", tmp_path / "stale")
    assert matched(exact.stage, exact.id) == 100
    expired = {"until": TODAY - timedelta(days=1)}
    changed = without(without(everybody, range(10), **LOST), range(10, 15), **expired)
    second = prepare(exact, tmp_path / "out", changed)
    assert second.withdrawals == 2 * 15, "an address and a card each"
    upload(exact, second)
    assert not lost.withdrawals_file(tmp_path / "out", "drive").exists()
    assert matched(exact.stage, exact.id) == 85
    again = prepare(exact, stale, everybody)
    assert again.suppressed == 15, "prepare says who will not count"
    upload(exact, again)
    assert matched(exact.stage, exact.id) == 85


def test_nobody_is_told_of_who_never_consented(exact: Collaboration, tmp_path: Path) -> None:
    customers = without(people(range(100)), range(20), **LOST)
    prepare(exact, tmp_path / "out", customers)
    second = prepare(exact, tmp_path / "out", customers)
    assert second.withdrawals == 0
    assert not lost.withdrawals_file(tmp_path / "out", "drive").exists()


def test_a_customer_who_left_the_file_is_not_withdrawn(exact: Collaboration, tmp_path: Path) -> None:
    prepare(exact, tmp_path / "out", people(range(100)))
    assert prepare(exact, tmp_path / "out", people(range(50))).withdrawals == 0


def test_a_token_that_another_row_has_with_consent_stays(exact: Collaboration, tmp_path: Path) -> None:
    """The person who lost consent has another card now; the address stands in a row that consents."""
    prepare(exact, tmp_path / "out", people(range(50)))
    first = people(range(50))
    moved = [replace(first[0], card="card-new"), replace(first[0], insights=False, measurement=False), *first[1:]]
    found = prepare(exact, tmp_path / "out", moved)
    assert found.withdrawals == 1, "the old card"


def test_what_waits_is_taken_over_and_what_came_back_is_not(exact: Collaboration, tmp_path: Path) -> None:
    """Three files before one upload: who lost consent in the second and has it in the third is not withdrawn."""
    everybody = people(range(50))
    upload(exact, prepare(exact, tmp_path / "out", everybody))
    prepare(exact, tmp_path / "out", without(everybody, range(6), **LOST))
    third = prepare(exact, tmp_path / "out", without(everybody, range(4), **LOST))
    assert third.withdrawals == 2 * 4
    upload(exact, third)
    assert matched(exact.stage, exact.id) == 46


def test_ctrl_c_at_the_last_moment_loses_nobody(exact: Collaboration, tmp_path: Path) -> None:
    """The new files are there under their temporary names; the earlier one, that knows who consented, goes next."""
    everybody, changed = people(range(50)), without(people(range(50)), range(6), **LOST)
    upload(exact, prepare(exact, tmp_path / "out", everybody))
    with mock.patch.object(files, "_sync_folder", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare(exact, tmp_path / "out", changed)
    with mock.patch.object(Path, "replace", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        prepare(exact, tmp_path / "out", changed)
    last = prepare(exact, tmp_path / "out", changed)
    assert last.withdrawals == 2 * 6
    upload(exact, last)
    assert matched(exact.stage, exact.id) == 44


def test_lost_consent_outlives_a_rotation(exact: Collaboration, tmp_path: Path) -> None:
    """Some were told to the room before it, some wait for an upload; then the file of before all that comes back."""
    everybody = people(range(50))
    upload(exact, prepare(exact, tmp_path / "out", everybody))
    upload(exact, prepare(exact, tmp_path / "out", without(everybody, range(6), **LOST)))
    prepare(exact, tmp_path / "out", without(everybody, range(10), **LOST))
    rotate(exact, "tasty")
    accept(exact, "fresh")
    exact.stage.publish(exact.id, READERS, people(range(400)))
    third = prepare(exact, tmp_path / "out", without(everybody, range(13), **LOST))
    assert third.withdrawals == 2 * 7, "those who waited and those who left since, under the new secret"
    upload(exact, third)
    work(exact.stage)
    assert epoch(exact) == 2
    stale = prepare(exact, tmp_path / "stale", everybody)
    assert stale.suppressed == 13
    upload(exact, stale)
    assert matched(exact.stage, exact.id) == 37


def test_a_file_whose_secret_is_not_here_tells_nothing(exact: Collaboration, tmp_path: Path) -> None:
    made = prepare(exact, tmp_path / "out", people(range(50)))
    draft, home = made.manifest.manifest, exact.stage.players["fresh"].home
    secret = home.secret(exact.id, 1)
    assert secret is not None
    found = lost.standing(tmp_path / "out", draft, {1: secret.value})
    assert {key: len(each.tokens) for key, each in found.items()} == {"email": 50, "id.card": 50}
    for others in ({}, {2: secret.value}, {1: bytes(32)}):
        assert lost.standing(tmp_path / "out", draft, others) == {}
    assert lost.standing(tmp_path / "nowhere", draft, {1: secret.value}) == {}


def test_an_upload_that_is_cut_off_sends_each_batch_once(
    exact: Collaboration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    everybody = people(range(60))
    upload(exact, prepare(exact, tmp_path / "out", everybody))
    made = prepare(exact, tmp_path / "out", without(everybody, range(20), **LOST))
    player = exact.stage.players["fresh"]
    real, sent = type(player.room).withdraw, []

    def cut(self: object, signed: object) -> object:
        sent.append(signed)
        if len(sent) == 2:
            raise ConnectionError
        return real(self, signed)  # type: ignore[arg-type]

    monkeypatch.setattr(type(player.room), "withdraw", cut)
    with pytest.raises(ConnectionError):
        upload(exact, made)
    upload(exact, made)
    assert len({each.batch.sha256() for each in sent}) == 2  # type: ignore[attr-defined]
    assert len(list(player.home.suppressions(exact.id))) == 2
    assert list(player.home.suppressions(exact.id).waiting()) == []


def test_the_list_is_undone_as_the_room_undoes_it(exact: Collaboration, tmp_path: Path) -> None:
    """A withdrawal from all audiences outlives the reinstatement of one; that of all ends both."""
    upload(exact, prepare(exact, tmp_path / "out", people(range(60))))
    send(exact, emails(range(5)), owner="fresh")
    send(exact, emails(range(5)), Action.REINSTATE, owner="fresh", audience="/drive")
    assert prepare(exact, tmp_path / "out", people(range(60))).suppressed == 5
    assert matched(exact.stage, exact.id) == 55
    send(exact, emails(range(5)), Action.REINSTATE, owner="fresh")
    assert prepare(exact, tmp_path / "out", people(range(60))).suppressed == 0
    assert matched(exact.stage, exact.id) == 60

"""Erasures: absent at once, overwritten by the worker, kept out for good."""

import pytest

from cleanroom import jobs
from partners.steps import withdrawals as steps
from partners.withdrawal import Action
from policies.purpose import Purpose
from tests.room.conftest import TASTY, Collaboration
from tests.room.stage import READERS, people
from tests.room.versions import restart
from tests.room.withdrawing import emails, last, matched, overlap, send


def absent_rows(at: Collaboration) -> int:
    return sum(len(gone) for (gone,) in at.stage.rows("select gone from absences")) // 5


def test_an_erasure_overwrites_the_rows_and_survives_a_stale_file(exact: Collaboration) -> None:
    stage = exact.stage
    assert overlap(exact) == 200
    send_erase(exact, emails(range(100, 120)))
    assert matched(exact) == 180, "absent at once"
    restart(stage)
    assert matched(exact) == 180
    assert absent_rows(exact) == 0, "what is overwritten needs no note"
    assert [details for event, details in stage.leaves() if event == "erasure:done"] == [
        {"batch": last(exact).batch.sha256(), "partner": "tasty"}
    ]
    stage.publish(exact.id, READERS, TASTY)
    assert matched(exact) == 180
    assert absent_rows(exact) == 20
    restart(stage)
    assert absent_rows(exact) == 0
    assert matched(exact) == 180
    send(exact, emails(range(100, 120)), Action.REINSTATE)
    assert matched(exact) == 180, "the rows are gone; only the block was undone"
    stage.publish(exact.id, READERS, TASTY)
    assert matched(exact) == 200


def send_erase(at: Collaboration, texts: list[str], owner: str = "tasty") -> None:
    """As `send`, without waiting for the worker, which the test runs itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "ERASURE_SECONDS", -1.0)
        assert not send(at, texts, Action.ERASE, owner=owner).erased


def test_reinstated_before_it_was_overwritten_it_is_overwritten_all_the_same(exact: Collaboration) -> None:
    send_erase(exact, emails(range(100, 120)))
    send(exact, emails(range(100, 120)), Action.REINSTATE)
    assert matched(exact) == 180
    restart(exact.stage)
    assert (matched(exact), absent_rows(exact)) == (180, 0)


def test_the_owner_gets_a_receipt_of_the_erasure(exact: Collaboration) -> None:
    stage, tasty = exact.stage, exact.stage.players["tasty"]
    send_erase(exact, emails([1]))  # nobody of tasty's
    batch = last(exact).batch.sha256()
    assert not tasty.room.erased(exact.id, batch, -1.0)
    restart(stage)
    assert tasty.room.erased(exact.id, batch, -1.0)


def test_after_an_erasure_no_byte_of_the_rows_is_left(exact: Collaboration) -> None:
    stage = exact.stage
    data = stage.room.settings.data
    overlap(exact, by="tasty/readers", sum=["tasty/readers.clicks"])

    def stored() -> list[bytes]:
        return [path.read_bytes() for part in ("audiences", "links", "views") for path in (data / part).rglob("*.npy")]

    send_erase(exact, emails(range(100, 104)))
    images = [bytes(image) for (image,) in stage.rows("select image from withdrawn")]
    assert len(images) == 8
    assert all(any(image in file for file in stored()) for image in images)
    send_erase(exact, emails(range(100, 104)), owner="fresh")  # the same people have the same images
    restart(stage)
    assert not any(image in file for image in images for file in stored())
    assert stage.rows("select count(*) from withdrawn where mask = 31") == [(16,)], "so that a stale file is known"


def test_a_damaged_version_stops_nothing_but_its_own_erasure(exact: Collaboration) -> None:
    stage = exact.stage
    send_erase(exact, emails(range(100, 120)))
    send_erase(exact, emails(range(100, 110)), owner="fresh")
    (version,) = [row[0] for row in stage.rows("select id from versions where audience = 'readers'")]
    consent = stage.room.settings.data / "audiences" / version / "consent.npy"
    whole = consent.read_bytes()
    consent.write_bytes(whole[:-1])
    restart(stage)
    assert [details["partner"] for event, details in stage.leaves() if event == "erasure:done"] == ["fresh"]
    consent.write_bytes(whole)
    restart(stage)
    done = [details["partner"] for event, details in stage.leaves() if event == "erasure:done"]
    assert done == ["fresh", "tasty"]


def test_a_retired_version_takes_its_absent_rows_along(exact: Collaboration) -> None:
    send_erase(exact, emails(range(100, 120)))
    exact.stage.publish(exact.id, READERS, people(range(200, 400)))
    with exact.stage.room.catalog() as catalog:
        jobs.remove_retired(exact.stage.room, catalog)
    assert exact.stage.rows("select * from absences") == []
    exact.stage.clock.forward(days=1)
    restart(exact.stage)
    assert "erasure:done" in [event for event, _ in exact.stage.leaves()]


def test_what_is_reinstated_for_one_purpose_is_not_overwritten_for_the_others(exact: Collaboration) -> None:
    send_erase(exact, emails(range(100, 120)))
    restart(exact.stage)
    send(exact, emails(range(100, 120)), Action.REINSTATE, purposes=frozenset({Purpose.INSIGHTS}))
    exact.stage.publish(exact.id, READERS, TASTY)
    restart(exact.stage)
    assert (matched(exact), overlap(exact, purpose="measurement")) == (200, 180)


class Crash(BaseException):
    """The process is killed here."""


@pytest.mark.parametrize(
    "step", ["cleanroom.engine.store.keep", "cleanroom.erasure.store", "cleanroom.room.log.append"]
)
def test_a_worker_that_is_killed_begins_again(exact: Collaboration, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def crash(*_: object) -> None:
        raise Crash

    send_erase(exact, emails(range(100, 120)))
    with monkeypatch.context() as killing:
        killing.setattr(step, crash)
        with pytest.raises(Crash):
            restart(exact.stage)
    assert matched(exact) == 180
    assert "erasure:done" not in [event for event, _ in exact.stage.leaves()]
    restart(exact.stage)
    assert (matched(exact), absent_rows(exact)) == (180, 0)
    assert [event for event, _ in exact.stage.leaves()].count("erasure:done") == 1

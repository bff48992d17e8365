"""The consent commitments: one for each owner and day, which the owner can hold to what was acknowledged."""

import json
from typing import Any

import pytest

from partners.steps import withdrawals as steps
from tests.room.conftest import Collaboration
from tests.room.stage import Stage
from tests.room.versions import restart
from tests.room.withdrawing import emails, post, send, signed


def commitments(stage: Stage) -> list[dict[str, Any]]:
    return [details for event, details in stage.leaves() if event == "consent:commit"]


def test_every_day_of_every_owner_is_committed_to(exact: Collaboration) -> None:
    stage = exact.stage
    restart(stage)
    assert commitments(stage) == []
    send(exact, emails(range(100, 110)))
    stage.clock.forward(days=3)
    restart(stage)
    restart(stage)
    found = commitments(stage)
    days = ["2026-03-14", "2026-03-15", "2026-03-16"]
    assert sorted((each["day"], each["partner"]) for each in found) == [
        (day, name) for day in days for name in ("fresh", "sunny", "tasty")
    ]
    assert len({len(json.dumps(each)) - len(each["partner"]) for each in found}) == 1, "an empty day looks like another"
    assert len({each["commitment"] for each in found}) == 9
    tasty, fresh = stage.players["tasty"], stage.players["fresh"]
    assert steps.check_day(tasty.home, tasty.room, days[0]) == steps.Day(days[0], 1, 0)
    assert steps.check_day(tasty.home, tasty.room, days[1]) == steps.Day(days[1], 0, 0)
    assert steps.check_day(fresh.home, fresh.room, days[0]) == steps.Day(days[0], 0, 0)
    with stage.http("tasty") as client:
        assert client.get("/v1/consents/2026-03-17").status_code == 404
        assert client.get("/v1/consents/someday").status_code == 404


def test_a_batch_never_falls_on_a_day_that_was_committed_to(exact: Collaboration) -> None:
    stage = exact.stage
    stage.clock.forward(days=1)
    restart(stage)
    stage.clock.forward(days=-1)  # a clock that was set back
    assert send(exact, emails([100])).days == ("2026-03-15",)


def test_a_room_that_leaves_a_batch_out_is_found_out(exact: Collaboration) -> None:
    stage, tasty = exact.stage, exact.stage.players["tasty"]
    send(exact, emails([100]))
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute("delete from batches")
    stage.clock.forward(days=1)
    restart(stage)
    with pytest.raises(steps.NotAcknowledged, match="1 batch of"):
        steps.check_day(tasty.home, tasty.room, "2026-03-14")


def test_a_batch_of_another_machine_is_counted_as_unknown(exact: Collaboration) -> None:
    stage, tasty = exact.stage, exact.stage.players["tasty"]
    send(exact, emails([100]))
    assert post(exact, "tasty", signed(exact)).status_code == 201
    stage.clock.forward(days=1)
    restart(stage)
    assert steps.check_day(tasty.home, tasty.room, "2026-03-14") == steps.Day("2026-03-14", 2, 1)

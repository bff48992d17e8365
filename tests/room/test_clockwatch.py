"""Jumps of the clock become events of the log; slow corrections do not."""

import threading
from datetime import timedelta
from types import SimpleNamespace

import pytest

from cleanroom import jobs, setup
from cleanroom.clockwatch import ClockWatch
from tests.room.stage import Clock, Stage


def test_what_is_a_jump() -> None:
    utc, seconds = Clock(), 0.0

    def passed(real: float, shown: float) -> timedelta | None:
        nonlocal seconds
        seconds += real
        utc.forward(seconds=shown)
        return watch.jumped()

    watch = ClockWatch(utc, lambda: seconds)
    assert passed(0.2, 0.2) is None
    assert passed(3600, 3600) is None
    assert passed(3600, 3599) is None  # a time server's slow correction
    assert passed(0.2, 90) is None
    assert passed(0.2, 60) == timedelta(seconds=148.6)
    assert passed(0.2, 0.2) is None
    assert passed(0.2, -1.5) is None
    assert passed(0.2, -1) == timedelta(seconds=-2.9)
    assert passed(0.2, -86_400) == timedelta(seconds=-86_400.2)
    assert passed(0.2, 0.2) is None


def jumps(stage: Stage) -> list[int]:
    return [details["ms"] for event, details in stage.leaves() if event == "clock:jump"]


def test_the_worker_records_jumps(joined: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine's own count stands still here; the room's clock does not."""
    stopping, looks = threading.Event(), 0

    def wait(_: float) -> bool:
        nonlocal looks
        looks += 1
        joined.clock.forward(seconds=(600, -30, 0)[looks - 1])
        if looks == 3:
            stopping.set()
        return False

    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(stopping, "wait", wait)
    jobs.work(joined.room, stopping)
    assert jumps(joined) == [600_000, -30_000]


def test_a_start_with_a_clock_before_the_log(joined: Stage) -> None:
    joined.clock.forward(seconds=-1)
    start(joined)
    assert jumps(joined) == []
    joined.clock.forward(days=-1)
    start(joined)
    assert jumps(joined) == [-86_400_000]
    assert [event for event, _ in joined.leaves()][-2:] == ["clock:jump", "room:start"]


def start(stage: Stage) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(setup, "open_room", lambda *_, **__: stage.room)
        setup.start(stage.room.settings)

"""Jumps of the room's clock: UTC that goes back, or runs ahead of the machine's own count of seconds.

Rules: days of releases, consents and budgets rest on UTC, so a jump is an event of the log, and nothing else: the order
of entries comes from their numbers. Slow corrections, as time servers make them, are no jumps. A machine that slept
looks like one that jumped ahead. Both clocks are arguments.
"""

from collections.abc import Callable
from datetime import timedelta

from cleanroom.audit import log
from cleanroom.audit.events import EventKind
from cleanroom.catalog.catalog import Catalog
from cleanroom.room import Clock, Room
from partners.transparency.entry import Entry

BACK = timedelta(seconds=2)
AHEAD = timedelta(minutes=2)


class ClockWatch:
    """Compares the two clocks at each look with the look before. `monotonic` counts seconds from anywhere."""

    def __init__(self, utc: Clock, monotonic: Callable[[], float]) -> None:
        self._utc, self._monotonic = utc, monotonic
        self._offset = self._now()

    def jumped(self) -> timedelta | None:
        """How far UTC jumped since the last jump, or since the beginning; None for nothing worth an event."""
        now = self._now()
        by = now - self._offset
        if -BACK <= by <= AHEAD:
            return None
        self._offset = now
        return by

    def _now(self) -> timedelta:
        return timedelta(seconds=self._utc().timestamp()) - timedelta(seconds=self._monotonic())


def record_jump(room: Room, catalog: Catalog, by: timedelta) -> None:
    """Records and publishes a jump."""
    with catalog.transaction() as connection:
        room.record(connection, EventKind.CLOCK_JUMP, None, None, {"ms": by // timedelta(milliseconds=1)})
    room.publish()


def behind_log(room: Room, catalog: Catalog) -> timedelta | None:
    """How far the clock stands before the log's last entry, as a negative span; None where it does not."""
    (last,) = log.entries(catalog.connection, log.size(catalog.connection) - 1, 1)
    by = timedelta(seconds=room.clock().timestamp()) - timedelta(milliseconds=Entry.parse(last).time_ms)
    return by if by < -BACK else None

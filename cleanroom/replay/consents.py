"""The consent commitments: one for each owner and day, from the day that it joined on, none left out.

Rules: as in `cleanroom.commitments`: a day is committed to for every owner before the next day is, and only when it has
ended. After a restore, days that the backup does not know are committed to once more.
"""

from datetime import date, timedelta

from cleanroom.replay.keys import Report

_DAY = timedelta(days=1)


class Consents:
    """`_next`: the first day of each owner that is not committed to."""

    def __init__(self) -> None:
        self._next: dict[str, date] = {}
        self._again: set[str] = set()
        self._newest = date.min

    def join(self, owner: str, just_before: date, day: date) -> None:
        """An owner joined on `day`, or a moment before it began."""
        self._next[owner] = day
        (self._again.add if just_before < day else self._again.discard)(owner)

    def restore(self) -> None:
        """Every owner's last days may be committed to again."""
        self._again = set(self._next)
        self._newest = date.min

    def commit(self, owner: str, day: date, today: date, owners: set[str], report: Report) -> None:
        """`today`: the day of the entry; `owners`: everybody who has joined."""
        follows = self._next.get(owner)
        if follows is None or not (day == follows or (owner in self._again and day < follows)):
            report("day", follows.isoformat() if follows else None, day.isoformat())
        if day >= today:
            report("day", f"before {today.isoformat()}", day.isoformat())
        if day > self._newest:
            if missing := self.missing(owners):
                report("partner", missing, owner)
            self._newest = day
        self._next[owner] = day + _DAY
        self._again.discard(owner)

    def missing(self, owners: set[str]) -> list[str]:
        """The owners without a commitment to the newest day that was committed to."""
        return sorted(each for each in owners if self._next.get(each, date.max) <= self._newest)

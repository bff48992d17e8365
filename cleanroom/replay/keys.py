"""The partners' keys as the log tells them: whose each is, what it may do, when it ends.

Rules: as in `cleanroom.catalog.keys`. A question that came before its key ended may be decided a moment after it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cleanroom.audit.documents import KEYS_BEGIN
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from partners.key_change import OVERLAP_SECONDS, Role
from partners.transparency.entry import Body

MAY_ASK = {Role.OWNER, Role.MARKETER}
MOMENT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a partner. UTC times in ms since 1970: when it `ends` after a rotation, when it was `over` for good."""

    partner: str
    role: Role
    ends: int | None = None
    over: int | None = None


class Keys:
    """Every key that the log gives to a partner, by its id."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}

    def owner(self, identifier: str) -> str | None:
        """The partner whose key this is or was."""
        found = self._keys.get(identifier)
        return found.partner if found else None

    def lacks(self, identifier: str, time_ms: int) -> str | None:
        """Why a key that is known could not ask at this time."""
        found = self._keys[identifier]
        if found.role not in MAY_ASK:
            return f"a key of the role {found.role.value}"
        ended = found.ends is not None and found.ends + MOMENT_MS < time_ms
        # Also where the clock was put back since: it is over by its entry, whatever the clock says.
        over = found.over is not None and abs(time_ms - found.over) > MOMENT_MS
        return "a key that had ended" if ended or over else None

    def apply(self, opened: Opened) -> None:
        """Takes an event into account, of keys or any other. KeyError, ValueError: its details are not its own."""
        event, details, now = opened.body.event, opened.body.details, opened.time_ms
        if event in KEYS_BEGIN:
            key = opened.body.actor if event == EventKind.PARTNER_JOIN else details["key"]
            self._begin(str(key), event, details)
        match event:
            case EventKind.KEY_ROTATE:
                if old := self._keys.get(str(opened.body.actor)):
                    ends = now + 1000 * OVERLAP_SECONDS
                    self._keys[str(opened.body.actor)] = replace(old, ends=min(ends, old.ends or ends))
            case EventKind.KEY_REVOKE | EventKind.KEY_REPLACE:
                self.end(opened)

    def end(self, opened: Opened) -> list[Body]:
        """Ends what a revocation or a replacement ends: a revocation for each of these keys."""
        body, ended = opened.body, list[Body]()
        named, partner = str(body.details["key"]), str(body.details["partner"])
        for identifier, each in self._keys.items():
            ends = (identifier == named) is (body.event == EventKind.KEY_REVOKE)
            if ends and each.partner == partner and each.over is None:
                self._keys[identifier] = replace(each, over=opened.time_ms)
                ended.append(Body(EventKind.KEY_REVOKE, None, None, {"partner": partner, "key": identifier}))
        return ended

    def _begin(self, identifier: str, event: str, details: Mapping[str, Any]) -> None:
        role = Role.OWNER if event == EventKind.KEY_REPLACE else Role(details["role"])
        self._keys[identifier] = Key(str(details["partner"]), role)

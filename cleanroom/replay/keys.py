"""The partners' keys as the log tells them: whose each is, what it may do, when it ends, and who may say so.

Rules: as in `cleanroom.catalog.keys`, `cleanroom.api.keys` and `cleanroom.replacements`. What came before its key ended
may be written down a moment after it.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from typing import Any

from cleanroom.audit.documents import KEYS_BEGIN
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from partners.key_change import OVERLAP_SECONDS, Role
from partners.transparency.entry import Body

Report = Callable[[str, object, object], None]
"""(what, derived, written): notes a finding about the entry at hand."""
MAY_ASK = {Role.OWNER, Role.MARKETER}
MOMENT_MS = 60_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a partner. UTC times in ms since 1970: when it `ends` after a rotation, when it was `over` for good."""

    partner: str
    role: Role
    ends: int | None = None
    over: int | None = None

    def lacks(self, roles: Collection[Role], time_ms: int) -> str | None:
        """Why it could not act at this time, where only these roles may."""
        if self.role not in roles:
            return f"a key of the role {self.role.value}"
        ended = self.ends is not None and self.ends + MOMENT_MS < time_ms
        # Also where the clock was put back since: it is over by its entry, whatever the clock says.
        over = self.over is not None and abs(time_ms - self.over) > MOMENT_MS
        return "a key that had ended" if ended or over else None


class Keys:
    """Every key that the log gives to a partner, by its id. `joined`: those that joined, each with its first role."""

    def __init__(self) -> None:
        self._keys: dict[str, Key] = {}
        self._serials: dict[str, int] = {}
        self._consents: dict[str, set[str]] = {}
        self.joined: dict[str, Role] = {}

    def owner(self, identifier: str) -> str | None:
        """The partner whose key this is or was."""
        found = self._keys.get(identifier)
        return found.partner if found else None

    def lacks(self, identifier: str, time_ms: int) -> str | None:
        """Why a key that is known could not ask at this time."""
        return self._keys[identifier].lacks(MAY_ASK, time_ms)

    def refused(self, opened: Opened, partner: str | None = None, role: Role = Role.OWNER) -> str | None:
        """Why the actor of an entry could not act by a key of this role; for `partner`, if named."""
        found = self._keys.get(str(opened.body.actor))
        if found is None:
            return "a key of nobody"
        if partner not in (None, found.partner):
            return f"a key of {found.partner}"
        return found.lacks({role}, opened.time_ms)

    def apply(self, opened: Opened, report: Report) -> None:
        """Takes an event into account, of keys or any other."""
        event, details = opened.body.event, opened.body.details
        if event not in _OF_KEYS:
            return
        partner = str(details["partner"])
        identifier = str(opened.body.actor if event == EventKind.PARTNER_JOIN else details["key"])
        if why := self._refused(opened, partner, identifier):
            report("actor" if why.startswith("a key") else "key", "one that may do this", why)
        match event:
            case EventKind.PARTNER_JOIN:
                self.joined[partner] = Role(str(details["role"]))
            case EventKind.KEY_ADD | EventKind.KEY_ROTATE | EventKind.KEY_REVOKE if "serial" in details:
                self._count(partner, details["serial"], report)
            case EventKind.KEY_CONSENT:
                self._consents.setdefault(identifier, set()).add(str(self.owner(str(opened.body.actor))))
        if event in KEYS_BEGIN | {EventKind.KEY_WAIT}:
            self._begin(opened, partner, identifier)
        if event in (EventKind.KEY_REVOKE, EventKind.KEY_REPLACE):
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

    def consented(self, identifier: str) -> Collection[str]:
        """The partners that consented to a waiting key."""
        return self._consents.get(identifier, set())

    def _refused(self, opened: Opened, partner: str, identifier: str) -> str | None:
        """Why an event of keys cannot be, or not by this actor."""
        event, details, known = opened.body.event, opened.body.details, self._keys.get(identifier)
        if event == EventKind.PARTNER_JOIN and partner in self.joined:
            return "a partner that has joined already"
        if event != EventKind.PARTNER_JOIN and partner not in self.joined:
            return "a partner that has not joined"
        if event in (EventKind.KEY_WAIT, EventKind.KEY_REPLACE) and opened.body.actor != identifier:
            return "a key that is not the one that waits"
        if event in (EventKind.KEY_CONSENT, EventKind.KEY_REPLACE):
            if known is None or (known.partner, known.role, known.over) != (partner, Role.WAITING, None):
                return "no key that waits"
        elif event == EventKind.KEY_REVOKE:
            if known is None or (known.partner, known.over) != (partner, None):
                return "no key of the partner, or one that had ended"
            if details.get("role") not in (None, known.role.value):
                return "a key of another role"
        elif known is not None:
            return "a key that some partner has, or had"
        if event == EventKind.KEY_CONSENT and self.owner(str(opened.body.actor)) == partner:
            return "a key of the partner itself"
        if event in (EventKind.KEY_ADD, EventKind.KEY_ROTATE) or "serial" in details:
            return self._not_newest(opened, partner)
        if event == EventKind.KEY_REVOKE and opened.body.actor is not None:
            return "a key, for what is the room's own"
        return self._not_newest(opened, None) if event == EventKind.KEY_CONSENT else None

    def _not_newest(self, opened: Opened, partner: str | None) -> str | None:
        """Why the actor is not the newest owner key of its partner, which alone may do this."""
        if why := self.refused(opened, partner):
            return why
        acting = self._keys[str(opened.body.actor)]
        if acting.ends is None:
            return None
        newer = (each for each in self._keys.values() if each.partner == acting.partner and each.role is Role.OWNER)
        return "a key that was rotated away" if any(each.ends is each.over is None for each in newer) else None

    def _count(self, partner: str, serial: Any, report: Report) -> None:
        if serial != (follows := self._serials.get(partner, 0) + 1):
            report("serial", follows, serial)
        self._serials[partner] = serial

    def _begin(self, opened: Opened, partner: str, identifier: str) -> None:
        event, now = opened.body.event, opened.time_ms
        if event == EventKind.KEY_ROTATE and (old := self._keys.get(str(opened.body.actor))):
            ends = now + 1000 * OVERLAP_SECONDS
            self._keys[str(opened.body.actor)] = replace(old, ends=min(ends, old.ends or ends))
        if event == EventKind.KEY_WAIT:  # the newest request counts
            for other, each in self._keys.items():
                if (each.partner, each.role, each.over) == (partner, Role.WAITING, None):
                    self._keys[other] = replace(each, over=now)
        role = opened.body.details.get("role") or _ROLES[event]
        self._keys[identifier] = Key(partner, Role(str(role)))


_ROLES: dict[str, Role] = {EventKind.KEY_REPLACE: Role.OWNER, EventKind.KEY_WAIT: Role.WAITING}
_OF_KEYS = KEYS_BEGIN | {EventKind.KEY_WAIT, EventKind.KEY_CONSENT, EventKind.KEY_REVOKE}

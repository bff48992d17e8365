"""What each event says, whatever happened before it: its details, each of its kind; its collaboration; who acted.

Rules: exactly these details, no more and no less; a number is no boolean. Decisions are not here: what they say is
derived. An event that is not known is none that a room of this version writes.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum

from cleanroom.audit.events import EventKind
from partners.key_change import Role
from partners.transparency.entry import Body
from policies.question import NAME

Fits = Callable[[object], bool]


class By(Enum):
    """Who acts: the room, without a key; a partner or an auditor, by a key; either of the two."""

    ROOM = "the room"
    KEY = "a key"
    EITHER = "the room, or a key"


@dataclass(frozen=True, slots=True)
class _Form:
    """`details` has each set of details that the event may have. `of_one`: it names a collaboration."""

    by: By
    of_one: bool
    details: tuple[Mapping[str, Fits], ...]


def wrong(body: Body) -> tuple[str, str, object] | None:
    """What of an event, which is no decision, is not as rooms write it: what it is about, derived, written."""
    form = _FORMS.get(body.event)
    if form is None:
        return "event", "one that this version knows", body.event
    if (body.collaboration is not None) is not form.of_one:
        return "collaboration", "one" if form.of_one else "none", body.collaboration
    if form.by is not By.EITHER and (body.actor is None) is not (form.by is By.ROOM):
        return "actor", form.by.value, body.actor
    if not any(_fits(each, body.details) for each in form.details):
        return "details", "those of the event, each of its kind", dict(body.details)
    return None


def _fits(details: Mapping[str, Fits], said: Mapping[str, object]) -> bool:
    return details.keys() == said.keys() and all(fits(said[name]) for name, fits in details.items())


def _text(pattern: str) -> Fits:
    whole = re.compile(pattern).fullmatch
    return lambda value: isinstance(value, str) and whole(value) is not None


def _whole(least: int) -> Fits:
    return lambda value: type(value) is int and value >= least


def _day(value: object) -> bool:
    try:
        return isinstance(value, str) and date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _number(value: object) -> bool:
    return type(value) is int


def _flag(value: object) -> bool:
    return type(value) is bool


def _every(fits: Fits) -> Fits:
    return lambda value: isinstance(value, list) and all(map(fits, value))


_ANY, _NAME, _KEY, _HASH = _text(".*"), _text(NAME.pattern), _text("[0-9a-f]{16}"), _text("[0-9a-f]{64}")
_COUNT, _SERIAL = _whole(0), _whole(1)
_AUDIENCE, _VERSION = _text(f"{NAME.pattern}/{NAME.pattern}"), _text("v-[0-9a-f]{16}")
_ROLE = _text("|".join(Role))
_PARTNER: Mapping[str, Fits] = {"partner": _NAME}
_OF_KEY: Mapping[str, Fits] = {**_PARTNER, "key": _KEY}
_CHANGED: Mapping[str, Fits] = {**_OF_KEY, "role": _ROLE, "serial": _SERIAL}
_RUNNING: Mapping[str, Fits] = {"software": _ANY, "allowance": _COUNT}
_AGREED: Mapping[str, Fits] = {"agreement": _HASH}
_AMENDED: Mapping[str, Fits] = {**_AGREED, "number": _whole(2)}
_OF_VERSION: Mapping[str, Fits] = {"version": _VERSION, "audience": _AUDIENCE, "epoch": _SERIAL}


def _of_room(by: By, *details: Mapping[str, Fits]) -> _Form:
    return _Form(by, False, details)


def _of_one(by: By, *details: Mapping[str, Fits]) -> _Form:
    return _Form(by, True, details)


_FORMS: Mapping[str, _Form] = {
    EventKind.ROOM_INIT: _of_room(By.ROOM, {**_RUNNING, "origin": _ANY}),
    EventKind.ROOM_START: _of_room(By.ROOM, _RUNNING),
    EventKind.ROOM_STOP: _of_room(By.ROOM, _RUNNING),
    EventKind.ROOM_RESTORE: _of_room(
        By.ROOM,
        {
            "complete": _flag,
            "had": _SERIAL,
            "taken": _COUNT,
            "log": _ANY,
            "root": _text("[A-Za-z0-9+/]{43}="),
            "size": _COUNT,
            "software": _ANY,
        },
    ),
    EventKind.CLOCK_JUMP: _of_room(By.ROOM, {"ms": _number}),
    EventKind.PARTNER_INVITE: _of_room(By.ROOM, _PARTNER),
    EventKind.PARTNER_READMIT: _of_room(By.ROOM, _PARTNER),
    EventKind.PARTNER_JOIN: _of_room(By.KEY, {**_PARTNER, "role": _text("owner|auditor")}),
    EventKind.KEY_ADD: _of_room(By.KEY, {**_CHANGED, "role": _text("marketer|auditor")}),
    EventKind.KEY_ROTATE: _of_room(By.KEY, {**_CHANGED, "role": _text("owner")}),
    EventKind.KEY_REVOKE: _of_room(By.EITHER, _OF_KEY, _CHANGED),
    EventKind.KEY_WAIT: _of_room(By.KEY, _OF_KEY),
    EventKind.KEY_CONSENT: _of_room(By.KEY, _OF_KEY),
    EventKind.KEY_REPLACE: _of_room(By.KEY, _OF_KEY),
    EventKind.AGREEMENT_PROPOSE: _of_one(By.KEY, _AGREED),
    EventKind.AGREEMENT_SIGN: _of_one(By.KEY, _AGREED, _AMENDED),
    EventKind.AGREEMENT_OPEN: _of_one(By.ROOM, _AGREED, _AMENDED),
    EventKind.AGREEMENT_AMEND: _of_one(By.KEY, {**_AMENDED, "previous": _HASH}),
    EventKind.AGREEMENT_TIGHTEN: _of_one(By.KEY, {**_PARTNER, **_AGREED, "serial": _SERIAL, "terms": _HASH}),
    EventKind.SECRET_RELAY: _of_one(By.KEY, {"recipient": _NAME, "epoch": _SERIAL}),
    EventKind.SECRET_ROTATE: _of_one(By.KEY, {**_PARTNER, "epoch": _SERIAL, "deadline": _day}),
    EventKind.EPOCH_MOVE: _of_one(By.ROOM, {"epoch": _SERIAL, "missing": _every(_AUDIENCE)}),
    EventKind.EPOCH_DESTROY: _of_one(By.ROOM, {"epoch": _SERIAL}),
    EventKind.COLLABORATION_LEAVE: _of_one(By.KEY, _PARTNER),
    EventKind.COLLABORATION_CLOSE: _of_one(By.ROOM, {}),
    EventKind.UPLOAD_RECEIVE: _of_one(By.KEY, {"version": _VERSION, "audience": _AUDIENCE, "manifest": _HASH}),
    EventKind.AUDIENCE_PUBLISH: _of_one(
        By.ROOM, {**_OF_VERSION, "retired": _every(_VERSION), "prepared": _day, "expires": _day}
    ),
    EventKind.AUDIENCE_REFUSE: _of_one(By.ROOM, {**_OF_VERSION, "reason": _text("[a-z_]+")}),
    EventKind.AUDIENCE_RETIRE: _of_one(By.EITHER, _OF_VERSION),
    EventKind.BUDGET_GRANT: _of_room(By.KEY, {**_PARTNER, "micro": _SERIAL, "serial": _SERIAL, "grant": _HASH}),
    EventKind.BUDGET_FORFEIT: _of_room(By.ROOM, {**_PARTNER, "spent": _COUNT, "serial": _COUNT}),
    EventKind.CONSENT_COMMIT: _of_room(By.ROOM, {**_PARTNER, "day": _day, "commitment": _HASH}),
    EventKind.ERASURE_DONE: _of_one(By.ROOM, {**_PARTNER, "batch": _HASH}),
    EventKind.AUDITOR_APPOINT: _of_one(By.ROOM, _PARTNER),
    EventKind.AUDITOR_DISMISS: _of_one(By.ROOM, _PARTNER),
    EventKind.AUDITOR_ENTER: _of_room(By.KEY, _PARTNER),
    EventKind.AUDITOR_READ: _of_room(
        By.KEY, {**_PARTNER, "what": _text("export|ledger"), "collaborations": _every(_NAME)}
    ),
}

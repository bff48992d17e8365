"""What the log records: events as an enum with the grammar `subject:action`, in lower-case letters.

A value, once released, is never renamed or reused: old logs hold it for ever.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from partners.transparency.entry import Body


class EventKind(StrEnum):
    """A member's name is its value in upper case, with `_` for `:`."""

    ROOM_INIT = "room:init"  # the genesis leaf, and no other
    ROOM_START = "room:start"
    ROOM_STOP = "room:stop"
    ROOM_RESTORE = "room:restore"
    CLOCK_JUMP = "clock:jump"
    PARTNER_INVITE = "partner:invite"
    PARTNER_JOIN = "partner:join"
    PARTNER_READMIT = "partner:readmit"
    KEY_ADD = "key:add"
    KEY_ROTATE = "key:rotate"
    KEY_REVOKE = "key:revoke"
    KEY_WAIT = "key:wait"
    KEY_CONSENT = "key:consent"
    KEY_REPLACE = "key:replace"
    AGREEMENT_PROPOSE = "agreement:propose"
    AGREEMENT_SIGN = "agreement:sign"
    AGREEMENT_OPEN = "agreement:open"
    AGREEMENT_AMEND = "agreement:amend"
    AGREEMENT_TIGHTEN = "agreement:tighten"
    SECRET_RELAY = "secret:relay"  # noqa: S105 - an event that names secrets, not a secret
    SECRET_ROTATE = "secret:rotate"  # noqa: S105 - an event, not a secret
    EPOCH_MOVE = "epoch:move"
    EPOCH_DESTROY = "epoch:destroy"
    COLLABORATION_LEAVE = "collaboration:leave"
    COLLABORATION_CLOSE = "collaboration:close"
    UPLOAD_RECEIVE = "upload:receive"
    AUDIENCE_PUBLISH = "audience:publish"
    AUDIENCE_REFUSE = "audience:refuse"
    AUDIENCE_RETIRE = "audience:retire"
    DECISION_RELEASE = "decision:release"
    DECISION_REFUSE = "decision:refuse"
    DECISION_REPEAT = "decision:repeat"
    BUDGET_GRANT = "budget:grant"
    BUDGET_FORFEIT = "budget:forfeit"
    CONSENT_COMMIT = "consent:commit"
    ERASURE_DONE = "erasure:done"
    AUDITOR_APPOINT = "auditor:appoint"
    AUDITOR_DISMISS = "auditor:dismiss"
    AUDITOR_ENTER = "auditor:enter"
    AUDITOR_READ = "auditor:read"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened. `collaboration` and `actor` (a key id) are None where there is none.

    `details` are what canonical JSON holds: text, integers, booleans, None, lists and objects of these; no floats.
    """

    kind: EventKind
    collaboration: str | None = None
    actor: str | None = None
    details: Mapping[str, object] = field(default_factory=dict)

    def body(self) -> bytes:
        """The bytes that the entry commits to; EntryError when the details have no canonical form."""
        return Body(self.kind.value, self.collaboration, self.actor, self.details).encode()

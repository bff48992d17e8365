"""The room as the log tells it, entry by entry: what holds for the whole room, and what a restore took back.

Rules: an entry is first held to its form, then to what came before it. After a finding it counts as it was written.
What commits in one transaction stands together: entries that one makes due come next.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document, Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.replay import forms
from cleanroom.replay.collaborations import Collaborations, days
from cleanroom.replay.consents import Consents
from cleanroom.replay.keys import Keys, Report
from cleanroom.replay.standing import Ledger, Shared
from partners.key_change import Role
from partners.keys import key_id
from partners.transparency.entry import Body


@dataclass(frozen=True, slots=True)
class _Before:
    """What a room knew until the restore `seq`: its events, and the releases."""

    seq: int
    known: Sequence[Opened]
    released: Mapping[str, tuple[int, object]]


class Room:
    """The room as the log tells it. `whole`: every body of the log was opened.

    `released`: each release by its key, with its entry and the scales that it was drawn with. `unknown`: collaborations
    in which something rests on a document that is not there. `unsigned`: entries that opened an agreement, and whose
    signatures it lacks; `unjudged`: those of them that a restore undid, as the room may have the document as it was
    before. `awaited`: whether the next entry has to be one that the last ones made due.
    """

    def __init__(self, documents: Mapping[str, Document], named: Named, *, whole: bool) -> None:
        self.keys = Keys()
        self.shared = Collaborations(documents, self.keys)
        self.ledger = Ledger()
        self.released: dict[str, tuple[int, object]] = {}
        self.unknown: set[str] = set()
        self.awaited = False
        self.unsigned: dict[int, str] = {}
        self.unjudged = 0
        self._missing: dict[int, str] = {}
        self._documents, self._named, self._whole = documents, named, whole
        self._consents = Consents()
        self._forfeiting: set[str] = set()
        self._history: list[Opened] = []
        self._known: list[Opened] = []
        self._before: list[_Before] = []

    def apply(self, opened: Opened, report: Report) -> None:
        """Takes an event into account. Raises KeyError, TypeError or ValueError where it follows from nothing."""
        body = opened.body
        if self.awaited:
            self._expect(body, report)
        if found := forms.wrong(body):
            report(*found)
            return
        self._named.add(opened.seq, body)
        if body.event == EventKind.ROOM_RESTORE:
            self._restore(opened.seq, dict(body.details), report)
            return
        if body.collaboration is None:
            self._apply(opened, dict(body.details), report)
        elif not self._is_unknown(opened.seq, body):
            if body.event == EventKind.AGREEMENT_OPEN:
                self._note_signatures(opened.seq, self._documents[str(body.details["agreement"])])
            self.shared.apply(opened, report)
            self.awaited = bool(self.shared.due or self.shared.ending or self._forfeiting)
        if body.event not in _SOON_FORGOTTEN:
            self._history.append(opened)
            self._known.append(opened)

    def overdue(self, report: Report) -> None:
        """Reports what the entries before made due, and did not come; it is not waited for any more."""
        if self.shared.ending:
            report("retired", sorted(self.shared.ending), "versions that had to end, and did not")
        if self.shared.due:
            report("due", self.shared.due[1], "not at once")
        if self._forfeiting:
            report("forfeit", sorted(self._forfeiting), "allowances that had to end, and did not")
        self.shared.ending.clear()
        self._forfeiting.clear()
        self.shared.due, self.awaited = None, False

    def missing_days(self) -> list[str]:
        """The owners without a commitment to the newest day that was committed to."""
        return self._consents.missing(self._owners())

    def _expect(self, body: Body, report: Report) -> None:
        if (body.collaboration, body.event) == self.shared.due:
            self.shared.due = None
        elif body.event not in _MADE_DUE:
            self.overdue(report)
        self.awaited = bool(self.shared.due or self.shared.ending or self._forfeiting)

    def _owners(self) -> set[str]:
        return {name for name, role in self.keys.joined.items() if role is Role.OWNER}

    def unfounded(self) -> dict[int, str]:
        """Entries that name a document which is not there, though no restore lost it, up to now."""
        return {seq: document for seq, document in self._missing.items() if document not in self._named.lost}

    def _is_unknown(self, seq: int, body: Body) -> bool:
        """Whether a collaboration is not known any more, for want of a document."""
        name = _DOCUMENTS.get(body.event)
        if name and (document := str(body.details[name])) not in self._documents:
            self.unknown.add(str(body.collaboration))
            self._missing[seq] = document
        return body.collaboration in self.unknown

    def _note_signatures(self, seq: int, document: Document) -> None:
        signed = {each.partner for each in document.signatures}
        if missing := [party.name for party in document.agreement().parties if party.name not in signed]:
            self.unsigned[seq] = f"missing: {', '.join(missing)}"

    def _apply(self, opened: Opened, details: dict[str, Any], report: Report) -> None:
        self.keys.apply(opened, report)
        match opened.body.event:
            case EventKind.ROOM_INIT | EventKind.ROOM_START:
                self.ledger.base = details["allowance"]
            case EventKind.PARTNER_JOIN if details["role"] == Role.OWNER:
                self._consents.join(details["partner"], *days(opened.time_ms))
            case EventKind.KEY_REPLACE if self._whole:
                asked = self.shared.sharing(details["partner"])
                if missing := asked - set(self.keys.consented(details["key"])):
                    report("consent", sorted(asked), f"not of {', '.join(sorted(missing))}")
            case EventKind.BUDGET_GRANT:
                self._grant(opened, details, report)
            case EventKind.BUDGET_FORFEIT:
                self._forfeit(details, report)
            case EventKind.CONSENT_COMMIT:
                day, today = date.fromisoformat(details["day"]), days(opened.time_ms)[1]
                self._consents.commit(details["partner"], day, today, self._owners(), report)
            case EventKind.AUDITOR_ENTER | EventKind.AUDITOR_READ:
                self._read(opened, details, report)

    def _read(self, opened: Opened, details: dict[str, Any], report: Report) -> None:
        name = details["partner"]
        if why := self.keys.refused(opened, name, Role.AUDITOR):
            report("actor", "a key of the auditor", why)
        held = sorted(each.id for each in self.shared.every.values() if name in each.auditors)
        if not self.unknown and details.get("collaborations", held) != held:
            report("collaborations", held, details["collaborations"])

    def _restore(self, seq: int, details: dict[str, Any], report: Report) -> None:
        """An older backup took the room's place: it knows what its first `had` entries did, and of the entries that
        were taken over the charges, the grants, which keys and collaborations ended, and which versions have to end."""
        had, taken = int(details["had"]), int(details["taken"])
        if had + taken != seq:
            report("restore", f"{seq} entries, those of the backup and those taken over", had + taken)
        then = next((each for each in self._before if had <= each.seq), _Before(seq, self._known, self.released))
        known = [opened for opened in then.known if opened.seq < had]
        if not 1 <= had <= seq:
            report("had", f"1 to {seq}", had)
        if details["complete"] and details["size"] > seq:
            report("size", f"{seq} at most", details["size"])
        before = Room(self._documents, self._named, whole=False)
        before.ledger = replace(before.ledger, forfeits={})  # its ledger counts for nothing: what is charged is carried
        for opened in known:
            before.apply(opened, lambda *_: None)
        for opened in self._history:
            if opened.seq >= had:
                known += before.carry(opened)
        self._before.append(_Before(seq, self._known, self.released))
        self._known = known
        self.keys, self.shared, self.unknown = before.keys, before.shared, before.unknown
        self._consents.restore()
        self.released = {key: each for key, each in then.released.items() if each[0] < had}
        lost = {each for each in self.unsigned if each >= had}
        self.unjudged += len(lost)
        self.unsigned = {each: why for each, why in self.unsigned.items() if each not in lost}
        if not details["complete"]:
            self.ledger.forfeits = {}
            self._forfeiting = self._owners() if self._whole else set()
        self.awaited = bool(self.shared.ending or self._forfeiting)

    def carry(self, opened: Opened) -> list[Opened]:
        """Takes over what an entry ended that is not the room's own any more; what stays known of it."""
        body = opened.body
        if body.event in (EventKind.KEY_REVOKE, EventKind.KEY_REPLACE):
            return [replace(opened, body=each) for each in self.keys.end(opened)]
        shared = self.shared.every.get(str(body.collaboration))
        if shared is None:
            return []
        self.shared.ending |= _ended(shared, body.event, dict(body.details))
        if body.event == EventKind.AUDITOR_DISMISS and body.details["partner"] in shared.auditors:
            shared.auditors.discard(str(body.details["partner"]))
            return [opened]
        if body.event != EventKind.COLLABORATION_CLOSE:
            return []
        shared.state, shared.waiting = "closed", None
        return [opened]

    def _grant(self, opened: Opened, details: dict[str, Any], report: Report) -> None:
        owner, micro, serial = details["partner"], details["micro"], details["serial"]
        if why := self.keys.refused(opened, owner):
            report("actor", "a key of the owner", why)
        document = self._documents.get(str(details["grant"]))  # a restore may have lost it; the grant counts
        if document:
            signed = json.loads(document.data)
            if (signed["partner"], signed["epsilon"], signed["serial"]) != (owner, micro, serial):
                report("grant", "the document that was signed", [owner, micro, serial])
            signers = (Body(opened.body.event, None, key_id(each.key), {}) for each in document.signatures)
            if all(self.keys.refused(replace(opened, body=each), owner) for each in signers):
                report("grant", "signed by a key of the owner", "by one that may not, or had ended")
        if serial != self.ledger.last_grant(owner) + 1:
            report("serial", self.ledger.last_grant(owner) + 1, serial)
        grants = self.ledger.grants.setdefault(owner, {})
        grants[serial] = grants.get(serial, 0) + micro

    def _forfeit(self, details: dict[str, Any], report: Report) -> None:
        owner, forfeit = details["partner"], (details["spent"], details["serial"])
        if self.ledger.forfeits is None or owner not in self._forfeiting:
            raise ValueError("only a restore that lost entries ends allowances, once each")
        self._forfeiting.discard(owner)
        self.awaited = bool(self.shared.ending or self._forfeiting)
        if forfeit != (derived := (self.ledger.ever(owner), self.ledger.last_grant(owner))):
            report("forfeit", derived, forfeit)
        self.ledger.forfeits[owner] = forfeit


_SOON_FORGOTTEN = {
    EventKind.ROOM_STOP,
    EventKind.CLOCK_JUMP,
    EventKind.SECRET_RELAY,
    EventKind.ERASURE_DONE,
    EventKind.BUDGET_GRANT,
    EventKind.BUDGET_FORFEIT,
    EventKind.CONSENT_COMMIT,
    EventKind.AUDITOR_ENTER,
    EventKind.AUDITOR_READ,
}
"""Events that leave nothing behind in the room, or what a restore does not take back; there may be many of them."""
_MADE_DUE = {EventKind.AUDIENCE_RETIRE, EventKind.BUDGET_FORFEIT}
"""Events that stand between what made an entry due and this entry."""
_DOCUMENTS: dict[str, str] = {
    EventKind.AGREEMENT_PROPOSE: "agreement",
    EventKind.AGREEMENT_OPEN: "agreement",
    EventKind.AGREEMENT_TIGHTEN: "terms",
}
"""Events of a collaboration that cannot be followed without a document, and the detail that names it."""


def _ended(shared: Shared, event: str, details: dict[str, Any]) -> set[str]:
    """The versions of a collaboration that end by an event which a restored room does not know: see `recovery`."""
    every = {held.id: ref for versions in shared.published.values() for ref, held in versions.items()}
    match event:
        case EventKind.COLLABORATION_CLOSE | EventKind.AGREEMENT_OPEN:
            return set(every)
        case EventKind.AGREEMENT_TIGHTEN | EventKind.COLLABORATION_LEAVE:
            return {version for version, ref in every.items() if ref.owner == details["partner"]}
        case EventKind.AUDIENCE_RETIRE:
            return {str(details["version"])} & set(every)
        case EventKind.AUDIENCE_PUBLISH:
            return set(map(str, details["retired"])) & set(every)
    return set()

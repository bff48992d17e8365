"""How each event changes what the log says of the room, and what must hold for it."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document, Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.replay.keys import Keys
from cleanroom.replay.standing import Ledger, Shared, Version
from partners.notices import Tightening
from partners.transparency.entry import Body
from policies import tightening as alone
from policies.question import AudienceRef

Report = Callable[[str, object, object], None]
"""(what, derived, written): notes a finding about the entry at hand."""


@dataclass(frozen=True, slots=True)
class _Before:
    """What a room knew until the restore `seq`: its events, and the releases."""

    seq: int
    known: Sequence[Opened]
    released: Mapping[str, tuple[int, object]]


class Room:
    """The room as the log tells it. Events that change no decision are passed over.

    `released`: each release by its key, with its entry and the scales that it was drawn with. `unknown`: collaborations
    in which something rests on a document that is not there. `ending`: versions that a restore must end. `unsigned`:
    entries that opened an agreement, and whose signatures it lacks; `unjudged`: those of them that a restore undid, as
    the room may have the document as it was before.
    """

    def __init__(self, documents: Mapping[str, Document], named: Named) -> None:
        self.keys = Keys()
        self.collaborations: dict[str, Shared] = {}
        self.ledger = Ledger()
        self.released: dict[str, tuple[int, object]] = {}
        self.unknown: set[str] = set()
        self.ending: set[str] = set()
        self.unsigned: dict[int, str] = {}
        self.unjudged = 0
        self._missing: dict[int, str] = {}
        self._documents, self._named = documents, named
        self._history: list[Opened] = []
        self._known: list[Opened] = []
        self._before: list[_Before] = []

    def apply(self, opened: Opened, report: Report) -> None:
        """Takes an event into account. Raises KeyError, TypeError or ValueError where its details are not its own."""
        body = opened.body
        if body.event in _NO_CHANGE:
            return
        self._named.add(opened.seq, body)
        if body.event == EventKind.ROOM_RESTORE:
            self._restore(opened.seq, dict(body.details), report)
            return
        if body.collaboration is None:
            self.keys.apply(opened)
            self._apply(body.event, dict(body.details), report)
        elif not self._is_unknown(opened.seq, body):
            self._change(opened.seq, body.collaboration, body.event, dict(body.details), report)
        self._history.append(opened)
        self._known.append(opened)

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

    def _apply(self, event: str, details: dict[str, Any], report: Report) -> None:
        if event in (EventKind.ROOM_INIT, EventKind.ROOM_START):
            self.ledger.base = int(details["allowance"])
        elif event == EventKind.BUDGET_GRANT:
            self._grant(details, report)
        elif event == EventKind.BUDGET_FORFEIT:
            self._forfeit(details, report)

    def _restore(self, seq: int, details: dict[str, Any], report: Report) -> None:
        """An older backup took the room's place: it knows what its first `had` entries did, and of the entries that
        were taken over the charges, the grants, which keys and collaborations ended, and which versions have to end."""
        had, taken = int(details["had"]), int(details["taken"])
        if had + taken != seq:
            report("restore", f"{seq} entries, those of the backup and those taken over", had + taken)
        then = next((each for each in self._before if had <= each.seq), _Before(seq, self._known, self.released))
        known = [opened for opened in then.known if opened.seq < had]
        before = Room(self._documents, self._named)
        before.ledger = replace(before.ledger, forfeits={})  # its ledger counts for nothing: what is charged is carried
        for opened in known:
            before.apply(opened, lambda *_: None)
        for opened in self._history:
            if opened.seq >= had:
                known += before.carry(opened)
        self._before.append(_Before(seq, self._known, self.released))
        self._known, self.ending = known, self.ending | before.ending
        self.keys, self.collaborations, self.unknown = before.keys, before.collaborations, before.unknown
        self.released = {key: each for key, each in then.released.items() if each[0] < had}
        lost = {each for each in self.unsigned if each >= had}
        self.unjudged += len(lost)
        self.unsigned = {each: why for each, why in self.unsigned.items() if each not in lost}
        if not details["complete"]:
            self.ledger.forfeits = {}

    def carry(self, opened: Opened) -> list[Opened]:
        """Takes over what an entry ended that is not the room's own any more; what stays known of it."""
        body = opened.body
        if body.event in (EventKind.KEY_REVOKE, EventKind.KEY_REPLACE):
            return [replace(opened, body=each) for each in self.keys.end(opened)]
        shared = self.collaborations.get(str(body.collaboration))
        if shared is None:
            return []
        self.ending |= _ended(shared, body.event, dict(body.details))
        if body.event != EventKind.COLLABORATION_CLOSE:
            return []
        shared.state = "closed"
        return [opened]

    def _change(self, seq: int, collaboration: str, event: str, details: dict[str, Any], report: Report) -> None:
        if event == EventKind.AGREEMENT_PROPOSE:
            document = self._documents[str(details["agreement"])]
            parties = frozenset(party.name for party in document.agreement().parties)
            self.collaborations[collaboration] = Shared(collaboration, document, parties)
            return
        shared = self.collaborations[collaboration]
        shared.changed()
        match event:
            case EventKind.AGREEMENT_AMEND:
                shared.pending = str(details["agreement"])
            case EventKind.AGREEMENT_OPEN:
                self._open(seq, shared, self._documents[str(details["agreement"])], report)
            case EventKind.AGREEMENT_TIGHTEN:
                self._tighten(shared, details, report)
            case EventKind.SECRET_ROTATE:
                shared.rotating = int(details["epoch"])
            case EventKind.EPOCH_MOVE:
                shared.epoch, shared.rotating = int(details["epoch"]), None
            case EventKind.COLLABORATION_LEAVE:
                shared.left.add(str(details["partner"]))
            case EventKind.COLLABORATION_CLOSE:
                shared.state = "closed"
            case EventKind.AUDIENCE_PUBLISH:
                versions = shared.published.setdefault(int(details["epoch"]), {})
                ref = AudienceRef.parse(details["audience"])
                if (before := versions.get(ref)) and [before.id] != details["retired"]:
                    report("retired", [before.id], details["retired"])
                ends = date.fromisoformat(details["expires"]) if details["expires"] else None
                versions[ref] = Version(str(details["version"]), date.fromisoformat(details["prepared"]), ends)
            case EventKind.AUDIENCE_RETIRE:
                versions = shared.published.get(int(details["epoch"]), {})
                found = versions.pop(AudienceRef.parse(details["audience"]), None)
                self.ending.discard(str(details["version"]))
                if found is None or found.id != details["version"]:
                    report("version", "one that is published", details["version"])

    def _open(self, seq: int, shared: Shared, document: Document, report: Report) -> None:
        agreement = document.agreement()
        signed = {each.partner for each in document.signatures}
        if missing := [party.name for party in agreement.parties if party.name not in signed]:
            self.unsigned[seq] = f"missing: {', '.join(missing)}"
        if shared.state == "proposed":
            if document.sha256 != shared.document.sha256:
                report("agreement", shared.document.sha256, document.sha256)
            shared.state = "open"
        elif (agreement.previous, document.sha256) != (shared.document.sha256, shared.pending):
            report("agreement", "the amendment of the agreement in force", document.sha256)
        shared.enter(document)

    def _tighten(self, shared: Shared, details: dict[str, Any], report: Report) -> None:
        found: Tightening = self._documents[str(details["terms"])].tightening()
        named = (shared.id, details["partner"], details["agreement"], details["serial"])
        if (found.collaboration, found.partner, found.agreement, found.serial) != named:
            report("terms", "the document that was signed", list(named))
        if found.agreement != shared.document.sha256:
            report("agreement", shared.document.sha256, found.agreement)
        party = shared.agreement.party(found.partner)
        if party and (why := alone.refused(found.terms, party.terms, shared.agreement.terms)):
            report("terms", f"refused: {why}", "taken")
        shared.tighten(found)

    def _grant(self, details: dict[str, Any], report: Report) -> None:
        owner, micro, serial = str(details["partner"]), int(details["micro"]), int(details["serial"])
        document = self._documents.get(str(details["grant"]))  # a restore may have lost it; the grant counts
        if document:
            signed = json.loads(document.data)
            if (signed["partner"], signed["epsilon"], signed["serial"]) != (owner, micro, serial):
                report("grant", "the document that was signed", [owner, micro, serial])
        if serial != self.ledger.last_grant(owner) + 1:
            report("serial", self.ledger.last_grant(owner) + 1, serial)
        grants = self.ledger.grants.setdefault(owner, {})
        grants[serial] = grants.get(serial, 0) + micro

    def _forfeit(self, details: dict[str, Any], report: Report) -> None:
        owner, forfeit = str(details["partner"]), (int(details["spent"]), int(details["serial"]))
        if self.ledger.forfeits is None:
            raise ValueError("only a restore that lost entries ends allowances")
        if forfeit != (derived := (self.ledger.ever(owner), self.ledger.last_grant(owner))):
            report("forfeit", derived, forfeit)
        self.ledger.forfeits[owner] = forfeit


_NO_CHANGE = {
    EventKind.AGREEMENT_SIGN,
    EventKind.SECRET_RELAY,
    EventKind.EPOCH_DESTROY,
    EventKind.UPLOAD_RECEIVE,
    EventKind.AUDIENCE_REFUSE,
    EventKind.ERASURE_DONE,
    EventKind.CONSENT_COMMIT,
}
"""Events that no decision depends on, and there may be many of."""
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

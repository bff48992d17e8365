"""How each event changes what the log says of the room, and what must hold for it."""

import json
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.replay.standing import Held, Ledger, Shared
from partners.notices import Tightening
from policies import tightening as alone
from policies.question import AudienceRef

Report = Callable[[str, object, object], None]
"""(what, derived, written): notes a finding about the entry at hand."""


class Room:
    """The room as the log tells it. Events that change no decision are passed over.

    `unknown`: collaborations under a document that was lost before a restore; nothing can be derived for them.
    """

    def __init__(self, documents: Mapping[str, Document]) -> None:
        self.keys: dict[str, str] = {}
        self.collaborations: dict[str, Shared] = {}
        self.unknown: set[str] = set()
        self.ledger = Ledger()
        self._documents = documents
        self._applied: list[Opened] = []

    def apply(self, opened: Opened, report: Report) -> None:
        """Takes an event into account. Raises KeyError, TypeError or ValueError where its details are not its own."""
        self._applied.append(opened)
        body, details = opened.body, dict(opened.body.details)
        if (named := _BY_DOCUMENT.get(body.event)) and str(details[named]) not in self._documents:
            self.unknown.add(str(body.collaboration))
            self.collaborations.pop(str(body.collaboration), None)
        if body.collaboration in self.unknown:
            return
        match body.event:
            case EventKind.ROOM_INIT | EventKind.ROOM_START:
                self.ledger.base = int(str(details["allowance"]))
            case EventKind.PARTNER_JOIN:
                self.keys[str(body.actor)] = str(details["partner"])
            case EventKind.BUDGET_GRANT:
                self._grant(details, report)
            case EventKind.ROOM_RESTORE:
                self._restore(details)
            case EventKind.AGREEMENT_PROPOSE:
                document = self._documents[str(details["agreement"])]
                parties = frozenset(party.name for party in document.agreement().parties)
                self.collaborations[str(body.collaboration)] = Shared(str(body.collaboration), document, parties)
            case _ if body.event.startswith("key:"):
                self.keys[str(details["key"])] = str(details["partner"])
            case _ if body.collaboration is not None and body.event not in _NO_CHANGE:
                self._change(self.collaborations[body.collaboration], body.event, details, report)

    def _restore(self, details: dict[str, Any]) -> None:
        """Goes back to what the backup had; charges and grants stay, or an allowance counts as spent."""
        before, ledger = self._applied[:-1], self.ledger
        self._applied = []
        self.keys, self.collaborations, self.unknown = {}, {}, set()
        for each in before:
            if each.seq < int(details["had"]):
                self.apply(each, lambda *_: None)
        self.ledger = ledger
        if not details["complete"]:
            self.ledger.forfeits = {
                owner: (int(each["spent"]), int(each["serial"])) for owner, each in details["allowances"].items()
            }

    def _change(self, shared: Shared, event: str, details: dict[str, Any], report: Report) -> None:
        match event:
            case EventKind.AGREEMENT_AMEND:
                shared.pending = str(details["agreement"])
            case EventKind.AGREEMENT_OPEN:
                self._open(shared, self._documents[str(details["agreement"])], report)
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
                if (before := versions.get(ref)) is not None and before.version not in details["retired"]:
                    report("retired", [before.version], details["retired"])
                expires = None if details["expires"] is None else date.fromisoformat(details["expires"])
                versions[ref] = Held(str(details["version"]), date.fromisoformat(details["prepared"]), expires)
            case EventKind.AUDIENCE_RETIRE:
                versions = shared.published.get(int(details["epoch"]), {})
                ref = AudienceRef.parse(details["audience"])
                before = versions.pop(ref, None)
                if before is None or before.version != details["version"]:
                    report("version", "one that is published", details["version"])

    def _open(self, shared: Shared, document: Document, report: Report) -> None:
        agreement = document.agreement()
        signed = {each.partner for each in document.signatures}
        if missing := [party.name for party in agreement.parties if party.name not in signed]:
            report("signatures", "of every partner", f"missing: {', '.join(missing)}")
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
        if document := self._documents.get(str(details["grant"])):
            signed = json.loads(document.data)
            if (signed["partner"], signed["epsilon"], signed["serial"]) != (owner, micro, serial):
                report("grant", "the document that was signed", [owner, micro, serial])
        given = self.ledger.grants.setdefault(owner, {})
        if serial != (due := max(given, default=0) + 1):
            report("serial", due, serial)
        given[serial] = micro


_BY_DOCUMENT: dict[str, str] = {
    EventKind.AGREEMENT_PROPOSE: "agreement",
    EventKind.AGREEMENT_OPEN: "agreement",
    EventKind.AGREEMENT_TIGHTEN: "terms",
}
"""Events that put a signed document in force, and which detail names it."""
_NO_CHANGE = {
    EventKind.AGREEMENT_SIGN,
    EventKind.SECRET_RELAY,
    EventKind.EPOCH_DESTROY,
    EventKind.UPLOAD_RECEIVE,
    EventKind.AUDIENCE_REFUSE,
    EventKind.ERASURE_DONE,
}
"""Events of a collaboration that no decision depends on."""

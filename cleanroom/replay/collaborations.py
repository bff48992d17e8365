"""What each event changes in a collaboration, and what must hold for it: who may do it, in which state, with what.

Rules: as in `cleanroom.api`, `cleanroom.changes`, `cleanroom.epochs` and `cleanroom.jobs`; what they refuse is in no
honest log. After a finding the event counts as it was written.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cleanroom.audit.documents import Document
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Opened
from cleanroom.replay.keys import Keys, Report
from cleanroom.replay.standing import Shared, Version, Waiting
from partners.keys import key_id
from partners.notices import LONGEST_ROTATION, SHORTEST_ROTATION
from policies import agreement as agreements
from policies import terms
from policies import tightening as alone
from policies.agreement import Agreement
from policies.question import AudienceRef

MIDNIGHT = timedelta(minutes=1)
"""What was begun before midnight may be written down a moment after it."""
_OPEN = {
    EventKind.AGREEMENT_AMEND,
    EventKind.AGREEMENT_TIGHTEN,
    EventKind.SECRET_RELAY,
    EventKind.SECRET_ROTATE,
    EventKind.EPOCH_MOVE,
    EventKind.UPLOAD_RECEIVE,
    EventKind.AUDIENCE_PUBLISH,
}
_BEFORE_THE_END = {EventKind.AGREEMENT_SIGN, EventKind.COLLABORATION_LEAVE, EventKind.COLLABORATION_CLOSE}
_BY_THE_NAMED_KEY = {EventKind.AGREEMENT_TIGHTEN, EventKind.SECRET_RELAY, EventKind.SECRET_ROTATE}
_CHANGES_NO_DECISION = {
    EventKind.AGREEMENT_SIGN,
    EventKind.SECRET_RELAY,
    EventKind.EPOCH_DESTROY,
    EventKind.UPLOAD_RECEIVE,
    EventKind.AUDIENCE_REFUSE,
    EventKind.ERASURE_DONE,
    EventKind.AUDITOR_APPOINT,
    EventKind.AUDITOR_DISMISS,
}


class Collaborations:
    """The collaborations by their ids.

    `ending`: versions that have to end, each by the entry that comes next. `due`: a collaboration and the event that an
    entry has made due there, at once.
    """

    def __init__(self, documents: Mapping[str, Document], keys: Keys) -> None:
        self.every: dict[str, Shared] = {}
        self.ending: set[str] = set()
        self.due: tuple[str, str] | None = None
        self._documents, self._keys = documents, keys

    def sharing(self, partner: str) -> set[str]:
        """The partners of a partner's open collaborations, without those where one of the two has left."""
        shared = (each for each in self.every.values() if each.state == "open" and partner in each.parties - each.left)
        return {other for each in shared for other in each.parties - each.left} - {partner}

    def apply(self, opened: Opened, report: Report) -> None:
        """Takes an event of a collaboration into account. KeyError where there is none of this id."""
        body, details = opened.body, dict[str, Any](opened.body.details)
        identifier, event = str(body.collaboration), body.event
        if event == EventKind.AGREEMENT_PROPOSE:
            self._propose(opened, identifier, details, report)
            return
        shared = self.every[identifier]
        self._check_state(shared, event, report)
        by = self._by(shared, opened, details, report)
        if event not in _CHANGES_NO_DECISION:
            shared.changed()
        match event:
            case EventKind.AGREEMENT_AMEND:
                self._amend(shared, by, details, report)
            case EventKind.AGREEMENT_SIGN:
                self._sign(shared, by, opened, details, report)
            case EventKind.AGREEMENT_OPEN:
                self._open(shared, details, report)
            case EventKind.AGREEMENT_TIGHTEN:
                self._tighten(shared, details, report)
            case EventKind.SECRET_RELAY:
                others = shared.parties - shared.left - {by}
                if details["recipient"] not in others or details["epoch"] not in shared.epochs:
                    report("recipient", sorted(others), details["recipient"])
            case EventKind.SECRET_ROTATE:
                _rotate(shared, opened, details, report)
            case EventKind.EPOCH_MOVE:
                self._move(shared, opened, details, report)
            case EventKind.EPOCH_DESTROY:
                _destroy(shared, details["epoch"], report)
            case EventKind.COLLABORATION_LEAVE:
                self._leave(shared, str(details["partner"]))
            case EventKind.COLLABORATION_CLOSE:
                shared.state, shared.waiting = "closed", None
                self.ending |= shared.versions()
            case EventKind.UPLOAD_RECEIVE:
                if details["version"] in shared.received:
                    report("version", "a new one", details["version"])
                shared.received[details["version"]] = details["audience"]
            case EventKind.AUDIENCE_PUBLISH | EventKind.AUDIENCE_REFUSE:
                self._decide_version(shared, opened, details, report)
            case EventKind.AUDIENCE_RETIRE:
                self._retire(shared, opened, details, report)
            case EventKind.AUDITOR_APPOINT | EventKind.AUDITOR_DISMISS:
                appointed = event == EventKind.AUDITOR_DISMISS
                if (details["partner"] in shared.auditors) is not appointed:
                    report("partner", "one who is appointed" if appointed else "another one", details["partner"])
                shared.auditors ^= {str(details["partner"])}
            case EventKind.ERASURE_DONE:
                _is_party(shared, str(details["partner"]), report)
            case _:
                report("collaboration", None, identifier)

    def _check_state(self, shared: Shared, event: str, report: Report) -> None:
        if event in _OPEN and shared.state != "open":
            report("state", "open", shared.state)
        if event in _BEFORE_THE_END and shared.state == "closed":
            report("state", "not closed", shared.state)

    def _by(self, shared: Shared, opened: Opened, details: Mapping[str, Any], report: Report) -> str | None:
        """The partner that acts, which must be one that may; None for the room."""
        event, actor = opened.body.event, opened.body.actor
        if actor is None:
            return None
        partner = details.get("partner")
        if event in (EventKind.UPLOAD_RECEIVE, EventKind.AUDIENCE_RETIRE):
            partner = AudienceRef.parse(details["audience"]).owner
        by = self._keys.owner(actor)
        why = self._keys.refused(opened, partner)
        if event in _BY_THE_NAMED_KEY and not why:
            why = _not_named(shared.signed, str(by), actor)
        if why or by not in shared.parties:
            report("actor", "a key of the partner that may do this", why or "a key of no partner of it")
        elif by in shared.left and event != EventKind.AUDIENCE_RETIRE:
            report("actor", "a partner that is there", f"{by}, who has left")
        return by

    def _propose(self, opened: Opened, identifier: str, details: Mapping[str, Any], report: Report) -> None:
        document = self._documents[str(details["agreement"])]
        agreement = document.agreement()
        if identifier in self.every or (agreement.id, agreement.number) != (identifier, 1):
            report("agreement", "the first one of a new collaboration", identifier)
        by = self._keys.owner(str(opened.body.actor))
        if why := self._keys.refused(opened) or _not_named(agreement, str(by), str(opened.body.actor)):
            report("actor", "a key that the agreement names", why)
        parties = frozenset(party.name for party in agreement.parties)
        self.every[identifier] = Shared(identifier, document, parties, Waiting(document.sha256, document, {str(by)}))

    def _amend(self, shared: Shared, by: str | None, details: Mapping[str, Any], report: Report) -> None:
        shared.waiting = Waiting(str(details["agreement"]), self._documents.get(details["agreement"]), {str(by)})
        if document := shared.waiting.document:
            found = document.agreement()
            parties = {party.name for party in found.parties}
            said = (found.id, found.number, found.previous, details["number"], details["previous"], sorted(parties))
            before, number = shared.document.sha256, shared.signed.number + 1
            follows = (shared.id, number, before, number, before, sorted(shared.parties - shared.left))
            if said != follows:
                report("agreement", list(follows), list(said))

    def _sign(self, shared: Shared, by: str | None, opened: Opened, details: Mapping[str, Any], report: Report) -> None:
        waiting = shared.waiting
        if waiting is None or waiting.sha256 != details["agreement"] or by in waiting.signed:
            report("agreement", "one that waits for this signature", details["agreement"])
            return
        waiting.signed.add(str(by))
        if waiting.document is None:
            return
        agreement = waiting.document.agreement()
        _check_number(agreement, details, report)
        if why := _not_named(agreement, str(by), str(opened.body.actor)):
            report("actor", "a key that the agreement names", why)
        if {party.name for party in agreement.parties} <= waiting.signed:
            self.due = (shared.id, EventKind.AGREEMENT_OPEN)

    def _open(self, shared: Shared, details: Mapping[str, Any], report: Report) -> None:
        document, waiting = self._documents[str(details["agreement"])], shared.waiting
        agreement = document.agreement()
        if waiting is None or waiting.sha256 != document.sha256 or shared.state == "closed":
            report("agreement", waiting.sha256 if waiting else None, document.sha256)
        elif missing := {party.name for party in agreement.parties} - waiting.signed:
            report("signed", "by every partner", f"not by {', '.join(sorted(missing))}")
        _check_number(agreement, details, report)
        if shared.state == "open":
            useless = agreements.useless(shared.signed, agreement)
            self.ending |= shared.versions(useless)
        shared.state = "open"
        shared.enter(document)

    def _tighten(self, shared: Shared, details: Mapping[str, Any], report: Report) -> None:
        found = self._documents[str(details["terms"])].tightening()
        named = (shared.id, details["partner"], details["agreement"], details["serial"])
        if (found.collaboration, found.partner, found.agreement, found.serial) != named:
            report("terms", "the document that was signed", list(named))
        if found.agreement != shared.document.sha256:
            report("agreement", shared.document.sha256, found.agreement)
        before = shared.tightened.get(found.partner)
        if found.serial != (follows := before.serial + 1 if before else 1):
            report("serial", follows, found.serial)
        party = shared.agreement.party(found.partner)
        if party and (why := alone.refused(found.terms, party.terms, shared.agreement.terms)):
            report("terms", f"refused: {why}", "taken")
        shared.tighten(found)
        if shared.waiting and shared.waiting.document:  # else an earlier signature would loosen what is tight now
            waits = shared.waiting.document.agreement().party(found.partner)
            if waits is None or terms.looser(waits.terms, found.terms):
                shared.waiting = None

    def _move(self, shared: Shared, opened: Opened, details: Mapping[str, Any], report: Report) -> None:
        epoch = details["epoch"]
        if epoch != shared.rotating:
            report("epoch", shared.rotating, epoch)
        before, after = shared.published.get(shared.epoch, {}), shared.published.get(epoch, {})
        missing = sorted(str(ref) for ref in before.keys() - after.keys())
        if missing != details["missing"]:
            report("missing", missing, details["missing"])
        if missing and shared.deadline and days(opened.time_ms)[1] < shared.deadline:
            report("day", f"not before {shared.deadline.isoformat()}", days(opened.time_ms)[1].isoformat())
        self.ending |= {version.id for version in before.values()}
        shared.epoch, shared.rotating, shared.deadline = epoch, None, None

    def _leave(self, shared: Shared, partner: str) -> None:
        shared.left.add(partner)
        shared.waiting = None
        self.ending |= shared.versions({ref for ref in shared.refs() if ref.owner == partner})
        staying = {party.name for party in shared.signed.parties} - shared.left
        if shared.state == "proposed" or len(staying) < 2:
            self.due = (shared.id, EventKind.COLLABORATION_CLOSE)

    def _decide_version(self, shared: Shared, opened: Opened, details: Mapping[str, Any], report: Report) -> None:
        """Takes a version that was uploaded, and neither published nor refused before."""
        version, epoch, ref = str(details["version"]), details["epoch"], AudienceRef.parse(details["audience"])
        if shared.received.get(version) != str(ref):
            report("version", "one that was uploaded for this audience, and waits", version)
        shared.received[version] = None
        if opened.body.event == EventKind.AUDIENCE_REFUSE:
            return
        if shared.signed.audience(ref) is None or ref.owner in shared.left:
            report("audience", "one of the agreement, of a partner that is there", str(ref))
        if epoch not in shared.epochs:
            report("epoch", list(shared.epochs), epoch)
        last = days(opened.time_ms)[1] + timedelta(days=shared.longest_retention + 1)
        ends = date.fromisoformat(details["expires"])
        if ends > last:
            report("expires", f"{last.isoformat()} at the latest", details["expires"])
        versions = shared.published.setdefault(epoch, {})
        retired = [versions[ref].id] if ref in versions else []
        if retired != details["retired"]:
            report("retired", retired, details["retired"])
        versions[ref] = Version(version, date.fromisoformat(details["prepared"]), ends)

    def _retire(self, shared: Shared, opened: Opened, details: Mapping[str, Any], report: Report) -> None:
        version, ref = str(details["version"]), AudienceRef.parse(details["audience"])
        found = shared.published.get(details["epoch"], {}).pop(ref, None)
        if found is None or found.id != version:
            report("version", "one that is published", version)
        elif (
            opened.body.actor is None
            and version not in self.ending
            and not shared.is_over(found, days(opened.time_ms)[1])
        ):
            report("actor", "the owner, as nothing ended it", None)
        self.ending.discard(version)


def days(time_ms: int) -> tuple[date, date]:
    """The UTC days of an entry of this time: that of a moment before, and its own."""
    time = datetime.fromtimestamp(time_ms / 1000, UTC)
    return (time - MIDNIGHT).date(), time.date()


def _not_named(agreement: Agreement, partner: str, key: str) -> str | None:
    party = agreement.party(partner)
    return None if party and key_id(party.signing_key) == key else "a key that the agreement does not name"


def _check_number(agreement: Agreement, details: Mapping[str, Any], report: Report) -> None:
    number = agreement.number if agreement.number > 1 else None
    if details.get("number") != number:
        report("number", number, details.get("number"))


def _rotate(shared: Shared, opened: Opened, details: Mapping[str, Any], report: Report) -> None:
    deadline = date.fromisoformat(details["deadline"])
    if shared.rotating is not None or details["epoch"] != shared.epoch + 1:
        report("epoch", shared.epoch + 1 if shared.rotating is None else None, details["epoch"])
    if not any(SHORTEST_ROTATION <= (deadline - day).days <= LONGEST_ROTATION for day in days(opened.time_ms)):
        report("deadline", f"{SHORTEST_ROTATION} to {LONGEST_ROTATION} days away", details["deadline"])
    shared.rotating, shared.deadline = details["epoch"], deadline


def _destroy(shared: Shared, epoch: int, report: Report) -> None:
    ended = epoch < shared.epoch or (shared.state == "closed" and epoch in shared.epochs)
    if not ended or shared.published.get(epoch) or epoch in shared.destroyed:
        report("epoch", "one that has ended, and nothing of it is there", epoch)
    shared.destroyed.add(epoch)


def _is_party(shared: Shared, partner: str, report: Report) -> None:
    if partner not in shared.parties:
        report("partner", sorted(shared.parties), partner)

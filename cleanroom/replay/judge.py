"""Each decision of the log, derived again: is the request admitted, what is due, what remains; then compared.

What a body must say of a decision, besides the report's number, the software and the commitment to the figures: the
questions, the agreement and the terms in force, mode, minimum size and rounding, the day, the versions; for a refusal
the reason and what it is about; else the cost with the ledger before and after, and the scales of the noise. Nothing
else may be said, and nothing left out.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from cleanroom.audit.documents import Document, DocumentError
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Finding, Opened, Replayed
from cleanroom.replay.events import Room
from cleanroom.replay.standing import Asked, Shared, keys
from policies import budget, ruling
from policies.agreement import BadAgreement
from policies.decision import Reason, Refuse
from policies.question import AudienceRef
from policies.terms import Mode

LONGEST_TEXT = 300
MIDNIGHT = timedelta(minutes=1)
"""A decision that was begun before midnight may be written down a moment after it."""
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, DocumentError, BadAgreement)
_ALWAYS = {"report", "request", "software"}


def replay(bodies: Iterable[Opened], documents: Mapping[str, Document], whole: bool) -> Replayed:
    """What the policies say of the decisions in these bodies, which come in order.

    `whole`: every body of the log was opened. If not, an owner's lifetime account cannot be known: refusals for it are
    taken as written, and counted.
    """
    judge = _Judge(Room(documents), whole)
    for opened in bodies:
        judge.take(opened)
    return Replayed(judge.decisions, judge.unjudged, tuple(judge.findings))


@dataclass(frozen=True, slots=True)
class _Derived:
    """A decision as the policies make it: its event, and what the body must say."""

    event: str
    said: dict[str, Any]


class _Judge:
    def __init__(self, room: Room, whole: bool) -> None:
        self.decisions = self.unjudged = 0
        self.findings: list[Finding] = []
        self._room, self._whole = room, whole
        self._seq = 0
        self._released: dict[str, tuple[int, object]] = {}  # entry and scales of each release, by its key

    def take(self, opened: Opened) -> None:
        self._seq = opened.seq
        try:
            if opened.body.event.startswith("decision:"):
                self.decisions += 1
                self._decision(opened)
            else:
                self._room.apply(opened, self._report)
                if opened.body.event == EventKind.ROOM_RESTORE:
                    # Releases since the backup are gone: what they answered is asked and charged anew.
                    had = int(str(opened.body.details["had"]))
                    self._released = {name: each for name, each in self._released.items() if each[0] < had}
        except _MALFORMED:
            self._report("form", "an event that follows from those before it, with its own details", opened.body.event)

    def _report(self, what: str, derived: object, written: object) -> None:
        self.findings.append(Finding(self._seq, what, _text(derived), _text(written)))

    def _decision(self, opened: Opened) -> None:
        body, details = opened.body, dict(opened.body.details)
        if body.collaboration in self._room.unknown:
            self.unjudged += 1
            self._charge(body.collaboration, details)
            return
        shared = self._room.collaborations[str(body.collaboration)]
        asker = self._room.keys.get(str(body.actor))
        if asker not in shared.parties:
            self._report("asker", "a partner of the collaboration", body.actor)
            return
        day = self._day(opened.time_ms, details)
        asked = shared.asked(details["request"])
        derived = self._derived(shared, asker, asked, details, day)
        if derived.event != body.event or any(derived.said.get(n) != details.get(n) for n in ("reason", "about")):
            affordable_here = derived.event != EventKind.DECISION_REFUSE
            if not self._whole and affordable_here and details.get("reason") == Reason.BUDGET.value:
                self.unjudged += 1
            else:
                self._report("decision", _named(derived.event, derived.said), _named(body.event, details))
            if EventKind.DECISION_REFUSE in (derived.event, body.event):
                derived = _Derived(body.event, self._common(shared, asked, day))
        else:
            self._compare_fields(derived.said, details)
        for name, value in derived.said.items():
            if details.get(name) != value:
                self._report(name, value, details.get(name))
        if body.event != EventKind.DECISION_REFUSE:
            self._take_over(shared, asked, details, day)

    def _derived(self, shared: Shared, asker: str, asked: Asked, details: dict[str, Any], day: date) -> _Derived:
        said, standing = self._common(shared, asked, day), shared.standing(day)
        if refused := ruling.refused(standing, shared.agreement, asker, asked.request.kind, asked.questions):
            return _refused(said, refused)
        prices, names = shared.prices(details["request"]), keys(asked, standing.versions, day, shared.basis)
        new = [name not in self._released for name in names]
        cost = budget.charge(price for price, is_new in zip(prices, new, strict=True) if is_new)
        ledger, allotted = self._room.ledger, shared.agreement.terms.epsilon_total
        accounts = {owner: ledger.account(owner, shared.id, allotted, lifetime=self._whole) for owner in cost}
        if refused := budget.affordable(cost, accounts):
            return _refused(said, refused)
        spent = {owner: ledger.spent(owner, shared.id) for owner in cost}
        said["cost"] = {
            owner: {"micro": micro, "before": spent[owner], "after": spent[owner] + micro}
            for owner, micro in cost.items()
        }
        said["scales"] = [
            budget.scales_json(price) if is_new else self._released[name][1]
            for name, price, is_new in zip(names, prices, new, strict=True)
        ]
        return _Derived(EventKind.DECISION_RELEASE if any(new) else EventKind.DECISION_REPEAT, said)

    def _common(self, shared: Shared, asked: Asked, day: date) -> dict[str, Any]:
        """What a body says of every decision."""
        terms = shared.agreement.terms
        versions = shared.standing(day).versions
        return {
            "questions": asked.questions_json,
            "agreement": shared.document.sha256,
            "terms": shared.basis,
            "mode": terms.mode.value,
            "minimum_size": terms.minimum_size,
            "rounding": terms.rounding if terms.mode is Mode.THRESHOLD else None,
            "day": day.isoformat(),
            "versions": {str(audience): version for audience, version in versions.items()},
        }

    def _day(self, time_ms: int, details: dict[str, Any]) -> date:
        """The UTC day of an entry, or the one that had just ended when it says so."""
        time = datetime.fromtimestamp(time_ms / 1000, UTC)
        just_before = (time - MIDNIGHT).date()
        return just_before if details.get("day") == just_before.isoformat() else time.date()

    def _compare_fields(self, said: dict[str, Any], details: dict[str, Any]) -> None:
        expected = said.keys() | _ALWAYS | ({"evidence"} if "cost" in said else set())
        if details.keys() != expected:
            self._report("fields", sorted(expected), sorted(details))

    def _take_over(self, shared: Shared, asked: Asked, details: dict[str, Any], day: date) -> None:
        """Goes on from what was written: the ledger, and the releases that stand from now on."""
        self._charge(shared.id, details)
        versions = {AudienceRef.parse(audience): version for audience, version in details["versions"].items()}
        names = keys(asked, versions, day, str(details["terms"]))
        for name, scales in zip(names, details["scales"], strict=True):
            self._released.setdefault(name, (self._seq, scales))

    def _charge(self, collaboration: str, details: dict[str, Any]) -> None:
        for owner, line in details.get("cost", {}).items():
            self._room.ledger.set(owner, collaboration, int(line["after"]))


def _refused(said: dict[str, Any], refused: Refuse) -> _Derived:
    return _Derived(EventKind.DECISION_REFUSE, said | {"reason": refused.reason.value, "about": refused.about})


def _named(event: str, said: Mapping[str, Any]) -> str:
    told = (event, said.get("reason"), said.get("about"))
    return " ".join(str(each) for each in told if each is not None)


def _text(value: object) -> str:
    """A value as one line that is safe to print, whatever an archive holds."""
    text = json.dumps(value, sort_keys=True)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"

"""Each decision of the log, derived again: is the request admitted, what is due, what remains; then compared.

What a body must say of a decision, besides the report's number, the software and the commitment to the figures: the
questions, the agreement and the terms in force, mode, minimum size and rounding, the day, the versions; for a refusal
the reason and what it is about; else the cost with the ledger before and after, and the scales of the noise. Nothing
else may be said, and nothing left out.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document, DocumentError, Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Finding, Opened, Replayed
from cleanroom.replay.collaborations import days
from cleanroom.replay.events import Room
from cleanroom.replay.standing import Ruling, Shared, release_keys
from policies import budget
from policies.agreement import BadAgreement
from policies.decision import Reason, Refuse
from policies.question import AudienceRef

LONGEST_TEXT = 300
_MALFORMED = (KeyError, TypeError, ValueError, AttributeError, RecursionError, DocumentError, BadAgreement)
_ALWAYS = {"report", "software"}
_REPORT, _HASH = re.compile("r-[0-9a-f]{16}"), re.compile("[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class _Derived:
    """A decision as the policies make it: its event, and what the body must say."""

    event: str
    said: dict[str, Any]


class Judge:
    """A replay under way. `documents` by SHA-256; `whole`: every body of the log was opened.

    If not, an owner's lifetime account cannot be known: refusals for it are taken as written, and counted. So are
    decisions that rest on a document which a restore lost.
    """

    def __init__(self, documents: Mapping[str, Document], whole: bool) -> None:
        self._decisions = self._unjudged = 0
        self._findings: list[Finding] = []
        self._room, self._whole = Room(documents, Named(), whole=whole), whole
        self._seq = 0

    def told(self) -> Replayed:
        """What was found, after the last body."""
        if self._room.awaited:
            self._room.overdue(self._report)
        if missing := self._room.missing_days():
            self._report("partner", missing, "no commitment to the last day that others have one for")
        unsigned = [
            Finding(seq, "signatures", _text("of every partner"), _text(missing))
            for seq, missing in self._room.unsigned.items()
        ]
        unfounded = [
            Finding(seq, "document", _text("one of the export"), _text(document))
            for seq, document in self._room.unfounded().items()
        ]
        findings = sorted((*self._findings, *unsigned, *unfounded), key=lambda each: each.seq)
        return Replayed(self._decisions, self._unjudged + self._room.unjudged, tuple(findings))

    def take(self, opened: Opened) -> None:
        """The next body, in the order of the log."""
        self._seq = opened.seq
        try:
            if opened.body.event.startswith("decision:"):
                self._decisions += 1
                self._decision(opened)
            else:
                self._room.apply(opened, self._report)
        except _MALFORMED:
            self._report("form", "an event that follows from those before it, with its own details", opened.body.event)

    def _report(self, what: str, derived: object, written: object) -> None:
        self._findings.append(Finding(self._seq, what, _text(derived), _text(written)))

    def _decision(self, opened: Opened) -> None:
        body, details = opened.body, dict(opened.body.details)
        if self._room.awaited:
            self._room.overdue(self._report)
        if body.collaboration in self._room.unknown:
            self._unjudged += 1
            self._hold_to_the_ledger(opened, details)
            return
        shared = self._room.shared.every[str(body.collaboration)]
        asker = self._room.keys.owner(str(body.actor))
        if asker not in shared.parties:
            self._report("asker", "a partner of the collaboration", body.actor)
            return
        if lack := self._room.keys.lacks(str(body.actor), opened.time_ms):
            self._report("key", "one that counts and may ask", lack)
        day = self._day(opened.time_ms, details)
        ruled = shared.ruling(details["request"], asker, day)
        derived = self._derived(shared, ruled, day)
        if derived.event == body.event and derived.said.items() <= details.items():
            self._compare_fields(derived.said, details)
        else:
            self._differs(derived, {**ruled.said, "day": day.isoformat()}, body.event, details)
        if body.event != EventKind.DECISION_REFUSE:
            self._take_over(shared, ruled, details, day)

    def _derived(self, shared: Shared, ruled: Ruling, day: date) -> _Derived:
        said = {**ruled.said, "day": day.isoformat()}
        if ruled.refused:
            return _refused(said, ruled.refused)
        names = ruled.keys(day)
        new = [name not in self._room.released for name in names]
        due = tuple(price for price, is_new in zip(ruled.prices, new, strict=True) if is_new)
        cost = budget.charge(due) if due else {}
        ledger = self._room.ledger
        accounts = {owner: ledger.account(owner, shared.id, ruled.allotted, lifetime=self._whole) for owner in cost}
        if refused := budget.affordable(cost, accounts):
            return _refused(said, refused)
        spent = {owner: ledger.spent(owner, shared.id) for owner in cost}
        said["cost"] = {
            owner: {"micro": micro, "before": spent[owner], "after": spent[owner] + micro}
            for owner, micro in cost.items()
        }
        said["scales"] = [
            budget.scales_json(price) if is_new else self._room.released[name][1]
            for name, price, is_new in zip(names, ruled.prices, new, strict=True)
        ]
        return _Derived(EventKind.DECISION_RELEASE if any(new) else EventKind.DECISION_REPEAT, said)

    def _differs(self, derived: _Derived, always: dict[str, Any], event: str, details: dict[str, Any]) -> None:
        """Reports what a body says otherwise. `always`: what it says of every decision, whichever it is."""
        said = derived.said
        if derived.event != event or any(said.get(name) != details.get(name) for name in ("reason", "about")):
            if self._rests_on_lifetime(derived, details):
                self._unjudged += 1
            else:
                self._report("decision", _named(derived.event, said), _named(event, details))
            if EventKind.DECISION_REFUSE in (derived.event, event):
                said = always
        else:
            self._compare_fields(said, details)
        for name, value in said.items():
            if details.get(name) != value:
                self._report(name, value, details.get(name))

    def _rests_on_lifetime(self, derived: _Derived, details: dict[str, Any]) -> bool:
        """Whether a refusal is for an owner's lifetime account, which is not known, and is looked at before others."""
        if self._whole or details.get("reason") != Reason.BUDGET.value:
            return False
        if derived.event != EventKind.DECISION_REFUSE:
            return True
        return derived.said["reason"] == Reason.BUDGET.value and bool(str(details["about"]) < derived.said["about"])

    def _day(self, time_ms: int, details: dict[str, Any]) -> date:
        """The UTC day of an entry, or the one that had just ended when it says so."""
        just_before, day = days(time_ms)
        return just_before if details.get("day") == just_before.isoformat() else day

    def _compare_fields(self, said: dict[str, Any], details: dict[str, Any]) -> None:
        expected = said.keys() | _ALWAYS | ({"evidence"} if "cost" in said else set())
        if details.keys() != expected:
            self._report("fields", sorted(expected), sorted(details))
            return
        if not _REPORT.fullmatch(details["report"]) or type(details["software"]) is not str:
            self._report("report", "an id, by a version", [details["report"], details["software"]])
        numbers = [details["minimum_size"], details["rounding"]]
        if "cost" in said:
            if not _HASH.fullmatch(details["evidence"]):
                self._report("evidence", "a SHA-256", details["evidence"])
            for line in details["cost"].values():
                numbers += line.values()
        if bool in map(type, numbers):  # which equals a number
            self._report("form", "numbers", numbers)

    def _take_over(self, shared: Shared, ruled: Ruling, details: dict[str, Any], day: date) -> None:
        """Goes on from what was written: the ledger, and the releases that stand from now on."""
        self._book(shared.id, details)
        names = ruled.keys(day)
        if not names or (details["versions"], details["terms"]) != (ruled.said["versions"], ruled.said["terms"]):
            versions = {AudienceRef.parse(audience): version for audience, version in details["versions"].items()}
            names = release_keys(ruled.questions, versions, day, str(details["terms"]))
        for name, scales in zip(names, details["scales"], strict=True):
            self._room.released.setdefault(name, (self._seq, scales))

    def _hold_to_the_ledger(self, opened: Opened, details: dict[str, Any]) -> None:
        """What holds of a decision whatever its agreement says: who may ask, and that no charge is forgotten."""
        actor, collaboration = str(opened.body.actor), str(opened.body.collaboration)
        if self._room.keys.owner(actor) is None:
            self._report("asker", "a partner", opened.body.actor)
        elif lack := self._room.keys.lacks(actor, opened.time_ms):
            self._report("key", "one that counts and may ask", lack)
        for owner, line in details.get("cost", {}).items():
            spent, micro = self._room.ledger.spent(owner, collaboration), line["micro"]
            if (line["before"], line["after"]) != (spent, spent + micro) or micro < 0:
                self._report("cost", {"before": spent, "after": spent + abs(micro)}, line)
        self._book(collaboration, details)

    def _book(self, collaboration: str, details: dict[str, Any]) -> None:
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

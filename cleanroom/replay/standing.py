"""What the log says of the room at one moment: partners' keys, collaborations, audiences, the ledger."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document
from cleanroom.reports import plan
from partners.notices import Tightening
from policies import budget, question, request, retention, ruling
from policies.agreement import Agreement
from policies.budget import Account, Price
from policies.question import AudienceRef, Question
from policies.request import Request
from policies.ruling import Standing


@dataclass(frozen=True, slots=True)
class Asked:
    """A request under one agreement: what follows from both alone. `prices` are due where nothing refuses it."""

    request: Request
    questions: tuple[Question, ...]
    questions_json: list[Any]
    agreement: Agreement

    def prices(self) -> tuple[Price, ...]:
        return budget.price(self.questions, self.agreement)


@dataclass(frozen=True, slots=True)
class Held:
    """A published version, and the days that its manifest names."""

    version: str
    prepared: date
    expires: date | None


@dataclass(slots=True)
class Shared:
    """A collaboration. `document` is the agreement in force, or the first one that was proposed.

    `parties` are those of the first agreement; `published` has the versions of each epoch.
    """

    id: str
    document: Document
    parties: frozenset[str]
    state: str = "proposed"
    pending: str | None = None
    tightened: dict[str, Tightening] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    epoch: int = 1
    rotating: int | None = None
    published: dict[int, dict[AudienceRef, Held]] = field(default_factory=dict)
    agreement: Agreement = field(init=False)
    basis: str = field(init=False)
    _asked: dict[str, Asked] = field(default_factory=dict)
    _prices: dict[str, tuple[Price, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.enter(self.document)

    def enter(self, document: Document) -> None:
        """Puts an agreement in force; what was tightened under another one ends."""
        self.document, self.pending, self.tightened = document, None, {}
        self._combine()

    def tighten(self, tightening: Tightening) -> None:
        """Puts one party's tightened terms in force."""
        self.tightened[tightening.partner] = tightening
        self._combine()

    def _combine(self) -> None:
        found = self.document.agreement()
        for name in sorted(self.tightened):
            found = found.tightened(name, self.tightened[name].terms)
        self.agreement, self.basis = found, found.sha256()
        self._asked.clear()
        self._prices.clear()

    def standing(self, day: date) -> Standing:
        """The public facts that a decision of a day rests on."""
        ahead = self.published.get(self.rotating, {}) if self.rotating is not None else {}
        kept = self.agreement.terms.retention_days
        versions = {
            ref: held.version
            for ref, held in self.published.get(self.epoch, {}).items()
            if not retention.ended(held.prepared, held.expires, kept, day)
        }
        return Standing(self.state, frozenset(self.left), versions, frozenset(ahead))

    def asked(self, written: object) -> Asked:
        """A request as a body has it. Raises `BadQuestion`. The same request is worked out once."""
        name = json.dumps(written, sort_keys=True)
        if name not in self._asked:
            parsed = request.from_json(written)
            questions = plan.questions(parsed, self.agreement)
            told = [question.to_json(each) for each in questions]
            self._asked[name] = Asked(parsed, questions, told, self.agreement)
        return self._asked[name]

    def prices(self, written: object) -> tuple[Price, ...]:
        """The prices of an admitted request's questions, worked out once."""
        name = json.dumps(written, sort_keys=True)
        if name not in self._prices:
            self._prices[name] = self.asked(written).prices()
        return self._prices[name]


@dataclass(slots=True)
class Ledger:
    """What owners have spent and may spend, in micro-ε. `base`: of every owner, before its grants, which are by serial.

    `forfeits`, after entries were lost: each owner's allowance before later grants, and the serial of the last grant
    before; nothing for owners whom it does not name.
    """

    base: int = 0
    grants: dict[str, dict[int, int]] = field(default_factory=dict)
    forfeits: dict[str, tuple[int, int]] | None = None
    _here: dict[tuple[str, str], int] = field(default_factory=dict)
    _ever: dict[str, int] = field(default_factory=dict)

    def spent(self, owner: str, collaboration: str) -> int:
        return self._here.get((owner, collaboration), 0)

    def set(self, owner: str, collaboration: str, spent: int) -> None:
        """Takes over what an owner has spent in a collaboration."""
        self._ever[owner] = self._ever.get(owner, 0) + spent - self.spent(owner, collaboration)
        self._here[owner, collaboration] = spent

    def account(self, owner: str, collaboration: str, allotted: int, *, lifetime: bool) -> Account:
        """An owner's account; without `lifetime` only the collaboration's part binds."""
        here = self.spent(owner, collaboration)
        if not lifetime:
            return Account(here, allotted, here, max(allotted, here))
        before, since = (self.base, 0) if self.forfeits is None else self.forfeits.get(owner, (0, 0))
        granted = sum(micro for serial, micro in self.grants.get(owner, {}).items() if serial > since)
        return Account(here, allotted, self._ever.get(owner, 0), before + granted)


def keys(asked: Asked, versions: Mapping[AudienceRef, str], day: date, basis: str) -> tuple[str, ...]:
    """The keys under which the releases of a request stand. KeyError where an audience has no version."""
    return tuple(ruling.release_key(each, versions, day, basis) for each in asked.questions)

"""What the log says of the room at one moment: partners' keys, collaborations, audiences, the ledger."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from cleanroom.audit.documents import Document
from cleanroom.reports import plan
from partners.notices import Tightening
from policies import budget, question, request, retention, ruling
from policies.agreement import Agreement
from policies.budget import Account, Price
from policies.decision import Refuse
from policies.question import AudienceRef, Question
from policies.request import Request
from policies.ruling import Standing
from policies.terms import Mode


@dataclass(frozen=True, slots=True)
class Ruling:
    """What follows from a request, its asker and the collaboration at one moment, whatever the ledger says.

    `said`: what a body says of every decision on it, but for the day. `prices` of the questions, in order; none where
    the request is refused. `allotted`: micro-ε of every owner in this collaboration.
    """

    questions: tuple[Question, ...]
    refused: Refuse | None
    prices: tuple[Price, ...]
    allotted: int
    said: Mapping[str, Any]
    versions: Mapping[AudienceRef, str]
    basis: str
    _keys: dict[date, tuple[str, ...]] = field(default_factory=dict)

    def keys(self, day: date) -> tuple[str, ...]:
        """The keys under which the releases of this day stand; none where the request is refused."""
        if self.refused:
            return ()
        if day not in self._keys:
            self._keys.clear()
            self._keys[day] = release_keys(self.questions, self.versions, day, self.basis)
        return self._keys[day]


@dataclass(frozen=True, slots=True)
class Version:
    """A published version: its id, the day it was prepared on, the day its manifest ends it."""

    id: str
    prepared: date
    expires: date


@dataclass(slots=True)
class Waiting:
    """An agreement that waits for signatures, by its SHA-256; `document` None: it is not there."""

    sha256: str
    document: Document | None
    signed: set[str]


@dataclass(slots=True)
class Shared:
    """A collaboration. `document` is the agreement in force, or the first one that was proposed, and `signed` what it
    says; `agreement` has what was tightened since.

    `parties` are those of the first agreement; `published` has the versions of each epoch; `received` every version
    that was uploaded, with its audience, None once it is published or refused. Whoever changes anything that decisions
    depend on says so with `changed`.
    """

    id: str
    document: Document
    parties: frozenset[str]
    waiting: Waiting | None
    state: str = "proposed"
    tightened: dict[str, Tightening] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)
    epoch: int = 1
    rotating: int | None = None
    deadline: date | None = None
    destroyed: set[int] = field(default_factory=set)
    auditors: set[str] = field(default_factory=set)
    received: dict[str, str | None] = field(default_factory=dict)
    published: dict[int, dict[AudienceRef, Version]] = field(default_factory=dict)
    longest_retention: int = 0
    signed: Agreement = field(init=False)
    agreement: Agreement = field(init=False)
    basis: str = field(init=False)
    _retention_days: int = field(init=False)
    _rulings: dict[tuple[str, str, tuple[str, ...]], Ruling] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.signed = self.document.agreement()
        self._combine()

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that something can be uploaded under."""
        return (self.epoch,) if self.rotating is None else (self.epoch, self.rotating)

    def refs(self) -> set[AudienceRef]:
        """Every audience that has a version, of whatever epoch."""
        return {ref for versions in self.published.values() for ref in versions}

    def versions(self, of: Collection[AudienceRef] | None = None) -> set[str]:
        """The ids of the published versions of every epoch; of some audiences only, if named."""
        every = (item for versions in self.published.values() for item in versions.items())
        return {version.id for ref, version in every if of is None or ref in of}

    def is_over(self, version: Version, day: date) -> bool:
        """Whether a version has been kept for as long as was agreed."""
        return retention.ended(version.prepared, version.expires, self._retention_days, day)

    def enter(self, document: Document) -> None:
        """Puts an agreement in force; what was tightened under another one ends."""
        self.document, self.waiting, self.tightened = document, None, {}
        self.signed = document.agreement()
        self._combine()

    def tighten(self, tightening: Tightening) -> None:
        """Puts one party's tightened terms in force."""
        self.tightened[tightening.partner] = tightening
        self._combine()

    def _combine(self) -> None:
        found = self.signed
        for name in sorted(self.tightened):
            found = found.tightened(name, self.tightened[name].terms)
        self.agreement, self.basis, self._retention_days = found, found.sha256(), found.terms.retention_days
        self.longest_retention = max(self.longest_retention, self._retention_days)
        self.changed()

    def changed(self) -> None:
        """Forgets what was ruled before."""
        self._rulings.clear()

    def ruling(self, written: object, asker: str, day: date) -> Ruling:
        """What is ruled on a request as a body has it; the same again is worked out once. Raises `BadQuestion`."""
        standing = {
            ref: each.id for ref, each in self.published.get(self.epoch, {}).items() if not self.is_over(each, day)
        }
        name = (repr(written), asker, tuple(standing.values()))
        if name not in self._rulings:
            self._rulings[name] = self._ruled(request.from_json(written), asker, standing)
        return self._rulings[name]

    def _ruled(self, asked: Request, asker: str, versions: Mapping[AudienceRef, str]) -> Ruling:
        ahead = self.published.get(self.rotating, {}) if self.rotating is not None else {}
        standing = Standing(self.state, frozenset(self.left), versions, frozenset(ahead))
        questions, terms = plan.questions(asked, self.agreement), self.agreement.terms
        refused = ruling.refused(standing, self.agreement, asker, asked.kind, questions)
        said = {
            "request": asked.to_json(),
            "questions": [question.to_json(each) for each in questions],
            "agreement": self.document.sha256,
            "terms": self.basis,
            "mode": terms.mode.value,
            "minimum_size": terms.minimum_size,
            "rounding": terms.rounding if terms.mode is Mode.THRESHOLD else None,
            "versions": {str(audience): version for audience, version in versions.items()},
        }
        prices = () if refused else budget.price(questions, self.agreement)
        return Ruling(questions, refused, prices, terms.epsilon_total, said, versions, self.basis)


@dataclass(slots=True)
class Ledger:
    """What owners have spent and may spend, in micro-ε. `base`: of every owner, before its grants.

    `grants`: of each owner, by serial. `forfeits`: after a restore that lost entries, what each owner had spent by
    then, which is all of its allowance, and its last grant before. Who is not named had no allowance.
    """

    base: int = 0
    grants: dict[str, dict[int, int]] = field(default_factory=dict)
    forfeits: dict[str, tuple[int, int]] | None = None
    _here: dict[tuple[str, str], int] = field(default_factory=dict)
    _ever: dict[str, int] = field(default_factory=dict)

    def last_grant(self, owner: str) -> int:
        return max(self.grants.get(owner, {}), default=0)

    def ever(self, owner: str) -> int:
        """What an owner has spent in all collaborations."""
        return self._ever.get(owner, 0)

    def _allowance(self, owner: str) -> int:
        before, since = (self.base, 0) if self.forfeits is None else self.forfeits.get(owner, (0, 0))
        return before + sum(micro for serial, micro in self.grants.get(owner, {}).items() if serial > since)

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
        return Account(here, allotted, self.ever(owner), self._allowance(owner))


def release_keys(
    questions: Iterable[Question], versions: Mapping[AudienceRef, str], day: date, basis: str
) -> tuple[str, ...]:
    """The keys under which releases stand. KeyError where an audience has no version."""
    return tuple(ruling.release_key(each, versions, day, basis) for each in questions)

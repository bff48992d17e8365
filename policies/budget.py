"""What a report costs, from its questions and the terms alone: scales of noise and charges, in exact arithmetic.

Rules: cost never depends on data and is known before asking. A report splits its ε over what it measures: people, and
each measure it sums, get equal shares. Every vector of one share has one scale, the smallest integer at which no owner
loses more than the share, all questions of the report added up. An owner is charged its sensitivity / scale, a
`Fraction` of ε, rounded up to micro-ε only when it is written down.
In threshold mode nothing is charged, because nothing bounds the loss.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil

from policies.agreement import Agreement
from policies.decision import Reason, Refuse
from policies.question import ColumnRef, Question
from policies.sensitivity import owners, sensitivity
from policies.terms import MICRO, Mode


@dataclass(frozen=True, slots=True)
class Scales:
    """The scale of the noise of one question's vectors: `counts` in people, `sums` per measure in its units."""

    counts: int
    sums: Mapping[ColumnRef, int]


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one question within a report: its scales (None in threshold mode), the ε of each owner."""

    scales: Scales | None
    charges: Mapping[str, Fraction]


def price(questions: tuple[Question, ...], agreement: Agreement) -> tuple[Price, ...]:
    """The price of each canonical question of one report, in order."""
    terms = agreement.terms
    if terms.mode is Mode.THRESHOLD:
        return tuple(Price(None, {owner: Fraction(0) for owner in owners(question)}) for question in questions)
    measures = sorted({measure for question in questions for measure in question.sum})
    share = Fraction(terms.epsilon_per_report, MICRO) / (1 + len(measures))
    counts_scale = _scale([(question, None) for question in questions], share, agreement)
    sums_scale = {
        measure: _scale([(question, measure) for question in questions if measure in question.sum], share, agreement)
        for measure in measures
    }
    return tuple(
        _priced(question, Scales(counts_scale, {measure: sums_scale[measure] for measure in question.sum}), agreement)
        for question in questions
    )


def scales_json(price: Price) -> dict[str, int] | None:
    """The scales of a question as the log has them: `people`, and `sum:owner/name.column` for each measure."""
    if price.scales is None:
        return None
    return {"people": price.scales.counts} | {f"sum:{measure}": scale for measure, scale in price.scales.sums.items()}


def charge(prices: Iterable[Price]) -> dict[str, int]:
    """The micro-ε that each owner is charged for these questions together, rounded up once."""
    total: dict[str, Fraction] = {}
    for each in prices:
        for owner, epsilon in each.charges.items():
            total[owner] = total.get(owner, Fraction(0)) + epsilon
    return {owner: ceil(epsilon * MICRO) for owner, epsilon in sorted(total.items())}


@dataclass(frozen=True, slots=True)
class Account:
    """What an owner has spent and may spend, in micro-ε: in one collaboration, and in its lifetime."""

    spent_here: int
    allotted_here: int
    spent_ever: int
    allowance: int

    @property
    def left(self) -> int:
        """What one more report in this collaboration may cost."""
        return max(0, min(self.allotted_here - self.spent_here, self.allowance - self.spent_ever))


def affordable(charges: Mapping[str, int], accounts: Mapping[str, Account]) -> Refuse | None:
    """None when every owner can bear its charge; else the refusal, naming the first owner who cannot."""
    for owner, micro in sorted(charges.items()):
        if micro > accounts[owner].left:
            return Refuse(Reason.BUDGET, owner)
    return None


def _scale(vectors: list[tuple[Question, ColumnRef | None]], share: Fraction, agreement: Agreement) -> int:
    every_owner = {owner for question, _ in vectors for owner in owners(question)}
    worst = max(
        sum(sensitivity(question, measure, owner, agreement) for question, measure in vectors) for owner in every_owner
    )
    return ceil(worst / share)


def _priced(question: Question, scales: Scales, agreement: Agreement) -> Price:
    vectors = [(None, scales.counts), *((measure, scale) for measure, scale in scales.sums.items())]
    return Price(
        scales,
        {
            owner: sum(
                (Fraction(sensitivity(question, measure, owner, agreement), scale) for measure, scale in vectors),
                Fraction(0),
            )
            for owner in owners(question)
        },
    )

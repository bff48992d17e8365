"""Match rates: matched people in percent of all people of an audience, and what is left where only rates may leave.

Rules.
* A rate is made of two figures of one release, and shows where both show whole.
* Where the terms let only match rates leave the room, a release has nothing else: one rate for each other audience, in
  whole percents, and "at least 85" for whatever is above 85. The numbers are those of IAB Tech Lab's Publisher
  Advertiser Identity Reconciliation (PAIR) for clean rooms.
* Decimal; never a float.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal, localcontext

from policies.decision import Figure
from policies.question import Matched, Question, by_key

MEASURE = "match_rate"
CAP = Decimal(85)
_HUNDRED = Decimal(100)
_PLACES = Decimal("0.0001")
_HALF = Decimal("0.5")


def match_rate(matched: Figure, total: Figure) -> Figure:
    """Matched people in percent of all, with four decimals. Shown where both are shown whole.

    Its margin: the errors of matched and unmatched people are independent and of the same size m, so to first order
    that of the rate is m × sqrt(matched² + unmatched²) / total².
    """
    if matched.value is None or matched.margin95 is None or total.value is None or matched.at_least or total.at_least:
        return Figure((), MEASURE, None, None)
    with localcontext(prec=40):
        unmatched = total.value - matched.value
        spread = matched.margin95 * (matched.value**2 + unmatched**2).sqrt() / total.value**2
        rate = min(_HUNDRED, _HUNDRED * matched.value / total.value)
        return Figure((), MEASURE, rate.quantize(_PLACES), (_HUNDRED * spread).quantize(_PLACES))


def only_rates(question: Question, figures: Iterable[Figure]) -> Iterator[Figure]:
    """The coarse match rates of a release, one for each `matched` in `by`; nothing else of it."""
    people = {frozenset(figure.by): figure for figure in figures if figure.measure == "people"}
    for item in question.by:
        if isinstance(item, Matched):
            by = ((by_key(item), True),)
            yield replace(_coarse(match_rate(people[frozenset(by)], people[frozenset()])), by=by)


def _coarse(rate: Figure) -> Figure:
    """In whole percents, and never above the cap; the margin grows by what rounding may have moved."""
    if rate.value is None or rate.margin95 is None:
        return rate
    value = rate.value.quantize(Decimal(1), ROUND_HALF_EVEN)
    margin = (rate.margin95 + _HALF).quantize(Decimal(1), ROUND_CEILING) if rate.margin95 else rate.margin95
    return Figure((), MEASURE, min(value, CAP), margin, at_least=value > CAP)

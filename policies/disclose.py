"""From measured integers to a release: what shows, with which margin, in both modes.

Rules.
* `private`: noise is added to every cell; everything after that is post-processing of the noisy integers. A figure
  shows only if its noisy count >= k + margin, the margin such that fewer than k people show with probability <= 1e-4.
  Totals are sums of the noisy cells before withholding, with their own margin and the same rule.
* `threshold`: a cell shows its exact count, rounded down, if it has at least k people. A total is the sum of the shown
  cells and is marked `at_least` where something is withheld, so nothing can be subtracted within a release.
* A sum shows only where its count shows. A mean is sum / count of the same release, and never a bound. Where something
  is withheld, the total of a measure that can be negative would bound nothing: it is withheld too.
* Where the terms ask for a minimum audience, nothing of a release shows unless all whom it counts reach it, in private
  mode by the same margin: a `where` that holds for everybody is no way around it. Where only match rates may leave the
  room, a release has nothing else.
* Integers until the figure is written; Decimal then; never a float. Withheld figures all look the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from itertools import combinations

from policies.agreement import Agreement
from policies.budget import Scales
from policies.cells import Cell, Value, cells
from policies.decision import Figure, Release
from policies.margins import margin95, minimum_size_margin
from policies.question import ColumnRef, Question, by_key
from policies.rates import only_rates
from policies.terms import Figures as Which

Label = tuple[tuple[str, Value], ...]
MEAN_PLACES = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Measured:
    """Vectors of integers in the order of `cells`: people, and the sum of each measure in its units.

    What an engine measured, or the noise to add to it: both have this shape.
    """

    counts: tuple[int, ...]
    sums: Mapping[ColumnRef, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class _Sum:
    measure: ColumnRef
    units: int
    margin: int


def private(question: Question, agreement: Agreement, measured: Measured, noise: Measured, scales: Scales) -> Release:
    """The release of a canonical question in private mode."""
    counts = _add(measured.counts, noise.counts)
    sums = {measure: _add(measured.sums[measure], noise.sums[measure]) for measure in question.sum}
    minimum = agreement.terms.minimum_size
    figures: list[Figure] = []
    for by, members in _groups(question, agreement):
        people = sum(counts[row] for row in members)
        shown = people >= minimum + minimum_size_margin(scales.counts, len(members))
        totals = [
            _Sum(measure, sum(sums[measure][row] for row in members), margin95(scales.sums[measure], len(members)))
            for measure in question.sum
        ]
        figures += _figures(by, people if shown else None, margin95(scales.counts, len(members)), totals, agreement)
    return _within_terms(question, agreement, figures, minimum_size_margin(scales.counts, len(counts)))


def threshold(question: Question, agreement: Agreement, measured: Measured) -> Release:
    """The release of a canonical question in threshold mode."""
    terms = agreement.terms
    # Rounding down may not turn a shown cell into 0.
    least = max(terms.minimum_size, terms.rounding)
    shown = [count >= least for count in measured.counts]
    counts = [_down(count, terms.rounding) for count in measured.counts]
    sums = {
        measure: [_down(units, _sum_step(measure, terms.rounding, agreement)) for units in measured.sums[measure]]
        for measure in question.sum
    }
    figures: list[Figure] = []
    for by, members in _groups(question, agreement):
        visible = [row for row in members if shown[row]]
        people = sum(counts[row] for row in visible) if visible else None
        totals = [_Sum(measure, sum(sums[measure][row] for row in visible), 0) for measure in question.sum]
        figures += _figures(by, people, 0, totals, agreement, at_least=len(visible) < len(members))
    return _within_terms(question, agreement, figures, 0)


def _within_terms(question: Question, agreement: Agreement, figures: list[Figure], margin: int) -> Release:
    """What of these figures the terms let out of the room. `margin`: by how much a total must exceed the minimum."""
    terms = agreement.terms
    if terms.minimum_audience is not None:
        everybody = next(figure.value for figure in figures if not figure.by and figure.measure == "people")
        if everybody is None or everybody < terms.minimum_audience + margin:
            figures = [Figure(figure.by, figure.measure, None, None) for figure in figures]
    return Release(tuple(only_rates(question, figures) if terms.figures is Which.MATCH_RATES else figures))


def _groups(question: Question, agreement: Agreement) -> Iterator[tuple[Label, list[int]]]:
    """Every cell, then every total over some of the dimensions, each with the rows of the vector that it adds up."""
    every = cells(question, agreement)
    dimensions = range(len(question.by))
    for kept in (dimensions, *(kept for n in reversed(dimensions) for kept in combinations(dimensions, n))):
        groups: dict[Cell, list[int]] = {}
        for row, cell in enumerate(every):
            groups.setdefault(tuple(cell[i] for i in kept), []).append(row)
        for values, members in groups.items():
            yield tuple(zip((by_key(question.by[i]) for i in kept), values, strict=True)), members


def _add(values: tuple[int, ...], noise: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(value + draw for value, draw in zip(values, noise, strict=True))


def _down(value: int, step: int) -> int:
    return value // step * step


def _sum_step(measure: ColumnRef, rounding: int, agreement: Agreement) -> int:
    """Sums are rounded to what `rounding` people could add; a rounding of 1 rounds nothing."""
    declared = agreement.measure(measure)
    assert declared is not None, "the gate admits only measures of the agreement"
    return rounding * declared.weight if rounding > 1 else 1


def _figures(
    by: Label,
    people: int | None,
    margin: int,
    sums: list[_Sum],
    agreement: Agreement,
    at_least: bool = False,
) -> Iterator[Figure]:
    """The count, the sums and the means of one cell or total."""
    if people is None:
        yield Figure(by, "people", None, None)
        for each in sums:
            yield Figure(by, f"sum:{each.measure}", None, None)
            yield Figure(by, f"mean:{each.measure}", None, None)
        return
    yield Figure(by, "people", Decimal(people), Decimal(margin), at_least)
    for each in sums:
        declared = agreement.measure(each.measure)
        assert declared is not None, "the gate admits only measures of the agreement"
        unit = Decimal(1).scaleb(-declared.decimals)
        if at_least and declared.lower < 0:  # what is left out may be negative: the rest bounds nothing
            yield Figure(by, f"sum:{each.measure}", None, None)
            yield Figure(by, f"mean:{each.measure}", None, None)
            continue
        total, total_margin = each.units * unit, each.margin * unit
        yield Figure(by, f"sum:{each.measure}", total, total_margin, at_least)
        yield _mean(by, each.measure, total, total_margin, people, margin)


def _mean(by: Label, measure: ColumnRef, total: Decimal, margin: Decimal, people: int, people_margin: int) -> Figure:
    """sum / people, of what is shown. The margin adds the two independent errors in quadrature, to first order."""
    with localcontext(prec=40):
        mean = total / people
        spread = (margin**2 + (mean * people_margin) ** 2).sqrt() / people
        return Figure(by, f"mean:{measure}", mean.quantize(MEAN_PLACES), spread.quantize(MEAN_PLACES))

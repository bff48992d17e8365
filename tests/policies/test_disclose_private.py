"""Private mode: everything that shows is made of the noisy cells, and only where they are large enough."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.budget import Scales
from policies.decision import Figure
from policies.disclose import Measured, private
from policies.margins import margin95, minimum_size_margin
from policies.purpose import Purpose
from policies.question import Question
from policies.terms import Mode
from tests.policies.strategies import LAW, A
from tests.policies.tables import (
    CITY,
    DECIMALS,
    SPEND,
    K,
    agreement,
    by_measure,
    labels,
    members,
    tables,
    zeros,
)

AGREED = agreement(Mode.PRIVATE)
COUNTS, SUMS = 8, 700
SCALES = Scales(COUNTS, {SPEND: SUMS})
UNIT = Decimal(1).scaleb(-DECIMALS)


def noises(measured: Measured) -> st.SearchStrategy[Measured]:
    """Noise of the shape of what was measured; now and then far out."""
    size = len(measured.counts)
    draws = st.lists(st.integers(-200, 200) | st.integers(-(10**9), 10**9), min_size=size, max_size=size).map(tuple)
    return st.builds(Measured, draws, st.fixed_dictionaries(dict.fromkeys(measured.sums, draws)))


@LAW
@given(tables(AGREED), st.data())
def test_every_figure_is_a_sum_of_noisy_cells_or_is_withheld(
    table: tuple[Question, Measured], data: st.DataObject
) -> None:
    question, measured = table
    noise = data.draw(noises(measured))
    figures = by_measure(private(question, AGREED, measured, noise, SCALES))
    for label, figure in figures["people"].items():
        rows = members(figure, question, AGREED)
        people = sum(measured.counts[row] + noise.counts[row] for row in rows)
        if people >= K + minimum_size_margin(COUNTS, len(rows)):
            assert figure == Figure(label, "people", Decimal(people), Decimal(margin95(COUNTS, len(rows))))
        else:
            assert figure == Figure(label, "people", None, None)
        for measure in question.sum:
            total = sum(measured.sums[measure][row] + noise.sums[measure][row] for row in rows)
            _check_sum(figures[f"sum:{measure}"][label], figure, total, margin95(SUMS, len(rows)))
            _check_mean(figures[f"mean:{measure}"][label], figure, figures[f"sum:{measure}"][label])


def _check_sum(figure: Figure, people: Figure, units: int, margin: int) -> None:
    """A sum shows only where its count shows, in the measure's own unit."""
    if people.withheld:
        assert figure == Figure(people.by, figure.measure, None, None)
    else:
        assert figure == Figure(people.by, figure.measure, units * UNIT, margin * UNIT)


def _check_mean(figure: Figure, people: Figure, total: Figure) -> None:
    """A mean is sum / count of the same release; its margin leaves room for both errors, taken as independent."""
    assert figure.withheld == people.withheld
    if people.value is None or total.value is None or people.margin95 is None or total.margin95 is None:
        assert figure == Figure(people.by, figure.measure, None, None)
        return
    assert figure.value is not None
    assert figure.margin95 is not None
    assert abs(figure.value * people.value - total.value) <= people.value * Decimal("0.000001")
    least = max(total.margin95, abs(figure.value) * people.margin95) / people.value
    most = (total.margin95 + abs(figure.value) * people.margin95) / people.value
    assert least - Decimal("0.000002") <= figure.margin95 <= most + Decimal("0.000002")


@LAW
@given(tables(AGREED))
def test_every_cell_and_every_total_stands_once_shown_or_not(table: tuple[Question, Measured]) -> None:
    question, measured = table
    figures = by_measure(private(question, AGREED, measured, zeros(measured), SCALES))
    names = {"people"} | {f"{kind}:{measure}" for measure in question.sum for kind in ("sum", "mean")}
    assert set(figures) == names
    assert all(set(figures[name]) == labels(question, AGREED) for name in names)


@LAW
@given(tables(AGREED), st.data())
def test_nothing_but_the_noisy_cells_tells_in_a_release(table: tuple[Question, Measured], data: st.DataObject) -> None:
    """Other people with other noise and the same sum: the same release. So all the rest is post-processing."""
    question, measured = table
    noise, shift = data.draw(noises(measured)), data.draw(noises(measured))

    def moved(vectors: Measured, sign: int) -> Measured:
        def add(values: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(value + sign * each for value, each in zip(values, more, strict=True))

        return Measured(
            add(vectors.counts, shift.counts),
            {measure: add(values, shift.sums[measure]) for measure, values in vectors.sums.items()},
        )

    assert private(question, AGREED, measured, noise, SCALES) == (
        private(question, AGREED, moved(measured, 1), moved(noise, -1), SCALES)
    )


@pytest.mark.parametrize(("below", "shown"), [(0, True), (1, False)])
def test_a_cell_shows_from_the_minimum_size_plus_the_margin(below: int, shown: bool) -> None:
    question = Question(A, None, (), (SPEND,), Purpose.INSIGHTS)
    noisy = K + minimum_size_margin(COUNTS, 1) - below
    release = private(question, AGREED, Measured((K,), {SPEND: (7,)}), Measured((noisy - K,), {SPEND: (0,)}), SCALES)
    assert [not figure.withheld for figure in release.figures] == [shown] * 3


def test_a_table_by_hand() -> None:
    """Three cities, one of them too small; the total adds up all of them, the withheld one included."""
    question = Question(A, None, (CITY,), (SPEND,), Purpose.INSIGHTS)
    measured = Measured((1_000, 40, 500, 0), {SPEND: (25_000, 100, -5_000, 0)})
    noise = Measured((-3, 2, 1, -1), {SPEND: (11, 0, 0, 4)})
    figures = by_measure(private(question, AGREED, measured, noise, SCALES))
    by = {place: (("ada/main.city", place),) for place in ("Rome", "Oslo", "other", "unknown")}
    assert {place: figures["people"][label].value for place, label in by.items()} == {
        "Rome": Decimal(997),
        "Oslo": None,
        "other": Decimal(501),
        "unknown": None,
    }
    assert figures["people"][()].value == Decimal(997 + 42 + 501 - 1)
    assert figures[f"sum:{SPEND}"][()].value == Decimal("201.15")
    assert figures[f"sum:{SPEND}"][by["other"]].value == Decimal("-50.00")
    assert figures[f"mean:{SPEND}"][by["other"]].value == Decimal("-0.099800")


def test_shapes_must_fit() -> None:
    question = Question(A, None, (CITY,), (), Purpose.INSIGHTS)
    with pytest.raises(ValueError, match="zip"):
        private(question, AGREED, Measured((1, 2, 3, 4), {}), Measured((0,), {}), SCALES)

"""Threshold mode: exact counts of at least k, rounded down; nothing in a release tells about what it withholds."""

from decimal import Decimal
from itertools import combinations
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.cells import cells
from policies.decision import Figure
from policies.disclose import Measured, threshold
from policies.purpose import Purpose
from policies.question import By, ColumnRef, Matched, Question, by_key
from policies.terms import Mode
from tests.policies.strategies import LAW, A, D
from tests.policies.tables import (
    CITY,
    DECIMALS,
    ROUNDING,
    SPEND,
    TIER,
    WEIGHT,
    K,
    agreement,
    by_measure,
    labels,
    members,
    tables,
)
from tests.soak import FACTOR

AGREED = agreement(Mode.THRESHOLD)
UNIT = Decimal(1).scaleb(-DECIMALS)


def down(value: int, step: int) -> int:
    """The largest multiple of `step` that is not above the value."""
    return value - value % step


def bounded(measure: object) -> bool:
    """Whether leaving people out can only make a figure smaller: people, and amounts that are never negative."""
    if measure == "people":
        return True
    declared = AGREED.measure(ColumnRef.parse(str(measure)))
    assert declared is not None
    return declared.lower >= 0


@LAW
@given(tables(AGREED))
def test_every_figure_is_made_of_the_shown_cells_alone(table: tuple[Question, Measured]) -> None:
    question, measured = table
    figures = by_measure(threshold(question, AGREED, measured))
    for label, figure in figures["people"].items():
        rows = members(figure, question, AGREED)
        shown = [row for row in rows if measured.counts[row] >= K]
        at_least = len(shown) < len(rows)
        if shown:
            people = Decimal(sum(down(measured.counts[row], ROUNDING) for row in shown))
            assert figure == Figure(label, "people", people, Decimal(0), at_least)
        else:
            assert figure == Figure(label, "people", None, None)
        for measure in question.sum:
            total = figures[f"sum:{measure}"][label]
            mean = figures[f"mean:{measure}"][label]
            if not shown or (at_least and not bounded(measure)):
                assert (total, mean) == (
                    Figure(label, f"sum:{measure}", None, None),
                    Figure(label, f"mean:{measure}", None, None),
                )
                continue
            units = sum(down(measured.sums[measure][row], ROUNDING * WEIGHT) for row in shown)
            assert total == Figure(label, f"sum:{measure}", units * UNIT, Decimal(0), at_least)
            assert mean.value is not None
            assert abs(mean.value * people - units * UNIT) <= people * Decimal("0.000001")
            assert (mean.margin95, mean.at_least) == (Decimal(0), False)


@LAW
@given(tables(AGREED))
def test_every_total_is_the_sum_of_the_shown_cells_of_the_release(table: tuple[Question, Measured]) -> None:
    """So nothing can be subtracted within a release: what is withheld is in no figure."""
    question, measured = table
    figures = by_measure(threshold(question, AGREED, measured))
    for name in ("people", *(f"sum:{measure}" for measure in question.sum)):
        cells_of = [figure for figure in figures[name].values() if len(figure.by) == len(question.by)]
        for figure in figures[name].values():
            parts = [cell for cell in cells_of if set(figure.by) <= set(cell.by)]
            shown = [cell.value for cell in parts if cell.value is not None]
            partial = len(shown) < len(parts)
            told = bool(shown) and not (partial and not bounded(figure.measure.removeprefix("sum:")))
            assert figure.value == (sum(shown) if told else None)
            assert figure.at_least == (told and partial)


@LAW
@given(tables(AGREED), st.data())
def test_what_is_withheld_leaves_no_trace(table: tuple[Question, Measured], data: st.DataObject) -> None:
    """Other people in the withheld cells: the same release, byte for byte."""
    question, measured = table
    other = tuple(count if count >= K else data.draw(st.integers(0, K - 1)) for count in measured.counts)
    sums = {
        measure: tuple(
            amount if count >= K else data.draw(st.integers(-100 * K, WEIGHT * K))
            for count, amount in zip(measured.counts, amounts, strict=True)
        )
        for measure, amounts in measured.sums.items()
    }
    assert threshold(question, AGREED, Measured(other, sums)) == threshold(question, AGREED, measured)


def test_no_withheld_cell_is_derivable_within_a_release() -> None:
    """Random tables. Each has two others with the same release, byte for byte: every withheld cell has nobody in one of
    them and k - 1 people in the other, whatever its neighbours have. So nothing that the release says narrows it down.

    `make soak` takes 20,000 tables.
    """
    dimensions: tuple[By, ...] = (CITY, TIER, Matched(D))
    random, withheld = Random(11), 0
    shapes = [
        Question(A, None, by, sums, Purpose.INSIGHTS).canonical()
        for length in (1, 2, 3)
        for by in combinations(dimensions, length)
        for sums in ((), (SPEND,))
    ]
    for _ in range(1_000 * FACTOR):
        question = random.choice(shapes)
        agreed = AGREEMENTS[random.choice(list(AGREEMENTS))]
        least = max(agreed.terms.minimum_size, agreed.terms.rounding)
        counts = [
            random.choice((random.randrange(3 * least), random.randrange(least))) for _ in cells(question, agreed)
        ]
        measured = _measured(random, question, counts, {})
        release = threshold(question, agreed, measured)
        small = {row for row, count in enumerate(counts) if count < least}
        withheld += len(small)
        full = {row for row in small if random.random() < 0.5}
        kept = {row: measured for row in range(len(counts)) if row not in small}
        for crowded in (full, small - full):
            changed = [count if row in kept else (row in crowded) * (least - 1) for row, count in enumerate(counts)]
            assert threshold(question, agreed, _measured(random, question, changed, kept)) == release
    assert withheld > 1_000 * FACTOR


def _measured(random: Random, question: Question, counts: list[int], kept: dict[int, Measured]) -> Measured:
    """These people, with any sums that so many can have; in some rows the sums of another table."""
    sums = {
        measure: tuple(
            kept[row].sums[measure][row] if row in kept else random.randint(-100 * count, WEIGHT * count)
            for row, count in enumerate(counts)
        )
        for measure in question.sum
    }
    return Measured(tuple(counts), sums)


AGREEMENTS = {(k, rounding): agreement(Mode.THRESHOLD, rounding, k) for k in (1, 10, 50) for rounding in (1, 10)}


@LAW
@given(tables(AGREED))
def test_every_cell_and_every_total_stands_once_shown_or_not(table: tuple[Question, Measured]) -> None:
    question, measured = table
    assert set(by_measure(threshold(question, AGREED, measured))["people"]) == labels(question, AGREED)


@pytest.mark.parametrize(
    ("rounding", "minimum_size", "people", "shown"),
    [
        (10, 50, 49, None),
        (10, 50, 50, 50),
        (10, 50, 59, 50),
        (10, 50, 60, 60),
        (1, 50, 57, 57),
        (100, 50, 99, None),  # rounding down may not turn a shown cell into 0
        (100, 50, 100, 100),
        (10, 1, 9, None),
        (1, 1, 1, 1),
        (1, 1, 0, None),
        (30, 50, 50, 30),
    ],
)
def test_counts_of_at_least_k_are_rounded_down(
    rounding: int, minimum_size: int, people: int, shown: int | None
) -> None:
    agreed = agreement(Mode.THRESHOLD, rounding, minimum_size)
    (figure,) = threshold(Question(A, None, (), (), Purpose.INSIGHTS), agreed, Measured((people,), {})).figures
    assert figure.value == shown
    assert figure.withheld is (shown is None)


def test_sums_are_rounded_to_what_so_many_people_could_add() -> None:
    """Ten people of at most 5.00 each: whole 50.00, downwards also below zero. A rounding of 1 rounds nothing."""
    question = Question(A, None, (), (SPEND,), Purpose.INSIGHTS)
    for rounding, units, shown in ((10, 12_345, "100.00"), (10, -1, "-50.00"), (1, 12_345, "123.45")):
        agreed = agreement(Mode.THRESHOLD, rounding)
        _, total, mean = threshold(question, agreed, Measured((100,), {SPEND: (units,)})).figures
        assert total.value == Decimal(shown)
        assert mean.value == Decimal(shown) / 100


def test_a_table_by_hand() -> None:
    question = Question(A, None, (CITY,), (), Purpose.INSIGHTS)
    rome, oslo, other, unknown, total = threshold(question, AGREED, Measured((1_009, 49, 50, 0), {})).figures
    assert [figure.value for figure in (rome, oslo, other, unknown, total)] == [1_000, None, 50, None, 1_050]
    assert [figure.at_least for figure in (rome, oslo, other, unknown, total)] == [False] * 4 + [True]
    assert oslo == Figure(((by_key(CITY), "Oslo"),), "people", None, None)
    assert unknown == Figure(((by_key(CITY), "unknown"),), "people", None, None)

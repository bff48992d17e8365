"""Sums are exact for every amount that the bounds allow, in any number; blocks and spans add up."""

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.engine import bits, tally
from cleanroom.engine.population import Population
from policies.agreement import MAX_BOUND
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Question

A = AudienceRef("ada", "main")
SPEND = ColumnRef(A, "spend")
QUESTION = Question(A, None, (), (SPEND,), Purpose.INSIGHTS)


def _sum(amounts: np.ndarray) -> int:
    rows = len(amounts)
    everybody = bits.pack(np.ones(rows, np.bool_))
    measured = tally.tally(QUESTION, Population(rows, everybody, {A: everybody}, {}, {SPEND: amounts}), ((),))
    assert measured.counts == (rows,)
    [total] = measured.sums[SPEND]
    return total


@given(st.lists(st.integers(-MAX_BOUND, MAX_BOUND) | st.sampled_from([-MAX_BOUND, -1, 0, 1, 2**20, MAX_BOUND])))
def test_sums_are_exact(amounts: list[int]) -> None:
    assert _sum(np.array(amounts, np.int64)) == sum(amounts)


@pytest.mark.parametrize("rows", [tally.BLOCK - 1, tally.BLOCK, tally.BLOCK + 1, tally.BLOCK * 2 + 63])
def test_blocks_add_up(rows: int) -> None:
    amounts = np.arange(rows, dtype=np.int64)
    assert _sum(amounts) == rows * (rows - 1) // 2


def test_sums_do_not_overflow_or_round() -> None:
    # 2^20 people of the largest amount; then spans of one block, whose totals are carried over again and again.
    rows = 1 << 20
    for amount in (MAX_BOUND, -MAX_BOUND, MAX_BOUND - 1):
        assert _sum(np.full(rows, amount, np.int64)) == rows * amount
    with patch.object(tally, "SPAN", tally.BLOCK):
        assert _sum(np.full(rows, MAX_BOUND, np.int64)) == rows * MAX_BOUND


def test_a_span_of_the_largest_amounts_fits() -> None:
    assert tally.SPAN * MAX_BOUND < 2**63

"""Sums are exact for every amount that the bounds allow, in any number."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.engine.population import Population
from cleanroom.engine.tally import Table
from policies.agreement import MAX_BOUND
from policies.question import AudienceRef

A = AudienceRef("ada", "main")


def _table(people: int) -> Table:
    return Table(Population({}, {A: np.arange(people)}, people), (), {}, ((),))


@given(st.lists(st.integers(-MAX_BOUND, MAX_BOUND) | st.sampled_from([-MAX_BOUND, -1, 0, 1, 2**20, MAX_BOUND])))
def test_sums_are_exact(amounts: list[int]) -> None:
    assert _table(len(amounts)).sums(np.array(amounts, np.int64)) == (sum(amounts),)


def test_sums_do_not_overflow_or_round() -> None:
    # 2^20 people stand for 2^33 of them: each amount's halves are as large as they can be.
    people = 1 << 20
    for amount in (MAX_BOUND, -MAX_BOUND, MAX_BOUND - 1):
        assert _table(people).sums(np.full(people, amount, np.int64)) == (people * amount,)
    many = 10_000_000  # 10^19 units, more than 2^63
    assert _table(many).sums(np.full(many, MAX_BOUND, np.int64)) == (many * MAX_BOUND,)

"""Adds people up: exact integer counts and sums per cell.

Rules: exact whatever the data. numpy's `bincount` adds weights as doubles, which are exact only while every partial sum
stays below 2^53, and an int64 would overflow at 10^7 people of 10^12 units. So an amount is split into a high and a low
half of 20 bits. |amount| <= 10^12 < 2^40, so both halves lie in -2^20 … 2^20, and a sum of fewer than 2^33 of them is
below 2^53: every addition is exact, in any order. The halves are joined again as Python integers, which never overflow.
"""

import numpy as np
import numpy.typing as npt

from cleanroom.engine.population import Population, Rows
from policies.agreement import MAX_BOUND, Attribute
from policies.cells import Cell, Value
from policies.question import By, ColumnRef, Matched

_HALF = 20
assert MAX_BOUND < 1 << 2 * _HALF, "a bound fits in two halves"


class Table:
    """Some people, each in one of the given cells."""

    def __init__(
        self, people: Population, by: tuple[By, ...], attributes: dict[ColumnRef, Attribute], cells: tuple[Cell, ...]
    ) -> None:
        dimensions = [_dimension(item, people, attributes) for item in by]
        self._place = np.zeros(people.size, np.intp)
        places = np.zeros(len(cells), np.intp)
        self._places = 1
        for index, (values, codes) in enumerate(dimensions):
            position = {value: place for place, value in enumerate(values)}
            self._place = self._place * len(values) + codes
            places = places * len(values) + np.array([position[cell[index]] for cell in cells], np.intp)
            self._places *= len(values)
        self._cells = places
        self._people = people.size

    def counts(self) -> tuple[int, ...]:
        """The people in each cell."""
        counts = np.bincount(self._place, minlength=self._places)[self._cells]
        assert counts.sum() == self._people, "everybody is in one cell of the question"
        return tuple(counts.tolist())

    def sums(self, amounts: npt.NDArray[np.int64]) -> tuple[int, ...]:
        """The exact sum of `amounts`, one per person and at most 10^12 either way, in each cell."""
        high = self._exact(amounts >> _HALF)
        low = self._exact(amounts & ((1 << _HALF) - 1))
        return tuple((upper << _HALF) + lower for upper, lower in zip(high, low, strict=True))

    def _exact(self, halves: npt.NDArray[np.int64]) -> list[int]:
        sums = np.bincount(self._place, weights=halves, minlength=self._places)[self._cells]
        return [int(each) for each in sums]


def _dimension(item: By, people: Population, attributes: dict[ColumnRef, Attribute]) -> tuple[tuple[Value, ...], Rows]:
    """The values that a person can have in one dimension, and each person's, as an index into them."""
    if isinstance(item, Matched):
        return (True, False), (~people.matched(item.audience)).astype(np.intp)
    attribute = attributes[item]
    return (*attribute.domain, None), people.codes(item, attribute)

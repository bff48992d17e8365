"""Within one audience a token stands in one row only. Pure.

Rules:
* For each match key, the first row in the file's order keeps a token; it is taken from every later row.
* A row that is left with no token is dropped.
* Tokens are compared whole. Equal ones stand in one partition, so that partitions can be looked through one by one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Left:
    """Which tokens each line's row is left with: a bit for each match key. A byte for each line in most audiences."""

    def __init__(self, kind: np.dtype[Any], keys: int) -> None:
        self._left = np.zeros(1024, kind)
        self._tokens = np.array((1 << keys) - 1, kind)
        self._row = np.array(1 << keys, kind)  # a row was here, whatever it is left with

    def add(self, lines: NDArray[np.int64], has: NDArray[Any]) -> None:
        """Rows that follow those added before, with the bits of their tokens."""
        if not len(lines):
            return
        while lines[-1] >= len(self._left):
            self._left = np.concatenate([self._left, np.zeros_like(self._left)])
        self._left[lines] = has | self._row

    def take(self, lines: NDArray[np.int64], bit: int) -> None:
        """Take a match key's token from rows."""
        self._left[lines] &= ~np.array(1 << bit, self._left.dtype)

    def of(self, lines: NDArray[np.int64]) -> NDArray[Any]:
        """What the rows of these lines are left with."""
        left: NDArray[Any] = self._left[lines] & self._tokens
        return left

    def kept(self) -> int:
        """How many rows are left with a token."""
        return int(np.count_nonzero(self._left & self._tokens))

    def emptied(self) -> NDArray[np.int64]:
        """The lines of the rows that are left with none, in order."""
        return np.flatnonzero(self._left == self._row)


def repeats(high: NDArray[np.uint64], low: NDArray[np.uint64], lines: NDArray[np.int64]) -> NDArray[np.int64]:
    """The lines of tokens, given by halves, that an earlier line has already."""
    order = np.argsort(high)
    ordered = high[order]
    equal = ordered[1:] == ordered[:-1]
    if not equal.any():
        return np.empty(0, np.int64)
    several = np.zeros(len(order), np.bool_)
    several[1:] |= equal
    several[:-1] |= equal
    some = order[several]  # few, unless the file has many duplicates
    some = some[np.lexsort((lines[some], low[some], high[some]))]
    again = (high[some][1:] == high[some][:-1]) & (low[some][1:] == low[some][:-1])
    found: NDArray[np.int64] = lines[some][1:][again]
    return found

"""Links two audiences under one match key: for each row of one, the row of the other that has the same token.

Rules: whole tokens are compared, all 16 bytes. Sorting and searching goes by the first 8 bytes, because they fit a
machine word; where several tokens share those bytes, every one of them is tried. A token stands in one row only of an
audience (intake refuses others), so links are one to one. Arrays throughout, no loop over rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cleanroom.engine.columns import Array

Links = npt.NDArray[np.int32]
UNMATCHED = -1


@dataclass(frozen=True, slots=True)
class Sorted:
    """The tokens of one audience under one key, sorted by their first word: both words, and the row of each."""

    words: npt.NDArray[np.uint64]
    rows: npt.NDArray[np.int32]
    total: int


def sort(tokens: Array, present: Array) -> Sorted:
    """Sorts the tokens of the rows that have one. `tokens` is rows x 16 bytes, `present` says which have one."""
    rows = np.flatnonzero(present).astype(np.int32)
    words = np.ascontiguousarray(tokens[rows]).view(np.uint64)
    order = np.argsort(words[:, 0])
    return Sorted(words[order], rows[order], len(present))


def link(one: Sorted, other: Sorted) -> tuple[Links, Links]:
    """Per row of `one` the row of `other` with the same token, -1 for none; and the same the other way round."""
    forward = np.full(one.total, UNMATCHED, np.int32)
    backward = np.full(other.total, UNMATCHED, np.int32)
    haystack = np.ascontiguousarray(other.words[:, 0])
    first = np.searchsorted(haystack, one.words[:, 0])
    for step in range(_longest_run(haystack)):
        place = np.minimum(first + step, len(haystack) - 1)
        same = np.flatnonzero((one.words == other.words[place]).all(axis=1))
        mine, theirs = one.rows[same], other.rows[place[same]]
        forward[mine] = theirs
        backward[theirs] = mine
    return forward, backward


def repeats(tokens: Array, present: Array) -> bool:
    """Whether a token stands in two rows. Needs 16 bytes of memory a row, and more only where first words are equal."""
    words = np.ascontiguousarray(tokens).view(np.uint64)
    ascending = np.sort(words[:, 0][present])
    shared = ascending[1:][ascending[1:] == ascending[:-1]]
    if not len(shared):
        return False
    suspects = words[np.isin(words[:, 0], shared) & present]
    suspects = suspects[np.lexsort((suspects[:, 1], suspects[:, 0]))]
    return bool((suspects[1:] == suspects[:-1]).all(axis=1).any())


def _longest_run(ascending: npt.NDArray[np.uint64]) -> int:
    """The most times that one value occurs; 0 for an empty array. Nearly always 1."""
    if not len(ascending):
        return 0
    starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
    return int(np.diff(starts, append=len(ascending)).max())

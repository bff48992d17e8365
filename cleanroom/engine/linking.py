"""Links two audiences under one match key: for each row of one, the row of the other that has the same token.

Rules: whole tokens are compared, all 16 bytes. Sorting and searching goes by four of them, so that they and the row's
number share a machine word and sort in one go; where several tokens share those four, every one of them is tried.
Tokens are re-keyed, so nobody can choose them to be alike. A token stands in one row only of an audience (intake sees
to it), so links are one to one. Arrays throughout, no loop over rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cleanroom.engine.columns import Array

Links = npt.NDArray[np.int32]
UNMATCHED = -1

_PREFIX = np.uint64(0xFFFF_FFFF_0000_0000)
_SIEVE_BITS = 22
_SIEVE_SHIFT = np.uint64(64 - _SIEVE_BITS)
_SIEVE_BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class Sorted:
    """The tokens of one audience under one key.

    `words`: both words of every row. `prefixes`, `rows`: of the rows that have a token, ascending by prefix.
    """

    words: npt.NDArray[np.uint64]
    prefixes: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint32]


def sort(tokens: Array, present: Array) -> Sorted:
    """Sorts the tokens of the rows that have one. `tokens` is rows x 16 bytes, `present` says which have one."""
    words = _words(tokens)
    rows = np.flatnonzero(present).astype(np.uint64)
    packed = words[rows, 0] & _PREFIX | rows
    packed.sort()
    return Sorted(words, (packed >> np.uint64(32)).astype(np.uint32), packed.astype(np.uint32))


def link(one: Sorted, other: Sorted) -> tuple[Links, Links]:
    """Per row of `one` the row of `other` with the same token, -1 for none; and the same the other way round."""
    forward = np.full(len(one.words), UNMATCHED, np.int32)
    backward = np.full(len(other.words), UNMATCHED, np.int32)
    seeking = np.arange(len(one.rows))
    place = np.searchsorted(other.prefixes, one.prefixes)
    while len(seeking):  # as often as the most tokens of `other` that share a prefix, and the first time for nearly all
        likely = place < len(other.rows)
        likely[likely] = other.prefixes[place[likely]] == one.prefixes[seeking[likely]]
        seeking, place = seeking[likely], place[likely]
        mine, theirs = one.rows[seeking].astype(np.intp), other.rows[place].astype(np.intp)
        # `take` by places that need no check is several times faster than an index; every one is a row.
        same = _equal(one.words.take(mine, 0, mode="clip"), other.words.take(theirs, 0, mode="clip"))
        forward[mine[same]] = theirs[same]
        backward[theirs[same]] = mine[same]
        seeking, place = seeking[~same], place[~same] + 1
    return forward, backward


def find(tokens: Array, present: Array, wanted: Array) -> Links:
    """For each of some different tokens (`wanted`, n x 16 bytes) the row of an audience that has it, -1 for none.

    One pass over the audience; only the few rows that share their first bits with a wanted token are sorted.
    """
    words, first = _words(tokens), _words(wanted)[:, 0]
    likely = np.zeros(1 << _SIEVE_BITS, np.bool_)
    likely[first >> _SIEVE_SHIFT] = True
    candidates = np.zeros(len(words), np.bool_)
    for start in range(0, len(words), _SIEVE_BLOCK):
        block = slice(start, start + _SIEVE_BLOCK)
        candidates[block] = likely.take(words[block, 0] >> _SIEVE_SHIFT, mode="clip") & present[block]
    rows, _ = link(sort(wanted, np.ones(len(wanted), np.bool_)), sort(tokens, candidates))
    return rows


def repeats(tokens: Array, present: Array) -> bool:
    """Whether a token stands in two rows. Needs 16 bytes of memory a row, and more only where first words are equal."""
    words = _words(tokens)
    ascending = np.sort(words[:, 0][present])
    shared = ascending[1:][ascending[1:] == ascending[:-1]]
    if not len(shared):
        return False
    suspects = words[np.isin(words[:, 0], shared) & present]
    suspects = suspects[np.lexsort((suspects[:, 1], suspects[:, 0]))]
    return bool(_equal(suspects[1:], suspects[:-1]).any())


def _words(tokens: Array) -> npt.NDArray[np.uint64]:
    """Tokens as two machine words each; a view, also of a mapped file."""
    return np.ascontiguousarray(tokens).view(np.uint64)


def _equal(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    equal: npt.NDArray[np.bool_] = (one[:, 0] == other[:, 0]) & (one[:, 1] == other[:, 1])
    return equal

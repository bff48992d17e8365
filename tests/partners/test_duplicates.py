from random import Random

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from partners.duplicates import Left, repeats

TOKENS = st.none() | st.sampled_from([(0, 0), (2**64 - 1, 2**64 - 1), (0, 7), (7, 0), (7, 7)])


def naive(rows: list[tuple[tuple[int, int] | None, ...]]) -> list[tuple[tuple[int, int] | None, ...]]:
    """The rule, row by row."""
    seen: list[set[tuple[int, int]]] = [set() for _ in rows[0]]
    kept = []
    for row in rows:
        left = tuple(None if token is None or token in known else token for token, known in zip(row, seen, strict=True))
        for token, known in zip(row, seen, strict=True):
            if token is not None:
                known.add(token)
        kept.append(left)
    return kept


@given(
    st.integers(1, 9).flatmap(lambda keys: st.lists(st.tuples(*[TOKENS] * keys), min_size=1, max_size=40)),
    st.randoms(use_true_random=False),
)
def test_the_first_row_keeps_a_token(rows: list[tuple[tuple[int, int] | None, ...]], random: Random) -> None:
    keys = len(rows[0])
    lines = np.array([2 * row + 2 for row in range(len(rows))], np.int64)
    kind = np.dtype(np.uint16)
    left = Left(kind, keys)
    rows_with = [row for row in range(len(rows)) if any(rows[row])]  # the others never come so far
    has = np.array([sum(1 << bit for bit, token in enumerate(rows[row]) if token) for row in rows_with], kind)
    left.add(lines[rows_with], has)
    dropped = []
    for bit in range(keys):
        held = [row for row in range(len(rows)) if rows[row][bit] is not None]
        random.shuffle(held)  # the order within a partition plays no part
        halves = np.array([rows[row][bit] for row in held], np.uint64).reshape(-1, 2)
        again = repeats(halves[:, 0], halves[:, 1], lines[held])
        left.take(again, bit)
        dropped.append(len(again))
    expected = naive(rows)
    bits = [sum(1 << bit for bit, token in enumerate(row) if token is not None) for row in expected]
    assert left.of(lines).tolist() == bits
    assert left.kept() == sum(map(bool, bits))
    assert left.emptied().tolist() == [lines[row] for row in rows_with if not bits[row]]
    before = [sum(token is not None for token in column) for column in zip(*rows, strict=True)]
    after = [sum(token is not None for token in column) for column in zip(*expected, strict=True)]
    assert dropped == [old - new for old, new in zip(before, after, strict=True)]

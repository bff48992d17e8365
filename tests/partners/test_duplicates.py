import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from partners.duplicates import distinct

TOKENS = st.none() | st.sampled_from([bytes(16), b"\xff" * 16, b"\0" * 8 + b"a" * 8, b"a" * 8 + b"\0" * 8, b"b" * 16])


def naive(rows: list[tuple[bytes | None, ...]]) -> list[tuple[bytes | None, ...]]:
    """The rule, row by row."""
    seen: list[set[bytes]] = [set() for _ in rows[0]]
    kept = []
    for row in rows:
        left = tuple(None if token is None or token in known else token for token, known in zip(row, seen, strict=True))
        for token, known in zip(row, seen, strict=True):
            if token is not None:
                known.add(token)
        kept.append(left)
    return kept


@given(st.integers(1, 3).flatmap(lambda keys: st.lists(st.tuples(*[TOKENS] * keys), min_size=1, max_size=40)))
def test_the_first_row_keeps_a_token(rows: list[tuple[bytes | None, ...]]) -> None:
    columns = [pa.array(column, pa.binary(16)) for column in zip(*rows, strict=True)]
    found = distinct(columns)
    expected = naive(rows)
    assert list(zip(*(column.to_pylist() for column in found.columns), strict=True)) == expected
    assert found.kept.tolist() == [any(row) for row in expected]
    before = [sum(token is not None for token in column) for column in zip(*rows, strict=True)]
    after = [sum(token is not None for token in column) for column in zip(*expected, strict=True)]
    assert list(found.tokens_dropped) == [old - new for old, new in zip(before, after, strict=True)]


def test_slices_begin_where_they_say() -> None:
    column = pa.array([b"a" * 16, b"b" * 16, b"b" * 16, None], pa.binary(16)).slice(1)
    assert distinct([column]).columns[0].to_pylist() == [b"b" * 16, None, None]

"""What a withdrawal reaches, against a naive reading of the rule; and that the order of events does not matter."""

from collections.abc import Mapping
from typing import cast

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.absence import ERASE, ERASED, Gone
from cleanroom.catalog.withdrawals import EVERY_AUDIENCE, Entry, Root
from cleanroom.engine.interface import Engine, Rows, Tokens
from cleanroom.reach import Reached, reach

KEYS = ("email", "phone")
Row = Mapping[str, bytes]
Version = tuple[Row, ...]
AUDIENCES = {"v1": "one", "v2": "two", "v3": "two"}


class Stub:
    """What `reach` needs of an engine, over rows as dictionaries."""

    def __init__(self, versions: Mapping[str, Version]) -> None:
        self.versions = versions

    def find(self, version: str, key: str, tokens: Tokens) -> "np.ndarray[tuple[int], np.dtype[np.int32]]":
        places = {row[key]: number for number, row in enumerate(self.versions[version]) if key in row}
        return np.array([places.get(token.tobytes(), -1) for token in tokens], np.int32)

    def tokens(
        self, version: str, rows: Rows
    ) -> dict[str, tuple[Tokens, "np.ndarray[tuple[int], np.dtype[np.bool_]]"]]:
        named = [self.versions[version][row] for row in rows.tolist()]
        return {
            key: (
                np.frombuffer(b"".join(row.get(key, bytes(16)) for row in named), np.uint8).reshape(-1, 16),
                np.array([key in row for row in named], np.bool_),
            )
            for key in KEYS
        }


def token(number: int) -> bytes:
    return bytes([number]) * 16


@st.composite
def versions(draw: st.DrawFn) -> Version:
    """Each token stands in one row only."""
    hands = [draw(st.permutations(range(6))) for _ in KEYS]
    size = draw(st.integers(0, 5))
    rows = [
        {key: token(hand[place]) for key, hand in zip(KEYS, hands, strict=True) if draw(st.booleans())}
        for place in range(size)
    ]
    return tuple(row for row in rows if row)


worlds = st.fixed_dictionaries(dict.fromkeys(AUDIENCES, versions()))
roots = st.builds(Root, st.sampled_from(KEYS), st.integers(0, 6).map(token), st.sampled_from([EVERY_AUDIENCE, "two"]))
named = st.lists(st.tuples(roots, st.sampled_from([1, 2, 15, ERASED])), min_size=1, max_size=4)


def entries(listed: list[tuple[Root, int]]) -> list[Entry]:
    return [Entry(root.key, root.image, root, mask) for root, mask in listed]


def naive(world: Mapping[str, Version], listed: list[tuple[Root, int]]) -> dict[str, dict[int, int]]:
    gone: dict[str, dict[int, int]] = {}
    for root, mask in listed:
        about = [each for each in world if root.audience in (EVERY_AUDIENCE, AUDIENCES[each])]
        named = {(root.key, root.image)}
        known = named.union(*(row.items() for each in about for row in world[each] if named & set(row.items())))
        for version in about:
            for number, row in enumerate(world[version]):
                if known & set(row.items()):
                    gone.setdefault(version, {})
                    gone[version][number] = gone[version].get(number, 0) | mask
    return gone


def as_dicts(reached: Reached) -> dict[str, dict[int, int]]:
    return {
        version: dict(zip(gone.rows.tolist(), gone.masks.tolist(), strict=True))
        for version, gone in reached.gone.items()
    }


def reached(world: Mapping[str, Version], listed: list[Entry]) -> Reached:
    return reach(cast(Engine, Stub(world)), {version: AUDIENCES[version] for version in world}, listed)


@given(worlds, named)
def test_it_reaches_what_the_rule_says(world: dict[str, Version], listed: list[tuple[Root, int]]) -> None:
    assert as_dicts(reached(world, entries(listed))) == naive(world, listed)


@given(worlds, named)
def test_what_was_reached_reaches_nothing_more(world: dict[str, Version], listed: list[tuple[Root, int]]) -> None:
    first = reached(world, entries(listed))
    second = reached(world, [*entries(listed), *first.added])
    assert second.added == ()
    assert as_dicts(second) == as_dicts(first)


@given(worlds, named)
def test_a_version_that_comes_later_is_treated_alike(world: dict[str, Version], listed: list[tuple[Root, int]]) -> None:
    """Withdrawn before the last version was there, or after: the same rows are absent."""
    early = reached({version: rows for version, rows in world.items() if version != "v3"}, entries(listed))
    late = reached(world, [*entries(listed), *early.added])
    assert as_dicts(late) == as_dicts(reached(world, entries(listed)))


@given(
    st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 31)),
    st.dictionaries(st.integers(0, 2**32 - 1), st.integers(1, 31)),
)
def test_absent_rows_are_written_joined_and_left(one: dict[int, int], other: dict[int, int]) -> None:
    first, second = Gone.of(one), Gone.of(other)
    assert as_dicts(Reached((), {"v": Gone.read(first.write())})) == {"v": one}
    both = {row: one.get(row, 0) | other.get(row, 0) for row in one.keys() | other.keys()}
    assert as_dicts(Reached((), {"v": first.and_also(second)})) == {"v": both}
    assert (first.and_also(second).digest == first.digest) == (both == one)
    marked = {row: mask for row, mask in one.items() if mask & ERASE}
    assert as_dicts(Reached((), {"v": first.to_erase()})) == {"v": marked}
    left = {row: mask for row, mask in one.items() if row not in other}
    assert as_dicts(Reached((), {"v": first.without(second.rows)})) == {"v": left}

"""Tiles: which there are, their paths, and the bytes of bundles. Figures from C2SP tlog-tiles."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.transparency.merkle import leaf_hash, nodes_of, root
from partners.transparency.tiles import Tile, decode_bundle, encode_bundle, reader, tiles

TREE = nodes_of([leaf_hash(b"%d" % number) for number in range(70_000)])


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 999, 256), "tile/0/999"),
        (Tile(1, 1000, 256), "tile/1/x001/000"),
        (Tile(3, 1234067, 256), "tile/3/x001/x234/067"),
        (Tile(2, 0, 1), "tile/2/000.p/1"),
        (Tile(0, 1234067, 255), "tile/0/x001/x234/067.p/255"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile(0, tile.index, tile.width).entries_path == path.replace(f"tile/{tile.level}/", "tile/entries/")


def test_the_tiles_of_70000_leaves() -> None:
    found = list(tiles(70_000))
    full = [tile for tile in found if tile.width == 256]
    assert [sum(tile.level == level for tile in full) for level in range(3)] == [273, 1, 0]
    assert [tile for tile in found if tile.width < 256] == [Tile(0, 273, 112), Tile(1, 1, 17), Tile(2, 0, 1)]


def test_a_full_tile_brings_a_hash_above() -> None:
    assert list(tiles(256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]
    assert list(tiles(255)) == [Tile(0, 0, 255)]
    assert list(tiles(0)) == []


@given(st.integers(0, 70_000), st.integers(0, 70_000))
@settings(deadline=None)
def test_new_tiles_are_those_that_the_smaller_log_has_not(a: int, b: int) -> None:
    old, new = sorted((a, b))
    assert set(tiles(new, old)) == set(tiles(new)) - set(tiles(old))


@given(st.lists(st.binary(max_size=70), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_the_bytes_of_a_bundle() -> None:
    assert encode_bundle([b"one", b"", b"x" * 300]) == b"\x00\x03one\x00\x00\x01\x2c" + b"x" * 300
    assert decode_bundle(encode_bundle([b"x" * 65_535])) == [b"x" * 65_535]
    with pytest.raises(OverflowError):
        encode_bundle([b"x" * 65_536])


@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=5), st.data())
def test_a_cut_bundle_is_refused_or_shorter(entries: list[bytes], data: st.DataObject) -> None:
    whole = encode_bundle(entries)
    cut = data.draw(st.integers(0, len(whole) - 1))
    ends = [len(encode_bundle(entries[:count])) for count in range(len(entries))]
    if cut in ends:
        assert decode_bundle(whole[:cut]) == entries[: ends.index(cut)]
    else:
        with pytest.raises(ValueError, match="cut off"):
            decode_bundle(whole[:cut])


@given(st.integers(1, 70_000), st.data())
@settings(deadline=None, max_examples=30)
def test_a_tree_read_from_its_tiles_is_the_tree(size: int, data: st.DataObject) -> None:
    """Every hash of a complete subtree, from tiles of three levels; each tile is fetched once."""
    whole, fetched = TREE, Counter[Tile]()

    def fetch(tile: Tile) -> bytes:
        assert tile in set(tiles(size))
        fetched[tile] += 1
        return b"".join(whole(8 * tile.level, tile.first + place) for place in range(tile.width))

    node = reader(size, fetch)
    older = data.draw(st.integers(1, size))
    assert root(older, node) == root(older, whole)
    assert root(size, node) == root(size, whole)
    assert set(fetched.values()) <= {1}


def test_a_tile_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another length"):
        reader(5, lambda _: bytes(31))(0, 0)

"""The log as files (C2SP `tlog-tiles`): which tiles a size has, their paths, and the bytes of entry bundles.

A tile of level L holds up to 256 hashes of complete subtrees of 256^L leaves. Level 0 tiles hold leaf hashes, and
beside each lies a bundle of the entries themselves. Only right-most tiles are partial. Pure.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from partners.transparency.entry import MAX_ENTRY_BYTES
from partners.transparency.merkle import HASH_SIZE, Node, nodes_of

LEVELS = 8
WIDTH = 1 << LEVELS
MAX_BUNDLE_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES)


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile's level, its index within the level, and its width: 256, or fewer for a partial tile."""

    level: int
    index: int
    width: int

    @property
    def path(self) -> str:
        """Path of the hashes, relative to the log's folder."""
        return f"tile/{self.level}/{_number(self.index)}{self._suffix}"

    @property
    def entries_path(self) -> str:
        """Path of the entry bundle beside a tile of level 0."""
        return f"tile/entries/{_number(self.index)}{self._suffix}"

    @property
    def first(self) -> int:
        """The number of its first hash within the level."""
        return self.index * WIDTH

    @property
    def _suffix(self) -> str:
        return "" if self.width == WIDTH else f".p/{self.width}"


def tiles(size: int, published: int = 0) -> Iterator[Tile]:
    """The tiles of a log of `size` leaves that a log of `published` leaves does not have yet, level by level."""
    level = 0
    while size:
        if size != published:
            for index in range(published // WIDTH, size // WIDTH):
                yield Tile(level, index, WIDTH)
            if size % WIDTH:
                yield Tile(level, size // WIDTH, size % WIDTH)
        size, published, level = size // WIDTH, published // WIDTH, level + 1


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """Entries, each after its length as a big-endian uint16."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle; ValueError when the last one is cut off."""
    found, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            raise ValueError("the bundle is cut off")
        found.append(data[at + 2 : end])
        at = end
    return found


def reader(size: int, fetch: Callable[[Tile], bytes]) -> Node:
    """The tree of a log of `size` leaves, read from its tiles; each is fetched once, when it is first needed.

    ValueError for a tile that has not as many hashes as it must. Nothing is verified: compare roots.
    """
    kept: dict[Tile, bytes] = {}

    def node(level: int, index: int) -> bytes:
        height, inner = divmod(level, LEVELS)
        first = index << inner
        place = first // WIDTH
        tile = Tile(height, place, min(WIDTH, (size >> LEVELS * height) - place * WIDTH))
        if tile not in kept:
            fetched = fetch(tile)
            if len(fetched) != tile.width * HASH_SIZE:
                raise ValueError("a tile of the log has another length than it must")
            kept[tile] = fetched
        start = (first - tile.first) * HASH_SIZE
        data = kept[tile][start : start + (HASH_SIZE << inner)]
        return nodes_of([data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE)])(inner, 0)

    return node


def _number(index: int) -> str:
    """Groups of three digits, all but the last with an `x`: 1234067 is x001/x234/067."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03}")
    return "/".join(reversed(groups))

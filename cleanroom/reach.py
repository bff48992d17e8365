"""What a withdrawal reaches: the owner's rows that have a withdrawn token, and every other token of these rows.

Rules: a row is absent where one of its tokens is withdrawn, and then its other tokens are withdrawn, too, because of
the same root: a person who is known under two identifiers is gone under both, in every audience of the owner that the
root is about. It ends there: rows that are reached by such other tokens are absent, but their own tokens are not
withdrawn in turn. Else one card that a household shares would lead on without end, and a single row could make many
others come and go.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cleanroom.absence import Gone
from cleanroom.catalog.withdrawals import EVERY_AUDIENCE, Entry, Root
from cleanroom.engine.interface import Engine, Rows


@dataclass(frozen=True, slots=True)
class Reached:
    """`added`: the entries that follow from those given. `gone`: per version, the rows that are absent."""

    added: tuple[Entry, ...]
    gone: Mapping[str, Gone]


def reach(engine: Engine, audiences: Mapping[str, str], entries: Sequence[Entry]) -> Reached:
    """What `entries` reach in some versions of their owner. `audiences`: each version's audience.

    Raises `NotPublished`, `columns.Damaged`.
    """
    known: dict[tuple[str, bytes, Root], int] = defaultdict(int)
    for each in entries:
        known[each.key, each.image, each.root] |= each.mask
    gone: dict[str, dict[int, int]] = {version: defaultdict(int) for version in audiences}
    added: dict[tuple[str, bytes, Root], Entry] = {}
    frontier = list(entries)
    while frontier:
        reached: list[Entry] = []
        for version, audience in audiences.items():
            about = [each for each in frontier if each.root.audience in (EVERY_AUDIENCE, audience)]
            for row, others in _rows(engine, version, about).items():
                for key, image, root, mask, spreads in others:
                    gone[version][row] |= mask
                    new = mask & ~known[key, image, root]
                    if new and spreads:
                        known[key, image, root] |= new
                        reached.append(Entry(key, image, root, mask))
        for each in reached:
            place = (each.key, each.image, each.root)
            earlier = added.get(place)
            added[place] = replace(each, mask=each.mask | earlier.mask) if earlier else each
        frontier = reached
    return Reached(tuple(added.values()), {version: Gone.of(rows) for version, rows in gone.items() if rows})


def _rows(
    engine: Engine, version: str, entries: Iterable[Entry]
) -> dict[int, list[tuple[str, bytes, Root, int, bool]]]:
    """The rows of a version that entries name; of each, all tokens, once for every entry that names it.

    The last part says whether the entry is what the owner named, whose rows' other tokens are withdrawn, too.
    """
    by_key: dict[str, dict[bytes, list[Entry]]] = {}
    for each in entries:
        by_key.setdefault(each.key, {}).setdefault(each.image, []).append(each)
    named: dict[int, list[Entry]] = {}
    for key, by_image in by_key.items():
        images = np.frombuffer(b"".join(by_image), np.uint8).reshape(-1, 16)
        for row, listed in zip(engine.find(version, key, images).tolist(), by_image.values(), strict=True):
            if row >= 0:
                named.setdefault(row, []).extend(listed)
    if not named:
        return {}
    rows: Rows = np.array(list(named), np.uint32)
    columns = [
        (key, [token.tobytes() if there else None for token, there in zip(tokens, present.tolist(), strict=True)])
        for key, (tokens, present) in engine.tokens(version, rows).items()
    ]
    return {
        row: [
            (key, image, each.root, each.mask, (each.key, each.image) == (each.root.key, each.root.image))
            for key, images in columns
            if (image := images[place]) is not None
            for each in listed
        ]
        for place, (row, listed) in enumerate(named.items())
    }

"""What the log costs a release: a leaf appended, committed, signed and published, beside the same commit without one.

    python -m benchmarks.leaf [--leaves 1000,100000] [--json FILE]

Rules: each turn is a transaction of the catalog with one small write, durable like every one of the room. With the log
there is the look at both folders before, the leaf, and after the commit the signer's state, tiles and checkpoint. Turns
with and without take turns, so that both meet the same disk. `people` of a row is the number of leaves.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import common, table
from benchmarks.common import Options
from benchmarks.table import Cost, Row, Side
from cleanroom import setup
from cleanroom.audit import log
from cleanroom.audit.events import Event, EventKind
from cleanroom.catalog.catalog import Catalog
from cleanroom.room import Room
from cleanroom.settings import Settings
from policies.terms import Terms

LEAVES = (1_000, 100_000)
TURNS = 200
DETAILS: dict[str, object] = {"report": "r-0123456789abcdef", "questions": [{"count": "one/a"}] * 7, "text": "x" * 1500}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", default=",".join(map(str, LEAVES)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    sizes = tuple(int(each) for each in arguments.leaves.split(","))
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([_part(Path(folder), sizes)], arguments.json)


def measured(folder: Path, _: Options) -> table.Part:
    """The same sizes whatever the options: a log grows with decisions, not with people."""
    return _part(folder, LEAVES)


def _part(folder: Path, sizes: tuple[int, ...]) -> table.Part:
    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        rows, costs = list[Row](), list[Cost]()
        for size in sizes:
            common.say(f"a log of {size:,} leaves")
            with_leaf, without = _turns(folder / str(size), size)
            row = Row(
                "a commit with its leaf, signed and published",
                size,
                "ms",
                Side(with_leaf),
                "the same commit without a leaf",
                "–",
                Side(without),
            )
            rows.append(row)
            costs.append(Cost("a leaf", "ms", size, row.ours.median - Side(without).median))
        return rows, costs, {"turns": TURNS}

    return table.part("leaf", measure)


def _turns(folder: Path, size: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Milliseconds of each turn, with a leaf and without."""
    room = setup.init(Settings(folder / "room", folder / "keys", "http://127.0.0.1:1", Terms(), 0), "bench.example")
    with room.catalog() as catalog:
        with catalog.transaction() as connection:
            for number in range(log.size(connection), size):
                event = Event(EventKind.DECISION_RELEASE, "load", "0123456789abcdef", DETAILS)
                log.append(connection, event, number, number.to_bytes(32, "big"))
        room.publish()
        with_leaf, without = list[float](), list[float]()
        for number in range(TURNS):
            with _timed(without), catalog.transaction():
                _small_write(catalog, number)
            with _timed(with_leaf):
                _turn(room, catalog, number)
        return tuple(with_leaf), tuple(without)


def _turn(room: Room, catalog: Catalog, number: int) -> None:
    with catalog.transaction() as connection:
        _small_write(catalog, number)
        leaf = room.record(connection, EventKind.DECISION_RELEASE, "load", "0123456789abcdef", DETAILS)
    room.publish_leaf(leaf)


def _small_write(catalog: Catalog, number: int) -> None:
    catalog.connection.execute("insert or replace into assertions values ('bench', ?)", (number,))


@contextmanager
def _timed(into: list[float]) -> Iterator[None]:
    began = time.perf_counter()
    yield
    into.append(1000 * (time.perf_counter() - began))


if __name__ == "__main__":
    main()

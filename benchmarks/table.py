"""The table of a benchmark, ratio first, and its JSON.

Rules: a ratio is how many times faster the room is than the peer: below one the room is slower, written `1/n`. A peer
that could not be measured has a row with the cause. Beside every peer stands what it protects from whom.
"""

import json
import os
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.common import machine
from partners import files

MIB = 2**20


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a row: its runs in the row's unit, its peak memory in bytes where it is known."""

    runs: tuple[float, ...]
    memory: int | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.runs)


@dataclass(frozen=True, slots=True)
class Row:
    """One row. `unit`: `s`, `ms` or something `/s`; `trust`: what the peer protects; `note`: why a side is missing."""

    what: str
    people: int
    unit: str
    ours: Side
    peer: str
    trust: str
    theirs: Side | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times faster the room is."""
        if self.theirs is None:
            return None
        if self.unit.endswith("/s"):
            return self.ours.median / self.theirs.median
        return self.theirs.median / self.ours.median

    def to_json(self) -> dict[str, Any]:
        return {"ratio": self.ratio, **asdict(self)}


@dataclass(frozen=True, slots=True)
class Cost:
    """What one thing costs at one size: a line of the table of growth."""

    what: str
    unit: str
    people: int
    value: float


@dataclass(frozen=True, slots=True)
class Part:
    """What one benchmark measured. `load`: the load average before and after; `detail`: the rest, for the JSON."""

    name: str
    rows: tuple[Row, ...]
    costs: tuple[Cost, ...]
    load: tuple[float, float]
    detail: dict[str, Any] = field(default_factory=dict)


def part(name: str, measure: Callable[[], tuple[Sequence[Row], Sequence[Cost], dict[str, Any]]]) -> Part:
    """What `measure` gave, with the load around it."""
    before = os.getloadavg()[0]
    rows, costs, detail = measure()
    return Part(name, tuple(rows), tuple(costs), (before, os.getloadavg()[0]), detail)


def show(parts: Sequence[Part], console: Console) -> None:
    """One table of everything, then how costs grow."""
    table = Table(title="Times faster than the peer, medians", title_justify="left")
    for heading in ("ratio", "what", "people", "room", "peer's", "peer", "and protects", "memory: room", "peer"):
        right = heading in ("ratio", "people", "room", "peer's", "memory: room")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    for each in parts:
        for row in each.rows:
            theirs = figure(row.theirs.median, row.unit) if row.theirs else "–"
            memory = [mebibytes(side.memory) if side else "–" for side in (row.ours, row.theirs)]
            peer = f"{row.peer}: {row.note}" if row.note else row.peer
            table.add_row(
                times(row.ratio), row.what, count(row.people), figure(row.ours.median, row.unit), theirs, peer,
                row.trust, *memory,
            )  # fmt: skip
        table.add_section()
    console.print(table)
    costs = [cost for each in parts for cost in each.costs]
    if len({cost.people for cost in costs}) > 1:
        console.print(growth(costs))
    for each in parts:
        console.print(f"{each.name}: load {each.load[0]:.1f} before, {each.load[1]:.1f} after", highlight=False)


def growth(costs: Iterable[Cost]) -> Table:
    """One line for each thing, one column for each size."""
    costs = tuple(costs)
    sizes = sorted({cost.people for cost in costs})
    table = Table(title="How costs grow", title_justify="left")
    table.add_column("what it costs")
    for size in sizes:
        table.add_column(count(size), justify="right")
    for what, unit in dict.fromkeys((cost.what, cost.unit) for cost in costs):
        found = {cost.people: cost.value for cost in costs if (cost.what, cost.unit) == (what, unit)}
        table.add_row(f"{what}, {unit}", *(_number(found[size]) if size in found else "–" for size in sizes))
    return table


def finish(parts: Sequence[Part], path: Path | None) -> None:
    """Prints the tables; writes the JSON where a path is given."""
    show(parts, Console(width=None if Console().is_terminal else 200, highlight=False))
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, (json.dumps(document(parts), indent=1) + "\n").encode(), private=False)


def document(parts: Sequence[Part]) -> dict[str, Any]:
    """The JSON value: machine, day, and each part with its rows."""
    return {
        "machine": machine(),
        "day": datetime.now(UTC).date().isoformat(),
        "parts": [{**asdict(each), "rows": [row.to_json() for row in each.rows]} for each in parts],
    }


def times(ratio: float | None) -> str:
    if ratio is None:
        return "–"
    return f"{_number(ratio)} ×" if ratio >= 1 else f"1/{_number(1 / ratio)} ×"


def figure(value: float, unit: str) -> str:
    return f"{_number(value)} {unit}"


def count(value: int) -> str:
    return f"{value:,}" if value else "–"


def mebibytes(size: int | None) -> str:
    return f"{size / MIB:,.0f} MiB" if size else "–"


def _number(value: float) -> str:
    """Three digits or all of a large number's."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}".rstrip(".")

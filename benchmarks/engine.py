"""The engine against DuckDB and Polars: overlap, cross table with a sum, publication.

    python -m benchmarks.engine [--people 100000,1000000,10000000] [--runs 5] [--json FILE]

Rules: side by side in one run, median, never at the same time. The peers run in their own process and environment, with
their tables loaded before the clock starts; the answers must be equal, or nothing is printed. Data are made from a
seed: two audiences of the same size on two match keys, four in ten of each matched, under the second key the same ones.
The peers join on one key.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import common, table
from benchmarks.common import Options, Unavailable, ours, run, script
from benchmarks.table import Cost, Row, Side
from cleanroom.engine import columns
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged
from cleanroom.engine.sealed import open_sealed
from policies.agreement import Agreement, Attribute, Audience, Measure, Party
from policies.cells import cells
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Matched, Question
from policies.terms import DEFAULTS, Terms

SEGMENTS, KINDS, KEYS = 8, 12, ("email", "phone")
PUBLICATIONS = 3
PEERS = {"duckdb": "DuckDB", "polars": "Polars"}
DATABASES = script("databases.py")
OPEN = "nothing"
ONE, OTHER = AudienceRef("ada", "main"), AudienceRef("bea", "main")
AUDIENCES = (
    Audience(ONE, KEYS, (Attribute("segment", tuple(map(str, range(SEGMENTS)))),), (Measure("spend", 0, 10**5, 2),)),
    Audience(OTHER, KEYS, (Attribute("kind", tuple(map(str, range(KINDS)))),), ()),
)


def main() -> None:
    parser = common.parser(__doc__, runs=5)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "PEOPLE", "RUNS"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        folder, people, runs = arguments.one
        print(json.dumps(one_run(Path(folder), int(people), int(runs))))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([measured(Path(folder), common.options(arguments, Path(folder)))], arguments.json)


def measured(folder: Path, options: Options) -> table.Part:
    """Every size, the room first and then each peer."""

    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        rows, costs, detail = [], [], {}
        for size in options.people:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                make(Path(place), size)
                (room,) = run(ours("benchmarks.engine", "--one", place, str(size), str(options.runs)))
                seconds = {
                    name: Side(tuple(took), room.peaks.get("all")) for name, took in room.value["seconds"].items()
                }
                for name in PEERS:
                    rows += _beside(name, Path(place), size, seconds, room.value["answers"], options)
            costs += [
                Cost("publication, both keys, a person", "µs", size, 1e6 * seconds["publish"].median / size),
                Cost("the day's views, a person", "µs", size, 1e6 * seconds["prepare"].median / size),
                Cost("first cross table of two columns", "ms", size, 1e3 * seconds["first crosstab"].median),
                Cost("overlap, a question", "ms", size, 1e3 * seconds["overlap"].median),
                Cost("cross table, a question", "ms", size, 1e3 * seconds["crosstab"].median),
            ]
            detail[str(size)] = room.value["seconds"]
        return rows, costs, detail

    return table.part("engine", measure)


def _beside(
    name: str, place: Path, size: int, seconds: dict[str, Side], answers: dict[str, Any], options: Options
) -> list[Row]:
    """The rows of one peer. Its answers must be the room's."""

    def row(what: str, mine: str, theirs: tuple[float, ...] | None, memory: int | None, note: str = "") -> Row:
        own = Side(tuple(1e3 * each for each in seconds[mine].runs), seconds[mine].memory)
        other = Side(tuple(1e3 * each for each in theirs), memory) if theirs else None
        return Row(what, size, "ms", own, PEERS[name], OPEN, other, note)

    works = [
        ("overlap", "overlap", "overlap"),
        (f"cross table {SEGMENTS} × {KINDS} with a sum", "crosstab", "crosstab"),
    ]
    if name == "polars":
        works.append(("publication, two keys, beside a join of one", "publish", "join"))
    try:
        python = options.environments.python("databases", "numpy", "pyarrow", *PEERS)
        (answer,) = run([python, *DATABASES, name, place, str(options.runs)])
    except Unavailable as problem:
        return [row(what, mine, None, None, str(problem)) for what, mine, _ in works]
    for work, given in answer.value["answers"].items():
        assert all(each == answers[work] for each in given), f"{name} gives another answer for {work} than the room"
    found = answer.value["seconds"]
    return [row(what, mine, tuple(found[theirs]), answer.peaks.get("all")) for what, mine, theirs in works]


def make(folder: Path, people: int) -> None:
    """Both audiences' columns as .npy files."""
    random = np.random.default_rng(people)
    for name, shift in (("a", 0), ("d", people * 6 // 10)):
        numbers = (random.permutation(people) + shift).astype(np.uint64)
        for place, key in enumerate(KEYS):
            words = np.stack([_mixed(numbers * np.uint64(4) + np.uint64(2 * place + half)) for half in (0, 1)], axis=1)
            np.save(folder / f"{name}.{key}.npy", words)
        values = SEGMENTS if name == "a" else KINDS
        np.save(folder / f"{name}.attribute.npy", random.integers(0, values, people).astype(np.uint16))
    np.save(folder / "a.amount.npy", random.integers(0, 100_000, people))


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64: numbers that look like the halves of re-keyed tokens."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def one_run(folder: Path, people: int, runs: int) -> dict[str, Any]:
    """Publication and questions, through the engine's own interface: seconds of every run, and the answers."""
    parties = tuple(Party(ref.owner, ref.owner.ljust(32).encode(), bytes(32), Terms()) for ref in (ONE, OTHER))
    agreement = Agreement("bench", "Benchmark", 1, KEYS, "uid2", parties, AUDIENCES, DEFAULTS, Terms())
    engine, day = EmbeddedEngine(folder / "data"), date(2026, 3, 14)
    versions = {ONE: "a1", OTHER: "d1"}
    seconds: dict[str, list[float]] = {"publish": [], "prepare": []}
    engine.publish(Staged("a1", _staged(folder, AUDIENCES[0], "a", people), ()))
    for _ in range(min(runs, PUBLICATIONS)):
        engine.retire("d1")
        staged = Staged("d1", _staged(folder, AUDIENCES[1], "d", people), ("a1",))
        begun = time.perf_counter()
        engine.publish(staged)
        published = time.perf_counter()
        engine.prepare(agreement, versions, day, {})
        seconds["publish"].append(published - begun)
        seconds["prepare"].append(time.perf_counter() - published)
    segment, kind, spend = ColumnRef(ONE, "segment"), ColumnRef(OTHER, "kind"), ColumnRef(ONE, "spend")
    overlap = Question(ONE, None, (Matched(OTHER),), (), Purpose.INSIGHTS).canonical()
    crosstab = Question(ONE, Matched(OTHER), (segment, kind), (spend,), Purpose.INSIGHTS).canonical()

    def ask(question: Question) -> Callable[[], Any]:
        return lambda: engine.measure(question, agreement, versions, day, {})

    seconds["first crosstab"], _ = _timed(ask(crosstab), 1)
    seconds["overlap"], sealed = _timed(ask(overlap), runs * 4)
    counts = open_sealed(sealed).counts
    seconds["crosstab"], sealed = _timed(ask(crosstab), runs * 2)
    measured = open_sealed(sealed)
    answer = {}
    for cell, there, spent in zip(cells(crosstab, agreement), measured.counts, measured.sums[spend], strict=True):
        values = dict(zip(crosstab.by, cell, strict=True))
        if there:  # a query shows no empty cells
            answer[f"{values[segment]},{values[kind]}"] = [there, spent]
    return {"seconds": seconds, "answers": {"overlap": counts[0], "crosstab": answer}}


def _timed(work: Callable[[], Any], runs: int) -> tuple[list[float], Any]:
    """Seconds of each run, and what the last one gave."""
    seconds = []
    for _ in range(runs):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return seconds, result


def _staged(folder: Path, audience: Audience, name: str, people: int) -> Path:
    """What intake would have written."""
    staged = Path(tempfile.mkdtemp(dir=folder))
    meta = columns.Meta("bench", audience.ref, 1, people, KEYS, audience.attributes, audience.measures, expires=False)
    with columns.Writer(staged, meta) as writer:
        for key in KEYS:
            writer.append(f"token.{key}", np.load(folder / f"{name}.{key}.npy", mmap_mode="r").view(np.uint8))
            writer.append(f"present.{key}", np.ones(people, np.bool_))
        for attribute in audience.attributes:
            writer.append(f"attribute.{attribute.name}", np.load(folder / f"{name}.attribute.npy"))
        for measure in audience.measures:
            writer.append(f"measure.{measure.name}", np.load(folder / f"{name}.amount.npy"))
            writer.append(f"measured.{measure.name}", np.ones(people, np.bool_))
        writer.append("consent", np.full(people, 15, np.uint8))
    columns.write_meta(staged, meta)
    return staged


if __name__ == "__main__":
    main()

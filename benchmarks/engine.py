"""The engine against DuckDB and Polars: overlap, cross table with a sum, publication. Prints one table, ratio first.

    python -m benchmarks.engine [--sizes 100000,1000000,10000000] [--peers PYTHON] [--json FILE]

Rules: each row is measured side by side in one run, median of `--repeats`, never at the same time. The peers run in
their own process, under `--peers`, the Python of an environment that has duckdb, polars and pyarrow (made in a
temporary folder when not given). They have their tables loaded before the clock starts; the answers must be equal, or
nothing is printed. Data are made from a seed: two audiences of the same size on two match keys, four in ten of each
matched, under the second key the same ones.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

SEGMENTS, KINDS, KEYS = 8, 12, ("email", "phone")
PEERS = ("duckdb", "polars")
WORK = ("overlap", "crosstab", "join")


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


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """SplitMix64: numbers that look like the halves of re-keyed tokens."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def timed(work: Callable[[], Any], repeats: int) -> tuple[list[float], Any]:
    """Seconds of each run, and what the last one gave."""
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return seconds, result


def peak() -> int:
    """The most memory that this process has had, in bytes, files mapped included."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def room(folder: Path, people: int, repeats: int) -> dict[str, Any]:
    """Publication and questions, through the engine's own interface."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from cleanroom.engine.embedded import EmbeddedEngine
    from cleanroom.engine.interface import Staged
    from cleanroom.engine.sealed import open_sealed
    from policies.agreement import Agreement, Attribute, Audience, Measure, Party
    from policies.cells import cells
    from policies.purpose import Purpose
    from policies.question import AudienceRef, ColumnRef, Matched, Question
    from policies.terms import DEFAULTS, Terms

    one, other = AudienceRef("ada", "main"), AudienceRef("bea", "main")
    audiences = (
        Audience(
            one, KEYS, (Attribute("segment", tuple(map(str, range(SEGMENTS)))),), (Measure("spend", 0, 10**5, 2),)
        ),
        Audience(other, KEYS, (Attribute("kind", tuple(map(str, range(KINDS)))),), ()),
    )
    parties = tuple(Party(ref.owner, ref.owner.ljust(32).encode(), bytes(32), Terms()) for ref in (one, other))
    agreement = Agreement("bench", "Benchmark", 1, KEYS, "uid2", parties, audiences, DEFAULTS, Terms())
    engine, day = EmbeddedEngine(folder / "data"), date(2026, 3, 14)
    versions = {one: "a1", other: "d1"}
    seconds: dict[str, list[float]] = {"publish": [], "prepare": []}
    engine.publish(Staged("a1", _staged(folder, audiences[0], "a", people), ()))
    for _ in range(min(repeats, 3)):
        engine.retire("d1")
        staged = Staged("d1", _staged(folder, audiences[1], "d", people), ("a1",))
        for name, work in (
            ("publish", lambda: engine.publish(staged)),  # noqa: B023 - called at once
            ("prepare", lambda: engine.prepare(agreement, versions, day, {})),
        ):
            seconds[name] += timed(work, 1)[0]
    published = peak()
    segment, kind, spend = ColumnRef(one, "segment"), ColumnRef(other, "kind"), ColumnRef(one, "spend")
    overlap = Question(one, None, (Matched(other),), (), Purpose.INSIGHTS).canonical()
    table = Question(one, Matched(other), (segment, kind), (spend,), Purpose.INSIGHTS).canonical()

    def ask(question: Question) -> Callable[[], Any]:
        return lambda: engine.measure(question, agreement, versions, day, {})

    seconds["first crosstab"] = timed(ask(table), 1)[0]
    seconds["overlap"], sealed = timed(ask(overlap), repeats * 4)
    counts = open_sealed(sealed).counts
    seconds["crosstab"], sealed = timed(ask(table), repeats * 2)
    measured = open_sealed(sealed)
    answer = {}
    for cell, people_there, spent in zip(cells(table, agreement), measured.counts, measured.sums[spend], strict=True):
        values = dict(zip(table.by, cell, strict=True))
        if people_there:  # a query shows no empty cells
            answer[f"{values[segment]},{values[kind]}"] = [people_there, spent]
    return {
        "seconds": seconds,
        "answers": {"overlap": counts[0], "crosstab": answer},
        "peak": peak(),
        "publish": published,
    }


def _staged(folder: Path, audience: Any, name: str, people: int) -> Path:
    """What intake would have written."""
    from cleanroom.engine import columns

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


def peer(folder: Path, name: str, repeats: int) -> dict[str, Any]:
    """The same answers from one query over loaded tables, with tokens in two forms, of which the faster counts.

    `bytes`: one column of 16 bytes. `words`: the same bytes as two columns of 64 bits.
    """
    import polars

    def column(table: str, what: str) -> Any:
        return np.load(folder / f"{table}.{what}.npy")

    seconds: dict[str, list[float]] = {}
    answers: dict[str, Any] = {}
    for form in ("bytes", "words"):
        on = ["token"] if form == "bytes" else ["high", "low"]
        tables = {}
        for table in ("a", "d"):
            words = column(table, KEYS[0])
            if form == "bytes":
                import pyarrow

                buffers = [None, pyarrow.py_buffer(words)]
                fixed = pyarrow.FixedSizeBinaryArray.from_buffers(pyarrow.binary(16), len(words), buffers)
                tokens = {"token": polars.from_arrow(fixed.cast(pyarrow.binary()))}
            else:
                tokens = {"high": words[:, 0].copy(), "low": words[:, 1].copy()}
            more = {"segment": column("a", "attribute"), "spend": column("a", "amount")}
            rest = more if table == "a" else {"kind": column("d", "attribute")}
            tables[table] = polars.DataFrame({"row": np.arange(len(words), dtype=np.uint32), **tokens, **rest})
        works = _polars(tables, on) if name == "polars" else _duckdb(tables, on)
        for work, (run, read) in works.items():
            took, result = timed(run, repeats)
            best = seconds.get(work)
            if best is None or statistics.median(took) < statistics.median(best):
                seconds[work] = took
            if read is not None:
                answers[work] = read(result)
    return {"seconds": seconds, "answers": answers, "peak": peak()}


def _cells(rows: Any) -> dict[str, list[int]]:
    return {f"{segment},{kind}": [int(people), int(spend)] for segment, kind, people, spend in rows}


def _polars(tables: dict[str, Any], on: list[str]) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]]:
    import polars

    a, d = tables["a"].lazy(), tables["d"].lazy()
    table = a.join(d, on=on).group_by("segment", "kind").agg(polars.len(), polars.col("spend").sum())
    overlap = a.join(d, on=on, how="semi").select(polars.len())
    links = a.select("row", *on).join(d.select("row", *on), on=on).select("row", "row_right")
    found = {}
    for engine in ("in-memory", "streaming"):  # the second replaces the first where it is as good or better
        found[f"overlap {engine}"] = (lambda e=engine: overlap.collect(engine=e), lambda frame: int(frame.item()))
        found[f"crosstab {engine}"] = (lambda e=engine: table.collect(engine=e), lambda frame: _cells(frame.rows()))
        found[f"join {engine}"] = (lambda e=engine: links.collect(engine=e), None)
    return found


def _duckdb(tables: dict[str, Any], on: list[str]) -> dict[str, tuple[Callable[[], Any], Callable[[Any], Any] | None]]:
    import duckdb

    connection = duckdb.connect()
    for name, frame in tables.items():
        connection.register("loaded", frame.to_arrow())
        connection.execute(f"create table {name} as select * from loaded")  # noqa: S608 - names of this file
        connection.unregister("loaded")
    using = ", ".join(on)
    table = f"select segment, kind, count(*), sum(spend) from a join d using ({using}) group by all"  # noqa: S608
    overlap = f"select count(*) from a semi join d using ({using})"  # noqa: S608
    return {
        "overlap": (lambda: connection.execute(overlap).fetchall(), lambda rows: int(rows[0][0])),
        "crosstab": (lambda: connection.execute(table).fetchall(), _cells),
    }


def best(seconds: dict[str, list[float]], work: str) -> float | None:
    """The median of the fastest way in which a peer did this work; None if it did not."""
    medians = [statistics.median(took) for name, took in seconds.items() if name.partition(" ")[0] == work]
    return min(medians) if medians else None


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return {
        "processor": model[0].partition(":")[2].strip() if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", default="100000,1000000,10000000")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--peers", default="", help="a Python that has duckdb, polars and pyarrow")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", nargs=3, metavar=("WHO", "FOLDER", "PEOPLE"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        who, folder, people = options.only[0], Path(options.only[1]), int(options.only[2])
        result = room(folder, people, options.repeats) if who == "room" else peer(folder, who, options.repeats)
        print(json.dumps(result))
        return
    with tempfile.TemporaryDirectory() as temporary:
        python = options.peers or _environment(Path(temporary) / "peers")
        rows = [_measure(Path(temporary), python, int(size), options.repeats) for size in options.sizes.split(",")]
    for row in rows:
        _show(row)
    if options.json:
        options.json.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n")


def _environment(folder: Path) -> str:
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "numpy", "pyarrow", *PEERS], check=True)
    return python


def _measure(temporary: Path, python: str, people: int, repeats: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=temporary) as folder:
        make(Path(folder), people)
        found = {}
        load = os.getloadavg()[0]
        for who in ("room", *PEERS):
            arguments = [__file__, "--repeats", str(repeats), "--only", who, folder, str(people)]
            done = subprocess.run(
                [sys.executable if who == "room" else python, *arguments], check=True, capture_output=True, text=True
            )
            found[who] = json.loads(done.stdout)
    for who in PEERS:
        for work, answer in found[who]["answers"].items():
            right = found["room"]["answers"][work.partition(" ")[0]]
            assert answer == right, f"{who} gives another answer for {work} than the room"
    seconds = {
        who: {name: {"median": statistics.median(took), "all": took} for name, took in each["seconds"].items()}
        for who, each in found.items()
    }
    peaks = {who: each["peak"] for who, each in found.items()}
    ratios = {}
    for work in ("overlap", "crosstab"):
        mine = statistics.median(found["room"]["seconds"][work])
        ratios[work] = {who: (best(found[who]["seconds"], work) or 0) / mine for who in PEERS}
    join = best(found["polars"]["seconds"], "join") or 0
    publish = statistics.median(found["room"]["seconds"]["publish"])
    ratios["publish"] = {"polars": publish / join}
    return {
        "people": people,
        "load": [load, os.getloadavg()[0]],
        "ratios": ratios,
        "seconds": seconds,
        "peak": peaks | {"publish": found["room"]["publish"]},
    }


def _show(row: dict[str, Any]) -> None:
    """One block of the table."""
    seconds, ratios, people = row["seconds"], row["ratios"], row["people"]
    print(f"\n{people:,} x {people:,} people, two keys; load {row['load'][0]:.1f} to {row['load'][1]:.1f}")
    for work in ("overlap", "crosstab"):
        mine = seconds["room"][work]["median"]
        for who in PEERS:
            ratio = ratios[work][who]
            print(
                f"  {ratio:8.1f} x  {work} faster than {who}: {mine * 1e3:.2f} ms against {mine * ratio * 1e3:.0f} ms"
            )
    publish = seconds["room"]["publish"]["median"]
    ratio = ratios["publish"]["polars"]
    print(f"  {ratio:8.2f} x  a Polars join of one key, for a publication: {publish:.2f} s, {publish / ratio:.2f} s")
    for name in ("prepare", "first crosstab"):
        print(f"  {'':8}    {name}: {seconds['room'][name]['median']:.2f} s")
    print("  peak memory: " + ", ".join(f"{who} {size / 2**30:.2f} GiB" for who, size in row["peak"].items()))


if __name__ == "__main__":
    main()

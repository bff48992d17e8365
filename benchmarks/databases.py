"""DuckDB and Polars, over the tables that `benchmarks.engine` made. Run by path, under a Python that has both.

    PYTHON databases.py duckdb|polars FOLDER RUNS

Rules: tables are loaded before the clock starts. Tokens are joined in two forms, of which the faster counts: `bytes`,
one column of 16 bytes, and `words`, the same as two columns of 64 bits; Polars in memory and streaming, too. Prints one
line of JSON: the seconds of every run of the fastest way, and the answers, which must be the room's.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

KEY = "email"
Work = tuple[str, Callable[[], Any], Callable[[Any], Any] | None]
"""A name, what is timed, and what reads its result as an answer (None: there is none)."""


def measured(name: str, folder: Path, runs: int) -> dict[str, Any]:
    """Seconds and answers by name of work: `overlap`, `crosstab` and, for Polars, `join`."""
    seconds: dict[str, list[float]] = {}
    answers: dict[str, list[Any]] = {}
    for form in ("bytes", "words"):
        on = ["token"] if form == "bytes" else ["high", "low"]
        loaded = {each: _table(folder, each, form) for each in ("a", "d")}
        for work, call, read in _polars(loaded, on) if name == "polars" else _duckdb(loaded, on):
            took = []
            for _ in range(runs):
                begun = time.perf_counter()
                result = call()
                took.append(time.perf_counter() - begun)
            if work not in seconds or statistics.median(took) < statistics.median(seconds[work]):
                seconds[work] = took
            if read is not None:
                answers.setdefault(work, []).append(read(result))
    return {"seconds": seconds, "answers": answers}


def _table(folder: Path, name: str, form: str) -> Any:
    polars, pyarrow = import_module("polars"), import_module("pyarrow")

    def column(what: str) -> Any:
        return np.load(folder / f"{name}.{what}.npy")

    words = column(KEY)
    if form == "bytes":
        buffers = [None, pyarrow.py_buffer(words)]
        fixed = pyarrow.FixedSizeBinaryArray.from_buffers(pyarrow.binary(16), len(words), buffers)
        tokens = {"token": polars.from_arrow(fixed.cast(pyarrow.binary()))}
    else:
        tokens = {"high": words[:, 0].copy(), "low": words[:, 1].copy()}
    rest = {"segment": column("attribute"), "spend": column("amount")} if name == "a" else {"kind": column("attribute")}
    return polars.DataFrame({"row": np.arange(len(words), dtype=np.uint32), **tokens, **rest})


def _polars(tables: dict[str, Any], on: list[str]) -> Iterator[Work]:
    polars = import_module("polars")
    a, d = tables["a"].lazy(), tables["d"].lazy()
    table = a.join(d, on=on).group_by("segment", "kind").agg(polars.len(), polars.col("spend").sum())
    overlap = a.join(d, on=on, how="semi").select(polars.len())
    links = a.select("row", *on).join(d.select("row", *on), on=on).select("row", "row_right")
    for way in ("in-memory", "streaming"):
        yield "overlap", partial(overlap.collect, engine=way), lambda frame: int(frame.item())
        yield "crosstab", partial(table.collect, engine=way), lambda frame: _cells(frame.rows())
        yield "join", partial(links.collect, engine=way), None


def _duckdb(tables: dict[str, Any], on: list[str]) -> Iterator[Work]:
    connection = import_module("duckdb").connect()
    for name, frame in tables.items():
        connection.register("loaded", frame.to_arrow())
        connection.execute(f"create table {name} as select * from loaded")  # noqa: S608 - names of this file
        connection.unregister("loaded")
    using = ", ".join(on)
    overlap = f"select count(*) from a semi join d using ({using})"  # noqa: S608
    table = f"select segment, kind, count(*), sum(spend) from a join d using ({using}) group by all"  # noqa: S608
    yield "overlap", lambda: connection.execute(overlap).fetchall(), lambda rows: int(rows[0][0])
    yield "crosstab", lambda: connection.execute(table).fetchall(), _cells


def _cells(rows: Any) -> dict[str, list[int]]:
    return {f"{segment},{kind}": [int(people), int(spend)] for segment, kind, people, spend in rows}


if __name__ == "__main__":
    print(json.dumps(measured(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))

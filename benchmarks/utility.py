"""What privacy costs in accuracy, on the demo: errors of the figures that show, and how many do not show.

    python -m benchmarks.utility                # the demo's customers; about three minutes on two cores
    python -m benchmarks.utility --people 20000

The demo's scenario is rehearsed once with exact figures (threshold mode, a minimum size and a rounding of 1), then in
private mode at k = 50 and each ε. Noise is drawn anew in each run, so figures differ a little from run to run.
"""

import argparse
import importlib.resources
import re
import tempfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from statistics import median

from rich.console import Console

from cleanroom.demo import people as customers
from cleanroom.rehearsal import scenario
from cleanroom.rehearsal.command import stage
from cleanroom.rehearsal.run import play
from partners.commands.terminal import table
from partners.reports import Figure, Report

EPSILONS = ("0.1", "0.25", "0.5", "1")
MINIMUM_SIZE = 50
EXACT = {"mode": '"threshold"', "minimum_size": "1", "rounding": "1"}
Key = tuple[object, ...]


def main() -> None:
    parser = argparse.ArgumentParser(description="Errors and withheld figures of the demo, by ε.")
    parser.add_argument("--people", type=int, default=60_000, help="customers of the largest brand")
    parser.add_argument("--seed", type=int, default=2026)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="utility-") as folder:
        customers.write(Path(folder), arguments.seed, arguments.people, datetime.now(UTC).date())
        true = {key: figure.value for key, figure in _figures(Path(folder), EXACT) if figure.value is not None}
        shown = table(
            "ε a report", "figures of people", "withheld, %", "of those with anybody, %", "median error, %",
            "of match rates, points", "of sums, %", numbers=6,
        )  # fmt: skip
        for epsilon in EPSILONS:
            private = {"mode": '"private"', "minimum_size": str(MINIMUM_SIZE), "epsilon_per_report": epsilon}
            shown.add_row(epsilon, *_row(dict(_figures(Path(folder), private)), true))
        Console().print(shown)


def _figures(folder: Path, terms: Mapping[str, str]) -> Iterator[tuple[Key, Figure]]:
    """Every figure of the demo's reports under these terms for all; partners add none of their own."""
    text = (importlib.resources.files("cleanroom.demo") / "scenario.toml").read_text(encoding="utf-8")
    text = re.sub(r"^\[partner\.terms\]\n(.+\n)+", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(mode|minimum_size|epsilon_per_report|epsilon_total) = .*\n", "", text, flags=re.MULTILINE)
    head = "".join(f"{name} = {value}\n" for name, value in {**terms, "epsilon_total": "100.0"}.items())
    path = folder / "scenario.toml"
    path.write_text(text.replace("[collaboration]\n", f"[collaboration]\n{head}"), encoding="utf-8")
    with stage(None) as (workspace, room):
        found = play(scenario.load(path), room, workspace, lambda *_: None, lambda *_: None)
    seen: set[Key] = set()
    for report in found.reports:
        for figure in report.figures:
            key = _key(report, figure)
            if key not in seen:  # the demo asks one question twice
                seen.add(key)
                yield key, figure


def _key(report: Report, figure: Figure) -> Key:
    return (report.kind, figure.counted, figure.where, frozenset(figure.by), figure.measure)


def _row(noisy: Mapping[Key, Figure], true: Mapping[Key, Decimal]) -> tuple[str, ...]:
    people = {key: figure for key, figure in noisy.items() if figure.measure == "people"}
    anybody = [figure for key, figure in people.items() if key in true]
    withheld = [figure for figure in people.values() if figure.withheld]
    return (
        str(len(people)),
        _percent(len(withheld), len(people)),
        _percent(sum(figure.withheld for figure in anybody), len(anybody)),
        _median(abs(f.value - true[k]) / true[k] * 100 for k, f in people.items() if f.value is not None and true[k]),
        _median(
            abs(f.value - true[k])
            for k, f in noisy.items()
            if f.measure == "match_rate" and f.value is not None and k in true
        ),
        _median(
            abs(f.value - true[k]) / true[k] * 100
            for k, f in noisy.items()
            if f.measure.startswith("sum:") and f.value is not None and true.get(k)
        ),
    )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f}"


def _median(values: Iterator[Decimal]) -> str:
    listed = list(values)
    return f"{median(listed):.2f}" if listed else "none shows"


if __name__ == "__main__":
    main()

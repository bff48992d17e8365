"""Fights every attack and prints the table.

    python -m tests.attacks                 # what `make attack` does: some 400 trials each
    python -m tests.attacks --worlds 50     # the long run: 10,000 trials each
    python -m tests.attacks --only 1,3      # some of them
    python -m tests.attacks --write docs/attacks.md

Rules: each module `test_NN_name` has a `rows(folder, worlds)`; its lines come in order. Exit code 1 when a line is
broken. `--write` replaces, between the two marks of the page, the lines of the attacks that were fought.
"""

import argparse
import importlib
import logging
import shutil
import sys
import tempfile
from pathlib import Path

from tests.attacks.score import Row, Verdict

START, END = "<!-- table -->", "<!-- end of table -->"
HEAD = ("#", "attack", "mode", "trials", "ε charged", "seen", "bound", "ε proven", "control", "verdict")


def attacks() -> dict[int, str]:
    """The attack modules by number."""
    found = sorted(Path(__file__).parent.glob("test_[0-9][0-9]_*.py"))
    return {int(path.name[5:7]): path.stem for path in found}


def texts(row: Row) -> tuple[str, ...]:
    """A line of the table, as text."""
    return (
        str(row.number),
        row.attack,
        row.mode,
        f"{row.trials:,}",
        "–" if row.epsilon is None else f"{row.epsilon:g}",
        row.seen,
        row.bound,
        "–" if row.proven is None else f"{row.proven:.2f}",
        "–" if row.control is None else f"{row.control:.2f}",
        row.verdict.value,
    )


def _line(texts: tuple[str, ...]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|') for text in texts)} |"


def write(page: Path, rows: list[Row]) -> None:
    """Puts the rows into the page's table; lines of attacks that were not fought this time stay."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    table, _, after = rest.partition(END)
    fought = {str(row.number) for row in rows}
    kept = [line for line in table.strip().splitlines()[2:] if line.split("|")[1].strip() not in fought]
    lines = sorted([*kept, *(_line(texts(row)) for row in rows)], key=lambda line: int(line.split("|")[1]))
    head = [_line(HEAD), _line(tuple("---" for _ in HEAD))]
    page.write_text("\n".join([f"{before}{START}", *head, *lines, f"{END}{after}"]), encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks", description="Fights every attack.")
    parser.add_argument("--worlds", type=int, default=2, help="worlds of 200 trials, for each attack that guesses")
    parser.add_argument("--only", default="", help="numbers of attacks, with commas between")
    parser.add_argument("--write", type=Path, help="a page to put the table into")
    options = parser.parse_args()
    logging.disable(logging.INFO)  # the rooms run in this process, and would tell of every request
    wanted = {int(each) for each in options.only.split(",") if each} or set(attacks())
    rows: list[Row] = []
    for number, module in attacks().items():
        if number not in wanted:
            continue
        print(f"{number:>2} {module[8:].replace('_', ' ')} …", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="attack-"))
        try:
            rows += importlib.import_module(f"tests.attacks.{module}").rows(folder, options.worlds)
        finally:
            shutil.rmtree(folder)
    lines = [HEAD, *map(texts, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    for line in lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())
    if options.write:
        write(options.write, rows)
    return int(any(row.verdict is Verdict.BROKEN for row in rows))


if __name__ == "__main__":
    sys.exit(main())

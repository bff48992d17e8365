"""Every benchmark, one table, ratio first: `make bench`.

    python -m benchmarks                # about a quarter of an hour on two cores
    python -m benchmarks --full         # up to ten million people; hours
    python -m benchmarks --people 100000 --runs 1 --no-peers

Rules: parts run one after the other, never two at a time. The JSON goes to benchmarks/results/, one file for each kind
of machine and day, with nothing in it that names the machine or its folders.
"""

import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import audit, common, engine, http, leaf, overlap, prepare, table
from benchmarks.common import Options, machine
from benchmarks.table import Part

RESULTS = Path(__file__).with_name("results")
FULL = "100000,1000000,10000000"
PARTS: dict[str, Callable[[Path, Options], Part]] = {
    "prepare": prepare.measured,
    "overlap": overlap.measured,
    "engine": engine.measured,
    "http": http.measured,
    "audit": audit.measured,
    "leaf": leaf.measured,
}


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--full", action="store_true", help=f"the sizes {FULL}")
    parser.add_argument("--only", default=",".join(PARTS), help=f"which parts, of {', '.join(PARTS)}")
    arguments = parser.parse_args()
    if arguments.full:
        arguments.people = FULL
    chosen = arguments.only.split(",")
    if unknown := [name for name in chosen if name not in PARTS]:
        parser.error(f"--only: {unknown[0]} is no part; there are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        options = common.options(arguments, Path(folder))
        parts: list[Part] = []
        try:
            for name in chosen:
                place = Path(folder) / name
                place.mkdir()
                common.say(f"{name} …")
                parts.append(PARTS[name](place, options))
        finally:  # whatever ends it, what was measured until then is printed; it is written only when it is whole
            whole = len(parts) == len(chosen)
            table.finish(parts, arguments.json or RESULTS / f"{kind()}.json" if whole else None)


def kind() -> str:
    """The name of a result: the processor, its cores, the day."""
    processor = re.sub(r"\(\w+\)|\bprocessor\b|\bcpu\b|@.*", " ", machine()["processor"], flags=re.IGNORECASE)
    words = re.findall(r"[a-z0-9]+", processor.lower())
    return "-".join([*words, str(machine()["cores"]), "cores", datetime.now(UTC).date().isoformat()])


if __name__ == "__main__":
    main()

"""Two raw customer files to the first overlap, everything included, beside two-party private set intersection.

    python -m benchmarks.overlap [--people 100000,1000000,10000000] [--runs 3] [--json FILE]

Rules:
* The room's side is wall-clock from raw CSV files with e-mail and phone columns to the answered report: a new room
  starts, two partners join, sign, share a secret, prepare, upload; the room checks and publishes; one of them asks.
  Every process runs on this machine, one partner after the other, over HTTP.
* The peers get more: e-mail addresses that are normalised, unique and alone in their file, one key instead of two.
  Their clock starts when both parties are connected. Both parties run on this machine at the same time.
* The peers hide the lists from everybody, the room's operator included; the room sees keyed tokens. Ratios say what
  waiting that costs, not who is better.
* What RR22 finds must be the true intersection of the addresses; the room's figure, which has noise, at least about it.
"""

import argparse
import json
import socket
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from benchmarks import common, people, table
from benchmarks.common import PEERS, Answer, Options, Unavailable, ours, run
from benchmarks.prepare import RULES
from benchmarks.table import Cost, Row, Side
from cleanroom.rehearsal import scenario
from cleanroom.rehearsal.run import play
from cleanroom.rehearsal.server import running
from partners.identifiers.columns import canonical_column
from partners.reports import Report

WHAT = "two raw files to the first overlap"
SEMI_HONEST = "the lists, from everybody"
OPENMINED_PEOPLE = 100_000
ROWS_AT_ONCE = 1_000_000
TOLERANCE = 0.01
NAMES = ("one", "two")
SCENARIO = (
    """
[collaboration]
name = "bench"
match_keys = ["email", "phone"]
"""
    + "".join(
        f"""
[[partner]]
name = "{name}"
audience = "all"
file = "{name}.csv"
region = "FR"
keys = {{ email = "email", phone = "mobile" }}
consent = {{ purposes = ["insights"] }}
"""
        for name in NAMES
    )
    + """
[[report]]
kind = "overlap"
asked_by = "one"
audiences = ["one/all", "two/all"]
"""
)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(arguments.one)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([measured(Path(folder), common.options(arguments, Path(folder)))], arguments.json)


def measured(folder: Path, options: Options) -> table.Part:
    """Every size: the room and each peer in turn, as often as asked for."""

    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        rows, costs, detail = [], [], {}
        for size in options.people:
            with tempfile.TemporaryDirectory(dir=folder) as place:
                found, steps = _size(Path(place), size, options)
            rows += found
            costs.append(
                Cost("raw files to the first overlap, a person of each", "µs", size, 1e6 * rows[-1].ours.median / size)
            )
            detail[str(size)] = steps
        return rows, costs, detail

    return table.part("overlap", measure)


@dataclass(slots=True)
class _Peer:
    """One peer as it is measured: its runs, or why there are none."""

    name: str
    commands: list[list[str | Path]] = field(default_factory=list)
    note: str = ""
    answers: list[list[Answer]] = field(default_factory=list)

    def measure(self, shared: int) -> None:
        """Runs once; does nothing after a failure."""
        if self.note:
            return
        try:
            answers = run(*self.commands)
        except Unavailable as problem:
            self.note = str(problem)
            return
        found = max(int(answer.value["shared"]) for answer in answers)
        assert found == shared, f"{self.name} finds {found} shared addresses, there are {shared}"
        self.answers.append(answers)

    def side(self) -> Side | None:
        """Seconds of the slower party; the memory of both."""
        if self.note:
            return None
        seconds = tuple(max(answer.value["seconds"] for answer in answers) for answers in self.answers)
        memory = max(sum(answer.peaks.get("all", 0) for answer in answers) for answers in self.answers)
        return Side(seconds, memory)


def _size(place: Path, size: int, options: Options) -> tuple[list[Row], dict[str, Any]]:
    """The rows of one size, and what each run said: seconds by step, processor time, memory by role."""
    for name, first in zip(NAMES, (0, size // 2), strict=True):
        people.write(place / f"{name}.csv", size, first=first)
    addresses = [_addresses(place / f"{name}.csv", place / f"{name}-email.csv") for name in NAMES]
    shared = int(pc.sum(pc.is_in(addresses[0], value_set=addresses[1])).as_py())
    del addresses
    peers = [_rr22(place, size, options), _openmined(place, size, options)]
    steps, seconds, memory = [], [], 0
    for _ in range(options.runs):
        (answer,) = run(ours("benchmarks.overlap", "--one", place), role=_role)
        figure = answer.value["figure"]
        assert figure >= (1 - TOLERANCE) * shared - 100, f"the room finds {figure} shared people of {shared} or more"
        seconds.append(answer.value["seconds"])
        memory = max(memory, sum(answer.peaks.values()))
        steps.append({**answer.value, "shared addresses": shared, "memory": dict(answer.peaks)})
        for peer in peers:
            peer.measure(shared)
    mine = Side(tuple(seconds), memory)
    rows = [Row(WHAT, size, "s", mine, peer.name, SEMI_HONEST, peer.side(), peer.note) for peer in peers]
    said = {peer.name: [[answer.value for answer in answers] for answers in peer.answers] for peer in peers}
    return rows, {"room": steps, **said}


def _role(command: str) -> str:
    """Whose process it is, by its command line."""
    if "cleanroom.intake.child" in command:
        return "room: sandbox"
    if "cleanroom.jobs" in command:
        return "room: worker"
    if "gunicorn" in command or "cleanroom serve" in command:
        return "room: web"
    return "partners"


def _addresses(raw: Path, normalised: Path) -> pa.Array:
    """Writes the canonical e-mail addresses of a raw file, each once, as a CSV of its own; gives them back."""
    read = pa_csv.ConvertOptions(include_columns=["email"], column_types={"email": pa.string()})
    column = pa_csv.read_csv(raw, convert_options=read).column("email")
    parts = [
        canonical_column("email", (column.slice(start, ROWS_AT_ONCE).combine_chunks(),), RULES).texts
        for start in range(0, len(column), ROWS_AT_ONCE)
    ]
    texts = pc.unique(pc.drop_null(pa.chunked_array(parts, pa.string())))
    with normalised.open("wb") as file:
        file.write(b"email\n")
        options = pa_csv.WriteOptions(include_header=False, quoting_style="none")
        pa_csv.write_csv(pa.table({"email": texts}), file, options)
    return texts


def _rr22(place: Path, size: int, options: Options) -> _Peer:
    peer = _Peer("RR22 (SecretFlow spu), e-mail only")
    try:
        python = options.environments.python("spu", "spu")
    except Unavailable as problem:
        peer.note = str(problem)
        return peer
    hosts = [f"127.0.0.1:{port}" for port in _ports(2)]
    for rank, name in enumerate(NAMES):
        files = (place / f"{name}-email.csv", place / f"{name}-shared.csv")
        peer.commands.append([python, *PEERS, "rr22", str(rank), *hosts, *files, str(max(size, 2**20))])
    return peer


def _openmined(place: Path, size: int, options: Options) -> _Peer:
    peer = _Peer("openmined-psi, e-mail only")
    if size > OPENMINED_PEOPLE:
        peer.note = f"measured up to {OPENMINED_PEOPLE:,} people only"
        return peer
    try:
        python = options.environments.python("openmined", "openmined-psi")
    except Unavailable as problem:
        peer.note = str(problem)
        return peer
    peer.commands.append([python, *PEERS, "openmined", *(place / f"{name}-email.csv" for name in NAMES)])
    return peer


def _ports(number: int) -> list[int]:
    """Free ports of loopback, as long as nobody else takes them."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


class _Clock:
    """Seconds between what a rehearsal tells, added to the step that was told last."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._step, self._since = "join", time.perf_counter()

    def tell(self, step: str, partner: str | None, done: int, whole: int) -> None:
        now = time.perf_counter()
        self.seconds[self._step] = self.seconds.get(self._step, 0.0) + now - self._since
        self._step, self._since = step, now


def one_run(folder: Path) -> dict[str, Any]:
    """Both raw files of `folder` to the answered report: seconds in all and by step, and the shared people it shows."""
    path = folder / "scenario.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    with tempfile.TemporaryDirectory(dir=folder) as place:
        workspace, begun, used = Path(place), time.perf_counter(), common.processor_seconds()
        with running(workspace / "room", workspace / "room-keys", "bench.room") as room:
            started = time.perf_counter() - begun
            clock = _Clock()
            found = play(scenario.load(path), room, workspace, clock.tell, lambda *_: None)
        cpu = common.processor_seconds() - used  # all of the room's too, now that it has ended
        steps = {"start": started, **found.seconds}
        del steps["verify"]  # receipts and the log, checked after the answer
        (report,) = found.reports
        told = {"cpu": cpu, "steps": steps, "told": clock.seconds, "figure": _shared(report)}
        return {"seconds": sum(steps.values()), **told}


def _shared(report: Report) -> int:
    """The people of both, as the report shows them."""
    assert report.released, "the room refused the overlap"
    return next(int(each.value) for each in report.figures if each.measure == "people" and each.where and each.value)


if __name__ == "__main__":
    main()

"""Questions per second through gunicorn, never-asked ones, against the same server answering a constant.

    python -m benchmarks.http [--seconds 10] [--people 100000] [--json FILE]

Rules: every question differs from every other one, so each is decided, measured, noised, charged, logged and published
with durable commits before it is answered. Free repeats have a row of their own. The constant comes from the same
gunicorn settings, so the ratio is what the room adds. Clients and server share this machine's cores.
"""

import csv
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks import common, table
from benchmarks.common import Options
from benchmarks.memory import Peaks, Watch
from benchmarks.table import Cost, Row, Side
from cleanroom.rehearsal import scenario
from cleanroom.rehearsal.run import play
from cleanroom.rehearsal.server import running
from cleanroom.serving import THREADS
from partners.home import Home
from partners.steps.joining import open_room

CLIENTS = (1, 8, 32)
VALUES = [f"v{number}" for number in range(20)]
SCENARIO = """
[collaboration]
name = "load"
match_keys = ["id"]
epsilon_per_report = 0.001
epsilon_total = 1000
[[partner]]
name = "one"
audience = "a"
file = "one.csv"
keys = {{ id = "card" }}
attributes = {{ kind = {{ column = "kind", values = {values} }} }}
consent = {{ purposes = ["insights"] }}
[[partner]]
name = "two"
audience = "b"
file = "two.csv"
keys = {{ id = "card" }}
attributes = {{ kind = {{ column = "kind", values = {values} }} }}
consent = {{ purposes = ["insights"] }}
"""
CONSTANT = """
from flask import Flask
app = Flask(__name__)
@app.post("/v1/constant")
def constant():
    return {"answer": 42}
"""
WORKS = {"never asked": "new question over HTTP", "free repeat": "free repeat over HTTP"}


@dataclass(frozen=True, slots=True)
class Load:
    """What `clients` clients saw: requests per second, milliseconds, errors."""

    what: str
    clients: int
    per_second: float
    p50: float
    p95: float
    errors: int


def main() -> None:
    parser = common.parser(__doc__, people="100000")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([measured(Path(folder), common.options(arguments, Path(folder)))], arguments.json)


def measured(folder: Path, options: Options, clients: tuple[int, ...] = CLIENTS) -> table.Part:
    """The smallest of the sizes: what grows with people is the engine's, and measured there."""

    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        size = min(options.people)
        loads, peaks = _loads(folder, size, options.seconds, clients)
        rows = [_row(name, size, number, loads, peaks) for number in clients for name in WORKS]
        return rows, [], {"loads": [asdict(load) for load in loads], "memory": dict(peaks)}

    return table.part("http", measure)


def _row(name: str, size: int, clients: int, loads: list[Load], peaks: Peaks) -> Row:
    """The medians of one kind of request at one number of clients; rate and p95 in words."""
    mine, constant = (
        next(load for load in loads if load.what == each and load.clients == clients) for each in (name, "constant")
    )
    what = f"{WORKS[name]}, {clients} client{'s' * (clients > 1)}, p50 ({_rest(mine)})"
    ours, theirs = Side((mine.p50,), peaks.get("room")), Side((constant.p50,), peaks.get("constant"))
    return Row(what, size, "ms", ours, f"a constant, same server ({_rest(constant)})", "–", theirs)


def _rest(load: Load) -> str:
    errors = f", {load.errors} errors" if load.errors else ""
    return f"{load.per_second:.3g}/s, p95 {load.p95:.0f} ms{errors}"


def _loads(folder: Path, people: int, seconds: float, clients: tuple[int, ...]) -> tuple[list[Load], Peaks]:
    """Every load, side by side, and the peak memory of both servers."""
    draw = random.Random(7)  # noqa: S311 - made-up people and questions
    for name, start in (("one", 0), ("two", people // 2)):
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["card", "kind"])
            out.writerows((f"c{number}", draw.choice(VALUES)) for number in range(start, start + people))
    path = folder / "scenario.toml"
    path.write_text(SCENARIO.format(values=json.dumps(VALUES)), encoding="utf-8")
    with running(folder / "room", folder / "room-keys", "bench.room") as room, constant(folder) as url:
        play(scenario.load(path), room, folder, lambda *_: None, lambda *_: None)
        home = Home.open(folder / "partners" / "one")
        opened = open_room(home)
        (collaboration,) = home.collaborations()
        opened.ledger()
        token = opened._connection._bearer()
        address, headers = f"/v1/collaborations/{collaboration}/reports", {"Authorization": f"Bearer {token}"}

        def never_asked(client: httpx.Client) -> bool:
            kinds = draw.sample(VALUES, draw.randrange(1, 20))
            where = {"all": [{"matched": "two/b"}, {"is": ["two/b.kind", kinds]}]}
            body = {"kind": "statistics", "count": "one/a", "where": where, "by": ["one/a.kind"]}
            answer = client.post(address, json=body, headers=headers)
            return answer.status_code == 201 and answer.json()["status"] == "released"

        def again(client: httpx.Client) -> bool:
            body = {"kind": "overlap", "audiences": ["one/a", "two/b"]}
            return client.post(address, json=body, headers=headers).status_code == 201

        def nothing(client: httpx.Client) -> bool:
            return client.post(f"{url}/v1/constant", json={}).status_code == 200

        watch = Watch(os.getpid(), _role)
        loads = []
        try:
            for number in clients:
                loads.append(load("constant", number, seconds, nothing, room.url))
                loads.append(load("never asked", number, seconds, never_asked, room.url))
                loads.append(load("free repeat", number, seconds, again, room.url))
        finally:
            peaks = watch.stop()
            opened.close()
    return loads, peaks


def _role(command: str) -> str:
    """Whose process it is, by its command line."""
    if "constant_app" in command:
        return "constant"
    return "room" if "gunicorn" in command or "cleanroom serve" in command or "cleanroom.jobs" in command else "clients"


def load(what: str, clients: int, seconds: float, ask: Callable[[httpx.Client], bool], url: str) -> Load:
    """Lets `clients` threads ask one question after the other for `seconds`."""
    took: list[float] = []
    errors = 0
    lock, until = threading.Lock(), time.monotonic() + seconds

    def work() -> None:
        nonlocal errors
        with httpx.Client(base_url=url, timeout=60.0) as client:
            while True:
                began = time.perf_counter()
                good = ask(client)
                spent = time.perf_counter() - began
                with lock:
                    took.append(spent)
                    errors += not good
                if time.monotonic() >= until:
                    return

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(took * 2 if len(took) == 1 else took, n=20)
    return Load(what, clients, len(took) / (time.monotonic() - began), 1000 * cuts[9], 1000 * cuts[18], errors)


@contextmanager
def constant(folder: Path) -> Iterator[str]:
    """The same server, answering a constant."""
    (folder / "constant_app.py").write_text(CONSTANT, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--workers", "2"]
        command += ["--threads", str(THREADS), "--worker-class", "gthread", "--log-level", "warning"]
        server = subprocess.Popen([*command, "constant_app:app"], cwd=folder, pass_fds=(listener.fileno(),))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.terminate()
            server.wait(20)


if __name__ == "__main__":
    main()

"""Questions per second through gunicorn, never-asked ones, against the same server answering a constant.

    python -m benchmarks.http [--seconds 10] [--people 100000] [--json FILE]

Every question differs from every other one, so each is decided, measured, noised, charged, logged and published with
durable commits before it is answered. Free repeats have a row of their own. The constant comes from the same gunicorn
settings, so the ratio is what the room adds. Clients and server share this machine's cores.
"""

import argparse
import csv
import json
import os
import platform
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

import httpx

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


@dataclass(frozen=True, slots=True)
class Row:
    """What `clients` clients saw: questions per second, milliseconds, errors."""

    what: str
    clients: int
    per_second: float
    p50: float
    p95: float
    errors: int


def load(what: str, clients: int, seconds: float, ask: Callable[[httpx.Client], bool], url: str) -> Row:
    """Lets `clients` threads ask one question after the other for `seconds`."""
    took: list[float] = []
    errors = 0
    lock, until = threading.Lock(), time.monotonic() + seconds

    def work() -> None:
        nonlocal errors
        with httpx.Client(base_url=url, timeout=60.0) as client:
            while time.monotonic() < until:
                began = time.perf_counter()
                good = ask(client)
                spent = time.perf_counter() - began
                with lock:
                    took.append(spent)
                    errors += not good

    threads = [threading.Thread(target=work) for _ in range(clients)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cuts = statistics.quantiles(took, n=20)
    rate = len(took) / (time.monotonic() - began)
    return Row(what, clients, rate, 1000 * cuts[9], 1000 * cuts[18], errors)


@contextmanager
def constant(folder: Path) -> Iterator[str]:
    """The same server, answering a constant."""
    (folder / "constant_app.py").write_text(CONSTANT, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
        command = [sys.executable, "-m", "gunicorn", "--bind", f"fd://{listener.fileno()}", "--workers", "2"]
        command += [
            "--threads",
            str(THREADS),
            "--worker-class",
            "gthread",
            "--log-level",
            "warning",
            "constant_app:app",
        ]
        server = subprocess.Popen(command, cwd=folder, pass_fds=(listener.fileno(),))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.terminate()
            server.wait(20)


def measure(folder: Path, people: int, seconds: float) -> list[Row]:
    """Every row, side by side."""
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

        rows = []
        for clients in CLIENTS:
            rows.append(load("constant", clients, seconds, nothing, room.url))
            rows.append(load("never asked", clients, seconds, never_asked, room.url))
            rows.append(load("free repeat", clients, seconds, again, room.url))
        opened.close()
    return rows


def main() -> None:
    """Prints the table; `--json` writes it with the machine's description."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cleanroom-bench-") as folder:
        rows = measure(Path(folder), arguments.people, arguments.seconds)
    constants = {row.clients: row.p50 for row in rows if row.what == "constant"}
    print(f"{'':12} {'clients':>7} {'× constant':>10} {'per second':>10} {'p50 ms':>8} {'p95 ms':>8} {'errors':>6}")
    for row in rows:
        ratio = row.p50 / constants[row.clients]
        print(
            f"{row.what:12} {row.clients:>7} {ratio:>10.1f} {row.per_second:>10.1f}"
            f" {row.p50:>8.1f} {row.p95:>8.1f} {row.errors:>6}"
        )
    if arguments.json:
        machine = {"cores": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()}
        found = {
            "machine": machine,
            "load": os.getloadavg()[0],
            "people": arguments.people,
            "rows": list(map(asdict, rows)),
        }
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()

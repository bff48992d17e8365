"""The machines on which a transcript is played: one folder for everybody, a room, a clock that stands still.

Rules: the commands are the real ones, in this process, against a real room over WSGI. What is not as in life: the clock
moves only where the transcript says so, the worker works whenever something was sent, and noise has a fixed seed, so
that figures are the same each time. Other commands than ours go to the shell.
"""

import contextlib
import io
import os
import random
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from click.testing import CliRunner
from flask import Flask

import cleanroom.cli
import partners.cli
from cleanroom import jobs, noise, readiness, setup
from cleanroom.app import create_app
from cleanroom.room import Room
from cleanroom.settings import read
from partners.room import connection
from tests.room.described import held

START = datetime(2026, 3, 14, 12, tzinfo=UTC)
URL = "https://room.example"
WIDTH = 132


class UntilIdle(threading.Event):
    """Ends `jobs.work` as soon as nothing waits."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


class Operator:
    """The operator's command in the shape that click's runner plays."""

    name = "cleanroom"

    def main(self, args: list[str], prog_name: str, **_: Any) -> None:
        with mock.patch.object(sys, "argv", ["cleanroom", *args]):
            cleanroom.cli.main()


class World:
    """Use it as a context: the environment and the clock are its own meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = START
        self._room: Room | None = None
        self._app: Flask | None = None

    @classmethod
    @contextlib.contextmanager
    def opened(cls, folder: Path) -> Iterator["World"]:
        world = cls(folder)
        for each in ("operator", "fresh", "tasty", "sunny", "ada", "eve"):
            (folder / each).mkdir()
        customers(folder)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}
        stated = {
            "CLEANROOM_DATA": str(folder / "operator" / "room"),
            "CLEANROOM_KEYS": str(folder / "operator" / "room-keys"),
            "CLEANROOM_URL": URL,
            "COLUMNS": str(WIDTH),
            "TERM": "dumb",
        }
        hook = sys.excepthook
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.dict(os.environ, {**inherited, **stated}, clear=True))
            stack.enter_context(mock.patch.object(noise, "draw", seeded()))
            stack.enter_context(mock.patch.object(connection, "time", world))
            stack.enter_context(mock.patch.object(readiness, "_worker", return_value=None))  # it works when asked to
            # A clock that stands still goes back, seen by the machine's own, wherever the worker takes its time.
            stack.enter_context(mock.patch.object(jobs.ClockWatch, "jumped", return_value=None))
            for module in list(sys.modules.values()):
                name = getattr(module, "__name__", "")
                if name.startswith(("partners.", "cleanroom.")) and getattr(module, "datetime", None) is datetime:
                    stack.enter_context(mock.patch.object(module, "datetime", world.clock()))
            try:
                yield world
            finally:
                sys.excepthook = hook

    def clock(self) -> type[datetime]:
        """In the place of `datetime` where modules ask for the time."""
        world = self

        class Clock(datetime):
            @classmethod
            def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
                return world.now

        return Clock

    def time(self) -> float:
        """In the place of `time.time` where the client signs in."""
        return self.now.timestamp()

    def later(self, days: int) -> None:
        self.now += timedelta(days=days)
        self.work()

    def run(self, who: str, line: str) -> str:
        """What the command line of somebody prints; a line more where its exit code is not 0."""
        folder = self.folder / who
        with contextlib.chdir(folder), mock.patch.dict(os.environ, {"HOME": str(folder)}):
            if line.startswith("cleanroom serve"):
                self._serve()
                return ""
            if line.startswith("cleanroom"):
                out, code = self._command(line)
            else:
                done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
                out, code = done.stdout + done.stderr, done.returncode
        return out + (f"[exit code {code}]\n" if code else "")

    def _command(self, line: str) -> tuple[str, int]:
        line, _, answer = line.partition(" <<< ")
        line, _, target = line.partition(" > ")
        name, *arguments = shlex.split(line)
        command: Any = Operator() if name == "cleanroom" else partners.cli.main
        done = CliRunner(echo_stdin=True).invoke(
            command, arguments, input=f"{answer}\n" if answer else None, obj=self.transport(), prog_name=name
        )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        if target:
            Path(target).write_bytes(done.stdout_bytes)
        return done.stderr if target else done.output, done.exit_code

    def _serve(self) -> None:
        self._room = setup.start(read())
        self._app = held(create_app(self._room))

    def transport(self) -> httpx.BaseTransport | None:
        """To the room, whose worker is quick; nobody answers before it was started."""
        if self._app is None:
            return httpx.MockTransport(refused)
        world, inner = self, httpx.WSGITransport(app=self._app)

        class Working(httpx.BaseTransport):
            def handle_request(self, request: httpx.Request) -> httpx.Response:
                answer = inner.handle_request(request)
                if request.method in ("POST", "DELETE") and request.url.path not in ("/v1/token", "/v1/join"):
                    answer.read()
                    world.work()
                return answer

        return Working()

    def work(self) -> None:
        assert self._room is not None, "the room was started before"
        with contextlib.redirect_stderr(io.StringIO()):
            jobs.work(self._room, UntilIdle())


def refused(_: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens")


def seeded() -> Callable[[int, int], tuple[int, ...]]:
    """Noise of the right scale that is the same at each run."""
    source = random.Random(2026)

    def draw(scale: int, count: int) -> tuple[int, ...]:
        return tuple(round(source.expovariate(1 / scale) - source.expovariate(1 / scale)) for _ in range(count))

    return draw


def customers(folder: Path) -> None:
    """Made-up customers: fresh has 2,500 of 4,000 people, tasty another 2,500, sunny 2,000."""
    source = random.Random(7)
    lines = ["email,mobile,loyalty_tier,spend_eur,ok_insights"]
    for n in range(2500):
        consent = "no" if n % 10 == 3 else "yes"
        lines.append(f"{mail(n)},{phone(n)},{source.choice(('gold', 'silver'))},{n % 150}.50,{consent}")
    (folder / "fresh" / "fresh.csv").write_text("\n".join(lines) + "\n")
    lines = ["mail,phone,diet"]
    lines += [
        f"{mail(n).upper()},{phone(n) if n % 2 else ''},{('omnivore', 'vegetarian')[n % 2]}" for n in range(1500, 4000)
    ]
    (folder / "tasty" / "tasty.csv").write_text("\n".join(lines) + "\n")
    lines = ["email"] + [mail(n) for n in range(1000, 3000)]
    (folder / "sunny" / "sunny.csv").write_text("\n".join(lines) + "\n")


def mail(n: int) -> str:
    return f"person{n}@example.org"


def phone(n: int) -> str:
    return f"01 99 00 {n // 100:02} {n % 100:02}"

"""A stage's room in processes of its own: gunicorn and the worker, as `cleanroom serve` runs them, killed at will.

    with Stage.make(tmp_path, "fresh") as stage, Served(stage, tmp_path / "hooks") as served:
        served.start()
        with served.http("fresh") as client:
            ...

The stage makes what is needed in this process, which is quick; then the real room takes over the same folders. Call
`set_clock` first: processes take the time from the machine. `hook` is Python that runs at the start of each of them.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx
from flask import Flask

from cleanroom.api.problems import CONTENT_TYPE
from partners.room.client import Room as RoomClient
from partners.steps import joining
from tests.room.described import hold
from tests.room.stage import URL, Stage

READY_SECONDS = 60.0
ROOT = Path(__file__).parents[2]


def set_clock(stage: Stage) -> None:
    """The stage's clock to the machine's, where it stays."""
    stage.clock.now = datetime.now(UTC)


def note_ready(seconds: float) -> None:
    """Writes how long a start took to the file READY, if set: it is measured here, and nothing depends on it."""
    if where := os.environ.get("READY"):
        with Path(where).open("a") as file:
            file.write(f"{seconds:.3f}\n")


class _Elsewhere(httpx.HTTPTransport):
    """Sends every request to another address than it names; holds what comes back to the API description of `app`."""

    def __init__(self, url: Callable[[], str], app: Flask) -> None:
        super().__init__()
        self._url = url
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(port=httpx.URL(self._url()).port)
        answer = super().handle_request(request)
        if answer.headers.get("Content-Type") == CONTENT_TYPE and answer.read():
            hold(self._app, request.method, request.url.path, answer.json())
        return answer


class Served:
    """A running room, for as long as the context lasts; `start`, `kill` in between. `settings`: its environment."""

    def __init__(self, stage: Stage, folder: Path, hook: str = "", workers: int = 1, **settings: str) -> None:
        self._stage = stage
        self._folder = folder
        self._workers = workers
        self._settings = settings
        folder.mkdir()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.set_hook(hook)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.kill()

    def set_hook(self, hook: str) -> None:
        """Python for the processes that start from now on."""
        (self._folder / "sitecustomize.py").write_text(hook)

    def start(self, *, wait: bool = True) -> None:
        """Starts the room on a free port, and returns when it answers."""
        settings = self._stage.room.settings
        stated = {
            "CLEANROOM_DATA": str(settings.data),
            "CLEANROOM_KEYS": str(settings.keys),
            "CLEANROOM_URL": URL,
            "PYTHONPATH": f"{self._folder}{os.pathsep}{ROOT}",
            **self._settings,
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CLEANROOM_")}
        with socket.create_server(("127.0.0.1", 0)) as listener, (self._folder / "log").open("ab") as log:
            self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            command = [sys.executable, "-m", "cleanroom", "serve", "--bind", f"fd://{listener.fileno()}"]
            command += ["--workers", str(self._workers), "--parent", str(os.getpid())]
            self._process = subprocess.Popen(
                command,
                env={**inherited, **stated},
                pass_fds=(listener.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if not wait:
            return
        until = time.monotonic() + READY_SECONDS
        while time.monotonic() < until and self._process.poll() is None:
            try:
                if httpx.get(f"{self.url}/v1/ready", timeout=2.0).is_success:
                    return
            except httpx.HTTPError:
                time.sleep(0.05)
        raise AssertionError((self._folder / "log").read_text())

    def killed(self) -> None:
        """Waits until the room's first process was killed, and kills the others."""
        assert self._process is not None, "it was started before"
        assert self._process.wait(READY_SECONDS) == -signal.SIGKILL, (self._folder / "log").read_text()
        self.kill()

    def kill(self) -> None:
        """SIGKILL for every process of the room; returns when they are gone."""
        while pids := self.processes():
            for pid in pids:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if self._process is not None:
                self._process.poll()
            time.sleep(0.02)
        if self._process is not None:
            self._process.wait()

    def processes(self, command: str = "") -> list[int]:
        """The room's processes whose command line has this word; the children of intake are not among them."""
        mark, found = f"CLEANROOM_DATA={self._stage.room.settings.data}\0".encode(), []
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                try:
                    if mark in (folder / "environ").read_bytes() and command in (folder / "cmdline").read_text():
                        found.append(int(folder.name))
                except OSError:
                    continue
        return found

    @contextmanager
    def room(self, name: str) -> Iterator[RoomClient]:
        """A partner's own client. It believes to speak to the address of the stage."""
        set_clock(self._stage)
        with closing(joining.open_room(self._stage.players[name].home, self.transport())) as room:
            yield room

    def transport(self) -> httpx.HTTPTransport:
        """Leads to this room, wherever it listens now, whoever believes to speak to the address of the stage."""
        return _Elsewhere(lambda: self.url, self._stage.app)

    def http(self, name: str) -> httpx.Client:
        """HTTP with a fresh token of a partner."""
        set_clock(self._stage)
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": self._stage.assertion(name),
        }
        answer = httpx.post(f"{self.url}/v1/token", data=form)
        assert answer.status_code == 200, answer.text
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        return httpx.Client(transport=self.transport(), base_url=self.url, headers=headers, timeout=60)

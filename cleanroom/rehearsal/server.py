"""The room of a rehearsal: a real one, in processes of its own, on a free loopback port.

Rules: the port is bound before the room starts and handed over, so nobody else can take it. The room ends with the
rehearsal, whatever ends that: on leaving the context, and by itself when the parent is gone.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from cleanroom import setup
from cleanroom.room import Room
from cleanroom.settings import read

READY_SECONDS = 60.0
STOP_SECONDS = 20.0


class NotReady(Exception):
    """The room did not start; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Running:
    """A running room: its address, and the room itself for the operator's part."""

    url: str
    room: Room


@contextmanager
def running(data: Path, keys: Path, name: str) -> Iterator[Running]:
    """Makes a room in `data` and runs it for as long as the context lasts. Raises `NotReady`, `SetupFailed`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        # Floor and limits are the operator's; a rehearsal has none, so that the scenario's own terms are what is tried.
        stated = {
            "CLEANROOM_DATA": str(data),
            "CLEANROOM_KEYS": str(keys),
            "CLEANROOM_URL": url,
            "CLEANROOM_FLOOR_MINIMUM_SIZE": "",
            **{f"CLEANROOM_LIMIT_{name}": "0" for name in ("QUESTIONS", "UPLOADS", "REQUESTS", "GUESSES")},
        }
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("CLEANROOM_")}
        room = setup.init(read(stated), name)
        command = [sys.executable, "-m", "cleanroom", "serve", "--bind", f"fd://{listener.fileno()}"]
        command += ["--parent", str(os.getpid()), "--workers", "1"]  # nobody asks two things at a time here
        log = (keys / "serve.log").open("wb")
        process = subprocess.Popen(
            command,
            env={**inherited, **stated},
            pass_fds=(listener.fileno(),),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        try:
            _wait(url, process)
            yield Running(url, room)
        finally:
            log.close()
            _stop(process)


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/v1/health", timeout=2.0).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise NotReady("the room did not start; see serve.log in its keys folder")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

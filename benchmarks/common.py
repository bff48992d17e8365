"""What every benchmark needs: the machine in words, children that are measured, peers in environments of their own.

Rules:
* A child prints one line of JSON, an object. Its clock is its own, so that starting Python is not counted.
* A peer that cannot be installed or run is `Unavailable`, with the cause in a few words and without a path.
* Nothing here names the machine: no host name, no path, no user.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

from benchmarks.memory import Peaks, Watch, together

INSTALL_SECONDS = 600
RUN_SECONDS = 3600
POLL_SECONDS = 0.02
COMPLAINT_CHARACTERS = 2000
LIBRARIES = ("numpy", "pyarrow", "phonenumbers", "cryptography", "flask", "gunicorn", "opendp", "httpx")
FLAGS = ("sha_ni", "aes", "vaes", "avx2", "avx512f", "avx512bw", "avx512_vpopcntdq")


def script(name: str) -> tuple[str, Path]:
    """The arguments that run a file of this folder by path. -P: this folder's names would hide the library's."""
    return "-P", Path(__file__).with_name(name)


PEERS = script("peers.py")


class Unavailable(Exception):
    """A peer that cannot be measured here; the message is the cause in a few words."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a child printed, and the peak memory of its processes by role, in bytes."""

    value: Any
    peaks: Peaks


def say(text: str) -> None:
    """Tells whoever waits what is at work, beside the table."""
    print(text, file=sys.stderr, flush=True)


def timed(work: Callable[[], object]) -> float:
    """Seconds that `work` took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def processor_seconds() -> float:
    """What this process and the children that it has waited for have had of the processors."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def run(*commands: Sequence[str | Path], role: Callable[[str], str] = together) -> list[Answer]:
    """Runs commands side by side; what each printed last. Raises `Unavailable` where one of them fails.

    `role` names a process by its command line.
    """
    with ExitStack() as files:
        # Files, not pipes: nobody reads while they run, and a full pipe would stop them.
        outs, errors = ([files.enter_context(TemporaryFile()) for _ in commands] for _ in range(2))
        children = [
            subprocess.Popen(command, stdout=out, stderr=error)
            for command, out, error in zip(commands, outs, errors, strict=True)
        ]
        watches = [Watch(child.pid, role) for child in children]
        try:
            _wait(children)
        finally:
            for child in children:
                child.kill()
                child.wait()
            peaks = [watch.stop() for watch in watches]
        printed, complaints = ([_whole(file) for file in each] for each in (outs, errors))
    # What failed by itself has a code above zero; what was killed, here or elsewhere, one below.
    if failed := [text for child, text in zip(children, complaints, strict=True) if child.returncode > 0]:
        say(failed[0][-COMPLAINT_CHARACTERS:])
        raise Unavailable(f"it ended with {_error(failed[0])}")
    if any(child.returncode for child in children):
        raise Unavailable(f"it was killed, or took more than {RUN_SECONDS} seconds")
    return [Answer(_value(text), peak) for text, peak in zip(printed, peaks, strict=True)]


def _wait(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Until all have ended, one has failed, or the time is over."""
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        codes = [child.poll() for child in children]
        if None not in codes or any(codes):
            return
        time.sleep(POLL_SECONDS)


def _whole(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _value(printed: str) -> Any:
    """The last object among the lines: libraries print theirs around it."""
    return json.loads(next(line for line in reversed(printed.splitlines()) if line.startswith("{")))


def _error(text: str) -> str:
    """The name of the exception that a traceback ends with: its text may have paths in it."""
    names = re.findall(r"^(?:\w+\.)*(\w*(?:Error|Exception|Interrupt|Exit))\b", text, re.MULTILINE)
    return names[-1] if names else "an error without a name"


def ours(*arguments: str | Path) -> list[str | Path]:
    """The command of a module of this package in a process of its own."""
    return [sys.executable, "-m", *arguments]


class Environments:
    """Environments of peers, made with pip when first asked for, in one folder. What failed once fails at once."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._failed: dict[str, str] = {}

    def python(self, name: str, *packages: str) -> str:
        """The Python of the environment `name`. Raises `Unavailable`."""
        if self._folder is None:
            raise Unavailable("not asked for (--no-peers)")
        if name in self._failed:
            raise Unavailable(self._failed[name])
        home = self._folder.absolute() / name
        python = str(home / ("Scripts" if os.name == "nt" else "bin") / "python")
        if (home / "complete").exists():
            return python
        say(f"installing {', '.join(packages)} into an environment of its own")
        try:
            _install([sys.executable, "-m", "venv", "--clear", str(home)])
            _install([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages])
        except Unavailable as problem:
            self._failed[name] = str(problem)
            raise
        (home / "complete").touch()
        return python


def _install(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    except (subprocess.TimeoutExpired, OSError):
        raise Unavailable("it could not be installed: pip did not finish") from None
    if done.returncode == 0:
        return
    if "No matching distribution" in done.stderr:
        raise Unavailable(f"it could not be installed: no package for Python {platform.python_version()} here")
    raise Unavailable("it could not be installed: pip failed")


@dataclass(frozen=True, slots=True)
class Options:
    """What every benchmark can be told. `people`: the sizes, in turn; `runs`: of which the median counts."""

    people: tuple[int, ...]
    runs: int
    seconds: float
    environments: Environments


def parser(description: str | None, people: str = "100000,1000000", runs: int = 3) -> argparse.ArgumentParser:
    """The options that all benchmarks share."""
    made = argparse.ArgumentParser(description=description.splitlines()[0] if description else None)
    made.add_argument("--people", default=people, help=f"sizes, with commas between (default {people})")
    made.add_argument("--runs", type=int, default=runs, help="of each side; the median counts")
    made.add_argument("--seconds", type=float, default=5.0, help="of each row of questions over HTTP")
    made.add_argument("--environments", type=Path, help="where the peers' environments are kept for the next time")
    made.add_argument("--no-peers", action="store_true", help="without the peers that need environments of their own")
    made.add_argument("--json", type=Path, help="write the figures there, too")
    return made


def options(arguments: argparse.Namespace, folder: Path) -> Options:
    """The parsed options; `folder` takes the peers' environments where nobody named another."""
    place = arguments.environments or folder / "environments"
    return Options(
        tuple(int(size.replace("_", "")) for size in arguments.people.split(",")),
        arguments.runs,
        arguments.seconds,
        Environments(None if arguments.no_peers else place),
    )


@cache
def machine() -> dict[str, Any]:
    """What figures depend on: processor, memory, system, Python, libraries."""
    kernel = re.match(r"[\d.]+", platform.release())
    return {
        "processor": _processor("model name") or platform.machine(),
        "cores": os.cpu_count(),
        "flags": sorted(set(_processor("flags").split()) & set(FLAGS)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": f"{platform.system()} {kernel[0].rstrip('.') if kernel else ''}".strip(),
        "python": platform.python_version(),
        "cleanroom": version("cleanroom"),
        "libraries": {name: version(name) for name in LIBRARIES},
    }


def _processor(what: str) -> str:
    """A line of the first processor, where the system tells."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(what)), "")

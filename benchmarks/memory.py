"""Peak memory of a process and of all its descendants, by role, seen from outside.

Rules: a process counts with its own highest resident size, mapped files included, from its start or its last `exec`; a
role counts with the largest sum over its processes that lived at the same time. Pages that two processes share count in
each, so the figures are upper bounds. Read from /proc; where there is none, nothing is known and no figure is shown.
"""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias

EVERY_SECONDS = 0.1
PROC = Path("/proc")

Peaks: TypeAlias = Mapping[str, int]
"""Bytes by role."""


def together(_: str) -> str:
    """Every process has the same role."""
    return "all"


class Watch:
    """Watches `root` and its descendants from now until `stop`. `role` names a process by its command line."""

    def __init__(self, root: int, role: Callable[[str], str] = together) -> None:
        self._root, self._role = root, role
        self._peaks: dict[str, int] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memory", daemon=True)
        self._thread.start()

    def stop(self) -> Peaks:
        """The peaks by role; empty where the system does not tell."""
        self._over.set()
        self._thread.join()
        return self._peaks

    def _watch(self) -> None:
        while True:
            sums: dict[str, int] = defaultdict(int)
            for process in _family(self._root):
                sums[self._role(_command(process))] += _highest(process)
            for role, size in sums.items():
                self._peaks[role] = max(size, self._peaks.get(role, 0))
            if self._over.wait(EVERY_SECONDS):
                return


def _family(root: int) -> Iterator[int]:
    """The process and its descendants."""
    children: dict[int, list[int]] = defaultdict(list)
    if not PROC.is_dir():
        return
    for each in PROC.iterdir():
        if each.name.isdecimal():
            children[_parent(int(each.name))].append(int(each.name))
    waiting = [root]
    while waiting:
        yield (process := waiting.pop())
        waiting += children[process]


def _read(process: int, what: str) -> str:
    """A file of a process; empty once it is gone."""
    try:
        return (PROC / str(process) / what).read_text(errors="replace")
    except OSError:
        return ""


def _parent(process: int) -> int:
    fields = _read(process, "stat").rpartition(")")[2].split()  # the name before may have spaces and brackets
    return int(fields[1]) if fields else 0


def _command(process: int) -> str:
    return _read(process, "cmdline").replace("\0", " ")


def _highest(process: int) -> int:
    line = next((line for line in _read(process, "status").splitlines() if line.startswith("VmHWM")), "")
    return int(line.split()[1]) * 1024 if line else 0

"""Ctrl-C, a polite end, and a hard kill at any moment of a rehearsal: no process is left, and no file."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.rehearsal import files
from tests.rehearsal.conftest import environment

GONE_SECONDS = 15.0


@pytest.mark.parametrize(
    ("number", "after"),
    [
        (signal.SIGINT, 0.7),
        (signal.SIGINT, 1.2),
        (signal.SIGINT, 2.5),
        (signal.SIGINT, 4.0),
        (signal.SIGTERM, 3.0),
        (signal.SIGKILL, 3.0),
    ],
)
def test_no_process_and_no_file_is_left(number: signal.Signals, after: float, tmp_path: Path) -> None:
    scenario, temporary = files.write(tmp_path), tmp_path / "tmp"
    temporary.mkdir()
    # The mark is inherited by every process that the rehearsal starts.
    mark = f"CLEANROOM_TEST_{os.getpid()}_{number}_{after}".replace(".", "_")
    rehearsal = subprocess.Popen(
        [sys.executable, "-m", "cleanroom", "rehearse", str(scenario), "--json", str(tmp_path / "out.json")],
        env={**environment(), "TMPDIR": str(temporary), "MARK": mark},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(after)
    os.killpg(rehearsal.pid, number)  # as a terminal does
    _, errors = rehearsal.communicate(timeout=60)
    deadline = time.monotonic() + GONE_SECONDS
    while marked(mark) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert marked(mark) == []
    if number is not signal.SIGKILL:
        assert list(temporary.iterdir()) == []
        assert "Traceback" not in errors
        assert rehearsal.returncode in (0, 130, -number)  # the last: before there was anything to clean up


def marked(mark: str) -> list[int]:
    """The processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if f"MARK={mark}".encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found

"""Progress on a terminal: how much, how fast, how long still. Elsewhere nothing."""

import os
from io import StringIO
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from rich.console import Console

from partners.commands.terminal import progress, quoted
from partners.prepare import READING, WRITING
from partners.steps.audiences import CHECKING, UPLOADING


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(step: str, done: int, whole: int, seconds: float, width: int = 80, terminal: bool = True) -> str:
    """The last line of a step that got so far in so many seconds, evenly."""
    screen, clock = StringIO(), Clock()
    out = Console(file=screen, width=width, force_terminal=terminal, color_system=None, legacy_windows=False)
    with progress([WRITING], [CHECKING], out, clock) as told:
        for part in range(11):
            clock.now = seconds * part / 10
            told(step, done * part // 10, whole)
    lines = [line for line in screen.getvalue().replace("\r", "\n").splitlines() if step in line]
    return lines[-1] if lines else ""


@pytest.mark.parametrize(
    ("step", "done", "whole", "seconds", "rate", "left"),
    [
        (READING, 250_000_000, 1_000_000_000, 10, "25.0 MB/s", "0:00:30"),
        (WRITING, 1_000_000, 10_000_000, 20, "50,000 rows/s", "0:03:00"),
        (UPLOADING, 4_000_000, 8_000_000, 8, "0.5 MB/s", "0:00:08"),
        (UPLOADING, 3_000_000_000, 4_000_000_000, 2, "1,500.0 MB/s", "0:00:01"),
    ],
)
def test_rate_and_time_left(step: str, done: int, whole: int, seconds: float, rate: str, left: str) -> None:
    line = shown(step, done, whole, seconds)
    assert f"{100 * done // whole}%" in line
    assert rate in line
    assert f"{left} left" in line


def test_a_percentage_has_no_rate() -> None:
    line = shown(CHECKING, 40, 100, 4)
    assert "40%" in line
    assert "/s" not in line
    assert "0:00:06 left" in line


@pytest.mark.parametrize("step", [READING, WRITING, UPLOADING, CHECKING])
def test_a_line_fits_a_narrow_terminal(step: str) -> None:
    line = shown(step, 3_600_000_000, 10_000_000_000, 1, width=80)
    assert line.rstrip().endswith("left")
    assert "…" not in line


def test_nothing_where_nobody_looks() -> None:
    assert shown(UPLOADING, 1, 2, 1, terminal=False) == ""


@pytest.mark.parametrize(
    ("path", "posix", "windows"),
    [
        (r"prepared/drive.manifest.json", "prepared/drive.manifest.json", r"prepared\drive.manifest.json"),
        (r"my files/drive.json", "'my files/drive.json'", r'"my files\drive.json"'),
        (r"a&b/$HOME.json", "'a&b/$HOME.json'", r'"a&b\$HOME.json"'),
    ],
)
def test_a_path_in_a_hint_can_be_typed(path: str, posix: str, windows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert quoted(PurePosixPath(path)) == posix
    with monkeypatch.context() as system:
        system.setattr(os, "name", "nt")
        typed = quoted(PureWindowsPath(path))
    assert typed == windows

"""`cleanroom rehearse`: from a scenario to its results, in a workspace that ends with the command.

Rules: exit 0 also where a report is refused by policy; 1 where a step fails, with `{"error": …}` in the JSON; nothing
is left behind but what `--keep` asks for: the room's data, never a partner's files or secret.
"""

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from cleanroom.rehearsal import scenario as scenarios
from cleanroom.rehearsal.progress import Progress
from cleanroom.rehearsal.run import StepFailed, play
from cleanroom.rehearsal.scenario import BadScenario
from cleanroom.rehearsal.server import NotReady, Running, running
from cleanroom.rehearsal.show import quality, results
from cleanroom.settings import beside
from cleanroom.setup import SetupFailed
from partners import files
from partners.commands.terminal import console

ROOM = "rehearsal.local"


FAILURES = (StepFailed, BadScenario, SetupFailed, NotReady)
"""What a rehearsal can end with for a reason outside the program."""


def run(path: Path, json_file: Path | None, keep: Path | None) -> int:
    """Rehearses the scenario at `path`; the exit code."""
    errors, out = Console(stderr=True, highlight=False), console()
    if json_file and not os.access(json_file.absolute().parent, os.W_OK):
        raise BadScenario("--json: its folder is not there or cannot be written to; choose another")
    try:
        scenario = scenarios.load(path)
        with stage(keep) as (workspace, room), Progress(errors) as progress:
            found = play(scenario, room, workspace, progress.tell, lambda lists, made: quality(lists, made, out))
    except FAILURES as problem:
        return report_failure(problem, json_file, errors)
    results(found, out)
    _write(json_file, found.to_json())
    return 0


def report_failure(problem: Exception, json_file: Path | None, errors: Console) -> int:
    """Says what failed, in one line and as JSON; the exit code."""
    failed = problem if isinstance(problem, StepFailed) else _failed(problem)
    _write(json_file, failed.to_json())
    who = f" ({failed.partner})" if failed.partner else ""
    errors.print(f"error: {failed.step}{who}: {failed}", markup=False, soft_wrap=True)
    return 1


@contextmanager
def stage(keep: Path | None) -> Iterator[tuple[Path, Running]]:
    """A workspace and a running room, both gone afterwards (but for `keep`, where the data stays)."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        with tempfile.TemporaryDirectory(prefix="cleanroom-") as folder:
            workspace = Path(folder)
            data = (keep or workspace / "room").absolute()
            with running(data, beside(data), ROOM) as room:
                yield workspace, room
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_: int, __: FrameType | None) -> None:
    """A polite end is treated as Ctrl-C, so that everything is cleaned up."""
    raise KeyboardInterrupt


def _failed(problem: Exception) -> StepFailed:
    step = "scenario" if isinstance(problem, BadScenario) else "room"
    return StepFailed(step, None, type(problem).__name__, str(problem))


def _write(json_file: Path | None, value: dict[str, Any]) -> None:
    if json_file:
        text = json.dumps(value, indent=1, ensure_ascii=False)
        files.write(json_file, text.encode() + b"\n", private=False)

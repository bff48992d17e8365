"""`cleanroom demo`: writes the made-up customers, rehearses their collaboration, keeps the room open until Ctrl-C."""

import importlib.resources
import shutil
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from cleanroom.demo import people as customers
from cleanroom.rehearsal import scenario
from cleanroom.rehearsal.command import FAILURES, report_failure, stage
from cleanroom.rehearsal.progress import Progress
from cleanroom.rehearsal.run import play
from cleanroom.rehearsal.show import quality, results
from partners.commands.terminal import console


def run(*, check: bool, people: int, seed: int) -> int:
    """Runs the demo; the exit code. With `check` it ends after the last table."""
    errors, out = Console(stderr=True, highlight=False), console()
    with tempfile.TemporaryDirectory(prefix="cleanroom-demo-") as folder:
        try:
            return _demo(Path(folder), out, errors, check=check, size=people, seed=seed)
        except FAILURES as problem:
            return report_failure(problem, None, errors)


def _demo(folder: Path, out: Console, errors: Console, *, check: bool, size: int, seed: int) -> int:
    began = time.monotonic()
    errors.print("Making up the customers of three brands …")
    customers.write(folder, seed, size, datetime.now(UTC).date())
    path = folder / "scenario.toml"
    with importlib.resources.as_file(importlib.resources.files("cleanroom.demo") / "scenario.toml") as source:
        shutil.copyfile(source, path)
    loaded = scenario.load(path)
    with stage(None) as (workspace, room):
        with Progress(errors) as progress:
            found = play(loaded, room, workspace, progress.tell, lambda lists, made: quality(lists, made, out))
        results(found, out)
        out.print(f"From three raw files to the last report: {time.monotonic() - began:.0f} s.")
        if check:
            return 0
        out.print(f"\nThe room is open at [bold]{room.url}[/] – Ctrl-C ends it and removes everything.")
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            out.print("Stopped. Nothing is left.")
    return 0

"""One real rehearsal, shared by the tests that read what it left."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import files


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a rehearsal left: its exit code, its JSON, its output, and the room's data folder."""

    code: int
    found: dict[str, Any]
    out: str
    err: str
    data: Path


def rehearse(scenario: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs the command, as a person would."""
    command = [sys.executable, "-m", "cleanroom", "rehearse", str(scenario), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment())


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("CLEANROOM_")}


@pytest.fixture(scope="session")
def rehearsed(tmp_path_factory: pytest.TempPathFactory) -> Rehearsed:
    folder = tmp_path_factory.mktemp("rehearsal")
    scenario, json_file, data = files.write(folder), folder / "results.json", folder / "room"
    done = rehearse(scenario, "--json", str(json_file), "--keep", str(data))
    return Rehearsed(done.returncode, json.loads(json_file.read_text()), done.stdout, done.stderr, data)

"""Runs the child on one file and turns whatever it does into a value.

Rules: the child gets no environment but what it needs, its output goes to a file that its own limits bound, and it is
killed when its time is over. What it says is not believed either: a compromised child can only refuse a file or claim a
number of rows, and the columns are opened and compared with the manifest afterwards.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cleanroom
from cleanroom.intake.limits import Limits
from cleanroom.intake.rejection import Rejected, Rejection
from partners.manifest import Manifest

_BROKEN = Rejection.HOSTILE_OR_BROKEN_FILE
_ANSWER_BYTES = 4096
_DETAIL_CHARACTERS = 200
_ROOT = Path(cleanroom.__file__).parents[1]
_COMMAND = (sys.executable, "-P", "-s", "-m", "cleanroom.intake.child")


def run(path: Path, manifest: Manifest, key: bytes, folder: Path, limits: Limits) -> int | Rejected:
    """The number of rows whose columns the child wrote into `folder`, or why there are none."""
    task = {
        "file": str(path.absolute()),
        "folder": str(folder.absolute()),
        "manifest": manifest.to_json(),
        "key": key.hex(),
        "limits": asdict(limits),
    }
    with tempfile.TemporaryFile() as output:
        try:
            done = subprocess.run(
                _COMMAND,
                input=json.dumps(task).encode(),
                stdout=output,
                stderr=subprocess.DEVNULL,
                cwd=folder,
                env=_environment(),
                timeout=limits.wall_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return Rejected(_BROKEN, f"it was not read within {limits.wall_seconds} seconds")
        if done.returncode != 0:
            return Rejected(_BROKEN, "reading it failed, or took more memory or time than it may")
        output.seek(0)
        return _answer(output.read(_ANSWER_BYTES))


def _environment() -> dict[str, str]:
    """One thread, and an allocator that reserves no address space ahead, so that the memory limit is about the file."""
    return {
        "PATH": os.defpath,
        "PYTHONPATH": str(_ROOT),
        "PYTHONUTF8": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "MALLOC_ARENA_MAX": "1",
        "ARROW_DEFAULT_MEMORY_POOL": "system",
    }


def _answer(line: bytes) -> int | Rejected:
    """The child's answer, where it is one."""
    try:
        answer: Any = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    match answer:
        case {"ok": True, "rows": int(rows), **rest} if not rest:
            return rows
        case {"ok": False, "reason": str(code), "detail": str(detail), **rest} if not rest:
            reason = next((each for each in Rejection if each.value == code), None)
            if reason and len(detail) <= _DETAIL_CHARACTERS and detail.isprintable():
                return Rejected(reason, detail)
    return Rejected(_BROKEN, "its check gave no answer")

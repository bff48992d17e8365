"""Parquet files that were made to do harm, byte by byte, through the real child: each ends as a refusal.

The service gets a documented reason and a hint that is safe to print, in bounded time; its own memory does not grow.
The cases are in `hostile` and `hostile_schemas`.
"""

import pickle
import resource
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from cleanroom.intake.check import Accepted, check
from cleanroom.intake.limits import LIMITS
from cleanroom.intake.rejection import ADVICE
from tests.intake import thrift, uploads
from tests.intake.hostile import CASES, EMAIL, one_colour
from tests.intake.hostile_schemas import claim, column_as
from tests.intake.thrift import BINARY, Parquet
from tests.intake.uploads import EXPECTED, REKEY_KEY, ROWS

SECONDS = 30
PARENT_BYTES = 64 * 2**20


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return uploads.write(tmp_path_factory.mktemp("good") / "file", uploads.table())


def made(name: str, good: Path, path: Path) -> Path:
    """The file of a case. What a function did not write itself is put together from what it changed."""
    file = Parquet.read(good)
    CASES[name][0](file, path)
    return path if path.exists() else file.write(path)


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused(name: str, good: Path, tmp_path: Path) -> None:
    _, reason, rows = CASES[name]
    path = made(name, good, tmp_path / "file")
    signed = uploads.signed(path, rows)
    before, began = peak(), time.monotonic()
    outcome = check(path, signed, EXPECTED, REKEY_KEY, tmp_path / "staged", replace(LIMITS, wall_seconds=2 * SECONDS))
    assert not isinstance(outcome, Accepted)
    assert (outcome.reason, time.monotonic() - began < SECONDS) == (reason, True)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 200
    assert ADVICE[outcome.reason]
    assert peak() - before < PARENT_BYTES
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"]


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_taken_apart_and_put_together_it_is_accepted(good: Path, tmp_path: Path) -> None:
    """The cases fail for what they change, not for how they are written."""
    file = Parquet.read(good)
    one_colour(file, len(ROWS), len(ROWS))
    path = file.write(tmp_path / "file")
    assert isinstance(check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged"), Accepted)


def test_metadata_of_megabytes_is_ignored(good: Path, tmp_path: Path) -> None:
    file = Parquet.read(good)
    pairs = [thrift.encode({1: (BINARY, b"key"), 2: (BINARY, b"v" * 100)})] * 100_000
    file.footer[thrift.KEY_VALUES][1][1].extend(pairs)
    path = file.write(tmp_path / "file")
    assert isinstance(check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged"), Accepted)


def test_an_extension_type_that_would_run_something_does_not(good: Path, tmp_path: Path) -> None:
    """Older readers unpickled the description of such a type. The file is a good one otherwise."""
    file, ran = Parquet.read(good), tmp_path / "ran"
    pickled = f"cposix\nsystem\n(S'touch {ran}'\ntR."
    assert pickle.loads(pickled.replace("touch", "true").encode()) == 0, "it would run"
    name = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled}
    claim(file, column_as(pa.binary(16), EMAIL, name))
    path = file.write(tmp_path / "file")
    check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged")
    assert not ran.exists()

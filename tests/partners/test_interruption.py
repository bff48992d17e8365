"""Ctrl-C and errors: of the files that `prepare` writes, all are there or none."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from partners import prepare
from partners.reading import BadFile, delimited
from tests.partners.world import AGREEMENT, FRESH, NOW, SECRET, mapped, run, write_csv


def prepared(folder: Path, interrupt_at: int | None = None) -> list[tuple[str, int, int]]:
    """The steps of a run of `prepare`, with Ctrl-C at one of them."""
    seen: list[tuple[str, int, int]] = []

    def progress(step: str, done: int, total: int) -> None:
        if len(seen) == interrupt_at:
            raise KeyboardInterrupt
        seen.append((step, done, total))

    prepare.prepare(mapped(folder), AGREEMENT, 1, SECRET, FRESH, folder / "out", now=NOW, progress=progress)
    return seen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of three chunks and four row groups, and an empty folder `out`."""
    monkeypatch.setattr(prepare, "ROW_GROUP_ROWS", 3)
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 4)
    write_csv(tmp_path / "fresh.csv", [(f"p{number}@example.fr", "", "", "") for number in range(10)])
    (tmp_path / "out").mkdir()
    return tmp_path


def test_the_steps_of_a_run(folder: Path) -> None:
    size = (folder / "fresh.csv").stat().st_size
    steps = prepared(folder)
    assert [step for step, _, _ in steps] == ["reading"] * 3 + ["writing"] * 4
    assert steps[2] == ("reading", size, size)
    assert steps[3:] == [("writing", done, 10) for done in (3, 6, 9, 10)]


@pytest.mark.parametrize("at", range(7))
def test_after_ctrl_c_at_any_step_nothing_is_left(folder: Path, at: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        prepared(folder, interrupt_at=at)
    assert list((folder / "out").iterdir()) == []


@pytest.mark.parametrize("at", range(7))
def test_an_earlier_run_outlives_an_interrupted_one(folder: Path, at: int) -> None:
    prepared(folder)
    before = {path: path.read_bytes() for path in (folder / "out").iterdir()}
    with pytest.raises(KeyboardInterrupt):
        prepared(folder, interrupt_at=at)
    assert {path: path.read_bytes() for path in (folder / "out").iterdir()} == before


def test_after_an_error_nothing_is_left(folder: Path) -> None:
    with (folder / "fresh.csv").open("a") as file:
        file.write("a@example.fr,,\n")
    with pytest.raises(BadFile, match="line 12"):
        prepared(folder)
    assert list((folder / "out").iterdir()) == []


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    write_csv(tmp_path / "fresh.csv", [("a@example.fr", "", "", "")])
    with pytest.raises(FileNotFoundError):
        prepared(tmp_path)


PROGRAM = """
import sys, time
from pathlib import Path
from partners import prepare
from tests.partners.world import AGREEMENT, FRESH, NOW, SECRET, mapped

def progress(step, done, total):
    if step == sys.argv[2]:
        print("ready", flush=True)
        time.sleep(60)

folder = Path(sys.argv[1])
prepare.prepare(mapped(folder), AGREEMENT, 1, SECRET, FRESH, folder / "out", now=NOW, progress=progress)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
@pytest.mark.parametrize("step", ["reading", "writing"])
def test_a_real_ctrl_c_leaves_nothing(tmp_path: Path, step: str) -> None:
    write_csv(tmp_path / "fresh.csv", [("a@example.fr", "", "", "")])
    (tmp_path / "out").mkdir()
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), step],
        cwd=root,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        in_the_middle = list((tmp_path / "out").iterdir())
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert len(in_the_middle) == (3 if step == "writing" else 0)
    assert process.returncode == -signal.SIGINT
    assert list((tmp_path / "out").iterdir()) == []


def test_a_run_without_interruption_leaves_three_files(tmp_path: Path) -> None:
    """The other tests of this file would pass if nothing were ever written."""
    run(tmp_path, [("a@example.fr", "", "", "")])
    assert len(list((tmp_path / "out").iterdir())) == 3

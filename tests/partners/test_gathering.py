"""A large file, with workers and a temporary file, gives what a small one gives; and nothing outlives Ctrl-C."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from partners import gathering, prepare, spool, workers
from partners.failure import Failure
from partners.reading import BadFile, blocks
from tests.partners.world import AGREEMENT, FRESH, NOW, SECRET, mapped, run, write_csv, written

PEOPLE = [
    (
        f"P{row % 900}@Gmail.com" if row % 7 else "info@x.fr",
        f"06 12 3{row % 10} {row % 100:02d} {row % 89:02d}",
        "gold",
        str(row),
    )
    for row in range(2900)
]
PEOPLE += PEOPLE[:100]


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that large files need, for small ones."""
    monkeypatch.setattr(gathering, "WORKERS_FROM_BYTES", 1)
    monkeypatch.setattr(workers, "worker_count", lambda: 3)
    monkeypatch.setattr(gathering, "worker_count", lambda: 3)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 10_000)
    monkeypatch.setattr(spool, "HELD_BYTES", 20_000)
    monkeypatch.setattr(spool, "PARTITION_BYTES", 10_000)


def outcome(folder: Path, people: list[tuple[str, ...]]) -> tuple[list[str], dict[str, Any]]:
    prepared = run(folder, people)
    assert len(list((folder / "out").iterdir())) == 3
    return sorted(map(repr, written(prepared))), prepared.quality.to_json()


def test_large_and_small_files_give_the_same(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    small = outcome(tmp_path, PEOPLE)
    request.getfixturevalue("large")
    assert outcome(tmp_path, PEOPLE) == small
    assert small[1]["dropped"]["duplicate"] > 0


def test_a_file_that_turns_odd_goes_on_in_order(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path = tmp_path / "fresh.csv"
    (tmp_path / "out").mkdir()
    seen = []
    for fixture in (None, "large"):
        if fixture:
            request.getfixturevalue(fixture)
        write_csv(path, PEOPLE)
        with path.open("a", newline="") as file:
            file.write('odd@x.fr,,5" gold,1\r' + "last@x.fr,,gold,2\n" * 3)
        prepared = prepare.prepare(mapped(tmp_path), AGREEMENT, 1, SECRET, FRESH, tmp_path / "out", now=NOW)
        seen.append((sorted(map(repr, written(prepared))), prepared.quality.to_json()))
    assert seen[0] == seen[1]
    assert seen[0][1]["rows_read"] == 3004


@pytest.mark.parametrize("line", ["a@x.fr,,\n", '"a@x.fr,,,\n', "a@x.fr,,\0,\n"])
def test_the_same_error_on_the_same_line(tmp_path: Path, large: None, line: str) -> None:
    write_csv(tmp_path / "fresh.csv", PEOPLE)
    with (tmp_path / "fresh.csv").open("a") as file:
        file.write(line + "b@x.fr,,,\n")
    (tmp_path / "out").mkdir()
    with pytest.raises(BadFile, match="line 3002"):
        prepare.prepare(mapped(tmp_path), AGREEMENT, 1, SECRET, FRESH, tmp_path / "out", now=NOW)
    assert list((tmp_path / "out").iterdir()) == []


def test_a_worker_that_ends_early_is_a_failure_with_its_cause(
    tmp_path: Path, large: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system ends one that takes too much memory: at once, or with the first answer half written."""
    half = "import os; os.read(0, 10); os.write(1, b'\\x80\\x05\\x95')"
    for program in ("raise SystemExit(1)", half):
        monkeypatch.setattr(workers, "_START", program)
        with pytest.raises(Failure, match="a worker process ended before its work; is there too little memory"):
            run(tmp_path, PEOPLE)
        assert list((tmp_path / "out").iterdir()) == []


def test_the_temporary_file_has_no_name(tmp_path: Path) -> None:
    kind = np.dtype(np.int64)
    records = np.arange(10_000_000, dtype=kind)
    with spool.Spool(tmp_path, 4, kind) as held:
        held.add(spool.arranged(records, records.astype(np.uint16), 4))
        held.add(spool.arranged(records[:3], records[:3].astype(np.uint16), 4))
        assert list(tmp_path.iterdir()) == []
        found = [part.tolist() for part in held.take()]
    assert found == [records[part::4].tolist() + ([part] if part < 3 else []) for part in range(4)]


def test_every_order_is_as_likely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three rows in two partitions: 6 orders, 600 times; with four standard deviations, once in 3,000 runs."""
    seen: dict[tuple[int, ...], int] = {}
    kind = np.dtype([("line", np.int64), ("has", np.uint8)])
    for _ in range(600):
        records = np.array([(1, 1), (2, 1), (3, 1)], kind)
        left = gathering.Left(np.dtype(np.uint8), 1)
        left.add(records["line"], records["has"])
        with spool.Spool(tmp_path, 2, kind) as held:
            held.add(spool.arranged(records, np.frombuffer(os.urandom(6), np.uint16), 2))
            whole = gathering.Gathered(3, gathering.Counts(), left, held)
            order = tuple(int(line) for part in whole.shuffled() for line in part["line"])
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 6
    assert all(abs(count - 100) < 4 * 9.2 for count in seen.values())


PROGRAM = """
import sys
from pathlib import Path
from partners import prepare
from tests.partners.world import AGREEMENT, FRESH, NOW, SECRET, mapped

folder = Path(sys.argv[1])
print("ready", flush=True)
told = lambda step, done, total: print(step, 100 * done // total, flush=True)
prepare.prepare(mapped(folder), AGREEMENT, 1, SECRET, FRESH, folder / "out", now=NOW, progress=told)
"""


@pytest.fixture(scope="module")
def three_hundred_thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("large")
    write_csv(folder / "fresh.csv", ((f"p{row}@example.fr", f"06{row:08d}", "gold", "12.5") for row in range(300_000)))
    return folder


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("step", "percent", "wait"),
    [
        ("ready", 0, 0.0),
        ("ready", 0, 0.4),
        ("reading", 1, 0.0),
        ("reading", 50, 0.02),
        ("reading", 100, 0.0),
        ("writing", 10, 0.0),
    ],
)
def test_ctrl_c_leaves_no_file_and_no_process(
    three_hundred_thousand: Path, step: str, percent: int, wait: float
) -> None:
    out = three_hundred_thousand / "out"
    out.mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(three_hundred_thousand)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            name, _, done = line.strip().partition(" ")
            if name == step and int(done or 0) >= percent:
                break
        time.sleep(wait)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert list(out.iterdir()) == []
    assert children or step in ("ready", "writing") or percent == 100
    deadline = time.monotonic() + 10
    while any(map(_lives, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, children))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_workers_end_when_their_starter_is_killed(three_hundred_thousand: Path) -> None:
    (three_hundred_thousand / "out").mkdir(exist_ok=True)
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(three_hundred_thousand)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        while not process.stdout.readline().startswith("reading"):
            pass
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
        process.communicate(timeout=30)
    assert children
    deadline = time.monotonic() + 10
    while any(map(_lives, children)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_lives, children))
    assert list((three_hundred_thousand / "out").iterdir()) == []


def _lives(child: str) -> bool:
    try:
        state = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"

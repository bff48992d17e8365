import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from partners import files


@pytest.fixture(autouse=True)
def _usual_umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("private", "mode"), [(True, 0o600), (False, 0o644)])
def test_a_written_file_has_its_bytes_and_mode(tmp_path: Path, private: bool, mode: int) -> None:
    files.write(tmp_path / "a", b"old", private=private)
    files.write(tmp_path / "a", b"new", private=private)
    assert (tmp_path / "a").read_bytes() == b"new"
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert names(tmp_path) == ["a"]


def test_a_private_file_is_never_open_to_others(tmp_path: Path) -> None:
    with files.replacing(tmp_path / "a", private=True) as (temporary,):
        assert temporary.stat().st_mode & 0o777 == 0o600


def test_a_new_file_never_replaces_one(tmp_path: Path) -> None:
    files.write_new(tmp_path / "a", b"first", private=True)
    with pytest.raises(FileExistsError):
        files.write_new(tmp_path / "a", b"second", private=True)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert names(tmp_path) == ["a"]


def interrupted(path: Path) -> None:
    with files.replacing(path, private=True) as (temporary,):
        temporary.write_bytes(b"half")
        raise KeyboardInterrupt


def write_set(targets: list[Path]) -> None:
    with files.replacing(*targets, private=True) as temporaries:
        for temporary in temporaries:
            temporary.write_bytes(b"new")


def test_after_an_interruption_the_old_file_stands(tmp_path: Path) -> None:
    files.write(tmp_path / "a", b"old", private=True)
    with pytest.raises(KeyboardInterrupt):
        interrupted(tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_set_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """An older set stands there; the n-th rename is interrupted, before or after it took place."""
    targets = [tmp_path / name for name in ("rows", "report", "manifest")]
    rename = Path.replace
    for also_done in (False, True):
        for target in targets:
            target.write_bytes(b"old")
        calls = 0

        def replace(self: Path, target: Path, also_done: bool = also_done) -> None:
            nonlocal calls
            calls += 1
            assert not targets[-1].exists(), "an older manifest never stands beside newer rows"
            if calls == failing and not also_done:
                raise KeyboardInterrupt
            rename(self, target)
            if calls == failing:
                raise KeyboardInterrupt

        monkeypatch.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            write_set(targets)
        assert names(tmp_path) == []


def test_a_failure_before_the_renames_leaves_the_older_set(tmp_path: Path) -> None:
    targets = [tmp_path / name for name in ("rows", "manifest")]
    for target in targets:
        target.write_bytes(b"old")
    with pytest.raises(OSError, match="full"), files.replacing(*targets, private=True):
        raise OSError("full")
    assert names(tmp_path) == ["manifest", "rows"]
    assert {target.read_bytes() for target in targets} == {b"old"}

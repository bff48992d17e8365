"""Windows refuses to rename or remove a file that is open. No partner's step does, from joining to the export."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from partners import spool
from partners.steps import exporting
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people
from tests.room.test_keys import rotate
from tests.room.test_replacements import come_back
from tests.room.withdrawing import send

ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def opened() -> set[Path]:
    """The files that this process has open."""
    found = set()
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.add(link.readlink())
        except OSError:
            continue
    return found


@pytest.fixture
def moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """What partners rename and remove; a file that is open meanwhile is an error, as on Windows."""
    seen: list[Path] = []

    def watched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*paths: Any, **others: Any) -> Any:
            mine = [Path(path).absolute() for path in paths if isinstance(path, str | Path)]
            mine = [path for path in mine if {"partners", "files", "out"} & {*path.parts[len(tmp_path.parts) :]}]
            seen.extend(mine)
            assert not opened() & {*mine}, f"{real.__name__} of an open file"
            return real(*paths, **others)

        return call

    for name in ("replace", "rename", "unlink", "remove", "link"):
        monkeypatch.setattr(os, name, watched(getattr(os, name)))
    return seen


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_no_file_is_renamed_or_removed_while_it_is_open(
    shared_joined: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moved: list[Path]
) -> None:
    monkeypatch.setattr(spool, "HELD_BYTES", 1000)
    with shared_joined.copy(tmp_path) as stage:
        identifier = stage.agree(DRIVE, READERS)
        stage.share_secret(identifier)
        for brand in (DRIVE, READERS):
            stage.publish(identifier, brand, people(range(300)))
        assert stage.ask("fresh", identifier, ASKED).released
        send(Collaboration(stage, identifier), ["p1@mail.example"], owner="fresh")
        rotate(stage, "fresh")
        stage.compare("fresh", "tasty")
        come_back(stage, "tasty", "fresh")
        fresh = stage.players["fresh"]
        exporting.export(fresh.home, fresh.room, tmp_path / "out" / "export")
    kinds = {path.suffix for path in moved}
    assert {".json", ".parquet", ".tmp"} <= kinds

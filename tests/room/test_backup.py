"""Backups: the same room from a copy that was taken while it worked."""

import re
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from cleanroom import backup, recovery, setup
from cleanroom.audit.signer import SignerRefused
from cleanroom.backup import BackupFailed
from cleanroom.catalog.catalog import Catalog
from cleanroom.cli import cli
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people, settings

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def quiet(step: str, done: int, whole: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def worked(opened: Collaboration) -> Collaboration:
    for brand in (DRIVE, READERS):
        opened.stage.publish(opened.id, brand, people(range(400)))
    return opened


def restored(stage: Stage, copy: Path, folder: Path) -> setup.Room:
    """The room of a backup, with the keys as they are now."""
    shutil.copytree(copy, folder / "room")
    shutil.copytree(stage.folder / "keys", folder / "keys")
    return setup.start(settings(folder))


def test_a_room_from_its_backup_is_the_same_room(worked: Collaboration, tmp_path: Path) -> None:
    """Views and the published log are not in it: both are made again. Nothing in it is open to others."""
    report = worked.stage.ask("fresh", worked.id, OVERLAP)
    made = backup.backup(worked.stage.room, tmp_path / "copy", quiet)
    assert (made.versions, made.leaves) == (2, len(worked.stage.leaves()))
    assert sorted(path.name for path in (tmp_path / "copy").iterdir()) == ["audiences", "catalog.sqlite", "links"]
    assert {path.stat().st_mode & 0o077 for path in [tmp_path / "copy", *(tmp_path / "copy").rglob("*")]} == {0}
    room = restored(worked.stage, tmp_path / "copy", tmp_path / "again")
    with room.catalog() as catalog:
        same = catalog.one("select figures from reports where id = ?", report.id)
    assert same is not None
    assert same["figures"] in worked.stage.rows("select figures from reports where id = ?", report.id)[0]
    published = {path.name for path in (worked.stage.room.settings.data / "audiences").iterdir()}
    assert {path.name for path in (room.settings.data / "audiences").iterdir()} == published
    assert (room.settings.log / "checkpoint").is_file()


def test_a_copy_taken_while_the_room_works_is_whole(worked: Collaboration, tmp_path: Path) -> None:
    """Versions come and go meanwhile; every version that the copy names has its files, and its log has no gap."""
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            worked.stage.publish(worked.id, DRIVE, people(range(300)))

    worker = threading.Thread(target=work)
    worker.start()
    copies = [tmp_path / f"copy-{number}" for number in range(5)]
    try:
        for copy in copies:
            backup.backup(worked.stage.room, copy, quiet)
    finally:
        stop.set()
        worker.join()
    for copy in copies:
        with backup.Catalog(copy / "catalog.sqlite") as catalog:
            named = {str(row["id"]) for row in catalog.all("select id from versions where state = 'published'")}
            leaves, last = tuple(catalog.all("select count(*), max(seq) from log_entries")[0])
            assert catalog.one("pragma integrity_check")[0] == "ok"  # type: ignore[index]
        assert {path.name for path in (copy / "audiences").iterdir()} == named
        assert len(list((copy / "links").iterdir())) == len(named) * (len(named) - 1)
        assert leaves == last + 1


def test_an_older_backup_does_not_start(worked: Collaboration, tmp_path: Path) -> None:
    """The signer has signed more: a backup can't rewind the log or the ledger unnoticed."""
    backup.backup(worked.stage.room, tmp_path / "copy", quiet)
    worked.stage.ask("fresh", worked.id, OVERLAP)
    with pytest.raises(SignerRefused, match="shorter than what was signed"):
        restored(worked.stage, tmp_path / "copy", tmp_path / "again")


def test_a_backup_appears_whole_or_not_at_all(
    worked: Collaboration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    folder = tmp_path / "backups"
    folder.mkdir()
    with pytest.raises(OSError, match="No space"):
        backup.backup(worked.stage.room, folder / "copy", quiet)
    assert list(folder.iterdir()) == []


def test_versions_that_keep_going_away(worked: Collaboration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(shutil, "copyfile", gone)
    with pytest.raises(BackupFailed, match="quieter minute"):
        backup.backup(worked.stage.room, tmp_path / "copy", quiet)


def test_the_command(worked: Collaboration, tmp_path: Path) -> None:
    folders = ["--data", str(worked.stage.room.settings.data), "--keys", str(worked.stage.room.settings.keys)]
    told = CliRunner().invoke(cli, ["backup", str(tmp_path / "copy"), *folders])
    assert told.exit_code == 0, told.output
    assert told.stdout.startswith("2 audiences, ")
    assert "never of log.state" in told.stderr
    again = CliRunner().invoke(cli, ["backup", str(tmp_path / "copy"), *folders])
    assert isinstance(again.exception, BackupFailed)


def test_no_backup_inside_what_it_is_a_backup_of(worked: Collaboration) -> None:
    settings = worked.stage.room.settings
    before = sorted(settings.data.iterdir()), sorted(settings.keys.iterdir())
    for folder in (settings.data / "copy", settings.keys / "copy", settings.data / ".." / settings.data.name / "copy"):
        with pytest.raises(BackupFailed, match="name a folder elsewhere"):
            backup.backup(worked.stage.room, folder, quiet)
    assert (sorted(settings.data.iterdir()), sorted(settings.keys.iterdir())) == before


def test_the_way_back_in_a_container(worked: Collaboration, tmp_path: Path) -> None:
    """The commands of docs/operating.md, in folders that cannot be replaced."""
    place = tmp_path / "srv"
    place.mkdir()
    (place / "backups").mkdir(mode=0o700)
    backup.backup(worked.stage.room, place / "backups" / "2026-03-14", quiet)
    worked.stage.ask("fresh", worked.id, OVERLAP)
    for name, source in (("data", worked.stage.room.settings.data), ("keys", worked.stage.room.settings.keys)):
        shutil.copytree(source, place / name)
    said = (Path(__file__).parents[2] / "docs/operating.md").read_text()
    typed = re.findall(r"room -ec '\n(.+?)'\n", said.partition("\n## In a container\n")[2], re.DOTALL)[0]
    subprocess.run(["sh", "-ec", typed.replace("/srv/room", str(place))], check=True)
    assert {path.stat().st_mode & 0o077 for path in (place / "data").iterdir()} == {0}
    with Catalog(place / "data" / "catalog.sqlite") as catalog:
        assert catalog.one("select 1 from reports") is None
    found = replace(worked.stage.room.settings, data=place / "data", keys=place / "keys")
    made = recovery.recover(found, place / "backups" / "damaged" / "catalog.sqlite", [])
    assert made is not None
    assert setup.start(found).origin == worked.stage.room.origin

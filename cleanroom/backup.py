"""A copy of the data folder that is consistent, taken while the room serves.

Rules:
* The catalog first, as one snapshot (SQLite's online backup); then the files of the versions that this snapshot names:
  columns, links, uploads that wait. None of them changes once it is there; where one went meanwhile, all begins anew.
* Not copied: views and the published log, which a room makes again from these, and the keys, which lie elsewhere.
* The copy appears whole under its name, or not at all.
"""

import os
import secrets
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cleanroom.catalog import versions
from cleanroom.catalog.catalog import Catalog
from cleanroom.room import Room

ATTEMPTS = 5

Progress = Callable[[str, int, int], None]
"""Told a step, the bytes done and the bytes in all."""


class BackupFailed(Exception):
    """No copy was made; the message says what to do and is safe to print."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What was copied: the leaves of the log that it holds, its versions and its bytes."""

    leaves: int
    versions: int
    size: int


def backup(room: Room, out: Path, progress: Progress) -> Backup:
    """Copies a room's data folder to the new folder `out`. Raises `BackupFailed`, and OSError of the disk."""
    if out.exists():
        raise BackupFailed(f"{out.name} exists already; name a new folder for each backup")
    place = out.resolve()
    if any(place.is_relative_to(folder.resolve()) for folder in (room.settings.data, room.settings.keys)):
        raise BackupFailed("a backup inside the data or the keys folder goes where they go; name a folder elsewhere")
    for _ in range(ATTEMPTS):
        hidden = out.with_name(f".{out.name}.{secrets.token_hex(8)}")
        hidden.mkdir(mode=0o700)
        try:
            made = _copied(room, hidden, progress)
            hidden.rename(out)
            _sync(out.parent)
            return made
        except FileNotFoundError:  # a version was retired after the snapshot
            continue
        finally:
            shutil.rmtree(hidden, ignore_errors=True)
    raise BackupFailed("versions were retired each time while they were copied; try again in a quieter minute")


def _copied(room: Room, hidden: Path, progress: Progress) -> Backup:
    target = hidden / room.settings.catalog.name
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    with room.catalog() as catalog, closing(sqlite3.connect(target)) as copy:
        catalog.connection.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    with Catalog(target) as snapshot:
        published = frozenset(version.id for version in versions.all_published(snapshot))
        waiting = versions.uploads(snapshot)
        leaves = snapshot.connection.execute("SELECT count(*) FROM log_entries").fetchone()[0]
    files = list(_files(room, published, waiting))
    whole = sum(path.stat().st_size for path in files)
    done = 0
    for path in files:
        place = hidden / path.relative_to(room.settings.data)
        for folder in (place.parent.parent, place.parent):  # `parents=True` would open the outer one to others
            folder.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(path, place)
        place.chmod(0o600)
        _sync(place)
        done += path.stat().st_size
        progress("copying", done, whole)
    for folder in {path.parent for path in hidden.rglob("*")}:
        _sync(folder)
    return Backup(leaves, len(published), done + target.stat().st_size)


def _files(room: Room, published: frozenset[str], waiting: frozenset[str]) -> Iterator[Path]:
    """The files of these versions and uploads. Raises FileNotFoundError where one is not there."""
    data = room.settings.data
    for version in sorted(published):
        yield from _of_folder(data / "audiences" / version)
    for folder in sorted((data / "links").iterdir()):
        if set(folder.name.split("--")) <= published:
            yield from _of_folder(folder)
    for upload in sorted(waiting):
        yield room.settings.incoming / upload


def _of_folder(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

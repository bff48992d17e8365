"""Whether a room can release: what it needs for that is looked at, nothing is written.

Rules: a process that answers `/v1/health` lives; a room that is ready can also measure, log and publish. Each lack is a
sentence that names a part of the room, never a path or what lies in it. Any process may ask at any time.
"""

import fcntl
import shutil
import sqlite3
from pathlib import Path

from cleanroom.audit import log, publisher
from cleanroom.audit.signer import Behind, SignerRefused
from cleanroom.catalog import catalog as catalogs
from cleanroom.room import Room
from partners.transparency.checkpoint import open_checkpoint
from partners.transparency.note import NoteError

LEAST_FREE_BYTES = 64 * 1024 * 1024
WORKER_LOCK = "jobs.lock"


def lacks(room: Room) -> tuple[str, ...]:
    """What keeps the room from releasing; nothing where it is ready."""
    found = (_catalog(room), _signer(room), _log(room), _worker(room.settings.data / WORKER_LOCK), _disk(room))
    return tuple(each for each in found if each)


def free_bytes(room: Room) -> int:
    """What is free on the data folder's disk."""
    return shutil.disk_usage(room.settings.data).free


def _catalog(room: Room) -> str | None:
    try:
        with room.catalog() as catalog:
            catalog.room_name()
            schema = catalogs.schema(catalog)
    except (OSError, sqlite3.Error):
        return "the catalog cannot be read"
    return None if schema.current else "the catalog is of another version of the software"


def _signer(room: Room) -> str | None:
    try:
        with room.catalog() as catalog:
            size = log.size(catalog.connection)
    except (OSError, sqlite3.Error):
        return None  # that the catalog cannot be read is said already
    try:
        room.signer.covered(size)
    except Behind:
        return "the catalog is older than the log that was signed; run `cleanroom recover`"
    except (OSError, SignerRefused):
        return "the log's signer has no usable state"
    return None


def _log(room: Room) -> str | None:
    try:
        placed = publisher.placed(room.settings.log)
        if placed is not None:
            open_checkpoint(placed, room.signer.verifier)
            return None
    except (OSError, NoteError):
        pass
    return "the published log has no checkpoint that its key signed"


def _worker(lock: Path) -> str | None:
    """The worker holds its lock for as long as it lives. Many may look at once: a shared lock keeps nobody out."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError:
        pass
    return "the worker does not run"


def _disk(room: Room) -> str | None:
    try:
        free = free_bytes(room)
    except OSError:
        return "the data folder cannot be read"
    return None if free >= LEAST_FREE_BYTES else "the disk is nearly full"

"""A small log in a folder of its own, for the tests of this area."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cleanroom.audit import log, signer
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.publisher import publish
from partners.transparency.note import VerifierKey

ORIGIN = "room.example/audit-v1"
START_MS = 1_760_000_000_000


def nonce(seq: int) -> bytes:
    return sha256(b"nonce %d" % seq).digest()


def event(seq: int) -> Event:
    if seq == 0:
        return Event(EventKind.ROOM_INIT, details={"origin": ORIGIN})
    if seq % 3 == 0:
        return Event(EventKind.DECISION_REFUSE, "drive", "key-1", {"reason": "budget", "cost": seq})
    return Event(EventKind.DECISION_RELEASE, "drive", "key-2", {"cost": seq, "text": 'é"\\\n'})


@dataclass(frozen=True, slots=True)
class Room:
    """`folder` holds the catalog, the published log and the keys."""

    folder: Path

    @property
    def catalog(self) -> Path:
        return self.folder / "catalog.sqlite"

    @property
    def log_dir(self) -> Path:
        return self.folder / "log"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def key(self) -> VerifierKey:
        return signer.Signer(self.keys).verifier

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.catalog)) as connection:
            yield connection

    def grow(self, size: int) -> None:
        """Append events, in one transaction, until the log has `size` entries."""
        with self.connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            for seq in range(log.size(connection), size):
                log.append(connection, event(seq), START_MS + seq, nonce(seq))

    def publish(self, *, whole: bool = False) -> bytes:
        return publish(self.catalog, self.log_dir, signer.Signer(self.keys), whole=whole)

    def copy(self, folder: Path) -> "Room":
        shutil.copytree(self.folder, folder)
        return Room(folder)

    def files(self) -> dict[str, bytes]:
        """The published files by path, hidden ones included, the lock left out."""
        found = {
            str(path.relative_to(self.log_dir)): path.read_bytes() for path in self.log_dir.rglob("*") if path.is_file()
        }
        found.pop(".lock", None)
        return found


def make_room(folder: Path, size: int) -> Room:
    folder.mkdir(parents=True, exist_ok=True)
    room = Room(folder)
    with room.connection() as connection:
        connection.executescript(log.SCHEMA)
    signer.create(room.keys, ORIGIN)
    room.grow(size)
    return room

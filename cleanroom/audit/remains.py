"""What is left of a room's newer log, leaf by leaf: of its catalog, also a damaged one, or of an export that was taken.

Rules: leaves come in order from number 0, each with the body that it commits to, and end before the first one that is
missing, unreadable or not itself. Whether they are this log's is for the signed root to say.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cleanroom.audit import archive
from cleanroom.audit.archive import ArchiveError
from cleanroom.audit.export import BODIES
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import Entry, EntryError, commitment
from partners.transparency.tiles import WIDTH, Tile, decode_bundle
from policies import canonical

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True, slots=True)
class Leaf:
    """An entry as it is in the log, its body, and the 32-byte nonce between them."""

    entry: bytes
    body: bytes
    nonce: bytes


def leaves(path: Path) -> Iterator[Leaf]:
    """The leaves of a catalog or an export. Raises `ArchiveError` for a file that is neither."""
    for seq, leaf in enumerate(_of_catalog(path) if is_catalog(path) else _of_export(path)):
        try:
            entry = Entry.parse(leaf.entry)
            if entry.seq != seq or entry.commit != commitment(leaf.nonce, leaf.body):
                return
        except EntryError:
            return
        yield leaf


def is_catalog(path: Path) -> bool:
    """Whether a file is a catalog, by how it begins."""
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _of_catalog(path: Path) -> Iterator[Leaf]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            for entry, body, nonce in connection.execute("SELECT entry, body, nonce FROM log_entries ORDER BY seq"):
                if nonce is None:
                    return
                yield Leaf(entry, body, nonce)
        except sqlite3.DatabaseError:  # from here on it is damaged
            return


def _of_export(path: Path) -> Iterator[Leaf]:
    with path.open("rb") as file:
        members = archive.read(file)
        if BODIES not in members:
            raise ArchiveError("this archive is no export of a log")
        file.seek(members[BODIES].offset)
        bundle, end = list[bytes](), members[BODIES].offset + members[BODIES].size
        seq = 0
        while (at := file.tell()) < end:
            line = file.readline(end - at)
            after = file.tell()
            place = seq % WIDTH
            if place == 0:
                bundle = _bundle(file, members, seq // WIDTH)
            try:
                found = canonical.loads(line.removesuffix(b"\n"))
                leaf = Leaf(bundle[place], found["body"].encode(), decode_base64(found["nonce"]))
                if found["seq"] != seq:
                    return
            except (ValueError, KeyError, TypeError, AttributeError, IndexError):
                return
            yield leaf
            file.seek(after)
            seq += 1


def _bundle(file: BinaryIO, members: dict[str, archive.Member], index: int) -> list[bytes]:
    widths = (WIDTH, *range(1, WIDTH))
    names = (Tile(0, index, width).entries_path for width in widths)
    found = next((members[name] for name in names if name in members), None)
    try:
        return decode_bundle(archive.content(file, found)) if found else []
    except ValueError:
        return []

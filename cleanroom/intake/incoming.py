"""The bytes of an upload on the disk, until they are checked.

Rules: an upload is one file; its offset is the file's size, so a crash needs no repair. Bytes go from the socket to the
disk in small pieces, never a whole chunk in memory. One writer at a time holds the file's lock, and an append begins
where the file ends, so bytes never interleave. What arrived before a cut stays; a chunk with a checksum stays only
when it arrived whole and fits.
"""

import fcntl
import hashlib
import hmac
import os
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import BinaryIO

PIECE = 256 * 1024


class Refused(Enum):
    """Why bytes were not appended."""

    BUSY = "somebody else is writing"
    WRONG_OFFSET = "the file ends elsewhere"
    TOO_LONG = "more bytes than were announced"
    CHECKSUM = "the bytes are not those of the checksum"
    GONE = "the upload was ended"


def create(path: Path) -> None:
    """An empty upload, readable by the room only."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600, exist_ok=False)


def append(path: Path, start: int, length: int, read: Callable[[int], bytes], sha1: bytes | None) -> int | Refused:
    """Appends what `read` gives at `start` of a file that may reach `length` bytes; the new size.

    `sha1`: what the appended bytes must hash to, all of them (tus extension `checksum`). Durable when it returns. An
    error of `read` passes through; what came before it is kept, unless there is a checksum.
    """
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return Refused.GONE
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Refused.BUSY
        if file.seek(0, os.SEEK_END) != start:
            return Refused.WRONG_OFFSET
        kept = False
        try:
            outcome = _copy(file, start, length, read, sha1)
            kept = isinstance(outcome, int)
            return outcome
        finally:
            if not kept and sha1 is not None:
                file.truncate(start)
            file.flush()
            os.fsync(file.fileno())


def _copy(file: BinaryIO, start: int, length: int, read: Callable[[int], bytes], sha1: bytes | None) -> int | Refused:
    at, digest = start, hashlib.sha1(usedforsecurity=False)
    while piece := read(PIECE):
        if at + len(piece) > length:
            return Refused.TOO_LONG
        digest.update(piece)
        at += file.write(piece)
    if sha1 is not None and not hmac.compare_digest(sha1, digest.digest()):
        return Refused.CHECKSUM
    return at


def remove(path: Path) -> bool:
    """Ends an upload. False while somebody is writing to it."""
    try:
        with path.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False
    return True

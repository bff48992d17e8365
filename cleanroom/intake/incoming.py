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
from io import FileIO
from pathlib import Path

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
    error of `read` passes through, and so does the disk's; what came before it is kept, unless there is a checksum.
    """
    try:
        # Without a buffer: what could not be written would be tried again by the truncation.
        file = path.open("r+b", buffering=0)
    except FileNotFoundError:
        return Refused.GONE
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Refused.BUSY
        if not os.fstat(file.fileno()).st_nlink:  # ended between the opening and the lock
            return Refused.GONE
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
            os.fsync(file.fileno())


def _copy(file: FileIO, start: int, length: int, read: Callable[[int], bytes], sha1: bytes | None) -> int | Refused:
    at, digest = start, hashlib.sha1(usedforsecurity=False)
    while piece := memoryview(read(PIECE)):
        if at + len(piece) > length:
            return Refused.TOO_LONG
        digest.update(piece)
        while piece:  # the last bytes of a disk are written before it says that it is full
            written = file.write(piece)
            at, piece = at + written, piece[written:]
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

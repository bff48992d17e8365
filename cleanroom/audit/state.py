"""The signer's memory: the last checkpoint that was signed, in two places of one file that are written in turn.

Rules: a place has 512 bytes, what a disk writes whole or not at all: a digest, the checkpoint's text, zeroes. The newer
of the places that are whole counts, so that a cut leaves the one before it, whose successor nobody has been handed. The
file never grows or moves: one sync of its bytes makes a step durable. Whoever writes holds the signer's lock.
"""

import os
from hashlib import sha256
from pathlib import Path

from cleanroom.audit.files import PRIVATE, write_file
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.note import NoteError

_PLACE = 512
_PLACES = 2


class StateDamaged(ValueError):
    """No place of the file is whole, or it is no such file."""


def begin(path: Path, checkpoint: Checkpoint) -> None:
    """A new file, in the place of any other, that remembers a checkpoint. The name is durable with its folder."""
    write_file(path, _written(checkpoint) + bytes((_PLACES - 1) * _PLACE), PRIVATE, durable=True)


def upgrade(path: Path) -> None:
    """Brings a file of the first version, which was a checkpoint's bare text, to this form; leaves any other alone."""
    try:
        first = Checkpoint.parse(path.read_bytes().decode())
    except (FileNotFoundError, NoteError, UnicodeDecodeError):
        return
    begin(path, first)


def read(path: Path) -> Checkpoint:
    """The last checkpoint. Raises `StateDamaged`, FileNotFoundError; needs no lock."""
    return max(_places(path.read_bytes()).values(), key=lambda found: found.size)


def advance(path: Path, checkpoint: Checkpoint) -> None:
    """Remembers a larger checkpoint, durably. Raises `StateDamaged`, OSError."""
    handle = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        kept = _places(os.read(handle, _PLACES * _PLACE + 1))
        oldest = min(range(_PLACES), key=lambda place: kept[place].size if place in kept else -1)
        if os.pwrite(handle, _written(checkpoint), oldest * _PLACE) != _PLACE:
            raise OSError("the signer's state was written in part")
        os.fdatasync(handle)
    finally:
        os.close(handle)


def writable(path: Path) -> None:
    """Returns where `advance` may write. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC))


def _written(checkpoint: Checkpoint) -> bytes:
    text = checkpoint.text().encode()
    data = sha256(text).digest() + text
    assert len(data) <= _PLACE, "an origin is short"
    return data.ljust(_PLACE, b"\0")


def _places(data: bytes) -> dict[int, Checkpoint]:
    """The places that are whole, by their number."""
    found = dict[int, Checkpoint]()
    for place in range(_PLACES if len(data) == _PLACES * _PLACE else 0):
        part = data[place * _PLACE : (place + 1) * _PLACE]
        text = part[sha256().digest_size :].rstrip(b"\0")
        if part[: sha256().digest_size] == sha256(text).digest() and text:
            try:
                found[place] = Checkpoint.parse(text.decode())
            except (NoteError, UnicodeDecodeError):
                continue
    if not found:
        raise StateDamaged
    return found

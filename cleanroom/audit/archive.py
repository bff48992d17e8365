"""One deterministic tar: plain files sorted by name, every header field fixed but name and size (POSIX ustar).

Reading accepts exactly what writing makes, byte for byte, so links, folders, repeated names, extended headers, sparse
files and hidden bytes cannot occur. Nothing is ever extracted, so a name is no path.
"""

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

_BLOCK = 512
_RECORD = 20 * _BLOCK
_MAX_NAME = 100
_MAX_SIZE = 8**11 - 1


class ArchiveError(ValueError):
    """A file that is not such a tar; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where a file's bytes lie within the archive."""

    offset: int
    size: int


class Sink(Protocol):
    """Where an archive is written to, from the beginning."""

    def write(self, data: bytes, /) -> object: ...

    def tell(self) -> int: ...


def write(out: Sink, members: Iterable[tuple[str, BinaryIO]]) -> None:
    """Write the members, which come sorted by name, each from the start of its file to the end."""
    for name, source in members:
        size = source.seek(0, os.SEEK_END)
        source.seek(0)
        out.write(_header(name, size))
        shutil.copyfileobj(source, out)
        out.write(bytes(-size % _BLOCK))
    out.write(bytes(2 * _BLOCK))
    out.write(bytes(-out.tell() % _RECORD))


def read(file: BinaryIO) -> dict[str, Member]:
    """Every member by name; ArchiveError unless the whole file is exactly what `write` makes."""
    total = file.seek(0, os.SEEK_END)
    file.seek(0)
    members: dict[str, Member] = {}
    last = ""
    while any(header := file.read(_BLOCK)):
        name, size = _name_and_size(header)
        if name <= last:
            raise ArchiveError("the archive's members are not sorted by name")
        offset = file.tell()
        file.seek(offset + size)
        if any(file.read(-size % _BLOCK)):
            raise ArchiveError("the archive hides bytes between its members")
        members[name] = Member(offset, size)
        last = name
    end = file.tell() + _BLOCK
    if total != end + -end % _RECORD or any(file.read()):
        raise ArchiveError("the archive does not end as it should")
    return members


def content(file: BinaryIO, member: Member) -> bytes:
    """A member's bytes."""
    file.seek(member.offset)
    return file.read(member.size)


def _header(name: str, size: int) -> bytes:
    """One block: mode 0644, owner 0, time 0, a plain file. Written here so that it is the same on every Python."""
    raw = name.encode("ascii")
    if not 0 < len(raw) <= _MAX_NAME or not 0 <= size <= _MAX_SIZE:
        raise ValueError("a member needs a name of at most 100 bytes and a size of at most 8 GiB")
    start = raw.ljust(_MAX_NAME, b"\0") + b"0000644\0" + 2 * b"0000000\0" + b"%011o\0" % size + b"00000000000\0"
    end = (b"0" + bytes(100) + b"ustar\x0000").ljust(_BLOCK - len(start) - 8, b"\0")
    checksum = sum(start) + sum(end) + 8 * ord(" ")
    return start + b"%06o\0 " % checksum + end


def _name_and_size(header: bytes) -> tuple[str, int]:
    """Read both fields, then demand that they give this very header."""
    try:
        name = header[:_MAX_NAME].rstrip(b"\0").decode("ascii")
        size = int(header[124:135].decode("ascii"), 8)
        if _header(name, size) == header:
            return name, size
    except ValueError:
        pass
    raise ArchiveError("the archive holds something else than plain files with fixed headers")

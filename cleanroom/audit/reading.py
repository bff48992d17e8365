"""The members of an export, read within bounds: archives may be hostile, so nothing is quoted and nothing is trusted.

Lines of `bodies.jsonl` are canonical JSON `{"body", "nonce", "seq"}`, those of `documents.jsonl` as in `documents`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from cleanroom.audit import archive
from cleanroom.audit.archive import Member
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import MAX_BODY_BYTES, Body
from policies import canonical

MAX_LINE = 2 * MAX_BODY_BYTES + 1024  # a body as a JSON string escapes at most every byte of it once
MAX_DOCUMENT_LINE = 16 * MAX_BODY_BYTES
_BODY_LINE = re.compile(rb'\{"body":(".*"),"nonce":"([^"]{44})","seq":(0|[1-9][0-9]{0,17})\}', re.DOTALL)


class Wrong(ValueError):
    """What a check found wrong, as one safe line."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An entry whose body was opened to the reader: its number, its UTC time in ms since 1970, what happened."""

    seq: int
    time_ms: int
    body: Body


@dataclass(frozen=True, slots=True)
class Finding:
    """Where the log says something else than the policies: the entry, what it is about, both values as text."""

    seq: int
    what: str
    derived: str
    written: str


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a replay of the policies found. `unjudged`: decisions that rest on what is not there."""

    decisions: int
    unjudged: int
    findings: tuple[Finding, ...]


class Replaying(Protocol):
    """A replay of the policies under way: takes every opened body in order, then tells what it found."""

    def take(self, opened: Opened) -> None: ...

    def told(self) -> Replayed: ...


def content(file: BinaryIO, members: dict[str, Member], name: str, limit: int) -> bytes:
    """A member's bytes. Raises `Wrong` where it is missing or larger than it can be."""
    if name not in members:
        raise Wrong("the file is missing")
    if members[name].size > limit:
        raise Wrong("the file is larger than it can be")
    return archive.content(file, members[name])


def lines(file: BinaryIO, member: Member, limit: int = MAX_LINE) -> Iterator[bytes]:
    """The lines of a member without their newlines, none longer than `limit`. Raises `Wrong`."""
    file.seek(member.offset)
    left = member.size
    while left:
        line = file.readline(min(left, limit))
        if not line.endswith(b"\n"):
            raise Wrong("a line is cut off or longer than it can be")
        left -= len(line)
        yield line[:-1]


def body_line(line: bytes) -> tuple[int, bytes, bytes]:
    """Number, body and nonce of a line of bodies. Raises `Wrong`."""
    if found := _BODY_LINE.fullmatch(line):
        quoted, nonce, seq = found.groups()
        try:
            return int(seq), canonical.loads(quoted).encode(), decode_base64(nonce.decode())
        except ValueError:
            pass
    raise Wrong("a line of bodies is not canonical JSON with body, nonce and seq")

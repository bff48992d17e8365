"""The members of an export, read within bounds: archives may be hostile, so nothing is quoted and nothing is trusted.

Lines of `bodies.jsonl` are canonical JSON `{"body", "nonce", "seq"}`, those of `documents.jsonl` as in `documents`.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from cleanroom.audit import archive
from cleanroom.audit.archive import Member
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import MAX_BODY_BYTES, Body
from policies import canonical

MAX_LINE = 2 * MAX_BODY_BYTES + 1024  # a body as a JSON string escapes at most every byte of it once
MAX_DOCUMENT_LINE = 16 * MAX_BODY_BYTES


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
    """What a replay of the policies found. `unjudged`: refusals that only closed bodies could explain."""

    decisions: int
    unjudged: int
    findings: tuple[Finding, ...]


def content(file: BinaryIO, members: dict[str, Member], name: str, limit: int) -> bytes:
    """A member's bytes. Raises `Wrong` where it is missing or larger than it can be."""
    if name not in members:
        raise Wrong("the file is missing")
    if members[name].size > limit:
        raise Wrong("the file is larger than it can be")
    return archive.content(file, members[name])


def lines(file: BinaryIO, member: Member, limit: int = MAX_LINE) -> Iterator[bytes]:
    """The lines of a member without their newlines, none longer than `limit`. Raises `Wrong`."""
    at, end = member.offset, member.offset + member.size
    while at < end:
        file.seek(at)  # whoever reads on in between moves the file
        line = file.readline(min(end - at, limit))
        if not line.endswith(b"\n"):
            raise Wrong("a line is cut off or longer than it can be")
        at += len(line)
        yield line[:-1]


def body_line(line: bytes) -> tuple[int, bytes, bytes]:
    """Number, body and nonce of a line of bodies. Raises `Wrong`."""
    try:
        value = canonical.loads(line)
        seq, body, nonce = value["seq"], value["body"].encode(), decode_base64(value["nonce"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Wrong("a line of bodies is not canonical JSON with body, nonce and seq") from None
    if len(value) != 3 or type(seq) is not int:
        raise Wrong("a line of bodies is not canonical JSON with body, nonce and seq")
    return seq, body, nonce


def opened(file: BinaryIO, member: Member, times: Sequence[int]) -> Iterator[Opened]:
    """The bodies of a member that was verified, so this only reads. `times`: of every entry, in ms."""
    for line in lines(file, member):
        value = json.loads(line)
        body = json.loads(value["body"])
        told = Body(body["event"], body["collaboration"], body["actor"], body["details"])
        yield Opened(value["seq"], times[value["seq"]], told)

"""The log's entries and the bodies they commit to. The bytes are fixed: changing a field needs a new version number.

An entry is canonical JSON `{"commit", "seq", "time", "version"}`; its bytes are a leaf of the tree, and anyone may hold
them. `commit` is SHA-256(0x02 ‖ nonce ‖ body) in hex with 32 secret random bytes as nonce, so an entry tells when
something happened and nothing else. A body is canonical JSON
`{"actor", "collaboration", "details", "event", "version"}`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from partners.transparency.encoding import MAX_NUMBER
from policies import canonical

VERSION = 1
NONCE_BYTES = 32
MAX_ENTRY_BYTES = 65_535  # an entry bundle gives each entry a uint16 length
MAX_BODY_BYTES = 1_048_576

_COMMIT = re.compile(r"[0-9a-f]{64}")
_WHOLE = re.compile(
    rb'\{"commit":"([0-9a-f]{64})","seq":(0|[1-9][0-9]{0,17}),"time":(0|[1-9][0-9]{0,17}),"version":%d\}' % VERSION
)
_EVENT = re.compile(r"[a-z]+:[a-z]+")


class EntryError(ValueError):
    """Bytes that are no entry or no body; the message is safe to print."""


def commitment(nonce: bytes, body: bytes) -> str:
    """64 hex digits that bind an entry to a body without telling it. The nonce has 32 random bytes, used once."""
    if len(nonce) != NONCE_BYTES:
        raise EntryError("a nonce has 32 bytes")
    return sha256(b"\x02" + nonce + body).hexdigest()


@dataclass(frozen=True, slots=True)
class Entry:
    """One leaf: its number in the log from 0, UTC time in milliseconds since 1970, and the commitment in hex."""

    seq: int
    time_ms: int
    commit: str

    def encode(self) -> bytes:
        """The leaf's bytes."""
        return canonical.dumps({"commit": self.commit, "seq": self.seq, "time": self.time_ms, "version": VERSION})

    @classmethod
    def parse(cls, data: bytes) -> "Entry":
        """The entry of a leaf's bytes; EntryError unless they are exactly what `encode` writes."""
        if found := _WHOLE.fullmatch(data):  # most of them, ten times faster; the rest is told what is wrong with it
            return cls(int(found[2]), int(found[3]), found[1].decode())
        value = _object(data, MAX_ENTRY_BYTES, {"commit", "seq", "time", "version"}, "entry")
        commit = value["commit"]
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise EntryError("malformed entry: its commitment is not 64 hex digits")
        return cls(_number(value["seq"]), _number(value["time"]), commit)


@dataclass(frozen=True, slots=True)
class Body:
    """What happened: `subject:action`, in which collaboration, by which key id, and the event's own details."""

    event: str
    collaboration: str | None
    actor: str | None
    details: Mapping[str, object]

    def encode(self) -> bytes:
        """The body's bytes; EntryError when they have no canonical form or exceed 1 MiB."""
        value = {
            "actor": self.actor,
            "collaboration": self.collaboration,
            "details": self.details,
            "event": self.event,
            "version": VERSION,
        }
        try:
            data = canonical.dumps(value)
        except (TypeError, ValueError) as error:
            raise EntryError("this event has details that canonical JSON cannot hold") from error
        if len(data) > MAX_BODY_BYTES:
            raise EntryError("this event's body is larger than 1 MiB")
        return data

    @classmethod
    def parse(cls, data: bytes) -> "Body":
        """The body of its bytes; EntryError unless they are exactly what `encode` writes."""
        value = _object(data, MAX_BODY_BYTES, {"actor", "collaboration", "details", "event", "version"}, "body")
        event, collaboration, actor, details = (value[k] for k in ("event", "collaboration", "actor", "details"))
        if not isinstance(event, str) or not _EVENT.fullmatch(event):
            raise EntryError("malformed body: its event is not of the form subject:action")
        if not isinstance(collaboration, str | None) or not isinstance(actor, str | None):
            raise EntryError("malformed body: collaboration and actor are text or null")
        if not isinstance(details, dict):
            raise EntryError("malformed body: its details are not an object")
        return cls(event, collaboration, actor, details)


def _object(data: bytes, limit: int, keys: set[str], what: str) -> dict[str, object]:
    if len(data) > limit:
        raise EntryError(f"malformed {what}: it is larger than {limit} bytes")
    try:
        value = canonical.loads(data)
    except ValueError:  # NotCanonical, and what json itself says of a number of thousands of digits
        raise EntryError(f"malformed {what}: it is not canonical JSON") from None
    if not isinstance(value, dict) or value.keys() != keys:
        raise EntryError(f"malformed {what}: it needs exactly the keys {', '.join(sorted(keys))}")
    if type(value["version"]) is not int or value["version"] != VERSION:
        raise EntryError(f"this {what} is of another version than {VERSION}; use a newer program")
    return value


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MAX_NUMBER:
        raise EntryError("malformed entry: its sequence and time are whole numbers")
    return value

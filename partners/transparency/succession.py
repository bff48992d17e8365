"""Successions: the room's signed word that a new log takes the place of one that it lost a part of.

A signed note with the key of the log that ended; the new log has the same public key under its own name. The first line
is no origin, so that a succession can never pass for a checkpoint:

    cleanroom/succession/v1
    room.example/audit-v1                                            the log that ended
    310                                                              the size that was signed last
    LExmXcfXTcQ0FVOLGJzrSk6Fu1ju36gM6diMJ1T0860=                     its root
    room.example/audit-v2                                            the new log
    300                                                              how many entries the new log took over
"""

from dataclasses import dataclass

from partners.transparency.encoding import decode_base64, decode_decimal, encode_base64
from partners.transparency.merkle import HASH_SIZE
from partners.transparency.note import NoteError, VerifierKey, open_note

FORM = "cleanroom/succession/v1"


@dataclass(frozen=True, slots=True)
class Succession:
    """Which log ended with which size and 32-byte root, which one goes on, and how many entries both begin with."""

    ended: str
    size: int
    root: bytes
    origin: str
    shared: int

    def text(self) -> str:
        """The note's text, each line ended by a newline."""
        lines = (FORM, self.ended, str(self.size), encode_base64(self.root), self.origin, str(self.shared))
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Succession":
        """The inverse of `text`. Raises `NoteError`."""
        form, *rest = text.removesuffix("\n").split("\n")
        if form != FORM or len(rest) != 5:
            raise NoteError("this note is no succession of logs")
        ended, size, root, origin, shared = rest
        try:
            found = cls(ended, decode_decimal(size), decode_base64(root), origin, decode_decimal(shared))
        except ValueError as error:
            raise NoteError(f"malformed succession: a line is {error}") from None
        if not (found.ended and found.origin) or len(found.root) != HASH_SIZE or found.text() != text:
            raise NoteError("malformed succession: two origins, two sizes, and a root of 32 bytes")
        return found


def open_succession(message: bytes, key: VerifierKey) -> Succession:
    """What a note says, verified: signed by the `key` of the log that ended, about that log."""
    found = Succession.parse(open_note(message, [key]).text)
    if found.ended != key.name:
        raise NoteError("this succession is about another log than the verifier key")
    return found

"""Acknowledgements: the room's signed word that it has a batch of withdrawals, from the moment when it acts.

Until the day's batches are committed to in the log, this is what the owner holds. A signed note with the log's key; its
text has six lines, the first of which is no origin, so that it can never pass for a checkpoint:

    cleanroom/acknowledgement/v1
    room.example/audit-v1                                            the log's origin
    drive-7f3a2b                                                     the collaboration
    fresh                                                            the owner
    2026-03-14                                                       the room's UTC day
    5d0c…                                                            SHA-256 of the signed batch, in hex
"""

import re
from dataclasses import dataclass

from partners.transparency.note import NoteError, VerifierKey, open_note

FORM = "cleanroom/acknowledgement/v1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What the room says it has: whose batch, of which collaboration, on which ISO day; `batch` is 64 hex digits."""

    origin: str
    collaboration: str
    partner: str
    day: str
    batch: str

    def text(self) -> str:
        """The note's text, each line ended by a newline."""
        lines = (FORM, self.origin, self.collaboration, self.partner, self.day, self.batch)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Acknowledgement":
        """The inverse of `text`. Raises `NoteError`."""
        form, *rest = text.removesuffix("\n").split("\n")
        if form != FORM or len(rest) != 5:
            raise NoteError("this note is no acknowledgement of a batch")
        found = cls(*rest)
        names = _NAME.fullmatch(found.collaboration) and _NAME.fullmatch(found.partner)
        if not (names and _DAY.fullmatch(found.day) and _DIGEST.fullmatch(found.batch)) or found.text() != text:
            raise NoteError("malformed acknowledgement: names, a day, and 64 hex digits")
        return found


def open_acknowledgement(message: bytes, key: VerifierKey) -> Acknowledgement:
    """What a note acknowledges, verified: signed by the log's `key`, and of the log that has the key's name."""
    found = Acknowledgement.parse(open_note(message, [key]).text)
    if found.origin != key.name:
        raise NoteError("this acknowledgement belongs to another log than the verifier key")
    return found

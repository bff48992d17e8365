"""Checkpoints (C2SP `tlog-checkpoint`): a log's origin, size and root as the text of a signed note.

The key's name is the log's origin. Extension lines are read and kept, and never written by this project.
"""

from dataclasses import dataclass

from partners.transparency.encoding import decode_base64, decode_decimal, encode_base64
from partners.transparency.merkle import HASH_SIZE
from partners.transparency.note import NoteError, VerifierKey, open_note, split_note


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to: `size` leaves under a 32-byte `root`."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The note's text, each line ended by a newline."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """The checkpoint of a note's text; NoteError unless it is exactly of that form."""
        origin, *rest = text.removesuffix("\n").split("\n")
        if not text.endswith("\n") or len(rest) < 2 or not all((origin, *rest)):
            raise NoteError("malformed checkpoint: it needs three lines, none of them empty")
        try:
            size, root = decode_decimal(rest[0]), decode_base64(rest[1])
        except ValueError as error:
            raise NoteError(f"malformed checkpoint: its size or root is {error}") from None
        if len(root) != HASH_SIZE:
            raise NoteError("malformed checkpoint: its root has not 32 bytes")
        return cls(origin, size, root, tuple(rest[2:]))


def open_checkpoint(message: bytes, key: VerifierKey) -> Checkpoint:
    """The checkpoint of a signed note, verified: signed by `key`, and of the log that has the key's name."""
    checkpoint = Checkpoint.parse(open_note(message, [key]).text)
    if checkpoint.origin != key.name:
        raise NoteError("this checkpoint belongs to another log than the verifier key")
    return checkpoint


def read_unverified(message: bytes) -> Checkpoint:
    """The checkpoint of a signed note whose signatures nobody checked: only for a log's own, or for messages."""
    return Checkpoint.parse(split_note(message)[0])

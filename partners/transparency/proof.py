"""Inclusion proofs as text (C2SP `tlog-proof`): everything but the entry that an offline check needs.

The line `c2sp.org/tlog-proof@v1`, optionally a line `extra <base64>`, the line `index <n>`, sibling hashes in base64
from the leaf's to the root's child, an empty line, and the signed checkpoint verbatim.
"""

from dataclasses import dataclass

from partners.transparency.encoding import decode_base64, decode_decimal, encode_base64
from partners.transparency.merkle import HASH_SIZE

_HEADER = "c2sp.org/tlog-proof@v1"
_MAX_PATH = 63


class ProofError(ValueError):
    """A proof that is not of the form above; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A leaf's index, its path of 32-byte hashes, and the signed checkpoint; nothing authenticates `extra`."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None = None

    def encode(self) -> str:
        """The proof's text; it ends with the checkpoint's last newline."""
        lines = [_HEADER]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(map(encode_base64, self.path))
        return "\n".join(lines) + "\n\n" + self.checkpoint

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """The proof of its text; ProofError unless it is exactly of that form. Nothing is verified yet."""
        head, _, checkpoint = text.partition("\n\n")
        header, *lines = head.split("\n")
        if header != _HEADER or not checkpoint:
            raise ProofError("malformed proof: it is not a c2sp.org/tlog-proof@v1 followed by a checkpoint")
        try:
            extra = decode_base64(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else None
            if not lines or not lines[0].startswith("index "):
                raise ProofError("malformed proof: the line 'index <n>' is missing")
            index = decode_decimal(lines[0][6:])
            path = tuple(map(decode_base64, lines[1:]))
        except ProofError:
            raise
        except ValueError as error:
            raise ProofError(f"malformed proof: a line is {error}") from None
        if len(path) > _MAX_PATH or any(len(sibling) != HASH_SIZE for sibling in path):
            raise ProofError("malformed proof: its path is not at most 63 hashes of 32 bytes")
        return cls(index, path, checkpoint, extra)

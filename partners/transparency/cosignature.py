"""Cosignatures (C2SP `tlog-cosignature`): a witness's word that a checkpoint extends all that it saw of a log before.

Ed25519 cosignatures only, type 0x04. The signature covers two lines, `cosignature/v1` and `time <seconds>`, and the
checkpoint's text; the note's line holds the time as 8 bytes, big-endian, before the 64 bytes of the signature. Pure.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from partners.transparency.check import Check, Outcome
from partners.transparency.encoding import MAX_NUMBER, decode_base64, encode_base64
from partners.transparency.note import NoteError, Signature, is_name, split_note

_TYPE = b"\x04"
_KEY_BYTES = 32
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_YEAR_9999 = 253_402_300_799
_VERIFIER = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's name and 32-byte Ed25519 public key; the text has the form of a log's verifier key, with type 4."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not is_name(self.name) or len(self.public) != _KEY_BYTES:
            raise NoteError("a witness has a name without space or plus, and an Ed25519 key of 32 bytes")

    @property
    def id(self) -> bytes:
        """4 bytes: the start of SHA-256(name ‖ newline ‖ 0x04 ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + _TYPE + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(_TYPE + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "WitnessKey":
        """The key of its text form; NoteError for any other text."""
        match = _VERIFIER.fullmatch(text)
        try:
            data = decode_base64(match[3]) if match else b""
        except ValueError:
            data = b""
        if not match or data[:1] != _TYPE:
            raise NoteError("this is not a witness's key: copy the whole line, name+id+key, of a cosigner (type 4)")
        key = cls(match[1], data[1:])
        if str(key) != text:
            raise NoteError("this witness's key is damaged: its id does not belong to its name and key; copy it again")
        return key

    def time_of(self, text: str, signature: bytes) -> int | None:
        """When this witness cosigned the checkpoint's text, in seconds since 1970; None for a false cosignature.

        `signature`: what follows the key id in the note's line.
        """
        time = int.from_bytes(signature[:_TIME_BYTES], "big")
        if len(signature) != _TIME_BYTES + _SIGNATURE_BYTES or time > MAX_NUMBER:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature[_TIME_BYTES:], _message(text, time))
        except InvalidSignature:
            return None
        return time


@dataclass(frozen=True, slots=True)
class WitnessSigner:
    """A witness's name and 32-byte seed. `repr` shows the name only."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def key(self) -> WitnessKey:
        return WitnessKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def cosign(self, text: str, time: int) -> str:
        """The signature line, with its newline, over a checkpoint's text at a time in seconds since 1970, not 0."""
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(_message(text, time))
        return Signature(self.name, self.key.id, time.to_bytes(_TIME_BYTES, "big") + signature).line()


def cosigned(message: bytes, keys: Iterable[WitnessKey]) -> dict[WitnessKey, int]:
    """Which of the witnesses cosigned a note, and when; others' signatures and false ones count for nothing."""
    text, signatures = split_note(message)
    found: dict[WitnessKey, int] = {}
    for key in keys:
        for each in signatures:
            if (each.name, each.key_id) == (key.name, key.id) and (time := key.time_of(text, each.signature)):
                found[key] = max(time, found.get(key, 0))
    return found


def check_witnesses(message: bytes | None, witnesses: Sequence[WitnessKey], quorum: int) -> Check:
    """The check that at least `quorum` of the witnesses cosigned a note; None: there is no note to look at."""
    if message is None:
        return Check("witnesses", Outcome.SKIPPED, "an earlier check failed")
    times = cosigned(message, witnesses)
    outcome = Outcome.PASSED if len(times) >= quorum else Outcome.FAILED
    said = f"{len(times)} of {len(witnesses)} witnesses cosigned it, {quorum} wanted"
    if times:
        last = datetime.fromtimestamp(min(max(times.values()), _YEAR_9999), UTC)
        said += f"; last {last:%Y-%m-%d %H:%M:%S} UTC"
    return Check("witnesses", outcome, said)


def with_cosignatures(message: bytes, lines: bytes, keys: Sequence[WitnessKey]) -> bytes:
    """The note with those of the signature `lines` that `keys` made over it, one for each, after the note's own.

    Lines of other keys, false ones, and those of a key that is on the note already are left out. NoteError for lines
    that are none.
    """
    text, _ = split_note(message)
    _, after = split_note(text.encode() + b"\n" + lines)
    held, added = set(cosigned(message, keys)), list[str]()
    for key in keys:
        for each in after:
            is_its = (each.name, each.key_id) == (key.name, key.id)
            if is_its and key not in held and key.time_of(text, each.signature):
                held.add(key)
                added.append(each.line())
    return message + "".join(added).encode()


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()

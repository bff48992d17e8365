"""Signed notes with Ed25519 keys (C2SP `signed-note`): text that ends in a newline, a blank line, signature lines.

A signature line is `— <key name> <base64(4-byte key id ‖ signature)>`. A verifier key is
`<name>+<8 hex of key id>+<base64(type ‖ public key)>`. Only canonical spellings are accepted. Signatures of unknown
keys are ignored; a false signature of a known key refuses the whole note, and so does a note that no known key signed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from partners.transparency.encoding import decode_base64, encode_base64

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
_KEY_BYTES = 32
_DASH = "— "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_VERIFIER = re.compile(r"([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_SIGNING = re.compile(r"PRIVATE\+KEY\+([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")


class NoteError(ValueError):
    """A note or key that must not be used; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A name and a 32-byte Ed25519 public key; its text is what people write down and compare."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _check_key(self.name, self.public)

    @property
    def id(self) -> bytes:
        """4 bytes: the start of SHA-256(name ‖ newline ‖ type ‖ public key)."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(_ED25519 + self.public)}"

    @classmethod
    def parse(cls, text: str) -> "VerifierKey":
        """The key of its text form; NoteError when the text is not exactly what `str` of a key writes."""
        key = cls(*_key_parts(_VERIFIER, text, "verifier key"))
        if str(key) != text:
            raise NoteError("this verifier key is damaged: its id does not belong to its name and key; copy it again")
        return key

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key made the signature over the note's text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A name and a 32-byte Ed25519 seed. Its text form is a secret; `repr` shows the name only."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_key(self.name, self.seed)

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def secret_text(self) -> str:
        """`PRIVATE+KEY+<name>+<8 hex of key id>+<base64(type ‖ seed)>`, the form that Go's note package reads."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{encode_base64(_ED25519 + self.seed)}"

    @classmethod
    def parse(cls, text: str) -> "SigningKey":
        """The key of its secret text form; NoteError when the text is not exactly that."""
        key = cls(*_key_parts(_SIGNING, text, "signing key"))
        if key.secret_text() != text:
            raise NoteError("this signing key is damaged: its id does not belong to its name and key")
        return key

    def sign(self, text: str) -> bytes:
        """The signed note: UTF-8 of the text with one signature line. The text ends in a newline."""
        if not text.endswith("\n") or _CONTROL.search(text):
            raise NoteError("a note's text must end in a newline and hold no other control character")
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{text}\n{Signature(self.name, self.verifier.id, signature).line()}".encode()


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the key's name, its 4-byte id, and the bytes that follow the id."""

    name: str
    key_id: bytes
    signature: bytes

    def line(self) -> str:
        """The signature line, with its newline."""
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A note's text, trusted because `verified` holds at least one signature of a known key."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


def open_note(message: bytes, keys: Sequence[VerifierKey]) -> Note:
    """The note, when at least one of `keys` signed it and none of them has a false signature on it; else NoteError.

    A key's repeated signatures are all checked and then counted once. Unknown keys' signatures are kept as they come.
    """
    text, signatures = split_note(message)
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified = []
    for signature in signatures:
        known = [key for key in keys if (key.name, key.id) == (signature.name, signature.key_id)]
        if not known:
            unverified.append(signature)
            continue
        if len(known) > 1:
            raise NoteError("two of the given keys share this signature's name and id; give each key once")
        if not known[0].verifies(text, signature.signature):
            raise NoteError("the note carries a false signature of a known key; do not use it")
        verified.setdefault((signature.name, signature.key_id), signature)
    if not verified:
        raise NoteError("none of the given keys signed this note; check that the verifier key is the right one")
    return Note(text, tuple(verified.values()), tuple(unverified))


def split_note(message: bytes) -> tuple[str, tuple[Signature, ...]]:
    """A note's text and signature lines, NOTHING of it verified; NoteError when it is malformed."""
    if len(message) > MAX_NOTE_BYTES:
        raise _malformed("it is larger than 1,000,000 bytes")
    try:
        whole = message.decode()
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    if _CONTROL.search(whole):
        raise _malformed("it holds a control character")
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n"):
        raise _malformed("no signature lines follow its text")
    signatures = lines[:-1].split("\n")
    if len(signatures) > MAX_SIGNATURES:
        raise _malformed("it has more than 100 signatures")
    return text + "\n", tuple(map(_signature, signatures))


def _signature(line: str) -> Signature:
    parts = line.removeprefix(_DASH).split(" ")
    if not line.startswith(_DASH) or len(parts) != 2 or not is_name(parts[0]):
        raise _malformed("a signature line is not of the form '— name base64'")
    try:
        data = decode_base64(parts[1])
    except ValueError as error:
        raise _malformed(f"a signature is {error}") from None
    if len(data) <= 4:
        raise _malformed("a signature is too short")
    return Signature(parts[0], data[:4], data[4:])


def _key_parts(pattern: re.Pattern[str], text: str, what: str) -> tuple[str, bytes]:
    """Name and raw key of a key's text; the caller compares the id by writing the key again."""
    match = pattern.fullmatch(text)
    if not match:
        raise NoteError(f"this is not a {what}; copy the whole line, name+id+key")
    try:
        data = decode_base64(match[3])
    except ValueError as error:
        raise NoteError(f"this {what} is damaged: {error}; copy it again") from None
    if data[:1] != _ED25519:
        raise NoteError(f"this {what} is of a type that is not Ed25519; only type 1 is understood")
    return match[1], data[1:]


def _check_key(name: str, raw: bytes) -> None:
    if not is_name(name):
        raise NoteError("a key name must not be empty and must hold no space, plus or control character")
    if len(raw) != _KEY_BYTES:
        raise NoteError("an Ed25519 key has 32 bytes")


def is_name(name: str) -> bool:
    """Whether a key may be called so."""
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def _malformed(why: str) -> NoteError:
    return NoteError(f"malformed note: {why}")

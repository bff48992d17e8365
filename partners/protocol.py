"""Canonical text and the collaboration's secret -> token: protocol version 1.

Rules:
* Pure: bytes in, bytes out. `docs/protocol.md` specifies the same bytes for other languages, and
  `docs/vectors/protocol-v1.json` pins them. A change of any byte here is a new protocol version.
* Every derived value has a label of its own and length-prefixed inputs, so no two uses can meet in one value.
* Errors are ValueErrors for callers' mistakes; their text never holds a secret, a key or an identifier.

Sources: HMAC is RFC 2104, HKDF is RFC 5869, SHA-256 and SHA-512 are FIPS 180-4.
"""

import hashlib
import hmac
from dataclasses import dataclass

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PROTOCOL_VERSION = 1
TOKEN_BYTES = 16
SECRET_BYTES = 32
KEY_BYTES = 32
KEY_CHECK_BYTES = 16
PUBLIC_KEY_BYTES = 32

_GROUPS = 12
_GROUP_BYTES = 5
_GROUP_DIGITS = 5


@dataclass(frozen=True, slots=True)
class PublicKeys:
    """One partner's public keys, raw: `signing` is Ed25519 (RFC 8032), `sealing` is X25519 (RFC 7748), 32 bytes each.

    Raises ValueError for another length.
    """

    signing: bytes
    sealing: bytes

    def __post_init__(self) -> None:
        if len(self.signing) != PUBLIC_KEY_BYTES or len(self.sealing) != PUBLIC_KEY_BYTES:
            raise ValueError(f"a public key has {PUBLIC_KEY_BYTES} bytes")


def token_key(secret: bytes, collaboration: str, epoch: int, match_key: str) -> bytes:
    """The 32-byte key under which identifiers of one match key become tokens, in one collaboration and epoch.

    `secret` is the collaboration's, 32 bytes; `epoch` counts from 1. Raises ValueError otherwise.
    """
    info = _context("cleanroom/token", secret, collaboration, epoch) + length_prefixed(match_key)
    return hkdf(secret, b"", info, KEY_BYTES)


def token(key: bytes, canonical: str) -> bytes:
    """The 16-byte token of one canonical identifier under a key of `token_key`.

    Raises ValueError for a key of another length and for empty text, which would give everybody the same token.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"a token key has {KEY_BYTES} bytes")
    if not canonical:
        raise ValueError("a canonical identifier is never empty")
    return hmac_sha256(key, canonical.encode())[:TOKEN_BYTES]


def key_check(secret: bytes, collaboration: str, epoch: int) -> str:
    """32 hex digits that are equal exactly where secret, collaboration, epoch and protocol version are; public.

    It has a label of its own, so it tells nothing about any token key. Raises ValueError as `token_key` does.
    """
    info = _context("cleanroom/key-check", secret, collaboration, epoch)
    return hkdf(secret, b"", info, KEY_CHECK_BYTES).hex()


def fingerprint(a: PublicKeys, b: PublicKeys) -> str:
    """The 60 digits, in 12 groups of 5, that two partners compare on another channel; the same from both sides.

    SHA-512 over the label, the version and both partners' keys, the smaller first; each group is 5 bytes of it,
    big-endian, modulo 100,000. 2^40 is so much larger than 100,000 that no group is likelier than another by more than
    1e-7 of its share. A room in the middle needs two key sets of its own that give the two sides one fingerprint: a
    collision over 199 bits, about 2^99 tries. With half the digits it would be 2^50.
    """
    smaller, larger = sorted([a.signing + a.sealing, b.signing + b.sealing])
    label = length_prefixed("cleanroom/fingerprint", str(PROTOCOL_VERSION))
    digest = hashlib.sha512(label + smaller + larger).digest()
    starts = range(0, _GROUPS * _GROUP_BYTES, _GROUP_BYTES)
    numbers = (int.from_bytes(digest[start : start + _GROUP_BYTES], "big") for start in starts)
    return " ".join(f"{number % 10**_GROUP_DIGITS:0{_GROUP_DIGITS}d}" for number in numbers)


def length_prefixed(*fields: str) -> bytes:
    """Each field as two bytes of length, big-endian, and its UTF-8 bytes; so joined fields cannot be cut elsewhere.

    Raises ValueError for a field that is empty or longer than 65,535 bytes.
    """
    texts = [field.encode() for field in fields]
    if not all(0 < len(text) <= 0xFFFF for text in texts):
        raise ValueError("a field of the protocol has 1 to 65,535 bytes")
    return b"".join(len(text).to_bytes(2, "big") + text for text in texts)


def hkdf(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869), extract and expand; an empty salt is the RFC's default of 32 zero bytes."""
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(secret)


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """HMAC-SHA256 (RFC 2104), whole: 32 bytes."""
    return hmac.digest(key, message, "sha256")


def _context(label: str, secret: bytes, collaboration: str, epoch: int) -> bytes:
    if len(secret) != SECRET_BYTES:
        raise ValueError(f"the collaboration's secret has {SECRET_BYTES} bytes")
    if epoch < 1:
        raise ValueError("epochs count from 1")
    return length_prefixed(label, str(PROTOCOL_VERSION), collaboration, str(epoch))

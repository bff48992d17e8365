"""A partner's key pairs: who signs (Ed25519, RFC 8032) and who can open what is sealed (X25519, RFC 7748).

Rules:
* A signature always covers a label and a line feed before the payload, so that what was signed as one kind of document
  never stands for another.
* Private keys live in one JSON file, 0600, that is created once and never overwritten. A file that others on the
  machine can read is refused, because its keys may be known.
* Error messages never hold a key.
"""

import hashlib
import json
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from partners import files
from partners.protocol import PublicKeys
from partners.transparency.encoding import decode_base64, encode_base64

VERSION = 1

Label = Literal["manifest/v1", "agreement/v1", "envelope/v1", "grant/v1", "join/v1"]
"""What a signature is for; a new meaning takes a new label."""


class BadKeyFile(ValueError):
    """A key file that is missing, damaged or open to others; the message is safe to print."""


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """One partner's private keys."""

    signing: Ed25519PrivateKey
    sealing: X25519PrivateKey

    @property
    def public(self) -> PublicKeys:
        return PublicKeys(self.signing.public_key().public_bytes_raw(), self.sealing.public_key().public_bytes_raw())

    def sign(self, label: Label, payload: bytes) -> bytes:
        """The 64-byte signature of `payload` as a document of the kind that `label` names."""
        return self.signing.sign(_labelled(label, payload))


def verify(public_signing: bytes, label: Label, payload: bytes, signature: bytes) -> bool:
    """Whether the owner of a 32-byte Ed25519 key signed `payload` under `label`."""
    try:
        Ed25519PublicKey.from_public_bytes(public_signing).verify(signature, _labelled(label, payload))
    except (InvalidSignature, ValueError):  # ValueError: bytes that are no key
        return False
    return True


def key_id(signing_public: bytes) -> str:
    """The short name of a signing key: the first 16 hex digits of its SHA-256. A name, not a proof."""
    return hashlib.sha256(signing_public).hexdigest()[:16]


def generate() -> Identity:
    """New key pairs, not stored anywhere."""
    return Identity(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())


def create(path: Path) -> Identity:
    """New key pairs, stored. Raises `BadKeyFile` where the file exists: keys are never overwritten."""
    identity = generate()
    document = {
        "version": VERSION,
        "signing": encode_base64(identity.signing.private_bytes_raw()),
        "sealing": encode_base64(identity.sealing.private_bytes_raw()),
    }
    try:
        files.write_new(path, json.dumps(document, indent=2).encode() + b"\n", private=True)
    except FileExistsError:
        raise BadKeyFile(f"{path.name} exists already and holds keys; move it away to make new ones") from None
    return identity


def load(path: Path) -> Identity:
    """The stored key pairs. Raises `BadKeyFile`."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read()
    except FileNotFoundError:
        raise BadKeyFile(f"there is no {path.name} here; make keys with `cleanroom-partner keygen`") from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadKeyFile(f"others on this machine can use {path.name}; take their rights away with chmod 600")
    try:
        document = json.loads(data)
        if document.keys() != {"version", "signing", "sealing"} or document["version"] != VERSION:
            raise ValueError
        return Identity(
            Ed25519PrivateKey.from_private_bytes(decode_base64(document["signing"])),
            X25519PrivateKey.from_private_bytes(decode_base64(document["sealing"])),
        )
    except (ValueError, TypeError, AttributeError):
        raise BadKeyFile(f"{path.name} is damaged; bring it back from a backup") from None


def _labelled(label: Label, payload: bytes) -> bytes:
    return b"cleanroom/" + label.encode() + b"\n" + payload

"""A partner's key pairs: who signs (Ed25519, RFC 8032) and who can open what is sealed (X25519, RFC 7748).

Rules:
* A signature always covers a label and a line feed before the payload, so that what was signed as one kind of document
  never stands for another.
* Private keys live in one JSON file, 0600, that is created once and never overwritten. A file that others on the
  machine can read is refused, because its keys may be known.
* With a passphrase the file holds the same keys sealed: scrypt (RFC 7914) of the passphrase, then ChaCha20-Poly1305
  (RFC 8439). Who forgets it has lost the keys.
* Error messages never hold a key or a passphrase.
"""

import hashlib
import json
import os
import secrets
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from partners import files
from partners.protocol import PublicKeys
from partners.transparency.encoding import decode_base64, encode_base64

VERSION = 1
SCRYPT = {"n": 2**17, "r": 8, "p": 1}
"""128 MiB and some tenths of a second for each try."""
_NONCE_BYTES = 12
_SEALED_AS = b"cleanroom/keys/v1"

Ask = Callable[[], str]
"""Asks the person for the passphrase."""
Label = Literal[
    "manifest/v1",
    "agreement/v1",
    "envelope/v1",
    "grant/v1",
    "join/v1",
    "withdrawal/v1",
    "key/v1",
    "replace/v1",
    "terms/v1",
    "leave/v1",
    "rotate/v1",
]
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


def create(path: Path, passphrase: str | None = None) -> Identity:
    """New key pairs, stored. Raises `BadKeyFile` where the file exists: keys are never overwritten."""
    identity = generate()
    try:
        files.write_new(path, _document(identity, passphrase), private=True)
    except FileExistsError:
        raise BadKeyFile(f"{path.name} exists already and holds keys; move it away to make new ones") from None
    return identity


def protect(path: Path, identity: Identity, passphrase: str | None) -> None:
    """Stores the same keys anew, under another passphrase or under none."""
    files.write(path, _document(identity, passphrase), private=True)


def protected(path: Path) -> bool:
    """Whether the stored keys have a passphrase. Raises `BadKeyFile` where there are none."""
    try:
        return b'"scrypt"' in path.read_bytes()
    except FileNotFoundError:
        raise BadKeyFile(f"there is no {path.name} here; make keys with `cleanroom-partner keygen`") from None


def opens(path: Path, passphrase: str) -> bool:
    """Whether it is the passphrase of stored keys."""
    try:
        load(path, lambda: passphrase)
    except BadKeyFile:
        return False
    return True


def load(path: Path, ask: Ask) -> Identity:
    """The stored key pairs; `ask` is called where they have a passphrase. Raises `BadKeyFile`."""
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
        if type(document.get("version")) is int and document["version"] > VERSION:
            raise BadKeyFile(f"a later version of cleanroom-partner made {path.name}; update cleanroom-partner")
        if document.keys() == {"version", "scrypt", "sealed"} and document["version"] == VERSION:
            document = json.loads(_unsealed(document, ask()))
        if document.keys() != {"version", "signing", "sealing"} or document["version"] != VERSION:
            raise ValueError
        return Identity(
            Ed25519PrivateKey.from_private_bytes(decode_base64(document["signing"])),
            X25519PrivateKey.from_private_bytes(decode_base64(document["sealing"])),
        )
    except InvalidTag:
        raise BadKeyFile(f"this is not the passphrase of {path.name}") from None
    except BadKeyFile:
        raise
    except (ValueError, TypeError, AttributeError, KeyError):
        raise BadKeyFile(f"{path.name} is damaged; bring it back from a backup") from None


def _document(identity: Identity, passphrase: str | None) -> bytes:
    document: dict[str, Any] = {
        "version": VERSION,
        "signing": encode_base64(identity.signing.private_bytes_raw()),
        "sealing": encode_base64(identity.sealing.private_bytes_raw()),
    }
    if passphrase is not None:
        salt, nonce = secrets.token_bytes(32), secrets.token_bytes(_NONCE_BYTES)
        cipher = ChaCha20Poly1305(_stretched(passphrase, salt, SCRYPT))
        sealed = cipher.encrypt(nonce, json.dumps(document).encode(), _SEALED_AS)
        document = {
            "version": VERSION,
            "scrypt": {"salt": encode_base64(salt), **SCRYPT},
            "sealed": encode_base64(nonce + sealed),
        }
    return json.dumps(document, indent=2).encode() + b"\n"


def _unsealed(document: dict[str, Any], passphrase: str) -> bytes:
    stated, sealed = dict(document["scrypt"]), decode_base64(document["sealed"])
    salt = decode_base64(stated.pop("salt"))
    if stated != SCRYPT:  # others would be a later version's
        raise ValueError
    cipher = ChaCha20Poly1305(_stretched(passphrase, salt, SCRYPT))
    return cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], _SEALED_AS)


def _stretched(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return Scrypt(salt=salt, length=32, **cost).derive(passphrase.encode())


def _labelled(label: Label, payload: bytes) -> bytes:
    return b"cleanroom/" + label.encode() + b"\n" + payload

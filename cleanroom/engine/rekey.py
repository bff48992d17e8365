"""Re-keying: tokens are stored only as AES-256 images of themselves, under a key that the room alone holds.

Rules: one random key per collaboration and epoch, in the keys folder, outside the data folder and its backups. So
neither a partner's secret alone nor the room's disk alone can test a candidate. AES with a fixed key is a permutation
of the 128-bit blocks (FIPS 197), so equal tokens stay equal and different ones stay different. ECB is right here for
that very reason, and only because a token is one block and no message is longer.
"""

import os
import secrets
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

from partners import files
from policies.question import NAME

KEY_BYTES = 32


class NoKey(Exception):
    """There is no usable re-key key; the message says what to do and is safe to print."""


class Rekeyer:
    """The permutation of one collaboration and epoch."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a re-key key has {KEY_BYTES} bytes")
        self._encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305 - one block a message, see above

    def tokens(self, tokens: bytes | memoryview) -> bytes:
        """Re-keys tokens that stand one after the other, 16 bytes each; as many bytes, in the same order."""
        return self._encryptor.update(tokens)


def create(folder: Path, collaboration: str, epoch: int) -> bytes:
    """Makes and stores a new key. Raises FileExistsError when this collaboration and epoch have one."""
    path = _path(folder, collaboration, epoch)
    key = secrets.token_bytes(KEY_BYTES)
    files.write_new(path, key, private=True)
    return key


def load(folder: Path, collaboration: str, epoch: int) -> bytes:
    """The key, 32 bytes. Raises `NoKey` when it is missing, damaged, or others than the room's user may read it."""
    try:
        handle = os.open(_path(folder, collaboration, epoch), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise NoKey("this collaboration and epoch have no re-key key; restore the keys folder") from None
    with os.fdopen(handle, "rb") as file:
        if os.name == "posix" and os.fstat(handle).st_mode & 0o077:
            raise NoKey("a re-key key can be read by others; set its mode to 0600 and rotate the secret")
        key = file.read(KEY_BYTES + 1)
    if len(key) != KEY_BYTES:
        raise NoKey("a re-key key is damaged; restore the keys folder")
    return key


def destroy(folder: Path, collaboration: str, epoch: int) -> None:
    """Unlinks the key; harmless when it is gone. What the disk itself still holds is the operator's care."""
    _path(folder, collaboration, epoch).unlink(missing_ok=True)


def _path(folder: Path, collaboration: str, epoch: int) -> Path:
    if not NAME.fullmatch(collaboration) or epoch < 1:
        raise ValueError("a collaboration has a name of letters, digits, - and _; epochs count from 1")
    return folder / f"{collaboration}.{epoch}.rekey"

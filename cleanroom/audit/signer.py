"""The log's signer: it signs a checkpoint only when that is proven to extend the last one it signed.

With the same key it acknowledges batches of withdrawals, in a form that is no checkpoint's.

Its folder holds the key (`log.key`) and the state (`log.state`: the last signed checkpoint, of size 0 at first),
apart from the catalog and its backups. A restored or altered catalog is therefore refused and not signed. The state is
durable before a signature is handed out. Several processes may sign with one folder.
"""

import re
import secrets
from collections.abc import Sequence
from pathlib import Path

from cleanroom.audit import state
from cleanroom.audit.files import PRIVATE, locked, sync_folder, write_file
from cleanroom.audit.state import StateDamaged
from partners.transparency.acknowledgement import Acknowledgement
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.merkle import EMPTY_ROOT, verify_consistency
from partners.transparency.note import NoteError, SigningKey, VerifierKey
from partners.transparency.succession import Succession

_KEY = "log.key"
_STATE = "log.state"
_LOCK = ".log.lock"
_ORIGIN = re.compile(r"(.+/audit-v)([1-9][0-9]{0,8})")


class SignerRefused(Exception):
    """The signer has no usable key or state, or will not sign; the message is safe to print."""


class Behind(SignerRefused):
    """The log lacks entries that were signed: the catalog was restored from a backup."""

    def __init__(self) -> None:
        super().__init__(
            "the log is shorter than what was signed before; was a backup restored? Stop the room and run"
            " `cleanroom recover`, or bring the newer data folder back"
        )


def create(folder: Path, origin: str) -> "Signer":
    """Make a key and an empty state for a new log; `origin` (such as `room.example/audit-v1`) names log and key."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / _LOCK):
        if (folder / _KEY).exists():
            raise SignerRefused("there is a log key already; a log keeps its key, so none was made")
        if (folder / _STATE).exists() and _read_state(folder).size:
            raise SignerRefused("the log key is gone but its state is there; restore the key before anything is signed")
        key = SigningKey(origin, secrets.token_bytes(32))
        state.begin(folder / _STATE, Checkpoint(origin, 0, EMPTY_ROOT))
        write_file(folder / _KEY, f"{key.secret_text()}\n".encode(), PRIVATE, durable=True)
        sync_folder(folder)
    return Signer(folder)


class Signer:
    """Signs for the log whose key lies in `folder`; SignerRefused when the key is missing, damaged or not private."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        try:
            if (folder / _KEY).stat().st_mode & 0o077:
                raise SignerRefused("other users can read the log key; run chmod 600 on it")
            self._key = SigningKey.parse((folder / _KEY).read_text().removesuffix("\n"))
        except FileNotFoundError:
            raise SignerRefused(
                "there is no log key in the keys folder; restore it, or set up the room first"
            ) from None
        except (NoteError, UnicodeDecodeError):
            raise SignerRefused("the log key is damaged; restore it") from None
        self.verifier: VerifierKey = self._key.verifier

    def last(self) -> Checkpoint:
        """The last checkpoint that was signed; size 0 before the first. SignerRefused when the state is unusable."""
        last = _read_state(self._folder)
        if last.origin != self._key.name:
            raise SignerRefused("the signer's state belongs to another log; restore the right one")
        return last

    def sign(self, size: int, root: bytes, proof: Sequence[bytes]) -> bytes:
        """The signed checkpoint of this size and root, given the consistency proof from `last()`; else SignerRefused.

        The same size and root may be signed again.
        """
        with locked(self._folder / _LOCK):
            last = self.last()
            if size < max(last.size, 1):
                raise Behind
            if not verify_consistency(last.size, size, proof, last.root, root):
                raise SignerRefused("the log does not extend what was signed before; entries were changed or replaced")
            checkpoint = Checkpoint(self._key.name, size, root)
            if size > last.size:
                state.advance(self._folder / _STATE, checkpoint)
            return self._key.sign(checkpoint.text())

    def ready(self, size: int) -> None:
        """Returns where a log of `size` leaves may grow: it has all that was signed, and the state can be written.

        Raises `SignerRefused`, and OSError of the disk. It costs no sync, and promises nothing of the next moment.
        """
        self.covered(size)
        state.writable(self._folder / _STATE)

    def covered(self, size: int) -> None:
        """Returns where a log of `size` leaves has all that was signed. Raises `Behind`, `SignerRefused`."""
        if size < self.last().size:
            raise Behind

    def succession(self, ended: Checkpoint, origin: str, shared: int) -> bytes:
        """The signed note that the log `origin` takes the place of this one, whose last checkpoint was `ended`."""
        return self._key.sign(Succession(ended.origin, ended.size, ended.root, origin, shared).text())

    def acknowledge(self, collaboration: str, partner: str, day: str, batch: str) -> bytes:
        """The signed note that says that this batch was taken; the same again gives the same bytes."""
        return self._key.sign(Acknowledgement(self._key.name, collaboration, partner, day, batch).text())


def upgrade(folder: Path) -> None:
    """Brings the state of an older version to this one's form; the checkpoint that it remembers stays."""
    with locked(folder / _LOCK):
        state.upgrade(folder / _STATE)
        sync_folder(folder)


def next_origin(origin: str) -> str:
    """The name of the log that comes after another one: ROOM/audit-v1, ROOM/audit-v2, …"""
    found = _ORIGIN.fullmatch(origin)
    assert found is not None, "`init` names the log so"
    return f"{found[1]}{int(found[2]) + 1}"


def succeed(folder: Path, origin: str) -> Signer:
    """Ends the log of this folder, and begins the log `origin` with the same public key and an empty state.

    The room has kept the signed succession before. Cut off anywhere and called again, it ends the same. Raises
    `SignerRefused` for a log that does not come after this one: a log that ended is never signed again.
    """
    with locked(folder / _LOCK):
        ended = SigningKey.parse((folder / _KEY).read_text().removesuffix("\n"))
        if origin != next_origin(ended.name):
            raise SignerRefused("the key signs only its own log, and then the one that comes next")
        key = SigningKey(origin, ended.seed)
        state.begin(folder / _STATE, Checkpoint(origin, 0, EMPTY_ROOT))
        write_file(folder / _KEY, f"{key.secret_text()}\n".encode(), PRIVATE, durable=True)
        sync_folder(folder)
    return Signer(folder)


def _read_state(folder: Path) -> Checkpoint:
    try:
        return state.read(folder / _STATE)
    except FileNotFoundError:
        raise SignerRefused("the signer's state is missing; without it nothing is signed") from None
    except StateDamaged:
        raise SignerRefused("the signer's state is damaged; without it nothing is signed") from None

"""Writing files: whole, or not at all.

Rules:
* A file is filled under a temporary name in its own folder, fsynced, then renamed: nobody ever sees half of it, and
  nothing half-written is left behind, Ctrl-C included.
* A private file is created 0600. Its mode is never widened first and narrowed later.
* OSError passes through: a full disk or a missing folder is for the caller to explain.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PRIVATE_MODE = 0o600
PUBLIC_MODE = 0o666  # less the umask


def write(path: Path, data: bytes, *, private: bool) -> None:
    """Write one file, replacing an older one at once."""
    with replacing(path, private=private) as (temporary,):
        temporary.write_bytes(data)


def write_new(path: Path, data: bytes, *, private: bool) -> None:
    """Write one file that must not exist yet. Raises FileExistsError otherwise, also for the slower of two writers."""
    with _temporaries((path,), private) as (temporary,):
        temporary.write_bytes(data)
        _sync(temporary)
        os.link(temporary, path)  # unlike a rename, a link never replaces
        _sync_folder(path.parent)


@contextmanager
def replacing(*targets: Path, private: bool) -> Iterator[tuple[Path, ...]]:
    """Empty temporary files to fill, one for each target; on leaving they take the targets' names, in order.

    Several targets are a set, and the last one says that the set is whole: an older one goes before anything is renamed
    and the new one comes last. After any exception, nothing written here is left; a set that was caught in the middle
    of being renamed is removed altogether.
    """
    caught_in_the_middle: tuple[Path, ...] = ()
    with _temporaries(targets, private) as temporaries:
        yield temporaries
        for temporary in temporaries:
            _sync(temporary)
        try:
            if len(targets) > 1:
                caught_in_the_middle = targets
                targets[-1].unlink(missing_ok=True)
            for temporary, target in zip(temporaries, targets, strict=True):
                temporary.replace(target)
            for folder in {target.parent for target in targets}:
                _sync_folder(folder)
        except BaseException:
            for target in caught_in_the_middle:
                target.unlink(missing_ok=True)
            raise


@contextmanager
def _temporaries(targets: tuple[Path, ...], private: bool) -> Iterator[tuple[Path, ...]]:
    """Empty files beside the targets, removed on leaving where they still have their temporary names."""
    temporaries = tuple(target.with_name(f".{target.name}.{secrets.token_hex(8)}.tmp") for target in targets)
    mode = PRIVATE_MODE if private else PUBLIC_MODE
    try:
        for temporary in temporaries:
            os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield temporaries
    finally:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make renames in a folder durable, where the system can open a folder at all."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

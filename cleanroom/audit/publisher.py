"""Publishes the committed log as files: tiles and entry bundles first, the signed checkpoint last.

Everything is made from the catalog's committed rows, so a crash loses nothing: the next call starts from the checkpoint
that is in place. Only the signer's state is synced to the disk; what a power cut took of the rest is mended when a room
starts, with `whole`. The signer is asked before the first file is written; what it refuses leaves the files as they
are. One process publishes at a time. Partial tiles stay until their full tile is there; tiles never change.
"""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from cleanroom.audit import log
from cleanroom.audit.files import PUBLIC, locked, probe, write_file
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.signer import Behind, Signer
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.cosignature import WitnessKey, with_cosignatures
from partners.transparency.merkle import consistency_proof, root
from partners.transparency.note import NoteError, VerifierKey, split_note
from partners.transparency.tiles import WIDTH, Tile, encode_bundle, tiles

CHECKPOINT = "checkpoint"
LOCK = ".lock"
_PROBE_BYTES = 1 << 16  # about what a full tile and its bundle need


class LogUnavailable(OSError):
    """The files of the log, or the signer's, cannot be read or written; `errno` says why."""


def publish(catalog: Path, log_dir: Path, signer: Signer, *, whole: bool = False) -> bytes:
    """Publish every committed leaf and return the signed checkpoint, which is the one in place when nothing is new.

    `whole` compares every file with the catalog and writes what is missing or different: for a room's start. Otherwise
    the cost is that of the new leaves. Raises LogUnavailable, SignerRefused, and LogDamaged when catalog and published
    log disagree.
    """
    try:
        return _publish(catalog, log_dir, signer, whole)
    except OSError as problem:
        raise LogUnavailable(problem.errno, problem.strerror) from problem


def _publish(catalog: Path, log_dir: Path, signer: Signer, whole: bool) -> bytes:
    log_dir.mkdir(parents=True, exist_ok=True)
    with locked(log_dir / LOCK), closing(open_read_only(catalog)) as connection:
        node = log.node_reader(connection)
        size = log.size(connection)
        published = _published(log_dir, signer.verifier)
        if published and published.size > size:
            raise Behind
        if published and root(published.size, node) != published.root:
            raise LogDamaged(
                "the catalog does not continue the published log; keep both as they are, tell the partners"
            )
        checkpoint = Checkpoint(signer.verifier.name, size, root(size, node))
        if published == checkpoint and not whole:
            return (log_dir / CHECKPOINT).read_bytes()
        signed = signer.last().size
        # Without a proof the signer refuses a log that is shorter than what it signed, and says so.
        proof = consistency_proof(signed, size, node) if signed <= size else ()
        note = signer.sign(size, checkpoint.root, proof)
        start = published.size if published and not whole else 0
        _write_tiles(connection, log_dir, start, size)
        write_file(log_dir / CHECKPOINT, note, PUBLIC, durable=False)
    return note


def ready(log_dir: Path, signer: Signer, size: int) -> None:
    """Returns where a leaf added to a log of `size` leaves can be published, as far as can be told before.

    It is asked before anything commits, so that what cannot be published is not charged either. Raises LogUnavailable,
    SignerRefused.
    """
    try:
        log_dir.mkdir(parents=True, exist_ok=True)
        signer.ready(size)
        probe(log_dir, bytes(_PROBE_BYTES), PUBLIC)
    except OSError as problem:
        raise LogUnavailable(problem.errno, problem.strerror) from problem


def placed(log_dir: Path) -> bytes | None:
    """The published checkpoint; None before the first."""
    try:
        return (log_dir / CHECKPOINT).read_bytes()
    except FileNotFoundError:
        return None


def add_cosignatures(log_dir: Path, checkpoint: bytes, lines: bytes, keys: Sequence[WitnessKey]) -> bytes | None:
    """Puts cosignatures of `keys` on the published checkpoint; the note. None where another one is published by now.

    NoteError for lines that are no signatures.
    """
    with locked(log_dir / LOCK):
        message = placed(log_dir)
        if message is None or split_note(message)[0] != split_note(checkpoint)[0]:
            return None
        note = with_cosignatures(message, lines, keys)
        if note != message:
            write_file(log_dir / CHECKPOINT, note, PUBLIC, durable=False)
        return note


def open_read_only(catalog: Path) -> sqlite3.Connection:
    """A connection of our own: it sees committed rows only, whatever transaction the caller is in."""
    return sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True)


def _published(log_dir: Path, key: VerifierKey) -> Checkpoint | None:
    """The checkpoint in place; None when there is none that this log's key signed."""
    try:
        return open_checkpoint((log_dir / CHECKPOINT).read_bytes(), key)
    except (FileNotFoundError, NoteError):
        return None


def _write_tiles(connection: sqlite3.Connection, log_dir: Path, start: int, size: int) -> None:
    """Write the tiles and bundles that `size` leaves have and `start` leaves have not."""
    filled: list[Path] = []
    for tile in tiles(size, start):
        for name, data in _contents(connection, tile):
            path = log_dir / name
            if path.exists() and path.read_bytes() == data:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, data, PUBLIC, durable=False)
        if tile.width == WIDTH:
            filled.extend(log_dir / f"{name}.p" for name in (tile.path, tile.entries_path))
    for partial in filled:
        if partial.exists():
            shutil.rmtree(partial)


def _contents(connection: sqlite3.Connection, tile: Tile) -> list[tuple[str, bytes]]:
    """A tile's path and bytes, and its bundle's when it has one."""
    found = [(tile.path, b"".join(log.hashes(connection, 8 * tile.level, tile.first, tile.width)))]
    if tile.level == 0:
        found.append((tile.entries_path, encode_bundle(log.entries(connection, tile.first, tile.width))))
    return found

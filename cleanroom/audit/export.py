"""The auditor's export: one deterministic tar of the published log with the bodies that a role may read.

Members: `README`, `bodies.jsonl` (canonical JSON lines `{"body", "nonce", "seq"}`), `checkpoint`, `documents.jsonl`
(the signed documents that these bodies name), `verify.py` (an example verifier), and the tiles and entry bundles of the
checkpoint's size. The same log and role give the same bytes.
"""

import os
import secrets
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from cleanroom.audit import archive
from cleanroom.audit.documents import Document, Named
from cleanroom.audit.files import PRIVATE, locked, sync_folder
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.publisher import CHECKPOINT, LOCK
from partners.transparency.checkpoint import read_unverified
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body
from partners.transparency.tiles import tiles
from policies import canonical

BODIES = "bodies.jsonl"
DOCUMENTS = "documents.jsonl"
README = "README"
VERIFIER = "verify.py"

# Verification compares both texts byte for byte: another text is another version of the format, and the old one stays.
README_TEXT = """\
Audit log of a clean room, exported
===================================

Check it offline, with the log's verifier key from your own records and never from this archive or its sender:

    cleanroom audit verify EXPORT.tar --vkey 'NAME+ID+KEY'

With a checkpoint that you kept from earlier, add --older FILE: the log must then still begin with what you saw.

checkpoint       the signed tree head (c2sp.org/tlog-checkpoint)
tile/            hashes and entries (c2sp.org/tlog-tiles); SHA-256, RFC 6962
bodies.jsonl     one line per entry that was opened to you: seq, body, nonce.
                 The entry's commit is SHA-256(0x02 || nonce || body) in hex.
documents.jsonl  the signed documents that these bodies name: document, sha256, signatures.
                 A signature (Ed25519) is over cleanroom/LABEL, a newline and the document;
                 LABEL is agreement/v1, terms/v1 or grant/v1.
verify.py        an example of a verifier, a hundred lines of Python without any package. Read it before
                 you run it, for it came with what it checks:

    tar -xf EXPORT.tar verify.py
    python3 -I -S verify.py EXPORT.tar 'NAME+ID+KEY' [OLDER_CHECKPOINT]

A checkpoint from before a restore that began a new log is of another log: the first command, with --older, compares it.
It leaves out the signatures of documents and the replay of the policies, which the first command makes.
"""
VERIFIER_TEXT = Path(__file__).with_name("standalone.py").read_text(encoding="utf-8")


def export(
    connection: sqlite3.Connection,
    log_dir: Path,
    out: Path,
    may_read: Callable[[Body], bool],
    documents: Mapping[str, Document],
) -> None:
    """Write the export of the published log to `out`, readable by its owner only.

    `may_read` says which bodies, with their nonces, the role is entitled to; erased nonces stay out. `documents`, by
    SHA-256, has at least those that these bodies name. Raises LogDamaged when one of them or a published file is
    missing: publish the whole log again first.
    """
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(8)}")
    try:
        with tempfile.TemporaryFile(dir=out.parent) as bodies:
            checkpoint, partial = _read_changing(log_dir)
            size = read_unverified(checkpoint).size
            named = _write_bodies(connection, size, may_read, bodies)
            signed = _documents(named, documents)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE)
            with os.fdopen(handle, "wb") as file:
                archive.write(file, _members(log_dir, size, checkpoint, partial, bodies, signed))
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(out)
        sync_folder(out.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def member_names(size: int) -> set[str]:
    """What an export of a log of this size consists of, no more and no less."""
    names = {README, BODIES, CHECKPOINT, DOCUMENTS, VERIFIER}
    for tile in tiles(size):
        names.update((tile.path, tile.entries_path) if tile.level == 0 else (tile.path,))
    return names


def _read_changing(log_dir: Path) -> tuple[bytes, dict[str, bytes]]:
    """The checkpoint and its partial tiles, read together: later publications replace them."""
    if not (log_dir / CHECKPOINT).exists():
        raise LogDamaged("nothing is published yet; start the room, or publish the whole log again")
    with locked(log_dir / LOCK):
        checkpoint = (log_dir / CHECKPOINT).read_bytes()
        names = member_names(read_unverified(checkpoint).size)
        return checkpoint, {name: _read(log_dir, name) for name in names if ".p/" in name}


def _members(
    log_dir: Path, size: int, checkpoint: bytes, partial: dict[str, bytes], bodies: BinaryIO, documents: bytes
) -> Iterator[tuple[str, BinaryIO]]:
    made = {
        README: README_TEXT.encode(),
        VERIFIER: VERIFIER_TEXT.encode(),
        CHECKPOINT: checkpoint,
        DOCUMENTS: documents,
        **partial,
    }
    for name in sorted(member_names(size)):
        if name == BODIES:
            yield name, bodies
        else:
            yield name, BytesIO(made[name] if name in made else _read(log_dir, name))


def _read(log_dir: Path, name: str) -> bytes:
    try:
        return (log_dir / name).read_bytes()
    except FileNotFoundError:
        raise LogDamaged("files of the published log are missing; publish the whole log again") from None


def _write_bodies(connection: sqlite3.Connection, size: int, may_read: Callable[[Body], bool], out: BinaryIO) -> Named:
    """Writes the lines of the bodies that may be read; what they name."""
    rows = connection.execute(
        "SELECT seq, body, nonce FROM log_entries WHERE seq < ? AND nonce IS NOT NULL ORDER BY seq", (size,)
    )
    named = Named()
    for seq, body, nonce in rows:
        parsed = Body.parse(body)
        if may_read(parsed):
            line = {"body": body.decode(), "nonce": encode_base64(nonce), "seq": seq}
            out.write(canonical.dumps(line) + b"\n")
            named.add(seq, parsed)
    return named


def _documents(named: Named, documents: Mapping[str, Document]) -> bytes:
    if not named.documents.keys() - named.lost <= documents.keys():
        raise LogDamaged("a document that the log names is missing from the catalog; restore it from a backup")
    return b"".join(documents[sha256].encode() + b"\n" for sha256 in sorted(named.documents.keys() & documents.keys()))

"""Asks witnesses to cosign the log's checkpoint (C2SP `tlog-witness`), where a quorum of them is wanted.

Rules: one process asks at a time, for the newest checkpoint, so that of many who wait one asks for all. The newest
checkpoint with enough cosignatures is kept in the log's folder as `witnessed`; it holds for every leaf that it covers.
A witness that knows another log, or does not answer, counts for nothing; with too few nothing is answered.
"""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from functools import cache
from http import HTTPStatus
from pathlib import Path

import httpx

from cleanroom.audit import log, publisher
from cleanroom.audit.files import PUBLIC, locked, write_file
from cleanroom.audit.quorum import Witnesses
from partners.transparency.checkpoint import read_unverified
from partners.transparency.cosignature import WitnessKey, cosigned, with_cosignatures
from partners.transparency.encoding import decode_decimal
from partners.transparency.merkle import consistency_proof
from partners.transparency.note import NoteError
from partners.witness import Request

WITNESSED = "witnessed"
_LOCK = ".witness.lock"
_TIMEOUT = httpx.Timeout(3.0)


class NotWitnessed(Exception):
    """Too few witnesses cosigned; the message is safe to print."""


def witnessed(catalog: Path, log_dir: Path, witnesses: Witnesses, leaf: int) -> bytes:
    """A checkpoint over a published leaf with a quorum of cosignatures. Raises `NotWitnessed`, OSError."""
    with locked(log_dir / _LOCK):
        if (kept := _kept(log_dir, witnesses)) and read_unverified(kept).size > leaf:
            return kept
        message = publisher.placed(log_dir)
        assert message is not None, "a leaf is published before it is witnessed"
        lines = _collected(catalog, message, read_unverified(kept).size if kept else 0, witnesses)
        note = message + lines
        if lines:  # shown with the checkpoint, unless a newer one is published by now
            publisher.add_cosignatures(log_dir, message, lines, witnesses.keys)
        if len(cosigned(note, witnesses.keys)) < witnesses.quorum:
            raise NotWitnessed("too few witnesses cosigned the log; see CLEANROOM_WITNESSES")
        write_file(log_dir / WITNESSED, note, PUBLIC, durable=False)
        return note


def _kept(log_dir: Path, witnesses: Witnesses) -> bytes | None:
    """The newest checkpoint with a quorum, by today's settings."""
    try:
        message = (log_dir / WITNESSED).read_bytes()
        return message if len(cosigned(message, witnesses.keys)) >= witnesses.quorum else None
    except (FileNotFoundError, NoteError):
        return None


def _collected(catalog: Path, message: bytes, old: int, witnesses: Witnesses) -> bytes:
    """The signature lines that the listening witnesses answer with, until there are enough."""
    lines, count = b"", len(cosigned(message, witnesses.keys))
    client, pool = _client(), ThreadPoolExecutor(len(witnesses.listening))
    try:
        asked = [pool.submit(_asked, client, catalog, message, old, *each) for each in witnesses.listening.items()]
        for done in as_completed(asked):
            lines += done.result()
            count += bool(done.result())
            if count >= witnesses.quorum:
                break
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    return lines


def _asked(client: httpx.Client, catalog: Path, message: bytes, old: int, key: WitnessKey, url: str) -> bytes:
    """A witness's new cosignature; nothing where it refuses or cannot be reached. It says itself what it has seen."""
    size = read_unverified(message).size
    try:
        answer = _post(client, url, catalog, message, old)
        if answer.status_code == HTTPStatus.CONFLICT:
            old = decode_decimal(answer.text.removesuffix("\n"))
            if old > size:
                return b""
            answer = _post(client, url, catalog, message, old)
        if answer.status_code != HTTPStatus.OK:
            return b""
        return with_cosignatures(message, answer.content, [key]).removeprefix(message)
    except (httpx.HTTPError, ValueError):
        return b""


@cache
def _client() -> httpx.Client:
    """One for each process: its certificates are read once, its connections stay open."""
    return httpx.Client(timeout=_TIMEOUT)


def _post(client: httpx.Client, url: str, catalog: Path, message: bytes, old: int) -> httpx.Response:
    with closing(publisher.open_read_only(catalog)) as connection:
        proof = _proof(connection, old, read_unverified(message).size)
    return client.post(f"{url}/add-checkpoint", content=Request(old, proof, message).encode())


def _proof(connection: sqlite3.Connection, old: int, size: int) -> tuple[bytes, ...]:
    return consistency_proof(old, size, log.node_reader(connection))

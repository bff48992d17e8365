"""Asks witnesses to cosign the log's checkpoint (C2SP `tlog-witness`), where a quorum of them is wanted.

Rules: one process asks at a time, for the newest checkpoint, so that of many who wait one asks for all. The newest
checkpoint with enough cosignatures is kept in the log's folder as `witnessed`; it holds for every leaf that it covers.
A witness that knows another log, or does not answer, counts for nothing; with too few nothing is answered.
Witnesses are others' machines: each has `DEADLINE` for its whole answer, however it spells it out, and no more than
`MAX_ANSWER` bytes of it are read, uncompressed. One thread asks them all, so that none of them can hold one.
"""

import asyncio
import sqlite3
from contextlib import closing
from functools import cache
from http import HTTPStatus
from pathlib import Path
from threading import Thread

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
DEADLINE = 3.0
"""Seconds that a witness has, from the connection to its answer's end; once more where it knows another size."""
MAX_ANSWER = 16 * 1024
"""Bytes; a cosignature's line has some 200."""


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
    return asyncio.run_coroutine_threadsafe(_asking(catalog, message, old, witnesses), _loop()).result()


async def _asking(catalog: Path, message: bytes, old: int, witnesses: Witnesses) -> bytes:
    lines, count = b"", len(cosigned(message, witnesses.keys))
    asked = [asyncio.ensure_future(_asked(catalog, message, old, *each)) for each in witnesses.listening.items()]
    try:
        for done in asyncio.as_completed(asked):
            line = await done
            lines += line
            count += bool(line)
            if count >= witnesses.quorum:
                break
    finally:
        for each in asked:
            each.cancel()
    return lines


async def _asked(catalog: Path, message: bytes, old: int, key: WitnessKey, url: str) -> bytes:
    """A witness's new cosignature; nothing where it refuses or cannot be reached. It says itself what it has seen."""
    size = read_unverified(message).size
    try:
        status, body = await _post(url, catalog, message, old)
        if status == HTTPStatus.CONFLICT:
            old = decode_decimal(body.decode().removesuffix("\n"))
            if old > size:
                return b""
            status, body = await _post(url, catalog, message, old)
        if status != HTTPStatus.OK:
            return b""
        return with_cosignatures(message, body, [key]).removeprefix(message)
    except (httpx.HTTPError, TimeoutError, ValueError):
        return b""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One for each process, in a thread that ends with it."""
    made = asyncio.new_event_loop()
    Thread(target=made.run_forever, name="witnesses", daemon=True).start()
    return made


@cache
def _client() -> httpx.AsyncClient:
    """One for each process: its certificates are read once, its connections stay open."""
    return httpx.AsyncClient(timeout=DEADLINE, headers={"Accept-Encoding": "identity"})


async def _post(url: str, catalog: Path, message: bytes, old: int) -> tuple[int, bytes]:
    """Status and body of an answer. Raises httpx.HTTPError, TimeoutError, ValueError where it is too long."""
    with closing(publisher.open_read_only(catalog)) as connection:
        proof = _proof(connection, old, read_unverified(message).size)
    content, body = Request(old, proof, message).encode(), b""
    async with asyncio.timeout(DEADLINE), _client().stream("POST", f"{url}/add-checkpoint", content=content) as answer:
        async for part in answer.aiter_raw():
            body += part
            if len(body) > MAX_ANSWER:
                raise ValueError("a witness's answer is short")
    return answer.status_code, body


def _proof(connection: sqlite3.Connection, old: int, size: int) -> tuple[bytes, ...]:
    return consistency_proof(old, size, log.node_reader(connection))

"""Resumable uploads (tus 1.0, core and creation): after a cut the room is asked how far it got.

Rules: the file is read a few MiB at a time; nothing is sent twice that the room has; a broken connection is tried again
a few times before the command gives up, and running it again goes on from there.
"""

import re
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path

import httpx

from partners.failure import Failure
from partners.fields import OddAnswer
from partners.room.connection import Connection, RoomRefused, RoomUnreachable

CHUNK_BYTES = 4 * 1024 * 1024
ATTEMPTS = 5
_TUS = {"Tus-Resumable": "1.0.0"}
_LOCATION = re.compile(r".*/v1/uploads/([A-Za-z0-9_-]{1,64})")

Progress = Callable[[int, int], None]
"""Told after each chunk: bytes that the room has, bytes in all."""


class FileChanged(Failure):
    """The file is not what it was when its upload began."""


def create(connection: Connection, length: int) -> str:
    """A new upload of `length` bytes: its id."""
    headers = {**_TUS, "Upload-Length": str(length)}
    response = connection.send("POST", "/v1/uploads", headers=headers, content=b"")
    location = _LOCATION.fullmatch(response.headers.get("Location", ""))
    if location is None:
        raise OddAnswer("Location")
    return location[1]


def offset(connection: Connection, identifier: str, length: int) -> int | None:
    """How many bytes the room has; None where it does not know this upload, or knows one of another length."""
    try:
        response = connection.send("HEAD", f"/v1/uploads/{identifier}", headers=_TUS)
    except RoomRefused as refused:
        if refused.problem.status in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
            return None
        raise
    return _number(response, "Upload-Offset") if _number(response, "Upload-Length") == length else None


def send(
    connection: Connection,
    identifier: str,
    path: Path,
    progress: Progress,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Sends what the room lacks of the file. Raises `RoomUnreachable` after `ATTEMPTS` cuts without progress."""
    length = path.stat().st_size
    failures = 0
    at: int | None = None
    with path.open("rb", buffering=0) as file:
        while at is None or at < length:
            try:
                if at is None:
                    at = _known(connection, identifier, length)
                else:
                    at = _patch(connection, identifier, at, _chunk(file, at, length))
                    failures = 0
                progress(at, length)
            except (RoomUnreachable, RoomRefused) as problem:
                failures += 1
                if failures == ATTEMPTS or not _worth_another_try(problem):
                    raise
                sleep(0.5 * 2**failures)
                at = None


def _chunk(file: FileIO, at: int, length: int) -> bytes:
    file.seek(at)
    chunk = file.read(min(CHUNK_BYTES, length - at))
    if not chunk:
        raise FileChanged("the file became shorter during the upload; run `prepare` again, then upload")
    return chunk


def _patch(connection: Connection, identifier: str, at: int, chunk: bytes) -> int:
    headers = {**_TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(at)}
    response = connection.send("PATCH", f"/v1/uploads/{identifier}", headers=headers, content=chunk)
    reached = _number(response, "Upload-Offset")
    if not at < reached <= at + len(chunk):
        raise OddAnswer("Upload-Offset")
    return reached


def _known(connection: Connection, identifier: str, length: int) -> int:
    at = offset(connection, identifier, length)
    if at is None or at > length:
        raise FileChanged("the room no longer has this upload; run the command again to begin a new one")
    return at


def _worth_another_try(problem: RoomUnreachable | RoomRefused) -> bool:
    """A cut, a busy room, or two senders of one upload; not a refusal that would come again."""
    passing = (httpx.codes.REQUEST_TIMEOUT, httpx.codes.CONFLICT, httpx.codes.TOO_MANY_REQUESTS)
    later = (httpx.codes.BAD_GATEWAY, httpx.codes.SERVICE_UNAVAILABLE, httpx.codes.GATEWAY_TIMEOUT)
    return isinstance(problem, RoomUnreachable) or problem.problem.status in (*passing, *later)


def _number(response: httpx.Response, header: str) -> int:
    text = response.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise OddAnswer(header)
    return int(text)

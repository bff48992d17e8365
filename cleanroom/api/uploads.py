"""Resumable uploads: tus 1.0, core and the extensions creation, termination, expiration, checksum (sha1).

Source: tus.io, "Resumable upload protocol 1.0.x". Rules: a partner sees only its own uploads, and has so many at most;
what happens to the bytes is in `intake.incoming`. A second writer, or a wrong offset, gets 409. A client that falls
silent lets go of its upload. An upload that nobody finished in time is gone.
"""

import base64
import binascii
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask import Response, request, url_for
from werkzeug.exceptions import ClientDisconnected
from werkzeug.http import http_date

from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import Problem, fail
from cleanroom.catalog import versions
from cleanroom.catalog.versions import Upload
from cleanroom.intake import incoming
from cleanroom.intake.incoming import Refused
from cleanroom.intake.limits import LIMITS, MAX_UPLOADED_BYTES, MAX_UPLOADS, SILENCE_SECONDS, UPLOAD_SECONDS

TUS = "1.0.0"
EXTENSIONS = "creation,termination,expiration,checksum"
CONTENT_TYPE = "application/offset+octet-stream"
_HEADER = {"schema": {"type": "string"}}
_STANDS = {"Upload-Offset": _HEADER, "Upload-Expires": _HEADER}


def _asked(name: str, meaning: str, schema: dict[str, Any], required: bool = True) -> dict[str, Any]:
    """A header of a request, for the API description."""
    return {"in": "header", "name": name, "required": required, "description": meaning, "schema": schema}


_BYTES = {"type": "integer", "minimum": 0, "maximum": LIMITS.file_bytes}
_VERSION = _asked("Tus-Resumable", "The version of the protocol", {"type": "string", "enum": [TUS]})
_LENGTH = _asked("Upload-Length", "Bytes of the whole upload", _BYTES)
_OFFSET = _asked("Upload-Offset", "Where the body goes: the size of what the room has", _BYTES)
_CHECKSUM = _asked(
    "Upload-Checksum",
    "`sha1`, a space, and the SHA-1 of the body in base64",
    {"type": "string", "pattern": "^sha1 [A-Za-z0-9+/]{27}=$"},
    required=False,
)
_BODY = {"required": True, "content": {CONTENT_TYPE: {"schema": {}}}}  # OpenAPI 3.1: bytes as they are have no type

blueprint = Blueprint("uploads", __name__, url_prefix="/v1", description="Resumable uploads (tus 1.0)")

_PROBLEMS = {
    Refused.BUSY: (Problem.WRONG_OFFSET, "Somebody else is writing to this upload."),
    Refused.WRONG_OFFSET: (Problem.WRONG_OFFSET, None),
    Refused.TOO_LONG: (Problem.TOO_LARGE, "More bytes than were announced."),
    Refused.CHECKSUM: (Problem.CHECKSUM, None),
    Refused.GONE: (Problem.NOT_FOUND, None),
}


@blueprint.before_request
def admit() -> None:
    """Every request but OPTIONS comes from a partner and names the version of the protocol."""
    if request.method != "OPTIONS":
        require_partner()
        if request.headers.get("Tus-Resumable") != TUS:
            fail(Problem.TUS_VERSION)


@blueprint.after_request
def says_tus(response: Response) -> Response:
    response.headers["Tus-Resumable"] = TUS
    response.headers["Tus-Version"] = TUS
    return response


@blueprint.route("/uploads", methods=["OPTIONS"])
@blueprint.response(204, headers={"Tus-Extension": _HEADER, "Tus-Max-Size": _HEADER})
def options() -> Response:
    """What this server of the protocol can do."""
    headers = {
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(LIMITS.file_bytes),
        "Tus-Checksum-Algorithm": "sha1",
        "Allow": "OPTIONS, POST",
    }
    return Response(status=204, headers=headers)


@blueprint.post("/uploads")
@blueprint.doc(parameters=[_VERSION, _LENGTH])
@blueprint.response(201, headers={"Location": _HEADER, "Upload-Expires": _HEADER})
@blueprint.problems(Problem.TUS_VERSION, Problem.INVALID, Problem.TOO_LARGE, Problem.TOO_MANY_UPLOADS)
def create() -> Response:
    """Announces an upload of `Upload-Length` bytes."""
    length = _number("Upload-Length")
    if length > LIMITS.file_bytes:
        fail(Problem.TOO_LARGE)
    upload = Upload(f"u-{secrets.token_hex(16)}", me().name, length, room().now + UPLOAD_SECONDS)
    incoming.create(path(upload))
    stored = False
    try:
        stored = versions.create_upload(catalog(), upload, MAX_UPLOADS, MAX_UPLOADED_BYTES)
    finally:
        if not stored:
            incoming.remove(path(upload))
    if not stored:
        fail(Problem.TOO_MANY_UPLOADS)
    location = url_for("uploads.offset", identifier=upload.id)
    return Response(status=201, headers={"Location": location, **_expires(upload)})


@blueprint.route("/uploads/<identifier>", methods=["HEAD"])
@blueprint.doc(parameters=[_VERSION])
@blueprint.response(200, headers={**_STANDS, "Upload-Length": _HEADER})
@blueprint.problems(Problem.TUS_VERSION)
def offset(identifier: str) -> Response:
    """Where the upload stands."""
    upload = _find(identifier)
    headers = {
        "Upload-Offset": str(path(upload).stat().st_size),
        "Upload-Length": str(upload.length),
        "Cache-Control": "no-store",
        **_expires(upload),
    }
    return Response(status=200, headers=headers)


@blueprint.route("/uploads/<identifier>", methods=["PATCH"])
@blueprint.doc(parameters=[_VERSION, _OFFSET, _CHECKSUM], requestBody=_BODY)
@blueprint.response(204, headers=_STANDS)
@blueprint.problems(Problem.TUS_VERSION, *(problem for problem, _ in _PROBLEMS.values()), Problem.CUT_OFF)
def append(identifier: str) -> Response:
    """Appends bytes at `Upload-Offset`; with `Upload-Checksum: sha1 …`, all of them or none."""
    upload = _find(identifier)
    if request.mimetype != CONTENT_TYPE:
        fail(Problem.MEDIA_TYPE)
    start, sha1 = _number("Upload-Offset"), _sha1()
    with _impatient():
        reached = incoming.append(path(upload), start, upload.length, _read, sha1)
    if isinstance(reached, Refused):
        fail(*_PROBLEMS[reached])
    return Response(status=204, headers={"Upload-Offset": str(reached), **_expires(upload)})


@blueprint.delete("/uploads/<identifier>")
@blueprint.doc(parameters=[_VERSION])
@blueprint.response(204)
@blueprint.problems(Problem.TUS_VERSION, Problem.CONFLICT)
def terminate(identifier: str) -> Response:
    """Ends an upload that is not needed. One that became a version stays until it is checked."""
    upload = _find(identifier)
    if versions.attached(catalog(), upload.id) or not incoming.remove(path(upload)):
        fail(Problem.CONFLICT, "The upload is in use.")
    with catalog().transaction() as connection:
        versions.forget_upload(connection, upload.id)
    return Response(status=204)


def _read(size: int) -> bytes:
    """The next bytes of the body, at most `size`; none at its end."""
    try:
        return request.stream.read(size)
    except (ClientDisconnected, OSError):
        if connection := _connection():
            # Nothing is read from it any more; gunicorn would wait for the rest, and everybody else with it.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)
        fail(Problem.CUT_OFF)


@contextmanager
def _impatient() -> Iterator[None]:
    """A client that says nothing for too long counts as gone: a dead connection looks like a slow one."""
    connection = _connection()
    if connection is None:
        yield
        return
    connection.settimeout(SILENCE_SECONDS)
    try:
        yield
    finally:
        connection.settimeout(None)


def _connection() -> socket.socket | None:
    """The client's connection, where gunicorn serves."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    return connection


def path(upload: Upload) -> Path:
    """Where the bytes of an upload lie until they are checked."""
    return room().settings.incoming / upload.id


def _find(identifier: str) -> Upload:
    upload = versions.find_upload(catalog(), identifier, me().name)
    if upload is None or upload.expires <= room().now or not path(upload).is_file():
        fail(Problem.NOT_FOUND)
    return upload


def _expires(upload: Upload) -> dict[str, str]:
    return {"Upload-Expires": http_date(datetime.fromtimestamp(upload.expires, UTC))}


def _number(header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        fail(Problem.INVALID, f"The header {header} is missing or not a number.")
    return int(text)


def _sha1() -> bytes | None:
    """The checksum that the client announces, if it does."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, text = header.partition(" ")
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if algorithm != "sha1" or len(digest) != 20:
        fail(Problem.BAD_REQUEST, "The header Upload-Checksum is `sha1`, a space, and 20 bytes in base64.")
    return digest

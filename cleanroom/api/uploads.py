"""Resumable uploads: the core of tus 1.0 and its extension `creation` (tus.io, "Resumable upload protocol 1.0.x").

Rules: an upload is a file in `incoming/`; its offset is the file's size, so a crash needs no repair. Bytes go from the
socket to the disk in small pieces. One writer at a time holds the file's lock; a second one gets 409, as does an
offset that is not the file's size, so bytes never interleave. A partner sees only its own uploads.
"""

import fcntl
import os
import secrets
from pathlib import Path

from flask import Response, request, url_for

from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import Problem, fail
from cleanroom.catalog import versions
from cleanroom.catalog.versions import Upload
from cleanroom.intake.limits import LIMITS

TUS = "1.0.0"
PIECE = 256 * 1024
CONTENT_TYPE = "application/offset+octet-stream"
_HEADER = {"schema": {"type": "string"}}

blueprint = Blueprint("uploads", __name__, url_prefix="/v1", description="Resumable uploads (tus 1.0)")
blueprint.before_request(require_partner)


@blueprint.before_request
def speaks_tus() -> None:
    """Every request but OPTIONS names the version of the protocol."""
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != TUS:
        fail(Problem.TUS_VERSION)


@blueprint.after_request
def says_tus(response: Response) -> Response:
    response.headers["Tus-Resumable"] = TUS
    response.headers["Tus-Version"] = TUS
    return response


@blueprint.post("/uploads")
@blueprint.response(201, headers={"Location": _HEADER, "Tus-Resumable": _HEADER})
def create() -> Response:
    """Announces an upload of `Upload-Length` bytes."""
    length = _number("Upload-Length")
    if length > LIMITS.file_bytes:
        fail(Problem.TOO_LARGE)
    upload = Upload(f"u-{secrets.token_hex(16)}", me().name, length)
    path(upload).parent.mkdir(mode=0o700, exist_ok=True)
    path(upload).touch(mode=0o600)
    versions.create_upload(catalog(), upload, room().stamp())
    return Response(status=201, headers={"Location": url_for("uploads.offset", identifier=upload.id)})


@blueprint.route("/uploads/<identifier>", methods=["HEAD"])
@blueprint.response(200, headers={"Upload-Offset": _HEADER, "Upload-Length": _HEADER})
def offset(identifier: str) -> Response:
    """Where the upload stands."""
    upload = _find(identifier)
    headers = {
        "Upload-Offset": str(path(upload).stat().st_size),
        "Upload-Length": str(upload.length),
        "Cache-Control": "no-store",
    }
    return Response(status=200, headers=headers)


@blueprint.route("/uploads/<identifier>", methods=["PATCH"])
@blueprint.response(204, headers={"Upload-Offset": _HEADER})
def append(identifier: str) -> Response:
    """Appends bytes at `Upload-Offset`."""
    upload = _find(identifier)
    if request.mimetype != CONTENT_TYPE:
        fail(Problem.MEDIA_TYPE)
    start = _number("Upload-Offset")
    with path(upload).open("r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fail(Problem.WRONG_OFFSET, "Somebody else is writing to this upload.")
        at = file.seek(0, os.SEEK_END)
        if at != start:
            fail(Problem.WRONG_OFFSET)
        try:
            while piece := request.stream.read(PIECE):
                if at + len(piece) > upload.length:
                    fail(Problem.TOO_LARGE, "More bytes than were announced.")
                at += file.write(piece)
        finally:  # what arrived before a cut stays, so that the client can go on from there
            file.flush()
            os.fsync(file.fileno())
    return Response(status=204, headers={"Upload-Offset": str(at)})


def path(upload: Upload) -> Path:
    """Where the bytes of an upload lie until they are checked."""
    return room().settings.incoming / upload.id


def _find(identifier: str) -> Upload:
    upload = versions.find_upload(catalog(), identifier, me().name)
    if upload is None or not path(upload).is_file():
        fail(Problem.NOT_FOUND)
    return upload


def _number(header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 16):
        fail(Problem.INVALID, f"The header {header} is missing or not a number.")
    return int(text)

"""Resumable uploads: tus 1.0, core and the extensions creation, termination, expiration, checksum (sha1).

Source: tus.io, "Resumable upload protocol 1.0.x". Rules: a partner sees only its own uploads; what happens to the bytes
is in `intake.incoming`. A second writer, or a wrong offset, gets 409. An upload that nobody finished in time is gone.
"""

import base64
import binascii
import secrets
from datetime import UTC, datetime
from pathlib import Path

from flask import Response, request, url_for
from flask_smorest import Blueprint
from werkzeug.http import http_date

from cleanroom.api.auth import me, require_partner
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import Problem, fail
from cleanroom.catalog import versions
from cleanroom.catalog.versions import Upload
from cleanroom.intake import incoming
from cleanroom.intake.incoming import Refused
from cleanroom.intake.limits import LIMITS, UPLOAD_SECONDS

TUS = "1.0.0"
EXTENSIONS = "creation,termination,expiration,checksum"
CONTENT_TYPE = "application/offset+octet-stream"
_HEADER = {"schema": {"type": "string"}}
_STANDS = {"Upload-Offset": _HEADER, "Upload-Expires": _HEADER}

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
@blueprint.response(201, headers={"Location": _HEADER, "Upload-Expires": _HEADER})
def create() -> Response:
    """Announces an upload of `Upload-Length` bytes."""
    length = _number("Upload-Length")
    if length > LIMITS.file_bytes:
        fail(Problem.TOO_LARGE)
    upload = Upload(f"u-{secrets.token_hex(16)}", me().name, length, room().now + UPLOAD_SECONDS)
    incoming.create(path(upload))
    versions.create_upload(catalog(), upload)
    location = url_for("uploads.offset", identifier=upload.id)
    return Response(status=201, headers={"Location": location, **_expires(upload)})


@blueprint.route("/uploads/<identifier>", methods=["HEAD"])
@blueprint.response(200, headers={**_STANDS, "Upload-Length": _HEADER})
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
@blueprint.response(204, headers=_STANDS)
def append(identifier: str) -> Response:
    """Appends bytes at `Upload-Offset`; with `Upload-Checksum: sha1 …`, all of them or none."""
    upload = _find(identifier)
    if request.mimetype != CONTENT_TYPE:
        fail(Problem.MEDIA_TYPE)
    start, sha1 = _number("Upload-Offset"), _sha1()
    reached = incoming.append(path(upload), start, upload.length, request.stream.read, sha1)
    if isinstance(reached, Refused):
        fail(*_PROBLEMS[reached])
    return Response(status=204, headers={"Upload-Offset": str(reached), **_expires(upload)})


@blueprint.delete("/uploads/<identifier>")
@blueprint.response(204)
def terminate(identifier: str) -> Response:
    """Ends an upload that is not needed. One that became a version stays until it is checked."""
    upload = _find(identifier)
    if versions.attached(catalog(), upload.id) or not incoming.remove(path(upload)):
        fail(Problem.CONFLICT, "The upload is in use.")
    with catalog().transaction() as connection:
        versions.forget_upload(connection, upload.id)
    return Response(status=204)


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

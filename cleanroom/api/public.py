"""What anybody may ask: the room's facts, its health, its log; and the two ways in, `join` and `token`."""

import base64
import binascii
import re
from typing import Any

from flask import Response, send_from_directory

from cleanroom import __version__, readiness, replacements
from cleanroom.api import auth, schemas
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import CATALOG, LOGGED, Problem, fail
from cleanroom.audit import publisher
from cleanroom.audit.events import EventKind
from cleanroom.catalog import partners, recovery
from cleanroom.catalog.partners import TOKEN_SECONDS
from partners.keys import key_id, verify
from partners.protocol import PublicKeys
from partners.transparency.cosignature import cosigned
from partners.transparency.note import NoteError, split_note
from policies import canonical, terms

blueprint = Blueprint("public", __name__, url_prefix="/v1", description="Open to anybody")

_LOG_FILE = re.compile(r"checkpoint|tile/(?:entries|[0-9]{1,2})/(?:x[0-9]{3}/)*[0-9]{3}(?:\.p/[0-9]{1,3})?")


@blueprint.get("/room")
@blueprint.response(200, schemas.RoomSchema)
@blueprint.problems(*CATALOG)
def facts() -> dict[str, Any]:
    """The room's public facts: compare `vkey` with the one that the operator gave you."""
    settings = room().settings
    return {
        "name": room().origin,
        "token_audience": settings.token_audience,
        "vkey": room().vkey,
        "floor": terms.to_json(settings.floor),
        "version": __version__,
        "allowance": settings.allowance,
        "successions": [note.decode() for note in recovery.successions(catalog())],
    }


@blueprint.get("/health")
@blueprint.response(200, schemas.HealthSchema)
def health() -> dict[str, str]:
    """Whether the process lives. Whether the room can release: `/v1/ready`."""
    return {"status": "ok"}


@blueprint.get("/ready")
@blueprint.response(200, schemas.HealthSchema)
@blueprint.problems(Problem.NOT_READY)
def ready() -> dict[str, str]:
    """Whether the room can release: catalog, signer, log, worker, disk. 503 `not-ready` with what it lacks."""
    if found := readiness.lacks(room()):
        fail(Problem.NOT_READY, f"It lacks something: {'; '.join(found)}.")
    return {"status": "ready"}


@blueprint.post("/join")
@blueprint.arguments(schemas.JoinSchema)
@blueprint.response(201, schemas.JoinedSchema)
@blueprint.problems(Problem.BAD_SIGNATURE, Problem.BAD_CODE, Problem.TOO_MANY_REQUESTS, *CATALOG, *LOGGED)
def join(body: dict[str, str]) -> dict[str, Any]:
    """Registers the public keys of a partner or an auditor, with the one-time code that the operator gave it.

    New keys of a partner that joined before wait for the consent of those in `waiting`.
    """
    signing, sealing = key(body["signing_key"]), key(body["sealing_key"])
    signed = canonical.dumps({name: body[name] for name in ("code", "sealing_key", "signing_key")})
    if not verify(signing, "join/v1", signed, signature(body["signature"])):
        fail(Problem.BAD_SIGNATURE)
    with catalog().transaction() as connection:
        redeemed = partners.redeem(connection, body["code"], room().now)
        if redeemed is None:
            auth.guessed(Problem.BAD_CODE)
        name, role = redeemed
        asked: list[str] | None = []
        if partners.joined(catalog(), name):
            asked = replacements.begin(room(), catalog(), name, PublicKeys(signing, sealing))
        elif partners.enter(connection, name, role, signing, sealing, room().now):
            details = {"partner": name, "role": role.value}
            room().record(connection, EventKind.PARTNER_JOIN, None, key_id(signing), details)
        else:
            asked = None
        if asked is None:
            auth.guessed(Problem.BAD_CODE)
    room().publish()
    return {"partner": name, "role": role.value, "waiting": asked}


@blueprint.post("/token")
@blueprint.arguments(schemas.TokenRequestSchema, location="form")
@blueprint.response(200, schemas.TokenSchema, headers={"Cache-Control": {"schema": {"type": "string"}}})
@blueprint.problems(Problem.BAD_ASSERTION, Problem.TOO_MANY_REQUESTS, *CATALOG, *LOGGED)
def token(body: dict[str, str]) -> tuple[dict[str, Any], int, dict[str, str]]:
    """A short-lived bearer token for a client assertion (RFC 7523 §2.2)."""
    if body["grant_type"] != auth.GRANT or body["client_assertion_type"] != auth.ASSERTION_TYPE:
        fail(Problem.INVALID, "grant_type or client_assertion_type is not the one of RFC 7523.")
    issued = auth.access_token(body["client_assertion"])
    answer = {"access_token": issued, "token_type": "Bearer", "expires_in": TOKEN_SECONDS}
    return answer, 200, {"Cache-Control": "no-store"}


@blueprint.get("/log/<path:name>")
@blueprint.response(200, content_type="application/octet-stream", schema={"type": "string", "format": "binary"})
@blueprint.problems(Problem.DISK)
def log(name: str) -> Response:
    """The published log as plain files: `checkpoint` and `tile/…` (C2SP tlog-tiles)."""
    kind = "text/plain" if name == "checkpoint" else "application/octet-stream"
    if not _LOG_FILE.fullmatch(name):
        fail(Problem.NOT_FOUND)
    response = send_from_directory(room().settings.log, name, mimetype=kind, etag=False)
    response.headers["Cache-Control"] = "no-cache"  # after a restore that lost entries, a tile may have other bytes
    return response


@blueprint.post("/cosignatures")
@blueprint.arguments(schemas.CosignatureSchema)
@blueprint.response(204)
@blueprint.problems(Problem.BAD_SIGNATURE, Problem.CONFLICT, Problem.DISK, Problem.DISK_FULL)
def cosign(body: dict[str, str]) -> None:
    """Puts a witness's cosignature on the newest checkpoint; `conflict` where that is another one by now."""
    message, lines, keys = body["checkpoint"].encode(), body["cosignature"].encode(), room().settings.witnesses.keys
    try:
        text = split_note(message)[0].encode()
        if not cosigned(text + b"\n" + lines, keys):
            fail(Problem.BAD_SIGNATURE, "This is no cosignature of a witness that the room knows.")
    except NoteError:
        fail(Problem.INVALID, "A checkpoint and a cosignature are a signed note and a line of one.")
    if publisher.add_cosignatures(room().settings.log, message, lines, keys) is None:
        fail(Problem.CONFLICT, "There is a newer checkpoint; fetch it, and cosign that.")


def key(text: str) -> bytes:
    """A 32-byte public key from base64, or the request fails."""
    return decoded(text, 32)


def signature(text: str) -> bytes:
    """A 64-byte Ed25519 signature from base64, or the request fails."""
    return decoded(text, 64)


def decoded(text: str, length: int) -> bytes:
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        value = b""
    if len(value) != length:
        fail(Problem.INVALID, f"A key or signature is not {length} bytes in base64.")
    return value

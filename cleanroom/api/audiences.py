"""Versions of audiences: announce one with its signed manifest, watch it being checked and published."""

import hashlib
import secrets
from typing import Any

from flask import Response, jsonify

from cleanroom import jobs
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.collaborations import NEEDS_OPEN, collaboration, require_open
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import RECEIPT, Problem, fail
from cleanroom.api.problems import to_json as problem_json
from cleanroom.api.public import signature
from cleanroom.api.uploads import path
from cleanroom.audit.events import EventKind
from cleanroom.catalog import versions
from cleanroom.catalog.versions import State, Version
from partners.audience import BadManifest, Manifest
from partners.keys import key_id
from partners.transparency.encoding import encode_base64
from policies import canonical
from policies.question import AudienceRef

blueprint = Blueprint("audiences", __name__, url_prefix="/v1", description="Audiences and their versions")
blueprint.before_request(require_partner)

_ROUTE = "/collaborations/<identifier>/audiences/<name>/versions"


@blueprint.get(_ROUTE)
@blueprint.arguments(schemas.VersionsQuerySchema, location="query")
@blueprint.response(200, schemas.VersionsSchema)
@blueprint.problems(Problem.INVALID, *RECEIPT)
def every(query: dict[str, str | None], identifier: str, name: str) -> dict[str, Any]:
    """The versions of your audience with their manifests, newest first; with `sha256`, the one of that manifest."""
    found = collaboration(identifier)
    wanted = query["sha256"]
    listed = versions.of_audience(catalog(), found.id, me().name, name)
    return {"versions": [_listed(each) for each in listed if wanted in (None, _sha256(each.manifest))]}


@blueprint.post(_ROUTE)
@blueprint.arguments(schemas.VersionRequestSchema)
@blueprint.response(202, schemas.VersionSchema)
@blueprint.alt_response(200, schema=schemas.VersionSchema, description="This manifest is known already", success=True)
@blueprint.problems(*NEEDS_OPEN, Problem.BAD_MANIFEST, Problem.UPLOAD_INCOMPLETE, *RECEIPT)
def announce(body: dict[str, Any], identifier: str, name: str) -> Response:
    """Makes a version of a complete upload and its manifest. The same manifest again gives the same version."""
    found = collaboration(identifier)
    if found.agreement.audience(AudienceRef(me().name, name)) is None:
        fail(Problem.NOT_FOUND)
    require_open(found)
    try:
        manifest = Manifest.from_json(body["manifest"])
    except BadManifest as problem:
        fail(Problem.BAD_MANIFEST, str(problem))
    if known := versions.same(catalog(), found.id, me().name, name, _sha256(manifest.canonical())):
        return _answer(known, 200)
    upload = versions.find_upload(catalog(), body["upload"], me().name) if body["upload"] else None
    if upload is None or upload.expires <= room().now:
        fail(Problem.INVALID, "`upload` names no upload of yours.")
    if path(upload).stat().st_size != upload.length:
        fail(Problem.UPLOAD_INCOMPLETE)
    version = Version(
        id=f"v-{secrets.token_hex(8)}",
        collaboration=found.id,
        owner=me().name,
        audience=name,
        epoch=manifest.epoch if manifest.epoch in found.epochs else found.epoch,
        manifest=manifest.canonical(),
        signature=signature(body["signature"]),
        upload=upload.id,
        state=State.RECEIVED,
        reason=None,
        detail=None,
        progress=0,
        leaf=None,
    )
    sha256 = _sha256(version.manifest)
    with catalog().transaction() as connection:
        if known := versions.same(catalog(), found.id, me().name, name, sha256):  # sent twice at the same time
            return _answer(known, 200)
        versions.receive(connection, version, sha256, room().stamp())
        details = {"version": version.id, "audience": str(version.ref), "manifest": sha256}
        room().record(connection, EventKind.UPLOAD_RECEIVE, found.id, key_id(me().signing_key), details)
    room().publish()
    return _answer(version, 202)


@blueprint.get(f"{_ROUTE}/<version>")
@blueprint.response(200, schemas.VersionSchema)
@blueprint.problems(*RECEIPT)
def one(identifier: str, name: str, version: str) -> dict[str, Any]:
    """One version of your audience: where its check stands, why it was refused, its receipt once published."""
    return _to_json(_mine(identifier, name, version))


@blueprint.delete(f"{_ROUTE}/<version>")
@blueprint.response(200, schemas.VersionSchema)
@blueprint.problems(Problem.CONFLICT, *RECEIPT)
def retire(identifier: str, name: str, version: str) -> dict[str, Any]:
    """Retires your published version: questions on it are refused from now on, its files are removed."""
    found = _mine(identifier, name, version)
    if found.state is State.PUBLISHED:
        jobs.retire(room(), catalog(), found, key_id(me().signing_key))
    elif found.state is not State.RETIRED:
        fail(Problem.CONFLICT, "Only a published version can be retired.")
    return _to_json(_mine(identifier, name, version))


def _mine(identifier: str, name: str, version: str) -> Version:
    """A version of the partner that asks; anybody else's looks like none."""
    found = versions.find(catalog(), collaboration(identifier).id, me().name, name, version)
    if found is None:
        fail(Problem.NOT_FOUND)
    return found


def _answer(version: Version, status: int) -> Response:
    response = jsonify(schemas.VersionSchema().dump(_to_json(version)))
    response.status_code = status
    return response


def _to_json(version: Version) -> dict[str, Any]:
    refused = {**problem_json(Problem.BAD_MANIFEST, version.detail or ""), "reason": version.reason}
    return {
        "id": version.id,
        "state": version.state.value,
        "problem": refused if version.state is State.REFUSED else None,
        "progress": version.progress,
        "manifest_sha256": _sha256(version.manifest),
        "receipt": room().receipt(catalog(), version.leaf).to_json() if version.leaf is not None else None,
    }


def _listed(version: Version) -> dict[str, Any]:
    manifest = canonical.loads(version.manifest)
    return {**_to_json(version), "manifest": manifest, "signature": encode_base64(version.signature)}


def _sha256(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()

"""What appointed auditors read: the log with the bodies of their collaborations, the ledgers. Each is logged."""

import os
import secrets
from collections.abc import Iterator
from typing import Any, BinaryIO

from flask import Response

from cleanroom import auditors, exporting
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import LOGGED
from cleanroom.catalog import collaborations, reports
from policies.terms import Mode

PIECE_BYTES = 2**16
blueprint = Blueprint("audits", __name__, url_prefix="/v1", description="For appointed auditors")
blueprint.before_request(require_partner)


@blueprint.get("/audit/export")
@blueprint.response(200, content_type="application/x-tar", schema={"type": "string", "format": "binary"})
@blueprint.problems(*LOGGED)
def export() -> Response:
    """The whole log as one tar, with the bodies and nonces that you may read. `cleanroom audit verify` checks it."""
    held = auditors.record_reading(room(), catalog(), me(), "export")
    path = room().settings.incoming / f"export-{secrets.token_hex(8)}"
    try:
        exporting.write(room(), catalog(), path, held)
        file = path.open("rb")
    finally:
        path.unlink(missing_ok=True)
    size = os.fstat(file.fileno()).st_size
    headers = {"Cache-Control": "no-store", "Content-Length": str(size)}
    return Response(_pieces(file), mimetype="application/x-tar", headers=headers)


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    with file:
        while piece := file.read(PIECE_BYTES):
            yield piece


@blueprint.get("/audit/ledger")
@blueprint.response(200, schemas.AuditedSchema)
@blueprint.problems(*LOGGED)
def ledger() -> dict[str, Any]:
    """What each owner was allotted and has spent in each collaboration that you are appointed to. In micro-ε."""
    held = auditors.record_reading(room(), catalog(), me(), "ledger")
    connection, base = catalog().connection, room().settings.allowance
    lines = []
    for identifier in held:
        found = collaborations.get(catalog(), identifier)
        assert found is not None, "nobody is appointed to what is not there"
        terms = found.agreement.terms
        for party in found.agreement.parties:
            account = reports.account(connection, party.name, found.id, terms.epsilon_total, base)
            line = {"collaboration": found.id, "owner": party.name, "unbounded": terms.mode is Mode.THRESHOLD}
            lines.append({**line, "allotted": account.allotted_here, "spent": account.spent_here})
    return {"lines": lines}

"""The ledger: what an owner has spent and may spend; grants that it signs."""

import hashlib
from typing import Any

from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import RECEIPT, Problem, fail
from cleanroom.api.public import signature
from cleanroom.audit.events import EventKind
from cleanroom.catalog import collaborations, keys, reports
from partners.keys import key_id, verify
from partners.transparency.encoding import encode_base64
from policies import canonical
from policies.terms import MICRO, Mode

blueprint = Blueprint("ledger", __name__, url_prefix="/v1", description="Privacy budgets")
blueprint.before_request(require_partner)

_FIELDS = {"partner", "epsilon", "serial", "created"}
LARGEST_GRANT = 1000 * MICRO


@blueprint.get("/ledger")
@blueprint.response(200, schemas.LedgerSchema)
def ledger() -> dict[str, Any]:
    """Your lifetime allowance, what is spent of it, and each agreement's part. All in micro-ε."""
    connection, base = catalog().connection, room().settings.allowance
    own = [found for found in collaborations.of_partner(catalog(), me().name) if found.state != "proposed"]
    lines, total = [], reports.account(connection, me().name, "", 0, base)
    for found in own:
        terms = found.agreement.terms
        account = reports.account(connection, me().name, found.id, terms.epsilon_total, base)
        lines.append(
            {
                "id": found.id,
                "name": found.name,
                "allotted": account.allotted_here,
                "spent": account.spent_here,
                "unbounded": terms.mode is Mode.THRESHOLD,
            }
        )
    return {
        "partner": me().name,
        "allowance": total.allowance,
        "spent": total.spent_ever,
        "forfeited": reports.forfeited(connection, me().name),
        "grants": reports.last_grant(connection, me().name),
        "signed_grants": [
            {"grant": canonical.loads(document), "signature": encode_base64(signed)}
            for document, signed in reports.grants(connection, me().name)
        ],
        "collaborations": lines,
    }


@blueprint.post("/grants")
@blueprint.arguments(schemas.GrantRequestSchema)
@blueprint.response(201, schemas.ReceiptSchema)
@blueprint.problems(Problem.BAD_SIGNATURE, Problem.CONFLICT, *RECEIPT)
def grant(body: dict[str, Any]) -> dict[str, Any]:
    """Adds to your lifetime allowance: a decision that you sign, logged. `serial` counts your grants from 1."""
    document = body["grant"]
    serial, epsilon = document.get("serial"), document.get("epsilon")
    if set(document) != _FIELDS or type(serial) is not int or type(epsilon) is not int:
        fail(Problem.INVALID, "A grant has exactly partner, epsilon (micro-ε), serial and created.")
    if document["partner"] != me().name or not 0 < epsilon <= LARGEST_GRANT or not isinstance(document["created"], str):
        fail(Problem.INVALID, "A grant is your own, of more than 0 and at most 1000 ε.")
    signed, payload = signature(body["signature"]), canonical.dumps(document)
    # Signed before a rotation and sent again after it: the key that signed may be the one that goes.
    if not any(verify(each, "grant/v1", payload, signed) for each in keys.owner_keys(catalog(), me().name, room().now)):
        fail(Problem.BAD_SIGNATURE)
    with catalog().transaction() as connection:
        if serial != reports.last_grant(connection, me().name) + 1:
            fail(Problem.CONFLICT, "The serial number of a grant follows the last one; see /v1/ledger.")
        sha256 = hashlib.sha256(payload).hexdigest()
        details = {"partner": me().name, "micro": epsilon, "serial": serial, "grant": sha256}
        leaf = room().record(connection, EventKind.BUDGET_GRANT, None, key_id(me().signing_key), details)
        reports.grant(connection, me().name, serial, epsilon, payload, signed, room().stamp(), leaf)
    return {"receipt": room().receipt(catalog(), leaf).to_json()}

"""New keys of a partner that lost its own: who is asked sees them, compares, consents.

Rules: a request begins with `join` and the operator's code. Who is asked sees its own consent only: with whom else that
partner works is not its concern. The waiting key itself sees who has consented, and nothing of any collaboration.
"""

from typing import Any

from cleanroom import replacements as room_replacements
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.keys import rotations
from cleanroom.api.problems import LOGGED, Problem, fail
from cleanroom.api.public import signature
from cleanroom.catalog import replacements
from cleanroom.catalog.replacements import Asked
from partners.key_change import Role
from partners.transparency.encoding import encode_base64

blueprint = Blueprint("replacements", __name__, url_prefix="/v1", description="New keys of a partner that lost its own")
blueprint.before_request(require_partner)


@blueprint.get("/replacements")
@blueprint.response(200, schemas.ReplacementsSchema)
def every() -> dict[str, Any]:
    """New keys of your own and of partners that ask for your consent: those that wait, and those in place."""
    found = replacements.of_partner(catalog(), me().name, room().now)
    # A key that waits is nobody's yet: it sees what became of its own request, and nothing that its partner is asked.
    shown = found if me().role is not Role.WAITING else [each for each in found if each.replacement.id == me().key]
    return {"replacements": [_to_json(each) for each in shown]}


@blueprint.post("/replacements/<key>/consents")
@blueprint.arguments(schemas.SignatureSchema)
@blueprint.response(201, schemas.ReplacementSchema)
@blueprint.problems(Problem.BAD_SIGNATURE, Problem.CONFLICT, *LOGGED)
def consent(body: dict[str, str], key: str) -> dict[str, Any]:
    """Consents to a partner's new keys, after you compared them with it on another channel.

    Signed: `cleanroom/replace/v1`, a newline, and the document's canonical JSON. The last consent puts the keys in
    place and ends the partner's other keys.
    """
    found = replacements.find(catalog(), key, me().name, room().now)
    if found is None:
        fail(Problem.NOT_FOUND)
    signed = signature(body["signature"])
    if not found.replacement.consented(me().signing_key, signed):
        fail(Problem.BAD_SIGNATURE)
    answer = room_replacements.consent(room(), catalog(), key, me(), signed)
    if answer is None:
        fail(Problem.CONFLICT, "Only your newest owner key consents; this one was rotated away.")
    return _to_json(answer)


def _to_json(found: Asked) -> dict[str, Any]:
    mine = found.replacement.partner == me().name
    shown = {name: signed for name, signed in found.consents.items() if mine or name == me().name}
    return {
        "replacement": found.replacement.to_json(),
        "key": found.replacement.id,
        "consents": [
            {"partner": name, "signature": encode_base64(signed)}
            for name, signed in shown.items()
            if signed is not None
        ],
        "waiting": [name for name, signed in shown.items() if signed is None],
        "made": found.made,
        "rotations": rotations(found.replacement.partner),
    }

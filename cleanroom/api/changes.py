"""Changes of a collaboration: amendments, older agreements, terms tightened alone, a new secret, leaving."""

import json
from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

from flask import Response

from cleanroom import changes as room_changes
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.collaborations import (
    NEEDS_OPEN,
    UNFIT,
    check,
    collaboration,
    require_named,
    require_open,
    to_json,
)
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import LOGGED, RECEIPT, Problem, fail
from cleanroom.api.public import signature
from cleanroom.catalog import changes
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.changes import Outdated
from partners import notices
from partners.keys import verify
from partners.notices import (
    LONGEST_ROTATION,
    SHORTEST_ROTATION,
    BadNotice,
    Leaving,
    Notice,
    Rotation,
    Tightening,
)
from policies import agreement as agreements
from policies import tightening as alone
from policies.agreement import Agreement, BadAgreement
from policies.terms import Terms

blueprint = Blueprint("changes", __name__, url_prefix="/v1", description="Amendments, tightened terms, leaving")
blueprint.before_request(require_partner)

Told = TypeVar("Told")
_ROUTE = "/collaborations/<identifier>"
_SIGNED = (Problem.BAD_AGREEMENT, Problem.BAD_SIGNATURE, Problem.CHANGED)
"""Of a change that is signed with the key that the agreement names, and made where nothing changed meanwhile."""


@blueprint.post(f"{_ROUTE}/amendments")
@blueprint.arguments(schemas.ProposalSchema)
@blueprint.response(201, schemas.CollaborationSchema)
@blueprint.problems(*NEEDS_OPEN, *UNFIT, *_SIGNED, *LOGGED)
def amend(body: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Proposes an amendment, signed by the proposer; in force from the last signature. It replaces one that waits."""
    found = collaboration(identifier)
    require_open(found)
    try:
        proposed = agreements.from_json(body["agreement"])
    except BadAgreement as problem:
        fail(Problem.BAD_AGREEMENT, str(problem))
    check(proposed)
    _check_follows(proposed, found)
    signed = signature(body["signature"])
    require_named(proposed)
    if not verify(me().signing_key, "agreement/v1", proposed.canonical(), signed):
        fail(Problem.BAD_SIGNATURE)
    try:
        room_changes.amend(room(), catalog(), found, me(), proposed, signed)
    except Outdated:
        fail(Problem.CHANGED)
    return to_json(collaboration(identifier))


def _check_follows(proposed: Agreement, found: Collaboration) -> None:
    """An amendment follows the agreement in force, and is between those who are there."""
    if (proposed.id, proposed.name) != (found.id, found.name):
        fail(Problem.BAD_AGREEMENT, "An amendment keeps the id and the name.")
    if (proposed.number, proposed.previous) != (found.signed.number + 1, found.sha256):
        fail(Problem.BAD_AGREEMENT, "It does not follow the agreement in force; amend that one.")
    staying = {party.name for party in found.signed.parties} - set(found.left)
    if {party.name for party in proposed.parties} != staying:
        fail(Problem.BAD_AGREEMENT, "An amendment is between the partners who have not left, and nobody else.")


@blueprint.post(f"{_ROUTE}/amendments/<sha256>/signatures")
@blueprint.arguments(schemas.SignatureSchema)
@blueprint.response(201, schemas.CollaborationSchema)
@blueprint.problems(*NEEDS_OPEN, *_SIGNED, *LOGGED)
def sign(body: dict[str, str], identifier: str, sha256: str) -> dict[str, Any]:
    """Signs the amendment that waits, as an agreement is signed. The last signature puts it in force, at once."""
    found = collaboration(identifier)
    require_open(found)
    if found.sha256 == sha256:  # in force already
        return to_json(found)
    waiting = changes.pending(catalog().connection, found.id)
    if waiting is None or waiting.sha256 != sha256:
        fail(Problem.CHANGED)
    require_named(agreements.from_json(json.loads(waiting.document)))
    signed = signature(body["signature"])
    if not verify(me().signing_key, "agreement/v1", waiting.document, signed):
        fail(Problem.BAD_SIGNATURE)
    try:
        room_changes.sign(room(), catalog(), found, me(), sha256, signed)
    except Outdated:
        fail(Problem.CHANGED)
    return to_json(collaboration(identifier))


@blueprint.get(f"{_ROUTE}/agreements/<sha256>")
@blueprint.response(200, content_type="application/json", schema={"type": "object"})
def document(identifier: str, sha256: str) -> Response:
    """An agreement of the collaboration in the exact bytes that are signed: in force, waiting, or from before."""
    found = changes.document(catalog(), collaboration(identifier).id, sha256)
    if found is None:
        fail(Problem.NOT_FOUND)
    return Response(found, content_type="application/json")


@blueprint.post(f"{_ROUTE}/tightenings")
@blueprint.arguments(schemas.TighteningSchema)
@blueprint.response(201, schemas.ReceiptSchema)
@blueprint.problems(*NEEDS_OPEN, *_SIGNED, Problem.NOT_TIGHTER, *RECEIPT)
def tighten(body: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Tightens your own terms, at once and without the others. Only an amendment loosens them again."""
    found = collaboration(identifier)
    require_open(found)
    tightening = _read(Tightening.from_json, body["tightening"])
    require_named(found.signed)
    signed = _signed(tightening, found, body["signature"])
    if tightening.agreement != found.sha256:
        fail(Problem.CHANGED)
    if why := alone.refused(tightening.terms, _own(found), found.agreement.terms):
        fail(Problem.NOT_TIGHTER, f"{why[0].upper()}{why[1:]}.")
    try:
        leaf = room_changes.tighten(room(), catalog(), found, me(), tightening, signed)
    except Outdated:
        fail(Problem.CHANGED)
    return {"receipt": room().receipt(catalog(), leaf).to_json()}


@blueprint.post(f"{_ROUTE}/rotations")
@blueprint.arguments(schemas.RotationSchema)
@blueprint.response(201, schemas.CollaborationSchema)
@blueprint.problems(*NEEDS_OPEN, *_SIGNED, *LOGGED)
def rotate(body: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Begins a new epoch: its secret's key check, and the day on which the old epoch ends. Envelopes come after it."""
    found = collaboration(identifier)
    require_open(found)
    rotation = _read(Rotation.from_json, body["rotation"])
    require_named(found.signed)
    signed = _signed(rotation, found, body["signature"])
    if found.rotating or rotation.epoch != found.epoch + 1:
        fail(Problem.CHANGED)
    days = (date.fromisoformat(rotation.deadline) - room().today).days
    if not SHORTEST_ROTATION <= days <= LONGEST_ROTATION:
        fail(Problem.INVALID, f"The deadline is {SHORTEST_ROTATION} to {LONGEST_ROTATION} days away.")
    try:
        room_changes.rotate(room(), catalog(), found, me(), rotation, signed)
    except Outdated:
        fail(Problem.CHANGED)
    return to_json(collaboration(identifier))


@blueprint.post(f"{_ROUTE}/departures")
@blueprint.arguments(schemas.LeavingSchema)
@blueprint.response(201, schemas.ReceiptSchema)
@blueprint.problems(Problem.CLOSED, Problem.BAD_SIGNATURE, Problem.CHANGED, *RECEIPT)
def leave(body: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Ends your part: your audiences there are retired at once. Reports that were made stay. Twice is harmless."""
    found = collaboration(identifier)
    leaving = _read(Leaving.from_json, body["leaving"])
    signed = _signed(leaving, found, body["signature"])
    leaf = found.left.get(me().name)
    if leaf is None:
        require_open(found, proposed=True)
        try:
            leaf = room_changes.leave(room(), catalog(), found, me(), leaving, signed)
        except Outdated:
            fail(Problem.CHANGED)
    return {"receipt": room().receipt(catalog(), leaf).to_json()}


def _read(parse: Callable[[Any], Told], value: Any) -> Told:
    """A notice, strictly read."""
    try:
        return parse(value)
    except BadNotice as problem:
        fail(Problem.INVALID, f"{problem}.")


def _signed(notice: Notice, found: Collaboration, text: str) -> bytes:
    """The signature of a notice that is the partner's own, about this collaboration; else the request fails."""
    if (notice.collaboration, notice.partner) != (found.id, me().name):
        fail(Problem.INVALID, "It is not yours, or not about this collaboration.")
    signed = signature(text)
    if not notices.verify(me().signing_key, notice, signed):
        fail(Problem.BAD_SIGNATURE)
    return signed


def _own(found: Collaboration) -> Terms:
    party = found.agreement.party(me().name)
    assert party is not None, "who has not left is a party"
    return party.terms

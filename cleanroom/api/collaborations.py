"""Collaborations: propose, read, sign; the envelopes that carry the secret; the partners' public keys."""

import base64
from typing import Any

from flask import Response

from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.keys import rotations
from cleanroom.api.problems import LOGGED, Problem, fail
from cleanroom.api.public import signature
from cleanroom.audit.events import EventKind
from cleanroom.catalog import appointments, changes, collaborations, partners, replacements, versions
from cleanroom.catalog.changes import Amendment
from cleanroom.catalog.collaborations import Collaboration
from partners.envelopes import BadEnvelope, SignedEnvelope
from partners.key_change import Role
from partners.keys import key_id, verify
from partners.protocol import PROTOCOL_VERSION
from policies import agreement as agreements
from policies.agreement import Agreement, BadAgreement

blueprint = Blueprint("collaborations", __name__, url_prefix="/v1", description="Agreements, signatures, envelopes")
blueprint.before_request(require_partner)

NEEDS_OPEN = (Problem.CLOSED, Problem.NOT_OPEN)
"""Of `require_open`; where `proposed` will do, the first of them."""
UNFIT = (Problem.BAD_AGREEMENT, Problem.NOT_A_PARTNER)
"""Of `check`."""


@blueprint.get("/partners/<name>")
@blueprint.response(200, schemas.PartnerSchema)
def partner(name: str) -> dict[str, Any]:
    """The current keys of a partner that joined, and the rotations that led to them.

    Compare their fingerprint on another channel before sealing to them.
    """
    found = partners.find(catalog(), name, room().now)
    if found is None or found.sealing_key is None:
        fail(Problem.NOT_FOUND)
    current = {"signing_key": _text(found.signing_key), "sealing_key": _text(found.sealing_key)}
    return {"name": found.name, **current, "rotations": rotations(found.name)}


@blueprint.get("/collaborations")
@blueprint.response(200, schemas.CollaborationsSchema)
def mine() -> dict[str, Any]:
    """Every collaboration that you take part in, or that you are appointed to audit."""
    every = collaborations.of_auditor if me().role is Role.AUDITOR else collaborations.of_partner
    return {"collaborations": [to_json(each) for each in every(catalog(), me().name)]}


@blueprint.post("/collaborations")
@blueprint.arguments(schemas.ProposalSchema)
@blueprint.response(201, schemas.CollaborationSchema)
@blueprint.problems(*UNFIT, Problem.BAD_SIGNATURE, Problem.CONFLICT, *LOGGED)
def propose(body: dict[str, Any]) -> dict[str, Any]:
    """Proposes an agreement, signed by the proposer. It opens when every partner has signed the same bytes."""
    try:
        proposed = agreements.from_json(body["agreement"])
    except BadAgreement as problem:
        fail(Problem.BAD_AGREEMENT, str(problem))
    check(proposed)
    signed = signature(body["signature"])
    if not verify(me().signing_key, "agreement/v1", proposed.canonical(), signed):
        fail(Problem.BAD_SIGNATURE)
    actor, details = key_id(me().signing_key), {"agreement": proposed.sha256()}
    with catalog().transaction() as connection:
        if not collaborations.propose(connection, proposed, room().stamp()):
            fail(Problem.CONFLICT, "This id is taken; propose again with another one.")
        collaborations.sign(connection, proposed.id, me().name, signed, room().stamp())
        room().record(connection, EventKind.AGREEMENT_PROPOSE, proposed.id, actor, details)
    room().publish()
    return to_json(collaboration(proposed.id))


def check(proposed: Agreement) -> None:
    """The room's own conditions on an agreement."""
    own = proposed.party(me().name)
    if own is None:
        fail(Problem.BAD_AGREEMENT, "You are not among its partners.")
    if own.signing_key != me().signing_key:  # others verify what it signs with the key that is named
        fail(Problem.BAD_AGREEMENT, "It names other keys of yours than the one that you ask with.")
    if proposed.protocol != PROTOCOL_VERSION:
        fail(Problem.BAD_AGREEMENT, f"The room speaks protocol version {PROTOCOL_VERSION}.")
    if proposed.floor != room().settings.floor:
        fail(Problem.BAD_AGREEMENT, "Its floor is not the room's; take it from /v1/room.")
    for party in proposed.parties:
        joined = partners.find(catalog(), party.name, room().now)
        if joined is None:
            fail(Problem.NOT_A_PARTNER)
        if (joined.signing_key, joined.sealing_key) != (party.signing_key, party.sealing_key):
            fail(Problem.BAD_AGREEMENT, "The keys of one of its partners are not its current ones.")


@blueprint.get("/collaborations/<identifier>")
@blueprint.response(200, schemas.CollaborationSchema)
def one(identifier: str) -> dict[str, Any]:
    """One collaboration: its state, who signed, which audiences are published."""
    return to_json(collaboration(identifier))


@blueprint.get("/collaborations/<identifier>/agreement")
@blueprint.response(200, content_type="application/json", schema={"type": "object"})
def document(identifier: str) -> Response:
    """The agreement, in the exact bytes that are signed."""
    return Response(collaboration(identifier).document, content_type="application/json")


@blueprint.post("/collaborations/<identifier>/signatures")
@blueprint.arguments(schemas.SignatureSchema)
@blueprint.response(201, schemas.CollaborationSchema)
@blueprint.problems(Problem.CLOSED, Problem.BAD_AGREEMENT, Problem.BAD_SIGNATURE, *LOGGED)
def sign(body: dict[str, str], identifier: str) -> dict[str, Any]:
    """Signs the agreement: Ed25519 over `cleanroom/agreement/v1`, a newline, and its exact bytes."""
    found = collaboration(identifier)
    require_open(found, proposed=True)
    signed = signature(body["signature"])
    require_named(found.signed, proposed=found.state == "proposed")
    if not verify(me().signing_key, "agreement/v1", found.document, signed):
        fail(Problem.BAD_SIGNATURE)
    if me().name not in found.signatures:
        actor, details = key_id(me().signing_key), {"agreement": found.sha256}
        with catalog().transaction() as connection:
            opened = collaborations.sign(connection, found.id, me().name, signed, room().stamp())
            room().record(connection, EventKind.AGREEMENT_SIGN, found.id, actor, details)
            if opened:
                room().record(connection, EventKind.AGREEMENT_OPEN, found.id, None, details)
        room().publish()
    return to_json(collaboration(identifier))


@blueprint.post("/collaborations/<identifier>/envelopes")
@blueprint.arguments(schemas.EnvelopeSchema)
@blueprint.response(201, schemas.EnvelopeSchema)
@blueprint.problems(*NEEDS_OPEN, Problem.BAD_AGREEMENT, Problem.BAD_SIGNATURE, Problem.CONFLICT, *LOGGED)
def relay(body: dict[str, Any], identifier: str) -> dict[str, Any]:
    """Relays the sealed secret to one partner. The room cannot open it; the first maker of an epoch's secret wins."""
    found = collaboration(identifier)
    require_open(found)
    try:
        signed = SignedEnvelope.from_json(body)
    except BadEnvelope as problem:
        fail(Problem.INVALID, str(problem))
    envelope = signed.envelope
    fits = (envelope.collaboration, envelope.sender) == (found.id, me().name) and envelope.epoch in found.epochs
    require_named(found.signed)
    others = {party.name for party in found.agreement.parties} - {me().name, *found.left}
    if not fits or envelope.recipient not in others:
        fail(Problem.INVALID, "The envelope is not from you to another partner, in this collaboration and epoch.")
    _require_current(found.signed, envelope.recipient)
    if not verify(me().signing_key, "envelope/v1", envelope.canonical(), signed.signature):
        fail(Problem.BAD_SIGNATURE)
    with catalog().transaction() as connection:
        maker = collaborations.secret_maker(catalog(), found.id, envelope.epoch)
        if found.rotating and envelope.epoch == found.rotating.rotation.epoch:
            maker = (found.rotating.rotation.partner, found.rotating.rotation.key_check)
        same = maker is not None and maker[1] == envelope.key_check
        again = same and _lost(found.id, envelope.epoch, envelope.recipient)
        if not again and maker not in (None, (me().name, envelope.key_check)):
            fail(Problem.CONFLICT, "The secret of this epoch was made already; accept that one.")
        if collaborations.relay(connection, signed.to_json(), room().stamp(), again=again):
            details = {"recipient": envelope.recipient, "epoch": envelope.epoch}
            room().record(connection, EventKind.SECRET_RELAY, found.id, key_id(me().signing_key), details)
        else:
            fail(Problem.CONFLICT, "This partner has its envelope for this epoch already.")
    room().publish()
    return signed.to_json()


def _lost(identifier: str, epoch: int, recipient: str) -> bool:
    """Whether a partner's keys were replaced since its envelope came: whoever has the secret may send it again."""
    sent = collaborations.relayed(catalog(), identifier, epoch, recipient)
    return sent is not None and replacements.replaced_since(catalog(), recipient, sent)


@blueprint.get("/collaborations/<identifier>/envelopes")
@blueprint.response(200, schemas.EnvelopesSchema)
def envelopes(identifier: str) -> dict[str, Any]:
    """The envelopes that are addressed to you, newest epoch first."""
    return {"envelopes": collaborations.envelopes(catalog(), collaboration(identifier).id, me().name)}


def collaboration(identifier: str) -> Collaboration:
    """A collaboration of the partner that asks, or that the auditor is appointed to; any other looks like none."""
    find = collaborations.audited if me().role is Role.AUDITOR else collaborations.find
    found = find(catalog(), identifier, me().name)
    if found is None:
        fail(Problem.NOT_FOUND)
    return found


def require_open(found: Collaboration, *, proposed: bool = False) -> None:
    """Goes on where the agreement is open, or still `proposed` if that will do, and the partner has not left."""
    if found.state == "closed" or me().name in found.left:
        fail(Problem.CLOSED)
    if found.state == "proposed" and not proposed:
        fail(Problem.NOT_OPEN)


def require_named(agreement: Agreement, *, proposed: bool = False) -> None:
    """Goes on where the agreement names the key that asks: others verify what it signs with the key that is named.

    One that is only `proposed` cannot be amended.
    """
    party = agreement.party(me().name)
    if party is None or party.signing_key != me().signing_key:
        then = "propose it again" if proposed else "`amend COLLAB --keys` first"
        fail(Problem.BAD_AGREEMENT, f"It names other keys of yours than these: {then}.")


def _require_current(agreement: Agreement, name: str) -> None:
    """Goes on where the agreement names the newest keys of a partner: nothing is sealed to keys that went."""
    party, now = agreement.party(name), partners.find(catalog(), name, room().now)
    if party is None or now is None or (party.signing_key, party.sealing_key) != (now.signing_key, now.sealing_key):
        fail(
            Problem.BAD_AGREEMENT,
            "It names keys of the recipient that went: `amend COLLAB --keys` first.",
        )


def to_json(found: Collaboration) -> dict[str, Any]:
    published = versions.published(catalog(), found.id)
    maker = collaborations.secret_maker(catalog(), found.id, found.epoch)
    return {
        "id": found.id,
        "name": found.name,
        "state": found.state,
        "epoch": found.epoch,
        "agreement_sha256": found.sha256,
        "signatures": [{"partner": name, "signature": _text(value)} for name, value in found.signatures.items()],
        "audiences": [
            {"owner": each.ref.owner, "name": each.ref.name, "version": published.get(each.ref)}
            for each in found.agreement.audiences
        ],
        "key_check": maker[1] if maker else None,
        "amendment": _amendment(changes.pending(catalog().connection, found.id)),
        "tightened": [
            {"tightening": each.tightening.to_json(), "signature": _text(each.signature)} for each in found.tightened
        ],
        "left": list(found.left),
        "rotation": _rotation(found),
        "auditors": [
            {"name": each.auditor, "appointed": each.appointed, "read": each.read}
            for each in appointments.of_collaboration(catalog(), found.id)
        ],
    }


def _rotation(found: Collaboration) -> dict[str, Any] | None:
    if found.rotating is None:
        return None
    rotation = found.rotating.rotation
    ready = versions.published(catalog(), found.id, rotation.epoch)
    return {
        "rotation": rotation.to_json(),
        "signature": _text(found.rotating.signature),
        "ready": [{"owner": ref.owner, "name": ref.name, "version": version} for ref, version in ready.items()],
    }


def _amendment(waiting: Amendment | None) -> dict[str, Any] | None:
    if waiting is None:
        return None
    signatures = [{"partner": name, "signature": _text(value)} for name, value in waiting.signatures.items()]
    return {"number": waiting.number, "sha256": waiting.sha256, "signatures": signatures}


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()

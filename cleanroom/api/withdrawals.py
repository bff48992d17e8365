"""Withdrawals: take an owner's signed batch, tell how it stands; the commitment to a day's batches."""

from datetime import date
from typing import Any, NoReturn

from flask import Response, jsonify

from cleanroom import withdrawals as room_withdrawals
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.collaborations import NEEDS_OPEN, collaboration
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import RECEIPT, Problem, fail
from cleanroom.api.public import signature
from cleanroom.catalog import withdrawals
from cleanroom.catalog.withdrawals import Batch
from cleanroom.withdrawals import Refused, Unsettled
from partners import withdrawal
from partners.transparency.encoding import encode_base64
from partners.withdrawal import BadWithdrawal, SignedBatch

blueprint = Blueprint("withdrawals", __name__, url_prefix="/v1", description="Withdrawals, erasures, their days")
blueprint.before_request(require_partner)

_ROUTE = "/collaborations/<identifier>/withdrawals"
_PROBLEMS = {
    Refused.SIGNATURE: Problem.BAD_SIGNATURE,
    Refused.NOT_YOURS: Problem.BAD_WITHDRAWAL,
    Refused.UNKNOWN: Problem.BAD_WITHDRAWAL,
    Refused.EPOCH: Problem.WRONG_EPOCH,
    Refused.SECRET: Problem.WRONG_SECRET,
    Refused.ROOM_KEY: Problem.ROOM_KEY,
}


@blueprint.post(_ROUTE)
@blueprint.arguments(schemas.WithdrawalRequestSchema)
@blueprint.response(201, schemas.WithdrawalSchema)
@blueprint.alt_response(200, schema=schemas.WithdrawalSchema, description="This batch is known already", success=True)
@blueprint.problems(*NEEDS_OPEN, *_PROBLEMS.values(), Problem.UNSETTLED, *RECEIPT)
def take(body: dict[str, Any], identifier: str) -> Response:
    """Withdraws, reinstates or erases, from the next measurement on. The same batch again is the same answer."""
    found = collaboration(identifier)
    if found.state == "proposed":
        fail(Problem.NOT_OPEN)
    if found.state == "closed":  # nothing of anybody is there any more
        fail(Problem.CLOSED)
    try:
        signed = SignedBatch(withdrawal.Batch.from_json(body["batch"]), signature(body["signature"]))
    except BadWithdrawal as problem:
        fail(Problem.BAD_WITHDRAWAL, str(problem))
    try:
        taken = room_withdrawals.take(room(), catalog(), found, me(), signed)
    except Unsettled:
        fail(Problem.UNSETTLED)
    if isinstance(taken, Refused):
        _refuse(taken)
    response = jsonify(schemas.WithdrawalSchema().dump(_to_json(taken.batch)))
    response.status_code = 200 if taken.known else 201
    return response


@blueprint.get(f"{_ROUTE}/<batch>")
@blueprint.response(200, schemas.WithdrawalSchema)
@blueprint.problems(*RECEIPT)
def one(identifier: str, batch: str) -> dict[str, Any]:
    """A batch of yours: when it was taken; for an erasure, the receipt that says that it is done."""
    kept = withdrawals.find_batch(catalog().connection, me().name, batch)
    if kept is None or kept.collaboration != collaboration(identifier).id:
        fail(Problem.NOT_FOUND)
    return _to_json(kept)


@blueprint.get("/consents/<day>")
@blueprint.response(200, schemas.ConsentsSchema)
@blueprint.problems(*RECEIPT)
def consents(day: str) -> dict[str, Any]:
    """What the log commits to for you and a UTC day that has ended: your batches of that day."""
    try:
        found = withdrawals.commitment_of(catalog(), me().name, date.fromisoformat(day).isoformat())
    except ValueError:
        found = None
    if found is None:
        fail(Problem.NOT_FOUND)
    return {
        "day": found.day,
        "batches": withdrawals.batches_of(catalog().connection, me().name, found.day),
        "nonce": encode_base64(found.nonce),
        "receipt": room().receipt(catalog(), found.leaf).to_json(),
    }


def _refuse(refused: Refused) -> NoReturn:
    sentence = refused.value
    fail(_PROBLEMS[refused], f"{sentence[0].upper()}{sentence[1:]}.")


def _to_json(batch: Batch) -> dict[str, Any]:
    note = room().signer.acknowledge(batch.collaboration, batch.owner, batch.day, batch.sha256)
    return {
        "batch": batch.sha256,
        "day": batch.day,
        "acknowledgement": note.decode(),
        "erased": None if batch.erased is None else room().receipt(catalog(), batch.erased).to_json(),
    }

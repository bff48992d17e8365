"""A partner's keys: list them, add one for a colleague, rotate the owner key, revoke.

Rules: only the newest owner key changes keys; one that was rotated away, and may be in other hands, changes none. A
partner keeps one owner key: the last one is rotated, never revoked, but by the operator.
"""

import sqlite3
from typing import Any

from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import RECEIPT, Problem, fail
from cleanroom.audit.events import EventKind
from cleanroom.catalog import keys
from partners.key_change import OVERLAP_SECONDS, Action, BadKeyChange, KeyChange, Role, SignedChange
from partners.keys import key_id, verify
from partners.protocol import PublicKeys
from partners.transparency.encoding import encode_base64

blueprint = Blueprint("keys", __name__, url_prefix="/v1", description="A partner's keys and their roles")
blueprint.before_request(require_partner)

_EVENTS = {
    Action.ADD: EventKind.KEY_ADD,
    Action.ROTATE: EventKind.KEY_ROTATE,
    Action.REVOKE: EventKind.KEY_REVOKE,
}


@blueprint.get("/keys")
@blueprint.response(200, schemas.KeysSchema)
def mine() -> dict[str, Any]:
    """Your keys, ended ones too; the key that you ask with; the number of the last signed change."""
    now = room().now
    return {
        "partner": me().name,
        "key": me().key,
        "role": me().role.value,
        "serial": keys.last_serial(catalog().connection, me().name),
        "keys": [
            {
                "id": each.id,
                "role": each.role.value,
                "signing_key": encode_base64(each.signing_key),
                "sealing_key": None if each.sealing_key is None else encode_base64(each.sealing_key),
                "counts": each.counts(now),
                "ends": each.ends,
                "over": each.over,
            }
            for each in keys.every(catalog(), me().name)
        ],
        "rotations": rotations(me().name),
        "changes": [each.to_json() for each in keys.changes(catalog(), me().name)] if me().role is Role.OWNER else [],
    }


@blueprint.post("/keys")
@blueprint.arguments(schemas.KeyChangeSchema)
@blueprint.response(201, schemas.ReceiptSchema)
@blueprint.problems(Problem.BAD_SIGNATURE, Problem.CONFLICT, *RECEIPT)
def change(body: dict[str, Any]) -> dict[str, Any]:
    """Adds a key with a role, puts a new owner key in place of yours, or revokes a key. Signed, logged."""
    try:
        signed = SignedChange.from_json(body)
    except BadKeyChange as problem:
        fail(Problem.INVALID, f"{problem}.")
    asked = signed.change
    if asked.partner != me().name:
        fail(Problem.INVALID, "A change of keys is your own.")
    if not verify(me().signing_key, "key/v1", asked.canonical(), signed.signature) or not signed.proved:
        fail(Problem.BAD_SIGNATURE)
    with catalog().transaction() as connection:
        newest = keys.current(catalog(), me().name, room().now)
        if newest is None or newest.key != me().key:
            fail(Problem.CONFLICT, "Only your newest owner key changes keys; this one was rotated away.")
        if asked.serial != keys.last_serial(connection, me().name) + 1:
            fail(Problem.CONFLICT, "The serial number of a change follows the last one; see /v1/keys.")
        _make(connection, asked)
        key = key_id(asked.signing_key)
        details = {"partner": me().name, "key": key, "role": asked.role.value, "serial": asked.serial}
        leaf = room().record(connection, _EVENTS[asked.action], None, me().key, details)
        keys.note(connection, signed, leaf)
    return {"receipt": room().receipt(catalog(), leaf).to_json()}


def _make(connection: sqlite3.Connection, asked: KeyChange) -> None:
    now = room().now
    if asked.action is Action.REVOKE:
        _revoke(connection, asked)
        return
    if asked.previous is not None and asked.previous != _mine():
        fail(Problem.INVALID, "`previous` are not the keys that you ask with.")
    if not keys.add(connection, me().name, asked.role, asked.signing_key, asked.sealing_key, now):
        fail(Problem.CONFLICT, "Some partner has, or had, this key; make another one.")
    if asked.action is Action.ROTATE:
        keys.end_later(connection, me().name, me().key, now + OVERLAP_SECONDS)


def _revoke(connection: sqlite3.Connection, asked: KeyChange) -> None:
    if asked.signing_key == me().signing_key:
        fail(Problem.CONFLICT, "It is your newest owner key; rotate it, then revoke it.")
    known = {(each.signing_key, each.role, each.sealing_key) for each in keys.every(catalog(), me().name)}
    if (asked.signing_key, asked.role, asked.sealing_key) not in known:
        fail(Problem.INVALID, "You have no such key.")
    if not keys.end(connection, me().name, key_id(asked.signing_key), room().now):
        fail(Problem.CONFLICT, "This key has ended already.")


def _mine() -> PublicKeys:
    sealing = me().sealing_key
    assert sealing is not None, "only owner keys come here, and they seal"
    return PublicKeys(me().signing_key, sealing)


def rotations(name: str) -> list[dict[str, Any]]:
    """A partner's rotations, oldest first: with them others check that its old keys were its own."""
    return [each.to_json() for each in keys.changes(catalog(), name, Action.ROTATE)]

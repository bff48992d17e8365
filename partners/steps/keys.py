"""This partner's keys: a colleague's key with a role, a new owner key in place of the old one, an end to a key.

Rules: a change is signed with the key of this folder and counts once its receipt was verified. New keys of a rotation
are stored before they are sent, so that a cut loses none: the same command again goes on.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from partners import fields
from partners.failure import Failure
from partners.fields import OddAnswer
from partners.home import Home, PinnedRoom
from partners.key_change import Action, KeyChange, Role, SignedChange
from partners.keys import key_id
from partners.room.answers import OwnKey, OwnKeys
from partners.room.client import Room
from partners.room.connection import Connection, Credentials, Transport
from partners.steps.joining import AlreadyJoined
from partners.transparency.encoding import encode_base64

OVERLAP_DAYS = 7
"""How long the old key still counts after a rotation."""


class KeysRefused(Failure):
    """A change of keys that is not made."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """The ids of the old and the new key, and the agreements that name the old one until they are amended."""

    old: str
    new: str
    collaborations: tuple[str, ...]


def public_file(home: Home) -> bytes:
    """The public key of this folder as a file for somebody who has an owner key."""
    return json.dumps({"signing_key": encode_base64(home.identity().public.signing)}).encode() + b"\n"


def enter(home: Home, url: str, partner: str, transport: Transport | None = None) -> PinnedRoom:
    """Uses this folder's key, which an owner of `partner` has added, in the room at `url`; pins the room's log key."""
    if home.has_room():
        raise AlreadyJoined("this folder has joined a room already; use another folder with --home")
    identity = home.identity()
    outside = Room(Connection(url, transport=transport))
    try:
        facts = outside.facts()
    finally:
        outside.close()
    room = Room(Connection(url, Credentials(partner, identity, facts.token_audience), transport))
    try:
        role = room.own_keys().role
    finally:
        room.close()
    pinned = PinnedRoom(room.url, facts.name, facts.vkey, facts.token_audience, partner, role)
    home.save_room(pinned)
    return pinned


def add(home: Home, room: Room, role: Role, file: Path, now: datetime) -> str:
    """Lets the key in `file`, which `public_file` wrote, act for this partner in a role; the key's id."""
    signing = _read_public(file)
    if known := _named(room.own_keys(), key_id(signing)):
        if known.role is role and known.counts:
            return known.id  # an answer was lost
        raise KeysRefused("this key is known already, with another role or at its end; let your colleague make another")
    return _change(home, room, Action.ADD, role, signing, None, now)


def revoke(home: Home, room: Room, identifier: str, now: datetime) -> str:
    """Ends a key of this partner, and its access tokens, at once; the key's id."""
    found = _named(room.own_keys(), identifier)
    if found is None:
        raise KeysRefused("you have no such key; `cleanroom-partner key list` shows the ids")
    if found.over:
        return found.id
    return _change(home, room, Action.REVOKE, found.role, found.signing, found.sealing, now)


def check_rotation(home: Home, room: Room) -> None:
    """Raises `KeysRefused` where a sealed secret waits that only the old key opens."""
    for identifier in home.collaborations():
        waiting = [each.envelope.epoch for each in room.envelopes(identifier)]
        if max(waiting, default=0) > home.highest_epoch(identifier):
            raise KeysRefused(
                f"a secret of {identifier} waits for the key that would go; run `cleanroom-partner secret accept` first"
            )


def rotate(home: Home, room: Room, passphrase: str | None, now: datetime) -> Rotated:
    """Puts new owner keys in the place of this folder's; the old ones still count for `OVERLAP_DAYS` days."""
    if home.room().role is not Role.OWNER:
        raise KeysRefused("only an owner key rotates; for another one make a new key and let it be added")
    check_rotation(home, room)
    old, new = home.identity(), home.next_identity(passphrase)
    known = room.own_keys()
    if _named(known, key_id(new.public.signing)) is None:
        change = KeyChange(
            home.room().partner,
            Action.ROTATE,
            known.serial + 1,
            _written(now),
            Role.OWNER,
            new.public.signing,
            new.public.sealing,
            old.public,
        )
        document = change.canonical()
        room.change_keys(SignedChange(change, old.sign("key/v1", document), new.sign("key/v1", document)))
    home.rotated(new)
    return Rotated(key_id(old.public.signing), key_id(new.public.signing), home.running())


def _change(
    home: Home, room: Room, action: Action, role: Role, signing: bytes, sealing: bytes | None, now: datetime
) -> str:
    serial = room.own_keys().serial + 1
    change = KeyChange(home.room().partner, action, serial, _written(now), role, signing, sealing, None)
    room.change_keys(SignedChange(change, home.identity().sign("key/v1", change.canonical()), None))
    return key_id(signing)


def _named(keys: OwnKeys, identifier: str) -> OwnKey | None:
    return next((each for each in keys.keys if each.id == identifier), None)


def _read_public(file: Path) -> bytes:
    try:
        return fields.key(fields.table(json.loads(file.read_bytes()), "signing_key"), "signing_key")
    except (OddAnswer, ValueError):
        raise KeysRefused(f"{file.name} holds no public key; make it with `cleanroom-partner key show`") from None


def _written(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

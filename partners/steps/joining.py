"""Joining a room, and comparing keys with the other partners."""

from dataclasses import dataclass

from partners.failure import Failure
from partners.home import Home, PinnedRoom
from partners.key_change import Role
from partners.known_log import KnownLog
from partners.protocol import PublicKeys, fingerprint
from partners.room.client import Room
from partners.room.connection import Connection, Credentials, Transport
from policies.question import NAME


class AlreadyJoined(Failure):
    """A folder belongs to one room."""


class NotConfirmed(Failure):
    """Keys that were not compared yet, or are not those that were compared."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What two partners compare: 60 digits over both partners' keys. `changed`: others were confirmed before.

    `former`: older keys of the partner that these vouch for.
    """

    partner: str
    keys: PublicKeys
    former: tuple[PublicKeys, ...]
    digits: str
    confirmed: bool
    changed: bool


def open_room(home: Home, transport: Transport | None = None) -> Room:
    """The room that the folder joined. Raises `BadHome` before that."""
    pinned = home.room()
    connection = Connection(pinned.url, Credentials(pinned.partner, home.identity(), pinned.token_audience), transport)
    return Room(connection, KnownLog(pinned.vkey, home.checkpoint, Room(connection), home.follow_log))


def join(home: Home, url: str, code: str, transport: Transport | None = None) -> tuple[PinnedRoom, tuple[str, ...]]:
    """Registers this partner's public keys under a one-time code, and pins the room's log key.

    New keys of a partner that lost its own wait for the consent of the partners in the second value.
    """
    if home.has_room():
        raise AlreadyJoined("this folder has joined a room already; use another folder with --home")
    identity = home.identity()
    room = Room(Connection(url, transport=transport))
    try:
        facts = room.facts()
        joined = room.join(code, identity)
    finally:
        room.close()
    role = Role.WAITING if joined.waiting else joined.role
    pinned = PinnedRoom(room.url, facts.name, facts.vkey, facts.token_audience, joined.partner, role)
    home.save_room(pinned)
    return pinned, joined.waiting


def compare(home: Home, room: Room, partner: str) -> Comparison:
    """The digits to compare with another partner, over the keys that the room has for it."""
    if not NAME.fullmatch(partner) or partner == home.room().partner:
        raise NotConfirmed("name another partner of the room, as the operator invited it")
    theirs, former = room.keys_with_former(partner)
    before = home.confirmed().get(partner)
    return Comparison(
        partner,
        theirs,
        former,
        fingerprint(home.identity().public, theirs),
        confirmed=before == theirs,
        changed=before is not None and before != theirs,
    )


def confirm(home: Home, comparison: Comparison) -> None:
    """Remembers that both partners saw the same digits."""
    home.confirm(comparison.partner, comparison.keys, comparison.former)

"""A partner that lost its owner keys comes back: the operator's code, the others' consent, new keys in place.

Rules.
* The code alone gives nothing but a key that waits. It becomes the partner's owner key with the consent of every
  partner of an open collaboration with it, in one transaction, which ends all its other keys.
* A partner with whom a collaboration opens while the keys wait is asked, too.
* The newest request counts: an earlier one that still waits ends.
* Who holds an owner key of the partner can end a waiting one. So a key that was stolen is revoked first.
* Nothing else of the partner changes: its collaborations, audiences, withdrawals and what it spent stay.
"""

import sqlite3

from cleanroom.audit.events import EventKind
from cleanroom.catalog import keys, replacements
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.keys import Partner
from cleanroom.catalog.replacements import Asked
from cleanroom.room import Room
from partners.key_change import Role
from partners.keys import key_id
from partners.protocol import PublicKeys
from partners.replacement import Replacement


def begin(room: Room, catalog: Catalog, name: str, new: PublicKeys) -> list[str] | None:
    """Lets new keys of a partner wait, within the caller's transaction: whose consent they need.

    With nobody to ask they are in place at once. None where some partner has, or had, this key.
    """
    connection, key = catalog.connection, key_id(new.signing)
    owned = [each for each in keys.every(catalog, name) if each.role is Role.OWNER]
    for each in replacements.waiting(catalog, room.now):
        if each.replacement.partner == name:
            keys.end(connection, name, each.replacement.id, room.now)
    if not keys.add(connection, name, Role.WAITING, new.signing, new.sealing, room.now):
        return None
    last = owned[-1]
    assert last.sealing_key is not None, "owner keys seal"
    previous = PublicKeys(last.signing_key, last.sealing_key)
    asked = replacements.sharing(catalog, name)
    replacements.begin(connection, Replacement(name, new, previous, room.stamp()), asked, room.stamp())
    room.record(connection, EventKind.KEY_WAIT, None, key, {"partner": name, "key": key})
    if not asked:
        _make(room, connection, name, key)
    return asked


def consent(room: Room, catalog: Catalog, key: str, by: Partner, signature: bytes) -> Asked | None:
    """Takes the checked consent of a partner that is asked; the last one puts the keys in place. Twice is harmless.

    None where it was not given with that partner's newest owner key.
    """
    with catalog.transaction() as connection:
        newest = keys.current(catalog, by.name, room.now)
        if newest is None or newest.key != by.key:
            return None
        found = replacements.get(catalog, key, room.now)
        if found is not None and found.made is None and found.consents[by.name] is None:
            name = found.replacement.partner
            later = [each for each in replacements.sharing(catalog, name) if each not in found.consents]
            replacements.ask(connection, key, later)
            replacements.consent(connection, key, by.name, signature, room.stamp())
            room.record(connection, EventKind.KEY_CONSENT, None, by.key, {"partner": name, "key": key})
            if found.missing == (by.name,) and not later:
                _make(room, connection, name, key)
        answer = replacements.get(catalog, key, room.now)
    room.publish()
    assert answer is not None, "keys end in transactions of their own"
    return answer


def _make(room: Room, connection: sqlite3.Connection, name: str, key: str) -> None:
    """Puts the keys in place. The log does not say how many consented, nor with whom else a partner works."""
    keys.take_over(connection, name, key, room.now)
    leaf = room.record(connection, EventKind.KEY_REPLACE, None, key, {"partner": name, "key": key})
    replacements.make(connection, key, room.stamp(), leaf)

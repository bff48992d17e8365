"""What changes a collaboration after everybody signed: amendments, tightened terms, a partner leaving, the end.

Rules.
* What follows from a change commits with it: audiences that end, and an entry of the log for each.
* An amendment is in force from its last signature on. Audiences whose files it makes useless end in that moment: their
  columns were held to the agreement before it. Questions see the old agreement or the new one, never parts of both.
* Tightened terms act from their transaction on. An amendment that waits and is looser for the party that tightened
  ends: else an earlier signature would loosen what was tightened after it.
* Who leaves ends its own audiences, nothing else. With fewer than two partners left, a collaboration is closed.
"""

import hashlib
import json
import sqlite3
from collections.abc import Iterable

from cleanroom.audit.events import EventKind
from cleanroom.catalog import changes, collaborations, epochs, versions
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.catalog.keys import Partner
from cleanroom.catalog.versions import Version
from cleanroom.room import Room
from partners.keys import key_id
from partners.notices import Leaving, Rotation, Tightening, payload
from policies import agreement as agreements
from policies import terms
from policies.agreement import Agreement


class Outdated(Exception):
    """The collaboration changed meanwhile; nothing was done."""

    def __init__(self) -> None:
        super().__init__("the collaboration changed meanwhile; look at it again")


def amend(room: Room, catalog: Catalog, found: Collaboration, by: Partner, proposed: Agreement, signed: bytes) -> None:
    """Proposes a checked amendment, with its proposer's checked signature. Raises `Outdated`."""
    details = {"agreement": proposed.sha256(), "number": proposed.number, "previous": proposed.previous}
    with catalog.transaction() as connection:
        _unchanged(catalog, found)
        changes.propose(connection, proposed, room.stamp())
        changes.sign(connection, found.id, proposed.sha256(), by.name, signed, room.stamp())
        room.record(connection, EventKind.AGREEMENT_AMEND, found.id, key_id(by.signing_key), details)
    room.publish()


def sign(room: Room, catalog: Catalog, found: Collaboration, by: Partner, sha256: str, signed: bytes) -> None:
    """Takes a party's checked signature of the amendment that waits; the last one puts it in force."""
    with catalog.transaction() as connection:
        _unchanged(catalog, found)
        waiting = changes.pending(connection, found.id)
        if waiting is None or waiting.sha256 != sha256:
            raise Outdated
        if by.name in waiting.signatures:
            return
        changes.sign(connection, found.id, sha256, by.name, signed, room.stamp())
        details = {"agreement": sha256, "number": waiting.number}
        room.record(connection, EventKind.AGREEMENT_SIGN, found.id, key_id(by.signing_key), details)
        amended = agreements.from_json(json.loads(waiting.document))
        if {party.name for party in amended.parties} <= {*waiting.signatures, by.name}:
            useless = agreements.useless(found.signed, amended)
            changes.enter(connection, found.id, sha256, room.stamp())
            room.record(connection, EventKind.AGREEMENT_OPEN, found.id, None, details)
            _end_all(room, connection, (each for each in _published(catalog, found) if each.ref in useless), None)
    room.publish()


def tighten(
    room: Room, catalog: Catalog, found: Collaboration, by: Partner, tightening: Tightening, signed: bytes
) -> int:
    """Takes a party's checked tightening; its entry of the log. Raises `Outdated`, for a serial that is taken, too."""
    written = payload(tightening)
    with catalog.transaction() as connection:
        _unchanged(catalog, found)
        if tightening.serial != changes.last_serial(connection, found.id, by.name, found.sha256) + 1:
            raise Outdated
        details = {
            "partner": by.name,
            "agreement": tightening.agreement,
            "serial": tightening.serial,
            "terms": hashlib.sha256(written).hexdigest(),
        }
        leaf = room.record(connection, EventKind.AGREEMENT_TIGHTEN, found.id, key_id(by.signing_key), details)
        changes.tighten(connection, tightening, signed, room.stamp(), leaf)
        if waiting := changes.pending(connection, found.id):
            party = agreements.from_json(json.loads(waiting.document)).party(by.name)
            if party is None or terms.looser(party.terms, tightening.terms):
                changes.drop(connection, found.id)
    return leaf


def rotate(room: Room, catalog: Catalog, found: Collaboration, by: Partner, rotation: Rotation, signed: bytes) -> None:
    """Begins a checked rotation of the secret. Raises `Outdated`."""
    details = {"partner": by.name, "epoch": rotation.epoch, "deadline": rotation.deadline}
    with catalog.transaction() as connection:
        _unchanged(catalog, found)
        epochs.begin(connection, rotation, signed, room.stamp())
        room.record(connection, EventKind.SECRET_ROTATE, found.id, key_id(by.signing_key), details)
    room.publish()


def leave(room: Room, catalog: Catalog, found: Collaboration, by: Partner, leaving: Leaving, signed: bytes) -> int:
    """Ends a partner's part; the entry of the log that says so. Raises `Outdated`."""
    with catalog.transaction() as connection:
        _unchanged(catalog, found)
        actor = key_id(by.signing_key)
        leaf = room.record(connection, EventKind.COLLABORATION_LEAVE, found.id, actor, {"partner": by.name})
        changes.leave(connection, leaving, signed, room.stamp(), leaf)
        changes.drop(connection, found.id)
        _end_all(room, connection, (each for each in _published(catalog, found) if each.owner == by.name), actor)
        staying = [party for party in found.signed.parties if party.name not in {*found.left, by.name}]
        if found.state == "proposed" or len(staying) < 2:
            _close(room, catalog, found)
    return leaf


def close(room: Room, catalog: Catalog, found: Collaboration) -> None:
    """Closes a collaboration for everybody. Raises `Outdated`."""
    with catalog.transaction():
        _unchanged(catalog, found)
        _close(room, catalog, found)
    room.publish()


def end(room: Room, connection: sqlite3.Connection, version: Version, actor: str | None) -> None:
    """Retires a published version within a transaction; the worker removes its files. `actor`: a key id, or None."""
    leaf = room.record(connection, EventKind.AUDIENCE_RETIRE, version.collaboration, actor, named(version))
    versions.retire(connection, version.id, leaf)


def named(version: Version) -> dict[str, object]:
    """What the log says of a version in every entry about it."""
    return {"version": version.id, "audience": str(version.ref), "epoch": version.epoch}


def _close(room: Room, catalog: Catalog, found: Collaboration) -> None:
    connection = catalog.connection
    changes.drop(connection, found.id)
    collaborations.close(connection, found.id)
    room.record(connection, EventKind.COLLABORATION_CLOSE, found.id, None, {})
    _end_all(room, connection, _published(catalog, found), None)


def _end_all(room: Room, connection: sqlite3.Connection, ending: Iterable[Version], actor: str | None) -> None:
    for version in tuple(ending):
        end(room, connection, version, actor)


def _published(catalog: Catalog, found: Collaboration) -> list[Version]:
    return [each for each in versions.all_published(catalog) if each.collaboration == found.id]


def _unchanged(catalog: Catalog, found: Collaboration) -> None:
    if collaborations.get(catalog, found.id) != found:
        raise Outdated

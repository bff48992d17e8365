"""Rotations of the secret: a collaboration moves to the new epoch as a whole; what is left of an old one is destroyed.

Rules.
* Versions of two epochs never meet. While a rotation is under way, questions are answered on the epoch before, as long
  as an owner of a published audience has not moved; versions of the new one wait, published and unseen.
* One transaction moves the collaboration: when every audience that is published has a version under the new secret, or
  on the day of the deadline, whoever is missing. It retires every version of the epoch before.
* When their files are gone, the key under which its tokens were stored goes first, then the withdrawn tokens, with an
  entry of the log. After a crash in between it is done again.
"""

from datetime import date

from cleanroom import changes
from cleanroom.audit.events import EventKind
from cleanroom.catalog import collaborations, epochs, versions
from cleanroom.catalog.catalog import Catalog
from cleanroom.engine import rekey
from cleanroom.room import Room


def move_and_destroy(room: Room, catalog: Catalog) -> None:
    """Does what waits of both."""
    done = [_move(room, catalog, each) for each in epochs.rotating(catalog)]
    done += [_destroy(room, catalog, *each) for each in epochs.ended(catalog)]
    if any(done):
        room.publish()


def _move(room: Room, catalog: Catalog, collaboration: str) -> bool:
    with catalog.transaction() as connection:
        found = collaborations.get(catalog, collaboration)
        if found is None or found.rotating is None or found.state != "open":
            return False
        rotation = found.rotating.rotation
        before = versions.published(catalog, found.id)
        after = versions.published(catalog, found.id, rotation.epoch)
        if not before.keys() <= after.keys() and room.today < date.fromisoformat(rotation.deadline):
            return False
        epochs.move(connection, rotation, room.stamp())
        missing = sorted(str(ref) for ref in before.keys() - after.keys())
        details = {"epoch": rotation.epoch, "missing": missing}
        room.record(connection, EventKind.EPOCH_MOVE, found.id, None, details)
        for version in versions.all_published(catalog):
            if version.id in before.values():
                changes.end(room, connection, version, None)
    return True


def _destroy(room: Room, catalog: Catalog, collaboration: str, epoch: int) -> bool:
    rekey.destroy(room.settings.keys, collaboration, epoch)
    with catalog.transaction() as connection:
        leaf = room.record(connection, EventKind.EPOCH_DESTROY, collaboration, None, {"epoch": epoch})
        epochs.destroy(connection, collaboration, epoch, leaf)
    return True

"""Auditors: appointed by the operator to named collaborations; what of the log each may read.

Rules.
* An appointment and its end are entries of the log, and every party of the collaboration is shown them.
* What an auditor reads of the log is the export of its collaborations (`exporting.py`).
* Each reading is an entry of the log before anything is read.
"""

from collections.abc import Sequence

from cleanroom.audit.events import EventKind
from cleanroom.catalog import appointments, partners
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.keys import Partner
from cleanroom.room import Room
from partners.key_change import Role


class NotAppointed(Exception):
    """An appointment that is not made or ended; the message says why and is safe to print."""


def appoint(room: Room, catalog: Catalog, name: str, identifiers: Sequence[str]) -> str | None:
    """Appoints an auditor; a one-time code where it has not joined yet. Raises `NotAppointed`."""
    joined = partners.joined(catalog, name)
    if joined and not appointments.known(catalog, name):
        raise NotAppointed("a partner has this name; give the auditor another one")
    code = None if joined else partners.invite(catalog, name, room.now, Role.AUDITOR)
    with catalog.transaction() as connection:
        for each in identifiers:
            if appointments.appoint(connection, name, each, room.stamp()):
                room.record(connection, EventKind.AUDITOR_APPOINT, each, None, {"partner": name})
    room.publish()
    return code


def dismiss(room: Room, catalog: Catalog, name: str, identifiers: Sequence[str]) -> tuple[str, ...]:
    """Ends appointments: those to `identifiers`, or all of them; which ended. Raises `NotAppointed`."""
    held = [each.collaboration for each in appointments.of_auditor(catalog, name)]
    wanted = identifiers or held
    if not wanted or not set(wanted) <= set(held):
        raise NotAppointed("there is no such appointment; `cleanroom status` lists them")
    with catalog.transaction() as connection:
        for each in wanted:
            appointments.end(connection, name, each, room.stamp())
            room.record(connection, EventKind.AUDITOR_DISMISS, each, None, {"partner": name})
    room.publish()
    return tuple(wanted)


def record_entry(room: Room, catalog: Catalog, auditor: Partner) -> None:
    """Logs that an auditor signed in."""
    with catalog.transaction() as connection:
        room.record(connection, EventKind.AUDITOR_ENTER, None, auditor.key, {"partner": auditor.name})
    room.publish()


def record_reading(room: Room, catalog: Catalog, auditor: Partner, what: str) -> tuple[str, ...]:
    """Logs that an auditor reads `what` of all its collaborations; their ids."""
    held = tuple(each.collaboration for each in appointments.of_auditor(catalog, auditor.name))
    with catalog.transaction() as connection:
        details = {"partner": auditor.name, "what": what, "collaborations": list(held)}
        room.record(connection, EventKind.AUDITOR_READ, None, auditor.key, details)
        appointments.note_reading(connection, auditor.name, room.stamp())
    room.publish()
    return held

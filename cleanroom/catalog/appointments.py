"""Auditors: who is appointed to which collaboration, since when, and when it read last.

Rules: an appointment that ended stays in the table. An auditor is found by its name, which no partner has.
"""

import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Appointment:
    """An appointment in force. `appointed`, and `read` where it has read, are RFC 3339 in UTC."""

    auditor: str
    collaboration: str
    appointed: str
    read: str | None


def appoint(connection: sqlite3.Connection, auditor: str, collaboration: str, stamp: str) -> bool:
    """Appoints within a transaction. False where it is in force already."""
    done = connection.execute(
        "insert into appointments values (?, ?, ?, null, null)"
        " on conflict do update set appointed = excluded.appointed, ended = null where ended is not null",
        (auditor, collaboration, stamp),
    )
    return done.rowcount == 1


def end(connection: sqlite3.Connection, auditor: str, collaboration: str, stamp: str) -> bool:
    """Ends an appointment within a transaction. False where none is in force."""
    done = connection.execute(
        "update appointments set ended = ? where auditor = ? and collaboration = ? and ended is null",
        (stamp, auditor, collaboration),
    )
    return done.rowcount == 1


def of_auditor(catalog: Catalog, auditor: str) -> list[Appointment]:
    """Every appointment of an auditor that is in force, by the collaborations' ids."""
    rows = catalog.all(f"{_IN_FORCE} and auditor = ? order by collaboration", auditor)
    return [Appointment(*tuple(row)) for row in rows]


def of_collaboration(catalog: Catalog, collaboration: str) -> list[Appointment]:
    """The same of a collaboration, by the auditors' names."""
    rows = catalog.all(f"{_IN_FORCE} and collaboration = ? order by auditor", collaboration)
    return [Appointment(*tuple(row)) for row in rows]


def known(catalog: Catalog, name: str) -> bool:
    """Whether somebody is, or was, appointed under this name."""
    return catalog.one("select 1 from appointments where auditor = ?", name) is not None


def note_reading(connection: sqlite3.Connection, auditor: str, stamp: str) -> None:
    """Keeps, within a transaction, that an auditor reads all that it is appointed to."""
    connection.execute("update appointments set read = ? where auditor = ? and ended is null", (stamp, auditor))


_IN_FORCE = "select auditor, collaboration, appointed, read from appointments where ended is null"

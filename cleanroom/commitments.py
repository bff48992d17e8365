"""Consent commitments: one entry of the log for each owner and UTC day, also for a day on which nothing happened.

Rules: the entry has one size and binds the room to the owner's batches of that day, in their order, without telling
anybody else whether there were any. The nonce that opens it is the owner's. Days that a stopped room missed are made
good when it runs again; a batch never falls on a day that was committed to.
"""

import secrets
from datetime import date, timedelta

from cleanroom.audit.events import EventKind
from cleanroom.catalog import withdrawals
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.withdrawals import Commitment
from cleanroom.room import Room
from partners.transparency.entry import NONCE_BYTES, commitment
from partners.withdrawal import committed


def commit_days(room: Room, catalog: Catalog) -> None:
    """Commits to every day that has ended, for every partner that had joined."""
    first = withdrawals.first_uncommitted(catalog)
    if first is None:
        return
    day, last = date.fromisoformat(first), room.today - timedelta(days=1)
    if day > last:
        return
    while day <= last:
        with catalog.transaction() as connection:
            for owner in withdrawals.uncommitted(connection, day.isoformat()):
                nonce = secrets.token_bytes(NONCE_BYTES)
                batches = withdrawals.batches_of(connection, owner, day.isoformat())
                document = committed(owner, day.isoformat(), batches)
                details: dict[str, object] = {
                    "commitment": commitment(nonce, document),
                    "day": day.isoformat(),
                    "partner": owner,
                }
                leaf = room.record(connection, EventKind.CONSENT_COMMIT, None, None, details)
                withdrawals.commit(connection, owner, Commitment(day.isoformat(), nonce, leaf))
        day += timedelta(days=1)
    room.publish()

"""Erasures: the worker overwrites what is stored of rows that an owner had erased, and says so in the log.

Rules: a row to be erased is absent from the moment its batch was taken; this only removes the bytes. It may be cut off
at any point and starts again: rows keep their mark until everything of theirs is overwritten and synced. The log's
entry tells that the batch is done, the same whether it named a row or nobody. A row that a later, stale file brings
back is marked when that file is published, and overwritten in the same way, without an entry.
"""

from cleanroom.absence import Gone
from cleanroom.audit.events import EventKind
from cleanroom.catalog import withdrawals
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.withdrawals import Batch
from cleanroom.engine.columns import Damaged
from cleanroom.room import Room
from cleanroom.withdrawals import store


def erase_waiting(room: Room, catalog: Catalog) -> bool:
    """Does every erasure that waits; False when nothing was done. A damaged version waits for its repair, alone."""
    waiting = withdrawals.to_erase(catalog)  # before the rows: these batches have marked theirs
    marked = withdrawals.with_rows_to_erase(catalog)
    erased = [_erase(room, catalog, version) for version in marked]
    done = [batch for batch in waiting if _finish(room, catalog, batch)]
    if done:
        room.publish()
    return any(erased) or bool(done)


def _finish(room: Room, catalog: Catalog, batch: Batch) -> bool:
    """Records that a batch is done; False while a row of its owner still waits."""
    with catalog.transaction() as connection:
        if withdrawals.rows_wait(connection, batch):
            return False
        details: dict[str, object] = {"batch": batch.sha256, "partner": batch.owner}
        leaf = room.record(connection, EventKind.ERASURE_DONE, batch.collaboration, None, details)
        withdrawals.erased(connection, batch.sha256, leaf)
    return True


def _erase(room: Room, catalog: Catalog, version: str) -> bool:
    stored = withdrawals.gone(catalog.connection, version)
    if stored is None:
        return False  # retired meanwhile
    rows = Gone.read(stored[1]).to_erase().rows
    try:
        room.engine.erase(version, rows)
    except Damaged:
        return False
    with catalog.transaction() as connection:
        if (now := withdrawals.gone(connection, version)) is not None:
            store(catalog, version, Gone.read(now[1]).without(rows))
    return True

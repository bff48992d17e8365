"""What a recovery writes: debits and grants that the newer log proves, logs that ended, allowances that are spent.

Rules: a debit or grant that is carried over is named by its leaf, and counts like the ledger's own. Where entries were
lost, an owner's allowance is what it had spent by then, plus its later grants: also for partners who join afterwards.
"""

import sqlite3

from cleanroom.catalog.catalog import Catalog


def carry_debit(connection: sqlite3.Connection, leaf: int, owner: str, collaboration: str | None, micro: int) -> None:
    """Books, within a transaction, what a decision cost an owner by the entry `leaf`."""
    connection.execute("insert into carried_debits values (?, ?, ?, ?)", (leaf, owner, collaboration, micro))


def carry_grant(connection: sqlite3.Connection, leaf: int, partner: str, serial: int, micro: int) -> None:
    """Books, within a transaction, a grant by the entry `leaf`."""
    connection.execute("insert into carried_grants values (?, ?, ?, ?)", (partner, serial, micro, leaf))


def forfeit(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """From now on every owner's allowance counts as spent, but for later grants; what it spent, its last grant."""
    connection.execute(
        "insert or replace into forfeits select name,"
        " (select coalesce(sum(micro), 0) from debits where owner = name),"
        " (select coalesce(max(serial), 0) from granted where partner = name) from partners where auditor = 0"
    )
    rows = connection.execute("select owner, spent, serial from forfeits order by owner")
    return {str(row["owner"]): (int(row["spent"]), int(row["serial"])) for row in rows}


def forfeited(connection: sqlite3.Connection, owner: str) -> tuple[int, int] | None:
    """What an owner's allowance is without later grants, and the serial of the last grant before; None: as ever."""
    row = connection.execute("select spent, serial from forfeits where owner = ?", (owner,)).fetchone()
    if row:
        return int(row["spent"]), int(row["serial"])
    return (0, 0) if connection.execute("select 1 from successions").fetchone() else None


def succeed(connection: sqlite3.Connection, origin: str, note: bytes) -> None:
    """Within a transaction: the room's log is now `origin`, by a signed note about the one before."""
    connection.execute("update room set name = ?", (origin,))
    connection.execute("insert into successions (origin, note) values (?, ?)", (origin, note))


def successions(catalog: Catalog) -> list[bytes]:
    """The signed notes about logs that ended, oldest first."""
    return [bytes(row["note"]) for row in catalog.all("select note from successions order by number")]

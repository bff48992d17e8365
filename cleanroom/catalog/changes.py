"""What changed since everybody signed: amendments, terms that a party tightened alone, partners who left.

Rules: at most one amendment waits for signatures; a newer one takes its place. An agreement that was once in force is
kept for good, with its signatures. Tightened terms belong to one agreement, by its hash, and end with it.
"""

import json
import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog
from partners.notices import Leaving, Tightening, payload
from policies.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Amendment:
    """An amendment that waits. `signatures`: partner → Ed25519 signature, for those who signed."""

    sha256: str
    number: int
    document: bytes
    signatures: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Tightened:
    """A party's own terms, as it signed them alone."""

    tightening: Tightening
    signature: bytes


def pending(connection: sqlite3.Connection, collaboration: str) -> Amendment | None:
    """The amendment that waits for signatures."""
    row = connection.execute(
        "select sha256, number, document from agreement_versions where collaboration = ? and state = 'proposed'",
        (collaboration,),
    ).fetchone()
    if row is None:
        return None
    signed = connection.execute(
        "select partner, signature from agreement_signatures where collaboration = ? and sha256 = ? order by partner",
        (collaboration, row["sha256"]),
    )
    signatures = {str(each["partner"]): bytes(each["signature"]) for each in signed}
    return Amendment(row["sha256"], row["number"], bytes(row["document"]), signatures)


def propose(connection: sqlite3.Connection, proposed: Agreement, created: str) -> None:
    """Stores an amendment within a transaction, in place of one that waits."""
    drop(connection, proposed.id)
    # Who signed the same bytes before they were dropped may have tightened its terms since: it signs again.
    connection.execute(
        "delete from agreement_signatures where collaboration = ? and sha256 = ?", (proposed.id, proposed.sha256())
    )
    connection.execute(
        "insert into agreement_versions values (?, ?, ?, ?, 'proposed', ?, null)"
        " on conflict do update set state = 'proposed'",
        (proposed.id, proposed.sha256(), proposed.number, proposed.canonical(), created),
    )


def drop(connection: sqlite3.Connection, collaboration: str) -> None:
    """Ends, within a transaction, an amendment that waits."""
    connection.execute(
        "update agreement_versions set state = 'replaced' where collaboration = ? and state = 'proposed'",
        (collaboration,),
    )


def sign(
    connection: sqlite3.Connection, collaboration: str, sha256: str, partner: str, signature: bytes, signed: str
) -> None:
    """Stores a party's checked signature of an amendment within a transaction."""
    connection.execute(
        "insert or ignore into agreement_signatures values (?, ?, ?, ?, ?)",
        (collaboration, sha256, partner, signature, signed),
    )


def enter(connection: sqlite3.Connection, collaboration: str, sha256: str, stamp: str) -> None:
    """Puts an amendment in force within a transaction; the agreement before it is kept with its signatures."""
    connection.execute(
        "insert or ignore into agreement_versions select id, agreement_sha256, 1, agreement, 'in_force', created,"
        " created from collaborations where id = ?",  # the first agreement, at the first amendment
        (collaboration,),
    )
    connection.execute(
        "insert or ignore into agreement_signatures select p.collaboration, c.agreement_sha256, p.partner, p.signature,"
        " p.signed from parties p join collaborations c on c.id = p.collaboration"
        " where c.id = ? and p.signature is not null",
        (collaboration,),
    )
    connection.execute(
        "update agreement_versions set state = 'superseded' where collaboration = ? and state = 'in_force'",
        (collaboration,),
    )
    connection.execute(
        "update agreement_versions set state = 'in_force', in_force_from = ? where collaboration = ? and sha256 = ?",
        (stamp, collaboration, sha256),
    )
    connection.execute(
        "update collaborations set (agreement, agreement_sha256) = (select document, sha256 from agreement_versions"
        " where collaboration = id and sha256 = ?) where id = ?",
        (sha256, collaboration),
    )
    connection.execute(
        "update parties set (signature, signed) = (select signature, signed from agreement_signatures s"
        " where s.collaboration = parties.collaboration and s.partner = parties.partner and s.sha256 = ?)"
        " where collaboration = ?",
        (sha256, collaboration),
    )


def document(catalog: Catalog, collaboration: str, sha256: str) -> bytes | None:
    """The exact bytes of an agreement of a collaboration: in force, waiting, replaced or superseded."""
    row = catalog.one(
        "select agreement from collaborations where id = ?1 and agreement_sha256 = ?2"
        " union all select document from agreement_versions where collaboration = ?1 and sha256 = ?2",
        collaboration,
        sha256,
    )
    return bytes(row[0]) if row else None


def tighten(connection: sqlite3.Connection, tightening: Tightening, signature: bytes, created: str, leaf: int) -> None:
    """Stores a party's checked tightening within a transaction."""
    connection.execute(
        "insert into tightenings values (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            tightening.collaboration,
            tightening.partner,
            tightening.serial,
            tightening.agreement,
            payload(tightening).decode(),
            signature,
            created,
            leaf,
        ),
    )


def last_serial(connection: sqlite3.Connection, collaboration: str, partner: str, agreement: str) -> int:
    """The serial of a party's last tightening under an agreement; 0 before the first."""
    row = connection.execute(
        "select max(serial) from tightenings where collaboration = ? and partner = ? and agreement = ?",
        (collaboration, partner, agreement),
    ).fetchone()
    return int(row[0] or 0)


def tightened(catalog: Catalog, collaboration: str, agreement: str) -> tuple[Tightened, ...]:
    """The newest tightening of each party under an agreement, by its hash."""
    rows = catalog.all(
        "select document, signature, max(serial) from tightenings where collaboration = ? and agreement = ?"
        " group by partner order by partner",
        collaboration,
        agreement,
    )
    return tuple(Tightened(Tightening.from_json(json.loads(row["document"])), bytes(row["signature"])) for row in rows)


def leave(connection: sqlite3.Connection, leaving: Leaving, signature: bytes, created: str, leaf: int) -> None:
    """Stores that a partner left within a transaction."""
    connection.execute(
        "insert into departures values (?, ?, ?, ?, ?, ?)",
        (leaving.collaboration, leaving.partner, payload(leaving).decode(), signature, created, leaf),
    )


def left(catalog: Catalog, collaboration: str) -> dict[str, int]:
    """The partners who left, each with its entry of the log."""
    rows = catalog.all("select partner, leaf from departures where collaboration = ? order by partner", collaboration)
    return {str(row["partner"]): int(row["leaf"]) for row in rows}

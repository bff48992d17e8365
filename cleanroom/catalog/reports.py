"""Reports, the releases that they are made of, and what they cost.

Rules: a release stands under a key (canonical question, versions, UTC day, terms) and never changes. A report is found
only by a party of its collaboration. Spent ε is the sum of the ledger's rows, and of those that a recovery carried
over: nothing ever takes one away.
"""

import json
import sqlite3
from dataclasses import dataclass
from typing import Any

from cleanroom.catalog import recovery
from cleanroom.catalog.catalog import Catalog
from policies.budget import Account


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it was answered. `figures` is the JSON of them, `cost` micro-ε per owner, `leaf` its log entry.

    `evidence_nonce` opens the log's commitment to the releases; None for a refusal. `agreement`: SHA-256 of the signed
    agreement that it was made under, `explanation` what was said of it then; None in a report of an older room.
    """

    id: str
    collaboration: str
    asked_by: str
    kind: str
    purpose: str
    request: str
    mode: str
    day: str
    status: str
    reason: str | None
    about: str | None
    figures: str
    free: bool
    created: str
    leaf: int
    evidence_nonce: bytes | None
    agreement: str | None
    explanation: str | None
    cost: dict[str, int]


_COLUMNS = (
    "id, collaboration, asked_by, kind, purpose, request, mode, day, "
    "status, reason, about, figures, free, created, leaf, evidence_nonce, agreement, explanation"
)


def release(connection: sqlite3.Connection, key: str) -> Any | None:
    """The JSON of the release under a key, or None."""
    row = connection.execute("select release from releases where key = ?", (key,)).fetchone()
    return json.loads(row["release"]) if row else None


def keep(connection: sqlite3.Connection, report: Report, evidence: bytes | None = None) -> None:
    """Stores a report and its debits within a transaction. `evidence`: what the log commits to, of a release."""
    connection.execute(
        f"insert into reports ({_COLUMNS}, evidence)"  # noqa: S608 - constants
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            report.id,
            report.collaboration,
            report.asked_by,
            report.kind,
            report.purpose,
            report.request,
            report.mode,
            report.day,
            report.status,
            report.reason,
            report.about,
            report.figures,
            int(report.free),
            report.created,
            report.leaf,
            report.evidence_nonce,
            report.agreement,
            report.explanation,
            evidence,
        ),
    )
    connection.executemany(
        "insert into ledger values (?, ?, ?, ?)",
        [(report.id, owner, report.collaboration, micro) for owner, micro in report.cost.items() if micro],
    )


def keep_release(
    connection: sqlite3.Connection, key: str, collaboration: str, question: str, day: str, report: str, release: Any
) -> None:
    """Stores a release within a transaction, after the report that it was made for."""
    connection.execute(
        "insert into releases values (?, ?, ?, ?, ?, ?)",
        (key, collaboration, question, day, report, json.dumps(release, ensure_ascii=False)),
    )


def find(catalog: Catalog, identifier: str, partner: str) -> Report | None:
    """A report by its id, for a party of its collaboration."""
    row = catalog.one(
        f"select {_COLUMNS} from reports where id = ? and exists (select 1 from parties p"  # noqa: S608 - constants
        " where p.collaboration = reports.collaboration and p.partner = ?)",
        identifier,
        partner,
    )
    return _read(catalog, row) if row else None


def evidence(catalog: Catalog, report: str) -> bytes | None:
    """What the log commits to beside the body of a released report: its releases, in these bytes."""
    row = catalog.one("select evidence from reports where id = ?", report)
    return bytes(row["evidence"]) if row and row["evidence"] is not None else None


def of_collaboration(catalog: Catalog, collaboration: str) -> list[Report]:
    """Every report of a collaboration, newest first."""
    rows = catalog.all(
        f"select {_COLUMNS} from reports where collaboration = ? order by created desc, rowid desc",  # noqa: S608
        collaboration,
    )
    return [_read(catalog, row) for row in rows]


def account(connection: sqlite3.Connection, owner: str, collaboration: str, allotted: int, base: int) -> Account:
    """An owner's account in a collaboration that allots it `allotted`; `base`: the allowance before its grants."""
    here, ever = connection.execute(
        "select coalesce(sum(micro) filter (where collaboration = ?), 0), coalesce(sum(micro), 0)"
        " from debits where owner = ?",
        (collaboration, owner),
    ).fetchone()
    before, since = recovery.forfeited(connection, owner) or (base, 0)
    (granted,) = connection.execute(
        "select coalesce(sum(micro), 0) from granted where partner = ? and serial > ?", (owner, since)
    ).fetchone()
    return Account(spent_here=here, allotted_here=allotted, spent_ever=ever, allowance=before + granted)


def grant(
    connection: sqlite3.Connection,
    partner: str,
    serial: int,
    micro: int,
    document: bytes,
    signature: bytes,
    created: str,
    leaf: int,
) -> None:
    """Stores a checked grant within a transaction."""
    connection.execute(
        "insert into grants values (?, ?, ?, ?, ?, ?, ?)",
        (partner, serial, micro, document, signature, created, leaf),
    )


def grants(connection: sqlite3.Connection, partner: str) -> list[tuple[bytes, bytes]]:
    """A partner's grants in their order: document and signature. One taken over from a log that ended has neither."""
    rows = connection.execute("select document, signature from grants where partner = ? order by serial", (partner,))
    return [(bytes(document), bytes(signed)) for document, signed in rows]


def last_grant(connection: sqlite3.Connection, partner: str) -> int:
    """The highest serial number among a partner's grants; 0 before the first."""
    serial = connection.execute("select max(serial) from granted where partner = ?", (partner,)).fetchone()[0]
    return int(serial or 0)


def forfeited(connection: sqlite3.Connection, partner: str) -> bool:
    """Whether a restore that lost entries ended a partner's allowance, and it has granted nothing since."""
    ended = recovery.forfeited(connection, partner)
    return ended is not None and last_grant(connection, partner) <= ended[1]


def _read(catalog: Catalog, row: sqlite3.Row) -> Report:
    values = dict(zip(row.keys(), row, strict=True))
    cost = {
        str(each["owner"]): int(each["micro"])
        for each in catalog.all("select owner, micro from ledger where report = ? order by owner", row["id"])
    }
    return Report(**{**values, "free": bool(values["free"])}, cost=cost)

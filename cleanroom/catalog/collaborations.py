"""Collaborations: the agreement's exact bytes, who signed, the envelopes that carry the secret.

Rules: a collaboration is found only by one of its parties. Its state is `proposed` until every party has signed the
same bytes, then `open`, and in the end `closed`. The agreement in force is what was signed, with the terms that parties
tightened since.
"""

import json
import sqlite3
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cleanroom.catalog import changes, epochs
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.changes import Tightened
from cleanroom.catalog.epochs import Rotating
from policies import agreement
from policies.agreement import Agreement


@dataclass(frozen=True, slots=True)
class Collaboration:
    """A collaboration as its parties see it. `signatures`: partner → Ed25519 signature, for those who signed.

    `sha256` is that of the signed document. `left`: partners who left → their entry of the log.
    """

    id: str
    name: str
    state: str
    epoch: int
    document: bytes
    sha256: str
    signatures: dict[str, bytes]
    tightened: tuple[Tightened, ...]
    left: dict[str, int]
    rotating: Rotating | None

    @property
    def epochs(self) -> tuple[int, ...]:
        """The epochs that something can be uploaded under: the one in force, and the next during a rotation."""
        return (self.epoch, self.rotating.rotation.epoch) if self.rotating else (self.epoch,)

    @property
    def signed(self) -> Agreement:
        """The document, parsed."""
        return _parsed(self.document)

    @property
    def agreement(self) -> Agreement:
        """The agreement in force: the document with what was tightened since."""
        return _in_force(self.document, self.tightened)[0]

    @property
    def basis(self) -> str:
        """The name of the agreement in force: SHA-256 in hex, that of the document where nothing was tightened."""
        return _in_force(self.document, self.tightened)[1]


@lru_cache(maxsize=256)  # parsed for every question; the same bytes are the same agreement
def _parsed(document: bytes) -> Agreement:
    return agreement.from_json(json.loads(document))


@lru_cache(maxsize=256)
def _in_force(document: bytes, tightened: tuple[Tightened, ...]) -> tuple[Agreement, str]:
    found = _parsed(document)
    for each in tightened:
        found = found.tightened(each.tightening.partner, each.tightening.terms)
    return found, found.sha256()


_COLUMNS = "c.id, c.name, c.state, c.epoch, c.agreement, c.agreement_sha256"


def propose(connection: sqlite3.Connection, proposed: Agreement, created: str) -> bool:
    """Stores a proposal within a transaction. False when its id is taken."""
    try:
        connection.execute(
            "insert into collaborations values (?, ?, 'proposed', 1, ?, ?, ?)",
            (proposed.id, proposed.name, proposed.canonical(), proposed.sha256(), created),
        )
    except sqlite3.IntegrityError:
        return False
    connection.executemany(
        "insert into parties (collaboration, partner) values (?, ?)",
        [(proposed.id, party.name) for party in proposed.parties],
    )
    return True


def sign(connection: sqlite3.Connection, collaboration: str, partner: str, signature: bytes, signed: str) -> bool:
    """Stores a party's checked signature within a transaction. True when it was the last one: the agreement is open."""
    connection.execute(
        "update parties set signature = ?, signed = ? where collaboration = ? and partner = ? and signature is null",
        (signature, signed, collaboration, partner),
    )
    opened = connection.execute(
        "update collaborations set state = 'open' where id = ? and state = 'proposed' and not exists"
        " (select 1 from parties where collaboration = collaborations.id and signature is null)",
        (collaboration,),
    )
    return opened.rowcount == 1


def close(connection: sqlite3.Connection, collaboration: str) -> None:
    """Closes a collaboration within a transaction."""
    connection.execute("update collaborations set state = 'closed' where id = ?", (collaboration,))


def get(catalog: Catalog, identifier: str) -> Collaboration | None:
    """A collaboration by its id, for the room itself."""
    row = catalog.one(f"select {_COLUMNS} from collaborations c where c.id = ?", identifier)  # noqa: S608 - constants
    return _read(catalog, row) if row else None


def named(catalog: Catalog, text: str) -> list[Collaboration]:
    """The collaboration of this id, or else every one of this name, oldest first."""
    if found := get(catalog, text):
        return [found]
    rows = catalog.all(
        f"select {_COLUMNS} from collaborations c where c.name = ? order by c.created, c.id",  # noqa: S608 - constants
        text,
    )
    return [_read(catalog, row) for row in rows]


def find(catalog: Catalog, identifier: str, partner: str) -> Collaboration | None:
    """A collaboration by its id, for one of its parties; None for everybody else."""
    row = catalog.one(
        f"select {_COLUMNS} from collaborations c join parties p on p.collaboration = c.id"  # noqa: S608 - constants
        " where c.id = ? and p.partner = ?",
        identifier,
        partner,
    )
    return _read(catalog, row) if row else None


def audited(catalog: Catalog, identifier: str, auditor: str) -> Collaboration | None:
    """A collaboration by its id, for an auditor who is appointed to it; None for everybody else."""
    row = catalog.one(
        f"select {_COLUMNS} from collaborations c join appointments a on a.collaboration = c.id"  # noqa: S608 - constants
        " where c.id = ? and a.auditor = ? and a.ended is null",
        identifier,
        auditor,
    )
    return _read(catalog, row) if row else None


def of_auditor(catalog: Catalog, auditor: str) -> list[Collaboration]:
    """Every collaboration that an auditor is appointed to, oldest first."""
    rows = catalog.all(
        f"select {_COLUMNS} from collaborations c join appointments a on a.collaboration = c.id"  # noqa: S608 - constants
        " where a.auditor = ? and a.ended is null order by c.created, c.id",
        auditor,
    )
    return [_read(catalog, row) for row in rows]


def of_partner(catalog: Catalog, partner: str) -> list[Collaboration]:
    """Every collaboration of a partner, oldest first."""
    rows = catalog.all(
        f"select {_COLUMNS} from collaborations c join parties p on p.collaboration = c.id"  # noqa: S608 - constants
        " where p.partner = ? order by c.created, c.id",
        partner,
    )
    return [_read(catalog, row) for row in rows]


_INSERT = "insert into envelopes values (?, ?, ?, ?, ?, ?, ?)"
_REPLACE = (
    f"{_INSERT} on conflict do update"
    " set sender = excluded.sender, document = excluded.document, created = excluded.created"
)


def relay(connection: sqlite3.Connection, document: dict[str, Any], created: str, *, again: bool = False) -> bool:
    """Stores an envelope within a transaction. False when the recipient has one for this epoch already.

    `again`: in the place of that one, which nobody can open any more.
    """
    envelope = document["envelope"]
    try:
        connection.execute(
            _REPLACE if again else _INSERT,
            (
                envelope["collaboration"],
                envelope["epoch"],
                envelope["sender"],
                envelope["recipient"],
                envelope["key_check"],
                json.dumps(document),
                created,
            ),
        )
    except sqlite3.IntegrityError:
        return False
    return True


def envelopes(catalog: Catalog, collaboration: str, recipient: str) -> list[dict[str, Any]]:
    """The envelopes addressed to a party, newest epoch first."""
    rows = catalog.all(
        "select document from envelopes where collaboration = ? and recipient = ? order by epoch desc",
        collaboration,
        recipient,
    )
    return [json.loads(row["document"]) for row in rows]


def relayed(catalog: Catalog, collaboration: str, epoch: int, recipient: str) -> str | None:
    """When a party got the secret of an epoch, RFC 3339: its envelope, or the first of those that it made itself."""
    row = catalog.one(
        "select created from envelopes where collaboration = ?1 and epoch = ?2 and ?3 in (recipient, sender)"
        " order by recipient = ?3 desc, created limit 1",
        collaboration,
        epoch,
        recipient,
    )
    return str(row["created"]) if row else None


def secret_maker(catalog: Catalog, collaboration: str, epoch: int) -> tuple[str, str] | None:
    """Who made the secret of an epoch, and its key check as signed into the first envelope; None before that."""
    row = catalog.one(
        "select sender, key_check from envelopes where collaboration = ? and epoch = ? order by rowid limit 1",
        collaboration,
        epoch,
    )
    return (str(row["sender"]), str(row["key_check"])) if row else None


def _read(catalog: Catalog, row: sqlite3.Row) -> Collaboration:
    signed = catalog.all(
        "select partner, signature from parties where collaboration = ? and signature is not null order by partner",
        row["id"],
    )
    return Collaboration(
        id=row["id"],
        name=row["name"],
        state=row["state"],
        epoch=row["epoch"],
        document=bytes(row["agreement"]),
        sha256=row["agreement_sha256"],
        signatures={str(each["partner"]): bytes(each["signature"]) for each in signed},
        tightened=changes.tightened(catalog, row["id"], row["agreement_sha256"]),
        left=changes.left(catalog, row["id"]),
        rotating=epochs.under_way(catalog, row["id"]),
    )

"""New keys of partners that lost theirs: which wait, whose consent each needs, which are in place.

Rules: a replacement waits as long as its key counts and is not an owner key yet. Who was asked once
stays asked.
"""

import json
import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.keys import COUNTS
from partners.key_change import Role
from partners.replacement import Replacement


@dataclass(frozen=True, slots=True)
class Asked:
    """A replacement and what each partner that is asked answered: its Ed25519 signature, or None until it consents.

    `made`: RFC 3339, when the new keys came in the place of the old ones; None while they wait.
    """

    replacement: Replacement
    consents: dict[str, bytes | None]
    made: str | None

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(name for name, signature in self.consents.items() if signature is None)


def sharing(catalog: Catalog, partner: str) -> list[str]:
    """The partners of the open collaborations of a partner, without those where one of the two has left."""
    rows = catalog.all(
        "select distinct o.partner from parties p join collaborations c on c.id = p.collaboration and c.state = 'open'"
        " join parties o on o.collaboration = c.id and o.partner <> p.partner"
        " where p.partner = ? and not exists"
        " (select 1 from departures d where d.collaboration = c.id and d.partner in (p.partner, o.partner))"
        " order by o.partner",
        partner,
    )
    return [str(row["partner"]) for row in rows]


def begin(connection: sqlite3.Connection, replacement: Replacement, asked: list[str], stamp: str) -> None:
    """Stores a replacement, and whose consent it needs, within a transaction."""
    connection.execute(
        "insert into replacements values (?, ?, ?, ?, null, null)",
        (replacement.id, replacement.partner, json.dumps(replacement.to_json()), stamp),
    )
    ask(connection, replacement.id, asked)


def ask(connection: sqlite3.Connection, key: str, partners: list[str]) -> None:
    """Stores, within a transaction, whose consent new keys need."""
    connection.executemany(
        "insert into replacement_consents values (?, ?, null, null)", [(key, name) for name in partners]
    )


def consent(connection: sqlite3.Connection, key: str, partner: str, signature: bytes, stamp: str) -> None:
    """Stores a checked consent within a transaction."""
    connection.execute(
        "update replacement_consents set signature = ?, signed = ? where key = ? and partner = ?",
        (signature, stamp, key, partner),
    )


def make(connection: sqlite3.Connection, key: str, stamp: str, leaf: int) -> None:
    """Notes within a transaction that the new keys are in place."""
    connection.execute("update replacements set made = ?, leaf = ? where key = ?", (stamp, leaf, key))


def get(catalog: Catalog, key: str, now: int) -> Asked | None:
    """A replacement whose key counts, by the key's id."""
    return next(iter(_read(catalog, now, "r.key = ?", key)), None)


def find(catalog: Catalog, key: str, partner: str, now: int) -> Asked | None:
    """The same, for a partner that is asked to consent to it; None for everybody else."""
    return next(iter(_read(catalog, now, f"r.key = ? and {_ASKED}", key, partner)), None)


def waiting(catalog: Catalog, now: int) -> list[Asked]:
    """Every replacement that waits, oldest first."""
    return _read(catalog, now, _WAITS)


def of_partner(catalog: Catalog, partner: str, now: int) -> list[Asked]:
    """A partner's own replacements whose keys count, and those of others that it is asked to consent to."""
    return _read(catalog, now, f"(r.partner = ? or {_ASKED})", partner, partner)


def replaced_since(catalog: Catalog, partner: str, stamp: str) -> bool:
    """Whether a partner's keys were replaced at or after a time."""
    return catalog.one("select 1 from replacements where partner = ? and made >= ?", partner, stamp) is not None


_WAITS = f"k.role = '{Role.WAITING.value}'"
_ASKED = "exists (select 1 from replacement_consents a where a.key = r.key and a.partner = ?)"


def _read(catalog: Catalog, now: int, which: str, *values: str) -> list[Asked]:
    rows = catalog.all(
        "select r.key, r.document, r.made from replacements r join keys k on k.id = r.key"  # noqa: S608 - constants
        f" where {which} and {COUNTS} order by r.rowid",
        *values,
        now,
    )
    found = []
    for row in rows:
        answers = catalog.all(
            "select partner, signature from replacement_consents where key = ? order by partner", row["key"]
        )
        consents = {str(each["partner"]): each["signature"] for each in answers}
        found.append(Asked(Replacement.from_json(json.loads(row["document"])), consents, row["made"]))
    return found

"""The keys of partners: which count, what each may do, and the signed changes.

Rules: a key counts until its end. One that was revoked or replaced is over for good, even where a clock that ran ahead
is put right. A key that ended stays in the table, so that none comes back and every key id of the log has its key.
Changes are numbered, each number once.
"""

import json
import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog
from partners.key_change import Action, Role, SignedChange
from partners.keys import key_id
from policies import canonical


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner that joined, by one of its keys: 32 bytes each (Ed25519, X25519). Only an owner key seals.

    `number` tells partners apart where a name is too long: 1, 2, ….
    """

    name: str
    number: int
    role: Role
    signing_key: bytes
    sealing_key: bytes | None

    @property
    def key(self) -> str:
        """The key's id."""
        return key_id(self.signing_key)


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a partner; `added` and `ends` in seconds since 1970, `ends` None: it has no end yet.

    `over`: it was revoked or replaced.
    """

    role: Role
    signing_key: bytes
    sealing_key: bytes | None
    added: int
    ends: int | None
    over: bool

    @property
    def id(self) -> str:
        return key_id(self.signing_key)

    def counts(self, now: int) -> bool:
        return not self.over and (self.ends is None or self.ends > now)


COLUMNS = "p.name, p.number, k.role, k.signing_key, k.sealing_key"
COUNTS = "(k.over = 0 and (k.ends is null or k.ends > ?))"
"""Whether a key `k` counts at a time."""
_COUNT = (
    f"select {COLUMNS} from keys k join partners p on p.name = k.partner"  # noqa: S608 - constants
    f" where k.partner = ? and {COUNTS}"
)


def read(row: sqlite3.Row) -> Partner:
    """A row of `COLUMNS`."""
    return Partner(row["name"], row["number"], Role(row["role"]), row["signing_key"], row["sealing_key"])


def add(
    connection: sqlite3.Connection, partner: str, role: Role, signing_key: bytes, sealing_key: bytes | None, now: int
) -> bool:
    """Adds a key within a transaction. False where some partner has, or had, this key."""
    try:
        connection.execute(
            "insert into keys values (?, ?, ?, ?, ?, ?, null, 0)",
            (key_id(signing_key), partner, role.value, signing_key, sealing_key, now),
        )
    except sqlite3.IntegrityError:
        return False
    return True


def current(catalog: Catalog, partner: str, now: int) -> Partner | None:
    """A partner with the owner key that came last, of those that count."""
    owners = f"{_COUNT} and k.role = 'owner' order by k.ends is null desc, k.rowid desc limit 1"
    row = catalog.one(owners, partner, now)
    return read(row) if row else None


def by_id(catalog: Catalog, partner: str, identifier: str, now: int) -> Partner | None:
    """A partner with the key of this id, where that counts."""
    row = catalog.one(f"{_COUNT} and k.id = ?", partner, now, identifier)
    return read(row) if row else None


def owner_keys(catalog: Catalog, partner: str, now: int) -> tuple[bytes, ...]:
    """The signing keys that may decide for a partner now: during an overlap two."""
    return tuple(bytes(row["signing_key"]) for row in catalog.all(f"{_COUNT} and k.role = 'owner'", partner, now))


def every(catalog: Catalog, partner: str) -> list[Key]:
    """Every key that a partner has or had, oldest first."""
    rows = catalog.all(
        "select role, signing_key, sealing_key, added, ends, over from keys where partner = ? order by rowid", partner
    )
    return [
        Key(Role(row["role"]), row["signing_key"], row["sealing_key"], row["added"], row["ends"], bool(row["over"]))
        for row in rows
    ]


def end(connection: sqlite3.Connection, partner: str, identifier: str, now: int) -> bool:
    """Ends a key within a transaction, now and for good. False where the partner has none that was not ended so."""
    ended = connection.execute(
        "update keys set ends = min(coalesce(ends, ?), ?), over = 1 where partner = ? and id = ? and over = 0",
        (now, now, partner, identifier),
    )
    return ended.rowcount == 1


def end_later(connection: sqlite3.Connection, partner: str, identifier: str, when: int) -> None:
    """Lets a key count until `when` at most, within a transaction."""
    connection.execute(
        "update keys set ends = min(coalesce(ends, ?), ?) where partner = ? and id = ?",
        (when, when, partner, identifier),
    )


def take_over(connection: sqlite3.Connection, partner: str, identifier: str, now: int) -> None:
    """Makes a waiting key the partner's owner key within a transaction; every other key of the partner ends."""
    connection.execute(
        "update keys set ends = min(coalesce(ends, ?), ?), over = 1 where partner = ? and id <> ?",
        (now, now, partner, identifier),
    )
    connection.execute("update keys set role = 'owner' where partner = ? and id = ?", (partner, identifier))


def last_serial(connection: sqlite3.Connection, partner: str) -> int:
    """The number of a partner's last change; 0 before the first."""
    (last,) = connection.execute(
        "select coalesce(max(serial), 0) from key_changes where partner = ?", (partner,)
    ).fetchone()
    return int(last)


def note(connection: sqlite3.Connection, signed: SignedChange, leaf: int) -> None:
    """Keeps a change that was made, within its transaction."""
    change = signed.change
    document = canonical.dumps(signed.to_json())
    connection.execute(
        "insert into key_changes values (?, ?, ?, ?, ?)",
        (change.partner, change.serial, change.action.value, document, leaf),
    )


def changes(catalog: Catalog, partner: str, action: Action | None = None) -> list[SignedChange]:
    """A partner's changes in their order; of one kind, if named."""
    rows = catalog.all(
        "select document from key_changes where partner = ? and coalesce(?, action) = action order by serial",
        partner,
        action.value if action else None,
    )
    return [SignedChange.from_json(json.loads(row["document"])) for row in rows]

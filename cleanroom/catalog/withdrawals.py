"""Withdrawals: the batches that owners signed, the tokens that stay withdrawn, the rows that are absent, the days.

Rules: tokens are stored as re-keyed images only. An entry remembers the identifier that its owner named (its root), so
that reinstating this one undoes everything that it reached. The rows of a version that are absent follow from the
entries; they change in the transaction that changes these. A batch is taken once, by its hash.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog

EVERY_AUDIENCE = ""


@dataclass(frozen=True, slots=True)
class Root:
    """What an owner named: the image of a token under a match key; `audience` is a name, or `EVERY_AUDIENCE`."""

    key: str
    image: bytes
    audience: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A withdrawn token: its match key and image, what it is withdrawn because of, and the mask of purposes."""

    key: str
    image: bytes
    root: Root
    mask: int


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose withdrawals: a partner's, in one collaboration and epoch."""

    collaboration: str
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch that was taken on an ISO day. `erased`: the leaf that says that its erasure is done."""

    sha256: str
    owner: str
    collaboration: str
    day: str
    erased: int | None


@dataclass(frozen=True, slots=True)
class Commitment:
    """What the log commits to for an owner and a day."""

    day: str
    nonce: bytes
    leaf: int


_BATCH = "sha256, owner, collaboration, day, erased"
_HELD = "collaboration = ? and owner = ? and epoch = ?"


def serial(connection: sqlite3.Connection, holder: Holder) -> int:
    """A number that grows with every batch of an owner in a collaboration."""
    row = connection.execute(
        "select max(number) from batches where collaboration = ? and owner = ?", (holder.collaboration, holder.owner)
    ).fetchone()
    return int(row[0] or 0)


def latest_of(catalog: Catalog, collaboration: str) -> int:
    """A number that grows with every batch of a collaboration."""
    row = catalog.one("select coalesce(max(number), 0) from batches where collaboration = ?", collaboration)
    return int(row[0]) if row else 0


def latest(catalog: Catalog) -> int:
    """A number that grows with every batch of the room."""
    row = catalog.one("select max(number) from batches")
    return int(row[0] or 0) if row else 0


def keep_batch(connection: sqlite3.Connection, holder: Holder, sha256: str, action: str, today: str) -> Batch:
    """Stores a batch within a transaction, on the first day that is not committed to yet."""
    connection.execute(
        "insert into batches (sha256, owner, collaboration, epoch, action, day) values (?, ?, ?, ?, ?, max(?,"
        " coalesce((select date(max(day), '+1 day') from commitments where owner = ?), ?)))",
        (sha256, holder.owner, holder.collaboration, holder.epoch, action, today, holder.owner, today),
    )
    kept = find_batch(connection, holder.owner, sha256)
    assert kept is not None, "it was stored just now"
    return kept


def find_batch(connection: sqlite3.Connection, owner: str, sha256: str) -> Batch | None:
    """A batch by its hash, for its owner."""
    row = connection.execute(
        f"select {_BATCH} from batches where sha256 = ? and owner = ?",  # noqa: S608 - constants
        (sha256, owner),
    ).fetchone()
    return Batch(*tuple(row)) if row else None


def to_erase(catalog: Catalog) -> list[Batch]:
    """The batches of erasures that are not done."""
    rows = catalog.all(f"select {_BATCH} from batches where action = 'erase' and erased is null order by number")  # noqa: S608
    return [Batch(*tuple(row)) for row in rows]


def erased(connection: sqlite3.Connection, sha256: str, leaf: int) -> None:
    """Notes within a transaction that the erasure of a batch is done."""
    connection.execute("update batches set erased = ? where sha256 = ?", (leaf, sha256))


def any_entry(catalog: Catalog, collaboration: str, epoch: int) -> bool:
    """Whether anything is withdrawn in a collaboration and epoch."""
    sql = "select 1 from withdrawn where collaboration = ? and epoch = ? limit 1"
    return catalog.one(sql, collaboration, epoch) is not None


def entries(connection: sqlite3.Connection, holder: Holder) -> list[Entry]:
    """Every withdrawn token of a holder."""
    rows = connection.execute(
        f"select because_key, because, audience, match_key, image, mask from withdrawn where {_HELD}",  # noqa: S608
        (holder.collaboration, holder.owner, holder.epoch),
    )
    roots: dict[tuple[str, bytes, str], Root] = {}
    found = []
    for because_key, because, audience, key, image, mask in rows:
        place = (because_key, because, audience)
        root = roots.get(place)
        if root is None:
            root = roots[place] = Root(*place)
        found.append(Entry(key, image, root, mask))
    return found


def reached_by(connection: sqlite3.Connection, holder: Holder, named: Iterable[tuple[str, bytes]]) -> list[Entry]:
    """The entries that some identifiers (match key, image) led to, whichever audience they were named for."""
    sql = (
        f"select audience, match_key, image, mask from withdrawn where {_HELD}"  # noqa: S608 - constants
        " and because_key = ? and because = ?"
    )
    return [
        Entry(found, image, Root(key, because, audience), mask)
        for key, because in named
        for audience, found, image, mask in connection.execute(
            sql, (holder.collaboration, holder.owner, holder.epoch, key, because)
        )
    ]


def add_entries(connection: sqlite3.Connection, holder: Holder, added: Iterable[Entry]) -> None:
    """Stores entries within a transaction; one that is there is withdrawn from more purposes."""
    connection.executemany(
        "insert into withdrawn values (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " on conflict do update set mask = mask | excluded.mask",
        [
            (
                holder.collaboration,
                holder.owner,
                holder.epoch,
                each.root.key,
                each.root.image,
                each.root.audience,
                each.key,
                each.image,
                each.mask,
            )
            for each in added
        ],
    )


def take_back(connection: sqlite3.Connection, holder: Holder, roots: Iterable[Root], mask: int, purposes: int) -> None:
    """Takes `mask` from every entry of some roots within a transaction; what has none of `purposes` left is removed."""
    of_root = f"{_HELD} and because_key = ? and because = ? and audience = ?"
    held = (holder.collaboration, holder.owner, holder.epoch)
    named = [(*held, root.key, root.image, root.audience) for root in roots]
    connection.executemany(
        f"update withdrawn set mask = mask & ~? where {of_root}",  # noqa: S608 - constants
        [(mask, *each) for each in named],
    )
    connection.executemany(
        f"delete from withdrawn where {of_root} and mask & ? = 0",  # noqa: S608 - constants
        [(*each, purposes) for each in named],
    )


def digests(catalog: Catalog, collaboration: str) -> dict[str, str]:
    """The digest of the absent rows of each published version of a collaboration that has any."""
    rows = catalog.all(
        "select a.version, a.digest from versions v join absences a on a.version = v.id"
        " where v.collaboration = ? and v.state = 'published'",
        collaboration,
    )
    return {str(row["version"]): str(row["digest"]) for row in rows}


def gone(connection: sqlite3.Connection, version: str) -> tuple[str, bytes] | None:
    """The digest of the absent rows of a version, and what `cleanroom.absence` wrote of them."""
    row = connection.execute("select digest, gone from absences where version = ?", (version,)).fetchone()
    return (str(row["digest"]), bytes(row["gone"])) if row else None


def keep_gone(connection: sqlite3.Connection, version: str, digest: str, erase: bool, written: bytes) -> None:
    """Stores the absent rows of a version within a transaction."""
    connection.execute("insert or replace into absences values (?, ?, ?, ?)", (version, digest, int(erase), written))


def forget_gone(connection: sqlite3.Connection, version: str) -> None:
    """Removes what is known of a version's absent rows within a transaction."""
    connection.execute("delete from absences where version = ?", (version,))


def with_rows_to_erase(catalog: Catalog) -> list[str]:
    """The versions some of whose absent rows are to be overwritten."""
    return [str(row["version"]) for row in catalog.all("select version from absences where erase = 1")]


def rows_wait(connection: sqlite3.Connection, batch: Batch) -> bool:
    """Whether rows of the batch's owner are still to be overwritten."""
    row = connection.execute(
        "select 1 from absences a join versions v on v.id = a.version"
        " where a.erase = 1 and v.collaboration = ? and v.owner = ? limit 1",
        (batch.collaboration, batch.owner),
    ).fetchone()
    return row is not None


def uncommitted(connection: sqlite3.Connection, day: str) -> list[str]:
    """The partners that had joined by a day for which the log has no commitment of theirs."""
    rows = connection.execute(
        "select name from partners where auditor = 0 and date(joined) <= ?"
        " and name not in (select owner from commitments where day = ?) order by name",
        (day, day),
    )
    return [str(row["name"]) for row in rows]


def first_uncommitted(catalog: Catalog) -> str | None:
    """The first day for which a commitment of some partner is missing; None in a room without partners."""
    row = catalog.one(
        "select min(coalesce((select date(max(day), '+1 day') from commitments where owner = name), date(joined)))"
        " from partners where auditor = 0"
    )
    return None if row is None or row[0] is None else str(row[0])


def batches_of(connection: sqlite3.Connection, owner: str, day: str) -> list[str]:
    """The hashes of an owner's batches of a day, in the order they were taken."""
    rows = connection.execute("select sha256 from batches where owner = ? and day = ? order by number", (owner, day))
    return [str(row["sha256"]) for row in rows]


def commit(connection: sqlite3.Connection, owner: str, commitment: Commitment) -> None:
    """Stores an owner's commitment within a transaction."""
    connection.execute(
        "insert into commitments values (?, ?, ?, ?)", (owner, commitment.day, commitment.nonce, commitment.leaf)
    )


def commitment_of(catalog: Catalog, owner: str, day: str) -> Commitment | None:
    """An owner's commitment of a day; None before it was made."""
    row = catalog.one("select day, nonce, leaf from commitments where owner = ? and day = ?", owner, day)
    return Commitment(*tuple(row)) if row else None

"""Epochs: the rotation of a collaboration's secret that is under way, and the epochs that have ended.

Rules: at most one rotation is under way in a collaboration. An epoch has ended when the collaboration has moved to the
next one, or is closed; it is destroyed once, when nothing of it has files any more.
"""

import json
import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog
from partners.notices import Rotation, payload


@dataclass(frozen=True, slots=True)
class Rotating:
    """A rotation under way, as the partner that began it signed it."""

    rotation: Rotation
    signature: bytes


def begin(connection: sqlite3.Connection, rotation: Rotation, signature: bytes, created: str) -> None:
    """Stores a checked rotation within a transaction."""
    connection.execute(
        "insert into rotations values (?, ?, ?, ?, ?, null)",
        (rotation.collaboration, rotation.epoch, payload(rotation).decode(), signature, created),
    )


def under_way(catalog: Catalog, collaboration: str) -> Rotating | None:
    """The rotation that has begun and not ended."""
    row = catalog.one(
        "select document, signature from rotations where collaboration = ? and moved is null", collaboration
    )
    return Rotating(Rotation.from_json(json.loads(row["document"])), bytes(row["signature"])) if row else None


def rotating(catalog: Catalog) -> list[str]:
    """The open collaborations whose secret is being rotated."""
    rows = catalog.all(
        "select r.collaboration from rotations r join collaborations c on c.id = r.collaboration"
        " where r.moved is null and c.state = 'open'"
    )
    return [str(row["collaboration"]) for row in rows]


def move(connection: sqlite3.Connection, rotation: Rotation, stamp: str) -> None:
    """Makes the new epoch the collaboration's within a transaction."""
    named = (rotation.epoch, rotation.collaboration)
    connection.execute("update collaborations set epoch = ? where id = ?", named)
    connection.execute(
        "update rotations set moved = ? where epoch = ? and collaboration = ?",
        (stamp, *named),
    )


def ended(catalog: Catalog) -> list[tuple[str, int]]:
    """The epochs that have ended, have no files any more, and are not destroyed: each a collaboration and an epoch."""
    rows = catalog.all(
        "select id, epoch from"
        " (select collaboration as id, epoch - 1 as epoch from rotations where moved is not null"
        " union select id, epoch from collaborations where state = 'closed'"
        " union select r.collaboration, r.epoch from rotations r join collaborations c on c.id = r.collaboration"
        " where c.state = 'closed') e"
        " where not exists (select 1 from destroyed d where d.collaboration = e.id and d.epoch = e.epoch)"
        " and not exists (select 1 from versions v where v.collaboration = e.id and v.epoch = e.epoch"
        " and (v.state in ('received', 'checking', 'published') or v.state = 'retired' and v.progress > 0))"
    )
    return [(str(row["id"]), int(row["epoch"])) for row in rows]


def destroy(connection: sqlite3.Connection, collaboration: str, epoch: int, leaf: int) -> None:
    """Removes the withdrawn tokens of an epoch within a transaction, and notes that it is destroyed."""
    connection.execute("delete from withdrawn where collaboration = ? and epoch = ?", (collaboration, epoch))
    connection.execute("insert into destroyed values (?, ?, ?)", (collaboration, epoch, leaf))


def lacks_withdrawals(catalog: Catalog, collaboration: str, owner: str, epoch: int) -> bool:
    """Whether an owner has withdrawn people under the epoch before this one, and nobody yet under this one."""
    row = catalog.one(
        "select exists(select 1 from batches where collaboration = ?1 and owner = ?2 and epoch = ?3 - 1)"
        " and not exists(select 1 from batches where collaboration = ?1 and owner = ?2 and epoch = ?3)",
        collaboration,
        owner,
        epoch,
    )
    return bool(row and row[0])

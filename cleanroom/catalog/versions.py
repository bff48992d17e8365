"""Uploads and the versions of audiences.

Rules: an upload belongs to the partner that created it; its offset is the size of its file. A version is found by the
collaboration and its owner; the parties see only whether an audience is published. States: received → checking →
published or refused; a newer published version of the same audience retires the older one.
"""

import sqlite3
from dataclasses import dataclass
from enum import Enum

from cleanroom.catalog.catalog import Catalog
from policies.question import AudienceRef


class State(Enum):
    RECEIVED = "received"
    CHECKING = "checking"
    PUBLISHED = "published"
    REFUSED = "refused"
    RETIRED = "retired"  # its `progress` is above 0 while its files are there


@dataclass(frozen=True, slots=True)
class Upload:
    """A resumable upload: `length` bytes are announced; it is gone at `expires` (seconds since 1970)."""

    id: str
    partner: str
    length: int
    expires: int


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an audience. `reason` and `detail` say why it was refused; `leaf` is its entry in the log."""

    id: str
    collaboration: str
    owner: str
    audience: str
    epoch: int
    manifest: bytes
    signature: bytes
    upload: str | None
    state: State
    reason: str | None
    detail: str | None
    progress: int
    leaf: int | None

    @property
    def ref(self) -> AudienceRef:
        return AudienceRef(self.owner, self.audience)


_COLUMNS = (
    "id, collaboration, owner, audience, epoch, manifest, signature, upload, state, reason, detail, progress, leaf"
)


def create_upload(catalog: Catalog, upload: Upload, most: int, most_bytes: int) -> bool:
    """Stores a new upload. False where its partner would have more than `most`, or more than `most_bytes` announced."""
    with catalog.transaction() as connection:
        count, announced = connection.execute(
            "select count(*), coalesce(sum(length), 0) from uploads where partner = ?", (upload.partner,)
        ).fetchone()
        if count >= most or announced + upload.length > most_bytes:
            return False
        connection.execute(
            "insert into uploads values (?, ?, ?, ?)", (upload.id, upload.partner, upload.length, upload.expires)
        )
    return True


def find_upload(catalog: Catalog, identifier: str, partner: str) -> Upload | None:
    """An upload by its id, for the partner that created it."""
    row = catalog.one(
        "select id, partner, length, expires from uploads where id = ? and partner = ?", identifier, partner
    )
    return Upload(*tuple(row)) if row else None


def attached(catalog: Catalog, upload: str) -> bool:
    """Whether a version is made of this upload."""
    return catalog.one("select 1 from versions where upload = ?", upload) is not None


def expired_uploads(catalog: Catalog, now: int) -> list[str]:
    """The uploads whose time has passed and that no version is made of."""
    rows = catalog.all(
        "select id from uploads where expires <= ?"
        " and id not in (select upload from versions where upload is not null)",
        now,
    )
    return [str(row["id"]) for row in rows]


def uploads(catalog: Catalog) -> frozenset[str]:
    """Every upload that is under way or waits for its check."""
    rows = catalog.all(
        "select id from uploads where id not in (select upload from versions where upload is not null)"
        " union select upload from versions where state in ('received', 'checking') and upload is not null"
    )
    return frozenset(str(row["id"]) for row in rows)


def forget_upload(connection: sqlite3.Connection, identifier: str) -> None:
    """Removes an upload within a transaction; its bytes are the caller's."""
    connection.execute("delete from uploads where id = ?", (identifier,))


def receive(connection: sqlite3.Connection, version: Version, manifest_sha256: str, created: str) -> None:
    """Stores a new version within a transaction."""
    connection.execute(
        f"insert into versions ({_COLUMNS}, manifest_sha256, created)"  # noqa: S608 - constants
        " values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            version.id,
            version.collaboration,
            version.owner,
            version.audience,
            version.epoch,
            version.manifest,
            version.signature,
            version.upload,
            version.state.value,
            version.reason,
            version.detail,
            version.progress,
            version.leaf,
            manifest_sha256,
            created,
        ),
    )


def find(catalog: Catalog, collaboration: str, owner: str, audience: str, identifier: str) -> Version | None:
    """A version, for its owner."""
    return _first(
        catalog,
        "collaboration = ? and owner = ? and audience = ? and id = ?",
        collaboration,
        owner,
        audience,
        identifier,
    )


def same(catalog: Catalog, collaboration: str, owner: str, audience: str, manifest_sha256: str) -> Version | None:
    """The version that was made from this very manifest, if it is not one that was refused."""
    return _first(
        catalog,
        "collaboration = ? and owner = ? and audience = ? and manifest_sha256 = ? and state != 'refused'",
        collaboration,
        owner,
        audience,
        manifest_sha256,
    )


def of_audience(catalog: Catalog, collaboration: str, owner: str, audience: str) -> list[Version]:
    """Every version of an audience, newest first."""
    rows = catalog.all(
        f"select {_COLUMNS} from versions where collaboration = ? and owner = ? and audience = ?"  # noqa: S608
        " order by created desc, rowid desc",
        collaboration,
        owner,
        audience,
    )
    return [_read(row) for row in rows]


def published(catalog: Catalog, collaboration: str, epoch: int | None = None) -> dict[AudienceRef, str]:
    """The version of each audience that questions are asked of; of another epoch, the versions that wait for it."""
    rows = catalog.all(
        "select v.owner, v.audience, v.id from versions v join collaborations c on c.id = v.collaboration"
        " where v.collaboration = ? and v.state = 'published' and v.epoch = coalesce(?, c.epoch)",
        collaboration,
        epoch,
    )
    return {AudienceRef(row["owner"], row["audience"]): str(row["id"]) for row in rows}


def published_by(catalog: Catalog, collaboration: str, owner: str, epoch: int) -> dict[str, str]:
    """An owner's published versions of an epoch, each with the name of its audience."""
    rows = catalog.all(
        "select id, audience from versions where collaboration = ? and owner = ? and epoch = ? and state = 'published'",
        collaboration,
        owner,
        epoch,
    )
    return {str(row["id"]): str(row["audience"]) for row in rows}


def all_published(catalog: Catalog, collaboration: str | None = None) -> list[Version]:
    """Every published version of the room, or of one collaboration; of every epoch."""
    rows = catalog.all(
        f"select {_COLUMNS} from versions where state = 'published'"  # noqa: S608 - constants
        " and collaboration = coalesce(?, collaboration)",
        collaboration,
    )
    return [_read(row) for row in rows]


def stored(catalog: Catalog, collaboration: str, epoch: int) -> bool:
    """Whether anything of a collaboration and epoch was ever stored."""
    found = "collaboration = ? and epoch = ? and state in ('published', 'retired')"
    return _first(catalog, found, collaboration, epoch) is not None


def removable(catalog: Catalog) -> list[Version]:
    """The retired versions whose files are still there."""
    rows = catalog.all(f"select {_COLUMNS} from versions where state = 'retired' and progress > 0")  # noqa: S608
    return [_read(row) for row in rows]


def removed(connection: sqlite3.Connection, identifier: str) -> None:
    """Notes within a transaction that the files of a retired version are gone."""
    connection.execute("update versions set progress = 0 where id = ?", (identifier,))


def retire(connection: sqlite3.Connection, identifier: str, leaf: int) -> None:
    """Retires a published version within a transaction."""
    connection.execute(
        "update versions set state = 'retired', leaf = ? where id = ? and state = 'published'", (leaf, identifier)
    )


def waiting(catalog: Catalog) -> Version | None:
    """The version that has waited longest for its check."""
    return _first(catalog, "state = 'received' order by created, rowid")


def unchecked(catalog: Catalog) -> int:
    """How many versions wait for the end of their check."""
    row = catalog.one("select count(*) from versions where state in ('received', 'checking')")
    return int(row[0]) if row else 0


def decided(catalog: Catalog) -> list[Version]:
    """Every version whose check has ended."""
    rows = catalog.all(f"select {_COLUMNS} from versions where state not in ('received', 'checking')")  # noqa: S608
    return [_read(row) for row in rows]


def unfinished(catalog: Catalog) -> None:
    """Puts versions whose check was cut off by a crash back in the queue."""
    with catalog.transaction() as connection:
        connection.execute("update versions set state = 'received', progress = 0 where state = 'checking'")


def move(
    connection: sqlite3.Connection,
    identifier: str,
    state: State,
    *,
    reason: str | None = None,
    detail: str | None = None,
    progress: int = 0,
    leaf: int | None = None,
) -> None:
    """Sets the state of a version within a transaction."""
    connection.execute(
        "update versions set state = ?, reason = ?, detail = ?, progress = ?, leaf = ? where id = ?",
        (state.value, reason, detail, progress, leaf, identifier),
    )


def retire_older(connection: sqlite3.Connection, version: Version) -> list[str]:
    """Retires the published versions that `version` replaces, within a transaction; their ids."""
    rows = connection.execute(
        "update versions set state = 'retired' where collaboration = ? and owner = ? and audience = ? and id != ?"
        " and epoch = ? and state = 'published' returning id",
        (version.collaboration, version.owner, version.audience, version.id, version.epoch),
    ).fetchall()
    return [str(row["id"]) for row in rows]


def _first(catalog: Catalog, condition: str, *parameters: object) -> Version | None:
    row = catalog.one(f"select {_COLUMNS} from versions where {condition}", *parameters)  # noqa: S608 - constants
    return _read(row) if row else None


def _read(row: sqlite3.Row) -> Version:
    values = dict(zip(row.keys(), row, strict=True))
    return Version(**{**values, "state": State(values["state"])})

"""One connection to the catalog, its transactions, and the facts about the room itself."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from cleanroom.catalog.schema import migrations

KNOWN = tuple(each.name for each in migrations.pending(Database(memory=True, execute_plugins=False)))
"""The names of this version's migrations, in their order."""
BUSY_SECONDS = 30.0
STEP_SECONDS = 0.001


class Catalog:
    """A connection, for one thread. Close it, or use it as a context manager."""

    def __init__(self, path: Path) -> None:
        """Opens an existing catalog. Raises `FileNotFoundError` where `create` has not been."""
        if not path.is_file():
            raise FileNotFoundError("there is no catalog here; run `cleanroom init` first")
        self.connection = _connect(path)

    def __enter__(self) -> "Catalog":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """One `BEGIN IMMEDIATE` transaction: all of it is committed and durable, or none of it happened."""
        self._begin()
        try:
            yield self.connection
        except BaseException:
            self.connection.rollback()
            raise
        self.connection.commit()

    def _begin(self) -> None:
        """Waits for the write lock in short, even steps: SQLite's own waiting grows to a tenth of a second a step."""
        deadline = time.monotonic() + BUSY_SECONDS
        self.connection.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    self.connection.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                time.sleep(STEP_SECONDS)
        finally:
            self.connection.execute(f"PRAGMA busy_timeout={int(1000 * BUSY_SECONDS)}")

    def one(self, sql: str, *parameters: Any) -> sqlite3.Row | None:
        """The only row of a query, or None."""
        row: sqlite3.Row | None = self.connection.execute(sql, parameters).fetchone()
        return row

    def all(self, sql: str, *parameters: Any) -> list[sqlite3.Row]:
        """Every row of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def room_name(self) -> str:
        """The origin of the room's log, fixed at `cleanroom init`."""
        row = self.one("select name from room")
        assert row is not None, "a catalog is created with its room"
        return str(row["name"])


@dataclass(frozen=True, slots=True)
class Schema:
    """How a catalog stands to this version: migrations that wait, and whether a later version has made others."""

    pending: tuple[str, ...]
    newer: bool

    @property
    def current(self) -> bool:
        return not self.pending and not self.newer


def schema(catalog: Catalog) -> Schema:
    """How a catalog stands to this version of the software."""
    made = {each.name for each in migrations.applied(Database(catalog.connection, execute_plugins=False))}
    return Schema(tuple(name for name in KNOWN if name not in made), newer=not made <= {*KNOWN})


def create(path: Path, name: str, created: str) -> None:
    """A new catalog for the room `name`. Raises `FileExistsError` where there is one."""
    if path.exists():
        raise FileExistsError("there is a room here already; choose another folder")
    connection = _connect(path)
    try:
        database = Database(connection, execute_plugins=False)
        migrations.apply(database)
        with database.atomic():
            connection.execute("insert into room (id, name, created) values (1, ?, ?)", (name, created))
    finally:
        connection.close()


def migrate(path: Path) -> None:
    """Brings an existing catalog to this version's tables: all of it in one transaction, or nothing of it."""
    with Catalog(path) as catalog, catalog.transaction():
        migrations.apply(Database(catalog.connection, execute_plugins=False))


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}")
    return connection

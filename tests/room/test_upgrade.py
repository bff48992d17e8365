"""A catalog of an older version is brought up to date whole or not at all; one of a later version is left alone."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlite_utils import Database

from cleanroom import setup
from cleanroom.audit.signer import SignerRefused
from cleanroom.catalog import catalog as catalogs
from cleanroom.catalog.catalog import KNOWN
from cleanroom.catalog.schema import migrations
from cleanroom.cli import cli
from cleanroom.setup import SetupFailed
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, Stage, people

ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
EVERYTHING = "select name, sql from sqlite_master where name not like 'sqlite_%' order by name"


def age(catalog: Path, first_missing: str) -> None:
    """Puts what a catalog holds into the tables of the version before a migration; what had no table then is gone."""
    older = catalog.with_name("older.sqlite")
    with closing(sqlite3.connect(older, isolation_level=None)) as connection:
        migrations.apply(Database(connection, execute_plugins=False), stop_before=first_missing)
        connection.execute("attach ? as newer", (str(catalog),))
        connection.execute("begin")
        connection.execute("pragma defer_foreign_keys = on")
        for name, sql in tables(older):
            columns = ", ".join(each[1] for each in connection.execute(f"pragma main.table_info({name})"))
            if sql.lower().startswith("create table") and name != "_sqlite_migrations":
                connection.execute(f"insert into main.{name} ({columns}) select {columns} from newer.{name}")
        connection.execute("commit")
    for suffix in ("-wal", "-shm"):
        catalog.with_name(f"{catalog.name}{suffix}").unlink(missing_ok=True)
    older.replace(catalog)


def tables(path: Path) -> list[tuple[str, str]]:
    """The names of all tables and indexes, with their SQL."""
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(EVERYTHING).fetchall()


def run(stage: Stage, *arguments: str) -> tuple[int, str]:
    settings = stage.room.settings
    options = ["--data", str(settings.data), "--keys", str(settings.keys)]
    result = CliRunner().invoke(cli, [*arguments, *options], standalone_mode=False)
    return result.exit_code, f"{result.exception or ''}{result.output}"


@pytest.mark.parametrize("first_missing", KNOWN[1:])
def test_serving_brings_an_older_catalog_up_to_date(
    published: Collaboration, tmp_path: Path, first_missing: str
) -> None:
    stage, settings = published.stage, published.stage.room.settings
    report = stage.ask("fresh", published.id, ASKED)
    current, before = tables(settings.catalog), stage.leaves()
    age(settings.catalog, first_missing)
    assert tables(settings.catalog) != current
    with pytest.raises(SetupFailed, match="older version"):
        setup.open_room(settings)
    code, said = run(stage, "status")
    assert code == 1
    assert "`cleanroom serve`, which brings it up to date" in said
    assert run(stage, "backup", str(tmp_path / "before"))[0] == 0
    assert tables(tmp_path / "before" / "catalog.sqlite") != current

    state, signed = settings.keys / "log.state", stage.room.signer.last()
    state.write_text(signed.text())  # as the first version wrote it
    setup.start(settings)
    assert stage.room.signer.last().size > signed.size
    assert tables(settings.catalog) == current
    assert stage.leaves()[: len(before)] == before
    kept = stage.players["tasty"].room.report(report.id or "")
    assert kept.figures == report.figures
    assert stage.ask("tasty", published.id, ASKED).free
    version = stage.publish(published.id, DRIVE, people(range(50)))
    assert stage.version(published.id, DRIVE, version)["state"] == "published"


def test_what_fails_half_way_leaves_the_older_catalog(joined: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = joined.room.settings
    age(settings.catalog, KNOWN[1])
    before = tables(settings.catalog)
    last = migrations._migrations[-1]
    monkeypatch.setattr(last, "fn", lambda database: database.execute("create table half (x)") and 1 / 0)
    with pytest.raises(ZeroDivisionError):
        setup.start(settings)
    assert tables(settings.catalog) == before
    monkeypatch.undo()
    setup.start(settings)
    with catalogs.Catalog(settings.catalog) as catalog:
        assert catalogs.schema(catalog).current


def test_a_signers_state_that_is_neither_is_left_alone(joined: Stage) -> None:
    state = joined.room.settings.keys / "log.state"
    state.write_bytes(b"x" * 1024)
    with pytest.raises(SignerRefused, match="damaged"):
        setup.start(joined.room.settings)
    assert state.read_bytes() == b"x" * 1024


def test_a_catalog_from_the_future_is_left_alone(joined: Stage, tmp_path: Path) -> None:
    with joined.room.catalog() as catalog:
        tomorrow = {"migration_set": "cleanroom", "name": "tomorrow", "applied_at": "2040-01-01"}
        Database(catalog.connection, execute_plugins=False).table("_sqlite_migrations").insert(tomorrow)
    before = joined.leaves()
    commands = (["status"], ["serve", "--bind", "127.0.0.1:0"], ["backup", str(tmp_path / "out")], ["invite", "salty"])
    for arguments in commands:
        code, said = run(joined, *arguments)
        assert (code, said.count("\n")) == (1, 0), arguments
        assert said == "a later version of cleanroom has served this room; install that version, or a later one"
    assert joined.leaves() == before
    assert not (tmp_path / "out").exists()

"""A catalog of an older version is brought up to date whole or not at all; one of a later version is left alone."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlite_utils import Database

from cleanroom import setup
from cleanroom.catalog import catalog as catalogs
from cleanroom.catalog.catalog import KNOWN
from cleanroom.catalog.schema import migrations
from cleanroom.cli import cli
from cleanroom.setup import SetupFailed
from tests.room.stage import DRIVE, READERS, Stage, people

EVERYTHING = "select name, sql from sqlite_master where name not like 'sqlite_%' order by name"


@contextmanager
def older(folder: Path, first_missing: str) -> Iterator[Stage]:
    """A room as the version before a migration made it; this version's code cannot do much with it."""
    apply = migrations.apply
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrations, "apply", lambda database: apply(database, stop_before=first_missing))
        with Stage.make(folder) as stage:
            yield stage


def tables(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(EVERYTHING).fetchall()


def run(stage: Stage, *arguments: str) -> tuple[int, str]:
    settings = stage.room.settings
    options = ["--data", str(settings.data), "--keys", str(settings.keys)]
    result = CliRunner().invoke(cli, [*arguments, *options], standalone_mode=False)
    return result.exit_code, f"{result.exception or ''}{result.output}"


@pytest.mark.parametrize("first_missing", KNOWN[1:])
def test_serving_brings_an_older_catalog_up_to_date(tmp_path: Path, shared_joined: Stage, first_missing: str) -> None:
    with older(tmp_path, first_missing) as stage:
        settings = stage.room.settings
        before = stage.leaves()
        with pytest.raises(SetupFailed, match="older version"):
            setup.open_room(settings)
        code, said = run(stage, "status")
        assert code == 1
        assert "`cleanroom serve`, which brings it up to date" in said
        assert run(stage, "backup", str(tmp_path / "before"))[0] == 0
    kept = tables(tmp_path / "before" / "catalog.sqlite")
    assert kept != tables(shared_joined.room.settings.catalog)

    setup.start(settings)
    assert tables(settings.catalog) == tables(shared_joined.room.settings.catalog)
    assert stage.leaves()[: len(before)] == before
    with Stage._open(tmp_path, setup.open_room(settings, stage.clock), stage.clock) as again:
        again.join("fresh")
        again.join("tasty")
        identifier = again.agree(DRIVE, READERS)
        again.share_secret(identifier)
        again.publish(identifier, DRIVE, people(range(50)))
        assert again.rows("select state from versions") == [("published",)]


def test_what_fails_half_way_leaves_the_older_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with older(tmp_path, KNOWN[1]) as stage:
        settings = stage.room.settings
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

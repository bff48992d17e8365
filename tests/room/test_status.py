"""What the operator sees: what waits, and for whom."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from rich.console import Console

from cleanroom import changes, jobs, naming, readiness
from cleanroom.catalog import keys
from cleanroom.cli import cli
from cleanroom.status import Amending, NewKeys, Rotating, Status, read_status, render
from partners.keys import key_id
from partners.steps import agreements, secret
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people
from tests.room.test_replacements import ask_back


def read(stage: Stage) -> tuple[Status, str]:
    found, out = read_status(stage.room), io.StringIO()
    render(found, Console(file=out, width=200))
    return found, out.getvalue()


def test_what_waits_and_for_whom(published: Collaboration) -> None:
    stage, identifier = published.stage, published.id
    with jobs._alone(stage.room.settings.data / readiness.WORKER_LOCK):
        quiet, said = read(stage)
    assert (quiet.lacks, quiet.new_keys, quiet.without_key) == ((), (), ())
    assert len(said.splitlines()) == 6, "nothing waits, and nothing is said of it"

    fresh = stage.players["fresh"]
    table: dict[str, Any] = {
        "collaboration": {"name": "drive-2026", "match_keys": ["email", "id.card"], "minimum_size": 60},
        "partner": [{"name": "fresh"}, {"name": "tasty"}],
        "audience": [DRIVE.agreed(), READERS.agreed()],
    }
    secret.rotate(fresh.home, fresh.room, identifier, stage.clock(), 14)
    stage.publish(identifier, DRIVE, people(range(50)))
    agreements.amend(fresh.home, fresh.room, identifier, table)
    stage.upload(DRIVE, stage.prepare(identifier, DRIVE, people(range(40))))
    back = ask_back(stage, "fresh")
    stage.clock.forward(days=3)
    deadline = (stage.clock().date() + timedelta(days=11)).isoformat()
    found, said = read(stage)
    (line,) = found.collaborations
    key = key_id(back.identity.public.signing)
    assert line.amendment == Amending(2, ("tasty",))
    assert line.rotation == Rotating(2, "fresh", deadline, ("tasty/readers",))
    assert found.new_keys == (NewKeys("fresh", key, ("tasty",)),)
    assert (found.uploads, found.commitments_behind, found.lacks) == (1, 3, ("the worker does not run",))
    for sentence in (
        "not ready: the worker does not run",
        f"new keys {key} of fresh wait for tasty",
        "uploads that wait for their check: 1",
        "commitments to withdrawals: 3 days behind",
        f"amendment 2 of {identifier} waits for tasty",
        f"epoch 2 of {identifier}, by fresh, until {deadline}: waits for tasty/readers",
    ):
        assert sentence in said
    assert found.disk_used > 10_000
    assert found.disk_free > 0


def test_a_new_room_has_one_leaf(tmp_path: Path) -> None:
    with Stage.make(tmp_path) as stage:
        assert "log: 1 leaf, key" in read(stage)[1]
        stage.join("fresh")
        assert "log: 2 leaves, key" in read(stage)[1]


def test_a_partner_without_an_owner_key_is_named(joined: Stage) -> None:
    with joined.room.catalog() as catalog, catalog.transaction() as connection:
        keys.end(connection, "fresh", key_id(joined.players["fresh"].identity.public.signing), joined.room.now)
    found, said = read(joined)
    assert found.without_key == ("fresh",)
    assert "`cleanroom readmit fresh`" in said
    settings = joined.room.settings
    arguments = ["status", "--json", "--data", str(settings.data), "--keys", str(settings.keys)]
    told = json.loads(CliRunner().invoke(cli, arguments).stdout)
    assert told["without_key"] == ["fresh"]
    assert replace(found, disk_free=0, url="").to_json().keys() == told.keys()


def test_what_is_closed_waits_for_nothing(joined: Stage) -> None:
    over, going = joined.agree(DRIVE, READERS), joined.agree(DRIVE, READERS, name="other")
    with joined.room.catalog() as catalog:
        changes.close(joined.room, catalog, naming.find(catalog, over))
    _, said = read(joined)
    assert f"closed: {over}\n" in said
    (row,) = [line for line in said.splitlines() if "fresh/drive" in line]
    assert row.startswith(going)

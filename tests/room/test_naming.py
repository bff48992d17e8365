"""The operator's commands take a collaboration's id, or its name where that can mean only one."""

import json
from pathlib import Path
from typing import Any

import pytest

from cleanroom.audit.listing import of_export
from cleanroom.failures import EXPECTED
from cleanroom.naming import NotNamed
from tests.room.conftest import Collaboration
from tests.room.losing import lose, of_catalog
from tests.room.stage import DRIVE, READERS, Stage
from tests.room.test_key_commands import operator

NAME = "drive-2026"


def done(stage: Stage, *arguments: str) -> str:
    said = operator(stage, *arguments)
    assert said.exit_code == 0, said.output
    return str(said.output)


def every(stage: Stage, name: str, folder: Path) -> list[list[str]]:
    """Each command that names a collaboration, so that it changes nothing where it is refused."""
    return [
        ["appoint-auditor", "eve", name],
        ["dismiss-auditor", "eve", name],
        ["audit", "list", "--json", "--collab", name],
        ["audit", "export", str(folder / "log.tar"), "--collab", name],
        ["close", name, "--yes"],
    ]


def test_a_name_that_only_one_has(opened: Collaboration, tmp_path: Path) -> None:
    """One after the other, each does its work; what is printed is the id."""
    stage = opened.stage
    appoint, dismiss, listing, export, close = every(stage, NAME, tmp_path)
    assert f"eve may read the log of {opened.id}." in done(stage, *appoint, opened.id)
    assert f"eve audits no longer: {opened.id}." in done(stage, *dismiss, opened.id)
    listed = [json.loads(line) for line in done(stage, *listing).splitlines() if line.startswith("{")]
    assert {line["collaboration"] for line in listed} == {opened.id}
    done(stage, *export)
    opened_bodies = [line.body for line in of_export(tmp_path / "log.tar") if line.body]
    assert opened.id in {body.collaboration for body in opened_bodies}
    assert f"{opened.id} is closed." in done(stage, *close)
    assert stage.players["fresh"].room.collaboration(opened.id).state.value == "closed"
    events = [event for event, _ in stage.leaves()]
    assert (events.count("auditor:appoint"), events.count("auditor:dismiss")) == (1, 1)


def test_a_name_that_several_have_is_refused_with_their_ids(opened: Collaboration, tmp_path: Path) -> None:
    stage = opened.stage
    other = stage.propose(DRIVE, READERS)
    for arguments in every(stage, NAME, tmp_path):
        said = operator(stage, *arguments)
        assert isinstance(said.exception, EXPECTED), arguments
        assert "several" in str(said.exception)
        assert opened.id in str(said.exception)
        assert other in str(said.exception)
    assert not (tmp_path / "log.tar").exists()
    assert f"{other} is closed." in done(stage, "close", other, "--yes")
    # What is closed has given its name free.
    assert f"{opened.id} is closed." in done(stage, "close", NAME, "--yes")


def test_a_name_that_nobody_has(opened: Collaboration, tmp_path: Path) -> None:
    for arguments in every(opened.stage, "nothing", tmp_path):
        if arguments[:2] != ["audit", "list"]:
            with pytest.raises(NotNamed, match="no such collaboration"):
                raise operator(opened.stage, *arguments).exception
    assert "0 entries." in done(opened.stage, *every(opened.stage, "nothing", tmp_path)[2])


def test_the_log_of_a_collaboration_that_a_restore_lost_can_be_listed(opened: Collaboration, tmp_path: Path) -> None:
    """Its entries were taken over, its agreement was not."""
    made = list[str]()

    def proposed(stage: Stage) -> Any:
        made.append(stage.propose(DRIVE, READERS))

    lost = lose(opened, tmp_path, proposed)
    lost.recover(of_catalog(lost))
    listed = done(lost.reopened(), "audit", "list", "--collab", made[0])
    assert "agreement:propose" in listed

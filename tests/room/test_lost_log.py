"""What partners' clients do after a room lost a part of its data, or shows them another log."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cleanroom.audit.events import EventKind
from cleanroom.commitments import commit_days
from partners.cli import main
from partners.known_log import LogRefused
from partners.steps import joining
from partners.steps.status import status
from partners.steps.withdrawals import check_day
from partners.transparency.encoding import decode_base64, encode_base64
from partners.withdrawal import Action
from tests.room.conftest import Collaboration
from tests.room.losing import OVERLAP, STATISTICS, lose, of_catalog
from tests.room.served import Served, set_clock
from tests.room.stage import Stage
from tests.room.withdrawing import emails, matched, send


def test_a_room_that_shows_another_log_is_left_alone(published: Collaboration, tmp_path: Path) -> None:
    """Two copies of one room with both their keys: each grows its own way. Real HTTP; the partner's client stops."""
    for part in ("one", "other"):
        (tmp_path / part).mkdir()
    with published.stage.copy(tmp_path / "other") as other, published.stage.copy(tmp_path / "one") as stage:
        set_clock(stage)
        stage.ask("fresh", published.id, OVERLAP)
        set_clock(other)
        for _ in range(3):
            other.room.note(EventKind.ROOM_START)
        with Served(other, tmp_path / "hooks") as served:
            served.start()
            home = stage.players["fresh"].home
            room = joining.open_room(home, served.transport())
            for _ in range(2):
                with pytest.raises(LogRefused, match="another log than before"):
                    status(home, room)
            room.close()
        evidence = {path.name for path in (home.path / "fork").iterdir()}
        assert {"kept", "shown"} <= evidence


def test_lost_withdrawals_are_sent_again_by_status(exact: Collaboration, tmp_path: Path) -> None:
    """In their order: what was reinstated stays so. What the room still has is not asked for twice."""
    send(exact, emails(range(100, 110)))

    def withdrawn(stage: Stage) -> None:
        send(exact, emails(range(110, 130)))
        send(exact, emails(range(110, 115)), Action.REINSTATE)

    lost = lose(exact, tmp_path, withdrawn)
    lost.recover(of_catalog(lost))
    stage = lost.reopened()
    assert matched(exact) == 190
    home, arguments = str(stage.players["tasty"].home.path), ["status"]
    said = CliRunner().invoke(main, ["--home", home, *arguments], obj=stage.transport())
    assert said.exit_code == 0, said.output
    assert "the room had lost 2 of your batches of withdrawals; they were sent again" in said.stdout
    assert matched(exact) == 175
    again = CliRunner().invoke(main, ["--home", home, *arguments], obj=stage.transport())
    assert "sent again" not in again.output
    names = sorted(path.name for path in Path(home).glob("collaborations/*/withdrawals/*"))
    assert names == ["000001.json", "000002.json", "000003.json"]


def test_a_day_is_checked_under_the_key_that_acknowledged_it(exact: Collaboration, tmp_path: Path) -> None:
    """The day was acknowledged before the new log began, which took the batch over with the backup."""
    send(exact, emails(range(100, 110)))
    day = exact.stage.clock().date().isoformat()
    lost = lose(exact, tmp_path, lambda stage: stage.ask("fresh", exact.id, STATISTICS))
    lost.recover()
    stage = lost.reopened()
    stage.clock.forward(days=1)
    with stage.room.catalog() as catalog:
        commit_days(stage.room, catalog)
    tasty = stage.players["tasty"]
    tasty.room.log.refresh()
    assert check_day(tasty.home, tasty.room, day).batches == 1


def test_the_command_that_accepts_a_new_log(published: Collaboration, tmp_path: Path) -> None:
    """tasty saw more than the backup has, and not the end."""

    def seen(stage: Stage) -> None:
        stage.ask("tasty", published.id, OVERLAP)
        stage.ask("fresh", published.id, OVERLAP)

    lost = lose(published, tmp_path, seen)
    lost.recover()
    stage = lost.reopened()
    root = stage.players["fresh"].home.checkpoint.read_text().splitlines()[2]  # as fresh reads it to tasty

    def run(*arguments: str) -> Result:
        home = str(stage.players["tasty"].home.path)
        return CliRunner().invoke(main, ["--home", home, *arguments], obj=stage.transport())

    for arguments in (["status"], ["accept-log", encode_base64(bytes(32))]):
        said = run(*arguments)
        assert said.exit_code == 1
        assert f"`cleanroom-partner accept-log {root}`" in said.stderr
    for other in ("no", "00" * 32, decode_base64(root).hex()):
        assert run("accept-log", other).exit_code == 2
    said = run("accept-log", root)
    assert said.exit_code == 0, said.output
    assert "room.example/audit-v2" in said.stdout
    assert "new one" not in run("status").output

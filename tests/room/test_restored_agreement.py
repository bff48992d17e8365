"""Partners whose agreement a restored room knows in an older form: nothing else stops, and there is a way back."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from partners.cli import main
from partners.steps import agreements
from partners.steps.agreements import AgreementRefused
from partners.steps.status import status
from tests.room.conftest import Collaboration
from tests.room.losing import Lost, lose
from tests.room.stage import Stage
from tests.room.test_amendments import enter, looser
from tests.room.test_departures import tighten
from tests.room.test_gate import OVERLAP
from tests.room.test_replay_restores import recovered

OTHER = "the room relays another agreement than the one you signed"


@pytest.fixture
def lost(published: Collaboration, tmp_path: Path) -> Lost:
    """An amendment came into force after the backup, and every folder knows it."""

    def meanwhile(stage: Stage) -> None:
        enter(published, looser(published))
        for name in ("fresh", "tasty"):
            assert status(stage.players[name].home, stage.players[name].room)

    return lose(published, tmp_path, meanwhile)


def command(stage: Stage, name: str, *arguments: str) -> Result:
    home = ["--home", str(stage.players[name].home.path)]
    return CliRunner().invoke(main, [*home, *arguments], obj=stage.transport())


def run(stage: Stage, name: str, *arguments: str) -> str:
    done = command(stage, name, *arguments)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_way_back_to_the_agreement_before(lost: Lost) -> None:
    stage = recovered(lost)
    for name in ("fresh", "tasty"):
        player = stage.players[name]
        with pytest.raises(AgreementRefused, match=OTHER):
            agreements.read(player.home, player.room, lost.id)
        (told,) = status(player.home, player.room)
        assert f"`cleanroom-partner agree {lost.id} --restored`" in told.next
        assert "counts again" in run(stage, name, "agree", lost.id, "--restored", "--yes")
        assert agreements.read(player.home, player.room, lost.id).agreement.number == 1
        (told,) = status(player.home, player.room)
        assert "--restored" not in told.next
    enter(Collaboration(stage, lost.id), looser(Collaboration(stage, lost.id)))


def test_terms_that_were_tightened_since_are_tightened_again(published: Collaboration, tmp_path: Path) -> None:
    stage = recovered(lose(published, tmp_path, lambda _: tighten(published, minimum_size=120)))
    tasty = stage.players["tasty"]
    with pytest.raises(AgreementRefused, match="forgotten terms that you tightened"):
        agreements.read(tasty.home, tasty.room, published.id)
    (told,) = status(tasty.home, tasty.room)
    assert f"`cleanroom-partner agree {published.id} --restored`" in told.next
    asked = tmp_path / "request.toml"
    asked.write_text('kind = "overlap"\naudiences = ["fresh/drive", "tasty/readers"]\n')
    for price in ([], ["--dry-run"]):
        done = command(stage, "tasty", "ask", str(asked), "--collab", published.id, *price)
        assert done.exit_code == 1
        assert f"`cleanroom-partner agree {published.id} --restored`" in done.stderr, (
            "nothing is asked under looser terms"
        )
    run(stage, "tasty", "agree", published.id, "--restored", "--yes")
    (told,) = status(tasty.home, tasty.room)
    assert "--restored" not in told.next
    tighten(published, minimum_size=120)
    assert stage.ask("fresh", published.id, OVERLAP).reason == "audience_not_published"


def test_only_an_older_agreement(published: Collaboration) -> None:
    """Without a restore there is nothing to go back to."""
    stage = published.stage
    fresh = stage.players["fresh"]
    before = fresh.home.agreement(published.id)
    enter(published, looser(published))
    with pytest.raises(AgreementRefused, match="not older than the one you signed"):
        agreements.older(fresh.home, fresh.room, published.id)
    assert fresh.home.agreement(published.id) == before

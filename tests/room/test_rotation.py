"""Rotations: the old epoch answers until everybody has moved, then all move at once; nothing is left."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from cleanroom import epochs, jobs
from cleanroom.cli import cli
from partners import notices
from partners.notices import Rotation
from partners.room.connection import RoomRefused
from partners.steps import secret
from partners.steps.secret import SecretRefused
from partners.steps.status import status
from partners.transparency.encoding import encode_base64
from partners.withdrawal import Action
from tests.room import withdrawing
from tests.room.conftest import FRESH, MORE, TASTY, Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people
from tests.room.test_amendments import OVERLAP, refused
from tests.room.withdrawing import emails, overlap


def rotate(at: Collaboration, by: str = "fresh", days: int = 14) -> secret.Accepted:
    player = at.stage.players[by]
    return secret.rotate(player.home, player.room, at.id, at.stage.clock(), days)


def accept(at: Collaboration, by: str = "tasty") -> tuple[secret.Accepted, ...]:
    player = at.stage.players[by]
    return secret.accept(player.home, player.room, at.id, at.stage.clock())


def work(stage: Stage) -> None:
    """A round of the worker."""
    stage.work()
    with stage.room.catalog() as catalog:
        epochs.move_and_destroy(stage.room, catalog)
        jobs.remove_retired(stage.room, catalog)
        epochs.move_and_destroy(stage.room, catalog)


def publish(at: Collaboration, *brands: Any) -> None:
    files = {DRIVE: FRESH, READERS: TASTY, MORE: people(range(100, 120))}
    for brand in brands:
        at.stage.publish(at.id, brand, files[brand])
        work(at.stage)


def epoch(at: Collaboration) -> int:
    return at.stage.players["fresh"].room.collaboration(at.id).epoch


def rekey_keys(at: Collaboration) -> list[str]:
    return sorted(path.name.removeprefix(f"{at.id}.") for path in at.stage.room.settings.keys.glob("*.rekey"))


def test_the_old_epoch_answers_until_the_last_has_moved(exact: Collaboration) -> None:
    stage = exact.stage
    before = overlap(exact)
    assert rotate(exact).epoch == 2
    (taken,) = accept(exact)
    assert (taken.epoch, taken.maker) == (2, "fresh")
    publish(exact, DRIVE, READERS)
    assert (epoch(exact), overlap(exact)) == (1, before)
    found = stage.players["tasty"].room.collaboration(exact.id)
    assert found.rotating is not None
    assert {str(ref) for ref in found.rotating.ready} == {"fresh/drive", "tasty/readers"}
    publish(exact, MORE)
    assert epoch(exact) == 2
    assert stage.players["tasty"].room.collaboration(exact.id).rotating is None
    stage.clock.forward(days=1)
    assert overlap(exact) == before
    assert len(list((stage.room.settings.data / "audiences").iterdir())) == 3
    assert rekey_keys(exact) == ["2.rekey"]
    events = [event for event, _ in stage.leaves()]
    assert [events.count(each) for each in ("secret:rotate", "epoch:move", "epoch:destroy")] == [1, 1, 1]
    for name in ("fresh", "tasty"):
        player = stage.players[name]
        (said,) = status(player.home, player.room)
        assert said.next == "`ask` for a report"
        assert player.home.secret(exact.id, 1) is None
        assert player.home.secret(exact.id, 2) is not None


def test_an_audience_of_the_new_epoch_only_is_refused_and_says_who_is_missing(opened: Collaboration) -> None:
    stage = opened.stage
    stage.publish(opened.id, DRIVE, people(range(300)))
    rotate(opened)
    accept(opened)
    stage.publish(opened.id, READERS, people(range(300)))
    asked = stage.ask("fresh", opened.id, OVERLAP)
    assert asked.reason == "half_rotated"
    assert "(fresh)" in str(asked.explanation)


def test_status_says_what_each_must_do_and_by_when(exact: Collaboration) -> None:
    def said(name: str) -> str:
        player = exact.stage.players[name]
        return status(player.home, player.room)[0].next

    rotate(exact, days=10)
    deadline = (exact.stage.clock().date() + timedelta(days=10)).isoformat()
    assert said("tasty") == f"a new secret by fresh: `secret accept {exact.id}`, by {deadline}"
    accept(exact)
    assert said("tasty") == f"`prepare` and `upload` anew under the new secret, by {deadline}"
    publish(exact, READERS)
    assert said("tasty") == f"wait for fresh to upload under the new secret, until {deadline} at the latest"


def test_on_the_deadline_it_moves_without_those_who_are_missing(exact: Collaboration) -> None:
    stage = exact.stage
    rotate(exact, days=7)
    publish(exact, DRIVE, MORE)
    stage.clock.forward(days=6)
    work(stage)
    assert epoch(exact) == 1
    stage.clock.forward(days=1)
    work(stage)
    assert epoch(exact) == 2
    assert stage.ask("fresh", exact.id, OVERLAP).reason == "audience_not_published"
    (moved,) = [details for event, details in stage.leaves() if event == "epoch:move"]
    assert moved["missing"] == ["tasty/readers"]
    accept(exact)
    publish(exact, READERS)
    assert stage.ask("fresh", exact.id, OVERLAP).released


def test_withdrawals_stand_under_the_new_secret(exact: Collaboration) -> None:
    """Those from before, those during the rotation, and what was taken back; the old questions see them, too."""
    before = overlap(exact)
    withdrawing.send(exact, emails(range(100, 140)))
    withdrawing.send(exact, emails(range(100, 110)), Action.REINSTATE)
    rotate(exact)
    accept(exact)
    publish(exact, READERS)
    withdrawing.send(exact, emails(range(140, 150)))
    exact.stage.clock.forward(days=1)
    assert (epoch(exact), overlap(exact)) == (1, before - 40)
    publish(exact, DRIVE, MORE)
    exact.stage.clock.forward(days=1)
    assert (epoch(exact), overlap(exact)) == (2, before - 40)
    assert exact.stage.rows("select distinct epoch from withdrawn") == [(2,)]


def test_a_file_is_not_published_where_the_list_was_not_sent_again(exact: Collaboration) -> None:
    withdrawing.send(exact, emails(range(100, 140)))
    rotate(exact)
    player = exact.stage.players["tasty"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(secret, "renew", lambda *_: 0)
        secret.accept(player.home, player.room, exact.id, exact.stage.clock())
    version = exact.stage.publish(exact.id, READERS, TASTY)
    assert exact.stage.version(exact.id, READERS, version)["problem"]["reason"] == "withdrawals_missing"


def test_a_rotation_goes_on_after_a_cut(exact: Collaboration) -> None:
    player = exact.stage.players["fresh"]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(secret, "_send_all", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            rotate(exact)
    assert player.home.highest_epoch(exact.id) == 1
    assert accept(exact) == ()
    with pytest.raises(SecretRefused, match="fresh has begun"):
        rotate(exact, by="tasty")
    rotate(exact)
    rotate(exact)
    assert [each.epoch for each in accept(exact)] == [2]
    one, other = (exact.stage.players[name].home.secret(exact.id, 2) for name in ("fresh", "tasty"))
    assert one is not None
    assert one == other


def post(at: Collaboration, by: str, **changed: Any) -> httpx.Response:
    stated = {"epoch": 2, "key_check": "0" * 32, "deadline": "2026-03-21", "created": "2026-03-14T12:00:00Z", **changed}
    notice = Rotation(at.id, by, **stated)
    signature = notices.sign(at.stage.players[by].identity, notice)
    body = {"rotation": notice.to_json(), "signature": encode_base64(signature)}
    with at.stage.http(by) as client:
        return client.post(f"/v1/collaborations/{at.id}/rotations", json=body)


def test_what_begins_no_rotation(opened: Collaboration) -> None:
    refused(post(opened, "fresh", epoch=1), 409, "changed")
    refused(post(opened, "fresh", epoch=3), 409, "changed")
    refused(post(opened, "fresh", deadline="2026-03-20"), 422, "invalid")  # nobody ends others' audiences in six days
    refused(post(opened, "fresh", deadline="2028-03-14"), 422, "invalid")
    refused(post(opened, "sunny"), 404, "not-found")
    assert post(opened, "fresh").status_code == 201
    refused(post(opened, "tasty"), 409, "changed")
    player = opened.stage.players["fresh"]
    with pytest.raises(SecretRefused, match="not in this folder"):  # another secret than the one that was begun
        rotate(opened)
    assert player.home.highest_epoch(opened.id) == 1


def test_an_epoch_that_nobody_signed_is_not_taken(exact: Collaboration) -> None:
    rotate(exact)
    with exact.stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute("update rotations set signature = ?", (bytes(64),))
    with pytest.raises(SecretRefused, match="nobody signed"):
        accept(exact)
    assert exact.stage.players["tasty"].home.highest_epoch(exact.id) == 1


def test_a_file_of_the_epoch_before_comes_too_late(exact: Collaboration) -> None:
    late = exact.stage.prepare(exact.id, READERS, people(range(50)))
    rotate(exact)
    accept(exact)
    publish(exact, DRIVE, READERS, MORE)
    version = exact.stage.upload(READERS, late)
    exact.stage.work()
    assert exact.stage.version(exact.id, READERS, version)["problem"]["reason"] == "wrong_epoch"
    assert rekey_keys(exact) == ["2.rekey"]


def test_a_closed_collaboration_leaves_no_token(exact: Collaboration) -> None:
    withdrawing.send(exact, emails(range(100, 140)))
    settings = exact.stage.room.settings
    folders = ["--data", str(settings.data), "--keys", str(settings.keys)]
    said = CliRunner().invoke(cli, ["close", exact.id, "--yes", *folders])
    assert said.exit_code == 0, said.output
    assert "Lists of withdrawals go with the files" in said.stderr
    work(exact.stage)
    assert rekey_keys(exact) == []
    assert exact.stage.rows("select count(*) from withdrawn") == [(0,)]
    with pytest.raises(RoomRefused, match="ended for you"):
        withdrawing.send(exact, emails(range(10)))
    before = exact.stage.leaves()
    work(exact.stage)
    assert exact.stage.leaves() == before

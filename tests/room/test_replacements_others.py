"""Keys that come back: who is asked for consent, and what anybody else learns of it."""

import tarfile

import pytest

from cleanroom import changes, exporting
from cleanroom.catalog import collaborations
from partners.key_change import Role
from partners.steps import replacing
from partners.steps.keys import KeysRefused
from partners.transparency.encoding import encode_base64
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, VISITS
from tests.room.test_replacements import ask_back, consent


def test_everybody_who_shares_a_collaboration_is_asked_and_nobody_else(published: Collaboration) -> None:
    stage = published.stage
    stage.agree(DRIVE, VISITS)
    stage.join("salty")
    back = ask_back(stage, "fresh")
    (asked,) = back.room.replacements()
    assert asked.missing == ("sunny", "tasty")
    consent(stage, "tasty", "fresh")
    (seen,) = stage.players["sunny"].room.replacements()
    assert (seen.consents, seen.missing) == ((), ("sunny",)), "with whom else fresh works is not sunny's concern"
    with pytest.raises(KeysRefused, match="sunny must consent first"):
        replacing.resume(back.home, back.room)
    assert stage.players["salty"].room.replacements() == ()
    with stage.http("salty") as client:
        body = {"signature": encode_base64(asked.replacement.sign(stage.players["salty"].identity))}
        there = client.post(f"/v1/replacements/{asked.replacement.id}/consents", json=body)
        gone = client.post("/v1/replacements/0123456789abcdef/consents", json=body)
    assert (there.status_code, there.content) == (gone.status_code, gone.content) == (404, there.content)


def test_who_begins_to_share_while_the_keys_wait_is_asked_too(published: Collaboration) -> None:
    """Else one partner that helps, and a well-timed proposal, would do for everybody."""
    stage = published.stage
    ask_back(stage, "fresh")
    stage.agree(DRIVE, VISITS)
    consent(stage, "tasty", "fresh")
    events = [event for event, _ in stage.leaves()]
    assert (events.count("key:consent"), events.count("key:replace")) == (1, 0)
    consent(stage, "sunny", "fresh")
    assert [event for event, _ in stage.leaves()].count("key:replace") == 1


def test_an_auditor_of_one_collaboration_does_not_learn_of_the_other(published: Collaboration) -> None:
    stage = published.stage
    other = stage.agree(DRIVE, VISITS)
    ask_back(stage, "fresh")
    for name in ("tasty", "sunny"):
        consent(stage, name, "fresh")
    path = stage.folder / "log.tar"
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, path, (published.id,))
    with tarfile.open(path) as archive:
        bodies = archive.extractfile("bodies.jsonl")
        assert bodies is not None
        read = bodies.read().decode()
    assert "key:replace" in read
    assert "key:consent" not in read
    assert not any(told in read for told in ("sunny", other))


def test_a_key_that_waits_sees_its_own_request_only(published: Collaboration) -> None:
    stage = published.stage
    back = ask_back(stage, "fresh")
    ask_back(stage, "tasty")
    found = back.room.replacements()
    assert [each.replacement.partner for each in found] == ["fresh"]


def test_two_that_both_lost_everything_come_back_without_each_other(published: Collaboration) -> None:
    """Neither can consent to the other. Their secret is lost with them, so the operator closes what they shared."""
    stage = published.stage
    for name in ("fresh", "tasty"):
        assert ask_back(stage, name, "first").home.room().role is Role.WAITING
    with stage.room.catalog() as catalog:
        found = collaborations.get(catalog, published.id)
        assert found is not None
        changes.close(stage.room, catalog, found)
    for name in ("fresh", "tasty"):
        assert ask_back(stage, name, "second").home.room().role is Role.OWNER

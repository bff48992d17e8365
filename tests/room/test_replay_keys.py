"""The replay of who may ask, and who may decide: an operator who lets a key go on, or do more than its role, is found
out by the log.
"""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from cleanroom.audit.events import EventKind
from cleanroom.catalog import keys, replacements, reports
from partners.key_change import OVERLAP_SECONDS, Role
from partners.keys import Identity, key_id
from partners.steps import keys as steps
from partners.steps import reporting
from partners.transparency.encoding import encode_base64
from policies import agreement as agreements
from policies import canonical, request
from tests.room.conftest import Collaboration
from tests.room.losing import lose
from tests.room.stage import Player, Stage
from tests.room.test_gate import OVERLAP
from tests.room.test_keys import colleague, rotate
from tests.room.test_replacements import ask_back
from tests.room.test_replay import forge, found, verified

KEY = [("decision:repeat", "key")]


def asks(player: Player, at: Collaboration) -> None:
    assert reporting.ask(player.home, player.room, at.id, request.from_json(dict(OVERLAP))).released


def doctored(stage: Stage, change: str, key: str) -> None:
    """What an operator does to the catalog by hand."""
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute(f"update keys set {change} where id = ?", (key,))


def revoked(stage: Stage, player: Player) -> str:
    owner = stage.players[player.name]
    return steps.revoke(owner.home, owner.room, key_id(player.identity.public.signing), stage.clock())


def test_a_revoked_key_that_still_asks(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    ada = colleague(stage, "fresh", Role.MARKETER)
    asks(ada, published)
    doctored(stage, "over = 0, ends = null", revoked(stage, ada))
    asks(ada, published)
    assert found(stage) == [], "the question may have come before"
    stage.clock.forward(seconds=61)
    asks(ada, published)
    assert found(stage) == KEY


def test_a_rotated_key_that_still_asks(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    home = stage.players["fresh"].home
    old = home.identity()
    rotate(stage, "fresh")
    stage.clock.forward(seconds=OVERLAP_SECONDS - 1)
    ask_with(stage, published, old)
    assert found(stage) == []
    doctored(stage, "ends = null", key_id(old.public.signing))
    stage.clock.forward(seconds=62)
    ask_with(stage, published, old)
    assert [what for _, what in found(stage)] == ["key"]


def test_a_revoked_key_stays_so_where_the_clock_is_put_right(published: Collaboration) -> None:
    """It was revoked while the clock ran two hours ahead."""
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    ada = colleague(stage, "fresh", Role.MARKETER)
    stage.clock.forward(hours=2)
    identifier = revoked(stage, ada)
    stage.clock.forward(hours=-2)
    assert stage.sign_in(stage.assertion("fresh", ada.identity)).status_code == 401
    doctored(stage, "over = 0, ends = null", identifier)
    asks(ada, published)
    assert found(stage) == KEY


def test_a_rotated_key_that_has_ended_is_revoked_for_good(published: Collaboration) -> None:
    """It ended by a clock that ran a week ahead; it is revoked then, and the clock is put right."""
    stage = published.stage
    old = stage.players["fresh"].home.identity()
    rotate(stage, "fresh")
    stage.clock.forward(seconds=OVERLAP_SECONDS + 10)
    owner = stage.players["fresh"]
    for _ in range(2):  # twice is harmless
        steps.revoke(owner.home, owner.room, key_id(old.public.signing), stage.clock())
    assert [event for event, _ in stage.leaves()].count("key:revoke") == 1
    stage.clock.forward(seconds=-OVERLAP_SECONDS)
    assert stage.sign_in(stage.assertion("fresh", old)).status_code == 401


def ask_with(stage: Stage, at: Collaboration, identity: Identity) -> None:
    with stage.anybody() as client:
        client.headers["Authorization"] = f"Bearer {stage.token('fresh', identity)}"
        answer = client.post(f"/v1/collaborations/{at.id}/reports", json=request.from_json(dict(OVERLAP)).to_json())
    assert answer.status_code in (200, 201), answer.text


def test_a_key_that_may_not_ask(published: Collaboration) -> None:
    """The log gave it another role than the catalog has by now."""
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    eve = colleague(stage, "fresh", Role.AUDITOR)
    doctored(stage, "role = 'marketer'", key_id(eve.identity.public.signing))
    asks(eve, published)
    assert found(stage) == KEY


def test_what_was_revoked_since_the_backup_stays_so(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    ada = colleague(stage, "fresh", Role.MARKETER)
    lost = lose(published, tmp_path, lambda stage: revoked(stage, ada))
    lost.recover(lost.newer / "catalog.sqlite")
    stage = lost.reopened()
    doctored(stage, "over = 0, ends = null", key_id(ada.identity.public.signing))
    stage.clock.forward(seconds=61)
    asks(ada, published)
    assert found(stage) == KEY


def test_a_key_of_after_the_backup_is_nobodys(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    late: list[Player] = []
    lost = lose(published, tmp_path, lambda stage: late.append(colleague(stage, "fresh", Role.MARKETER)))
    lost.recover(lost.newer / "catalog.sqlite")
    stage, identity = lost.reopened(), late[0].identity
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        keys.add(connection, "fresh", Role.MARKETER, identity.public.signing, None, stage.room.now)
    asks(late[0], published)
    assert found(stage) == [("decision:repeat", "asker")]


def test_a_key_that_was_rotated_away_proposes_no_agreement(published: Collaboration) -> None:
    """Its signature would not be one of the key that the agreement names: no export of the log would hold again."""
    stage = published.stage
    old = stage.players["fresh"].home.identity()
    rotate(stage, "fresh")
    new, before = stage.players["fresh"].identity.public, stage.agreement(published.id)
    fresh = replace(before.party("fresh"), signing_key=new.signing, sealing_key=new.sealing)
    proposed = replace(before, id="other", parties=(fresh, before.party("tasty")))
    signed = encode_base64(old.sign("agreement/v1", proposed.canonical()))
    with stage.anybody() as client:
        client.headers["Authorization"] = f"Bearer {stage.token('fresh', old)}"
        body = {"agreement": agreements.to_json(proposed), "signature": signed}
        answer = client.post("/v1/collaborations", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/bad-agreement")
    assert found(stage) == []


def grant_with(stage: Stage, identity: Identity) -> None:
    """A grant of fresh's that the operator takes, whatever key signed it; its entry names the owner's key."""
    grant = {"partner": "fresh", "epsilon": 5, "serial": 1, "created": "2026-03-14T12:00:00Z"}
    payload = canonical.dumps(grant)
    sha256 = hashlib.sha256(payload).hexdigest()
    forge(stage, EventKind.BUDGET_GRANT, None, "fresh", partner="fresh", micro=5, serial=1, grant=sha256)
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        signed = identity.sign("grant/v1", payload)
        reports.grant(connection, "fresh", 1, 5, payload, signed, stage.room.stamp(), len(stage.leaves()) - 1)


def test_a_grant_that_a_marketer_signed(published: Collaboration) -> None:
    grant_with(published.stage, colleague(published.stage, "fresh", Role.MARKETER).identity)
    assert next(each.name for each in verified(published.stage).checks if not each.passed) == "documents"


def test_a_grant_that_a_key_signed_which_had_ended(published: Collaboration) -> None:
    stage = published.stage
    old = stage.players["fresh"].home.identity()
    rotate(stage, "fresh")
    stage.clock.forward(seconds=OVERLAP_SECONDS + 100)
    grant_with(stage, old)
    assert found(stage) == [("budget:grant", "grant")]


def test_new_keys_to_which_nobody_consented(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator's code alone would give it the keys of a partner, and so its questions and grants."""
    monkeypatch.setattr(replacements, "sharing", lambda *_: [])
    ask_back(published.stage, "tasty")
    assert found(published.stage) == [("key:replace", "consent")]

"""Terms tightened alone, leaving, closing: in force at once, logged, and nothing else changes."""

from dataclasses import replace
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from cleanroom import changes, jobs
from cleanroom.catalog import changes as recorded
from cleanroom.catalog import collaborations
from partners import notices
from partners.cli import main
from partners.key_change import Role
from partners.notices import Leaving, Tightening
from partners.proposal import BadProposal
from partners.room.connection import RoomRefused
from partners.steps import agreements, naming
from partners.steps import changes as steps
from partners.steps.agreements import AgreementRefused, Standing
from partners.steps.changes import NotTighter
from partners.steps.status import status
from partners.transparency.encoding import encode_base64
from policies.purpose import Purpose
from policies.terms import Kind, Terms
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, VISITS, Stage, people
from tests.room.test_amendments import OVERLAP, looser, propose, refused, sign
from tests.room.test_keys import colleague

CREATED = "2026-03-14T12:00:00Z"


def tighten(at: Collaboration, by: str = "tasty", **stated: Any) -> Standing:
    player = at.stage.players[by]
    return steps.tighten(player.home, player.room, at.id, Terms(**stated), at.stage.clock())


def leave(at: Collaboration, by: str) -> steps.Left:
    player = at.stage.players[by]
    return steps.leave(player.home, player.room, player.room.collaboration(at.id), at.stage.clock())


def post(at: Collaboration, by: str, route: str, body: dict[str, Any]) -> httpx.Response:
    with at.stage.http(by) as client:
        return client.post(f"/v1/collaborations/{at.id}/{route}", json=body)


def test_tightened_terms_hold_for_everybody_at_once(published: Collaboration) -> None:
    stage = published.stage
    first = stage.ask("fresh", published.id, OVERLAP)
    assert stage.ask("fresh", published.id, OVERLAP).free
    standing = tighten(published, minimum_size=120)
    assert standing.in_force.terms.minimum_size == 120
    fresh = stage.players["fresh"]
    assert agreements.read(fresh.home, fresh.room, published.id).in_force == standing.in_force
    asked = stage.ask("fresh", published.id, OVERLAP)
    assert not asked.free
    assert "minimum size of 120 people (set by tasty)" in str(asked.explanation)
    assert "minimum size of 50" in str(fresh.room.report(str(first.id)).explanation)
    (details,) = [details for event, details in stage.leaves() if event == "agreement:tighten"]
    assert (details["partner"], details["serial"]) == ("tasty", 1)
    assert stage.leaves()[-1][1]["terms"] != stage.leaves()[-1][1]["agreement"]


def test_only_tighter(opened: Collaboration) -> None:
    tighten(opened, minimum_size=120)
    with pytest.raises(NotTighter, match="looser"):
        tighten(opened, minimum_size=100)
    assert tighten(opened, minimum_size=120, retention_days=30).in_force.terms.retention_days == 30
    assert [event for event, _ in opened.stage.leaves()].count("agreement:tighten") == 2


def typed(at: Collaboration, *arguments: str, answer: str | None = None) -> Result:
    """A command of tasty's."""
    home = ["--home", str(at.stage.players["tasty"].home.path)]
    return CliRunner().invoke(main, [*home, *arguments], input=answer, obj=at.stage.transport())


NOTHING = "Nothing can be asked there from then on, and only an amendment that everybody signs changes that."


@pytest.mark.parametrize("term", ["kinds=[]", 'purposes=["modelling"]'])
def test_who_leaves_nothing_to_be_asked_is_told_before_it_does(published: Collaboration, term: str) -> None:
    """Also where it is all terms together that leave nothing. `status` says what helps, to everybody."""
    stage = published.stage
    tighten(published, "fresh", kinds=frozenset({Kind.OVERLAP}), purposes=frozenset({Purpose.INSIGHTS}))

    def following() -> set[str]:
        return {each.next for player in stage.players.values() for each in status(player.home, player.room)}

    before = stage.leaves()
    told = typed(published, "tighten", published.id, 'kinds=["overlap"]', "minimum_size=70", answer="no\n")
    assert NOTHING not in told.output
    assert following() == {"`ask` for a report"}
    told = typed(published, "tighten", published.id, term, answer="no\n")
    assert NOTHING in told.stdout
    assert "did not type yes" in told.stderr
    assert stage.leaves() == before
    assert typed(published, "tighten", published.id, term, "--yes").exit_code == 0
    assert following() == {"nothing can be asked under the terms in force: `amend`"}
    marketer = colleague(stage, "fresh", Role.MARKETER)
    (found,) = status(marketer.home, marketer.room)
    assert found.next == "nothing can be asked under the terms in force: an owner key of fresh can `amend`"
    assert propose(published, looser(published)).status_code == 201
    fresh = stage.players["fresh"]
    (found,) = status(fresh.home, fresh.room)
    assert found.next.endswith("wait until everybody has signed the amendment")


def test_what_cannot_be_tightened_alone_is_said_before_the_question(opened: Collaboration) -> None:
    tighten(opened, minimum_size=120)
    told = typed(opened, "tighten", opened.id, "minimum_size=100", answer="yes\n")
    assert told.exit_code == 1
    assert "looser than before in minimum_size" in told.stderr
    assert "Type yes" not in told.stderr


def test_an_amendment_that_changes_nothing_is_not_proposed(opened: Collaboration) -> None:
    """Nor is one that only writes down what was tightened: nothing that holds would change."""
    fresh = opened.stage.players["fresh"]
    for minimum_size in (None, 120):
        if minimum_size:
            tighten(opened, minimum_size=minimum_size)
        with pytest.raises(BadProposal, match="nothing to amend"):
            agreements.renew_keys(fresh.home, fresh.room, opened.id)
    assert "agreement:amend" not in [event for event, _ in opened.stage.leaves()]


def signed(at: Collaboration, by: str = "tasty", **changed: Any) -> dict[str, Any]:
    found = at.stage.players[by].room.collaboration(at.id)
    stated = {"agreement": found.agreement_sha256, "serial": 1, "terms": Terms(minimum_size=120), **changed}
    notice = Tightening(at.id, by, created=CREATED, **stated)
    signature = notices.sign(at.stage.players[by].identity, notice)
    return {"tightening": notice.to_json(), "signature": encode_base64(signature)}


def test_what_the_room_does_not_take(opened: Collaboration) -> None:
    good = signed(opened)
    refused(post(opened, "fresh", "tightenings", good), 422, "invalid")
    refused(post(opened, "sunny", "tightenings", good), 404, "not-found")
    refused(post(opened, "tasty", "tightenings", {**good, "signature": encode_base64(bytes(64))}), 403, "bad-signature")
    refused(post(opened, "tasty", "tightenings", signed(opened, serial=2)), 409, "changed")
    refused(post(opened, "tasty", "tightenings", signed(opened, agreement="0" * 64)), 409, "changed")
    refused(
        post(opened, "tasty", "tightenings", {**good, "tightening": {**good["tightening"], "more": 1}}), 422, "invalid"
    )
    assert post(opened, "tasty", "tightenings", good).status_code == 201
    refused(post(opened, "tasty", "tightenings", good), 409, "changed")
    weaker = signed(opened, serial=2, terms=Terms(minimum_size=110))
    refused(post(opened, "tasty", "tightenings", weaker), 422, "not-tighter")


def test_in_threshold_mode_steps_are_multiples_of_the_rounding(joined: Stage) -> None:
    at = Collaboration(joined, joined.agree(DRIVE, READERS, mode="threshold", rounding=10, minimum_size=50))
    with pytest.raises(NotTighter, match="multiple of 10"):
        tighten(at, minimum_size=51)
    refused(post(at, "tasty", "tightenings", signed(at, terms=Terms(minimum_size=51))), 422, "not-tighter")
    assert tighten(at, minimum_size=60).in_force.terms.minimum_size == 60


def test_a_signature_from_before_loosens_nothing_that_was_tightened_since(opened: Collaboration) -> None:
    """tasty signs the amendment, then tightens; fresh's signature would be the last one."""
    assert propose(opened, looser(opened), by="tasty").status_code == 201
    tighten(opened, minimum_size=120)
    assert opened.stage.players["fresh"].room.collaboration(opened.id).amendment is None
    assert opened.stage.players["tasty"].home.amendments(opened.id) == ()
    # The same bytes, proposed again by fresh, lack tasty's signature.
    propose(opened, looser(opened), by="fresh")
    found = opened.stage.players["fresh"].room.collaboration(opened.id)
    assert found.amendment is not None
    assert [name for name, _ in found.amendment.signatures] == ["fresh"]
    # Once tasty signs again, its tightening ends with the agreement that it was about.
    sign(opened, "tasty")
    player = opened.stage.players["tasty"]
    assert agreements.read(player.home, player.room, opened.id).in_force.terms.minimum_size == 40


def test_a_room_that_uses_a_signature_from_before_is_noticed(opened: Collaboration) -> None:
    """tasty signed the amendment and tightened after it; the room puts it in force all the same."""
    proposed = looser(opened)
    propose(opened, proposed, by="tasty")
    signature = opened.stage.players["fresh"].identity.sign("agreement/v1", proposed.canonical())
    tighten(opened, minimum_size=120)
    with opened.stage.room.catalog() as catalog, catalog.transaction() as connection:
        recorded.sign(connection, opened.id, proposed.sha256(), "fresh", signature, CREATED)
        recorded.enter(connection, opened.id, proposed.sha256(), CREATED)
    player = opened.stage.players["tasty"]
    with pytest.raises(AgreementRefused, match="another agreement than the one you signed"):
        agreements.read(player.home, player.room, opened.id)


def test_a_room_that_forgets_a_tightening_is_noticed(opened: Collaboration) -> None:
    tighten(opened, minimum_size=120)
    with opened.stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute("delete from tightenings")
    player = opened.stage.players["tasty"]
    with pytest.raises(AgreementRefused, match="forgotten"):
        agreements.read(player.home, player.room, opened.id)


def test_shorter_retention_ends_versions_that_are_there(published: Collaboration) -> None:
    stage = published.stage
    tighten(published, retention_days=3)
    stage.clock.forward(days=2)
    with stage.room.catalog() as catalog:
        jobs._sweep(stage.room, catalog)
        assert stage.rows("select count(*) from versions where state = 'published'") == [(2,)]
        stage.clock.forward(days=1)
        jobs._sweep(stage.room, catalog)
        jobs.remove_retired(stage.room, catalog)
    assert stage.rows("select count(*) from versions where state = 'published'") == [(0,)]
    assert list((stage.room.settings.data / "audiences").iterdir()) == []


@pytest.fixture
def three(joined: Stage) -> Collaboration:
    identifier = joined.agree(DRIVE, READERS, VISITS)
    joined.share_secret(identifier)
    for brand in (DRIVE, READERS, VISITS):
        joined.publish(identifier, brand, people(range(300)))
    return Collaboration(joined, identifier)


def test_who_leaves_takes_its_audiences_along_and_nothing_else(three: Collaboration) -> None:
    stage = three.stage
    asked = stage.ask("fresh", three.id, {"kind": "overlap", "audiences": ["fresh/drive", "sunny/visits"]})
    left = leave(three, "sunny")
    assert ([str(ref) for ref in left.ended], left.closed) == (["sunny/visits"], False)
    assert left.staying == ("fresh", "tasty")
    with stage.room.catalog() as catalog:
        jobs.remove_retired(stage.room, catalog)
    assert len(list((stage.room.settings.data / "audiences").iterdir())) == 2
    after = stage.ask("fresh", three.id, {"kind": "overlap", "audiences": ["fresh/drive", "sunny/visits"]})
    assert (after.reason, "(sunny)" in str(after.explanation)) == ("partner_left", True)
    assert stage.ask("tasty", three.id, OVERLAP).released
    assert stage.ask("sunny", three.id, OVERLAP).reason == "partner_left"
    sunny = stage.players["sunny"].room
    assert sunny.report(str(asked.id)).released
    assert [each.id for each in sunny.reports(three.id)] == [asked.id]
    with pytest.raises(RoomRefused, match="no report with this id"):
        sunny.report(str(stage.ask("tasty", three.id, OVERLAP).id))
    (said,) = status(stage.players["sunny"].home, sunny)
    assert said.next == "nothing: you have left it"


def test_who_has_left_can_add_nothing(three: Collaboration) -> None:
    stage = three.stage
    version = stage.upload(VISITS, stage.prepare(three.id, VISITS, people(range(40))))
    leave(three, "sunny")
    stage.work()
    assert stage.version(three.id, VISITS, version)["problem"]["reason"] == "collaboration_ended"
    refused(propose(three, looser(three), by="sunny"), 409, "closed")
    refused(post(three, "sunny", "tightenings", signed(three, by="sunny")), 409, "closed")
    with pytest.raises(RoomRefused, match="ended for you"):
        stage.upload(VISITS, stage.prepare(three.id, VISITS, people(range(41))))


def test_those_who_stay_amend_without_the_one_who_left(three: Collaboration) -> None:
    leave(three, "sunny")
    before = looser(three)
    refused(propose(three, before), 422, "bad-agreement")
    proposed = replace(
        before,
        parties=tuple(each for each in before.parties if each.name != "sunny"),
        audiences=tuple(each for each in before.audiences if each.ref.owner != "sunny"),
    )
    assert propose(three, proposed).status_code == 201
    sign(three, "tasty")
    assert three.stage.agreement(three.id) == proposed
    assert three.stage.ask("fresh", three.id, OVERLAP).released


def test_leaving_twice_and_with_anothers_name(three: Collaboration) -> None:
    leave(three, "sunny")
    before = three.stage.leaves()
    leave(three, "sunny")
    assert three.stage.leaves() == before
    notice = Leaving(three.id, "tasty", CREATED)
    body = {"leaving": notice.to_json(), "signature": encode_base64(bytes(64))}
    refused(post(three, "fresh", "departures", body), 422, "invalid")
    refused(post(three, "tasty", "departures", body), 403, "bad-signature")


def test_the_last_but_one_who_leaves_closes(published: Collaboration) -> None:
    stage = published.stage
    asked = stage.ask("fresh", published.id, OVERLAP)
    leave(published, "tasty")
    assert stage.players["fresh"].room.collaboration(published.id).state.value == "closed"
    assert stage.ask("fresh", published.id, OVERLAP).reason == "collaboration_closed"
    assert stage.players["fresh"].room.report(str(asked.id)).figures == asked.figures
    assert stage.rows("select count(*) from versions where state = 'published'") == [(0,)]


def command(at: Collaboration, by: str) -> str:
    arguments = ["--home", str(at.stage.players[by].home.path), "leave", at.id, "--yes"]
    said = CliRunner().invoke(main, arguments, obj=at.stage.transport())
    assert said.exit_code == 0, said.output
    return said.stdout


def test_who_closes_by_leaving_is_promised_nothing(published: Collaboration) -> None:
    """A closed collaboration takes no withdrawals, and nobody is left who could make a new secret."""
    said = command(published, "tasty")
    assert "ended: tasty/readers." in said
    assert "closed" in said
    assert "withdraw" not in said
    assert "secret" not in said
    assert command(published, "tasty") == said.replace(
        "ended: tasty/readers. The room's worker removes the files within a minute.", "you had no published audience."
    )


def test_who_declines_a_proposal_tells_nobody_of_a_secret(joined: Stage) -> None:
    """Three partners: two would be left, but there was no agreement yet."""
    said = command(Collaboration(joined, joined.propose(DRIVE, READERS, VISITS)), "sunny")
    assert said.startswith("left drive-2026-")
    assert "the proposal is closed by that, for everybody" in said
    assert "audience" not in said
    assert "report" not in said
    assert "secret" not in said


def test_a_proposal_that_opens_during_the_question_is_not_said_to_be_closed(
    joined: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = Collaboration(joined, joined.propose(DRIVE, READERS, VISITS))

    def agree(name: str) -> None:
        player = joined.players[name]
        agreements.agree(player.home, player.room, agreements.read(player.home, player.room, at.id))

    agree("sunny")
    monkeypatch.setattr("partners.commands.changes.confirm", lambda *_: agree("tasty"))
    said = command(at, "sunny")
    assert joined.players["fresh"].room.collaboration(at.id).state.value == "open"
    assert "closed" not in said
    assert "Tell fresh and tasty" in said


def test_who_leaves_others_behind_may_still_withdraw(three: Collaboration) -> None:
    said = command(three, "sunny")
    assert "withdraw and erase" in said
    assert "Tell fresh and tasty" in said
    assert "closed" not in said


def test_what_was_left_is_left_again_without_a_question(three: Collaboration) -> None:
    assert typed(three, "leave", three.id, answer="yes\n").stderr.endswith("Leave? Type yes: ")
    again = typed(three, "leave", three.id)
    assert (again.exit_code, again.stderr) == (0, "")
    assert again.stdout.startswith(f"left {three.id}; ")


def test_what_others_have_closed_is_not_left(published: Collaboration) -> None:
    """No question about something that cannot be done."""
    stage = published.stage
    leave(published, "tasty")
    home = stage.players["fresh"].home
    arguments = ["--home", str(home.path), "leave", published.id]
    before = stage.leaves()
    said = CliRunner().invoke(main, arguments, obj=stage.transport())
    assert (said.exit_code, said.stdout) == (1, "")
    assert said.stderr == f"error: {published.id} is closed already; there is nothing to leave\n"
    assert stage.leaves() == before
    assert home.running() == ()


def test_of_two_proposals_the_older_one_is_taken_away(joined: Stage) -> None:
    """As `propose` says it: then the name means the new one, for everybody."""
    older = Collaboration(joined, joined.propose(DRIVE, READERS))
    newer = joined.propose(DRIVE, READERS)
    command(older, "fresh")
    for player in (joined.players["fresh"], joined.players["tasty"]):
        assert naming.find_only(player.room, "drive-2026").id == newer
    assert joined.players["fresh"].home.running() == (newer,)


def test_leaving_a_proposal_declines_it(joined: Stage) -> None:
    at = Collaboration(joined, joined.propose(DRIVE, READERS))
    leave(at, "tasty")
    player = joined.players["tasty"]
    assert player.room.collaboration(at.id).state.value == "closed"
    with pytest.raises(RoomRefused, match="ended for you"):
        agreements.agree(player.home, player.room, agreements.read(player.home, player.room, at.id))


def test_the_operator_closes(published: Collaboration) -> None:
    stage = published.stage
    with stage.room.catalog() as catalog:
        found = collaborations.get(catalog, published.id)
        assert found is not None
        changes.close(stage.room, catalog, found)
        jobs.remove_retired(stage.room, catalog)
    assert list((stage.room.settings.data / "audiences").iterdir()) == []
    assert stage.ask("fresh", published.id, OVERLAP).reason == "collaboration_closed"
    events = [event for event, _ in stage.leaves()][-4:]
    assert events == ["collaboration:close", "audience:retire", "audience:retire", "decision:refuse"]

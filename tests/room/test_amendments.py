"""Amendments: proposed by one, in force with the last signature, at once; what they end; what they cannot do."""

import shutil
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from partners.cli import main
from partners.difference import Direction, difference
from partners.home import Home
from partners.steps import agreements
from partners.steps.agreements import AgreementRefused
from partners.steps.joining import open_room
from partners.steps.status import status
from partners.transparency.encoding import encode_base64
from policies import agreement as documents
from policies.agreement import Agreement, Attribute
from policies.terms import Terms
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Brand, people

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def amended(at: Collaboration, **changes: Any) -> Agreement:
    """The agreement in force, as an amendment with other contents."""
    before: Agreement = at.stage.agreement(at.id)
    return replace(before, number=before.number + 1, previous=before.sha256(), **changes)


def looser(at: Collaboration) -> Agreement:
    before = at.stage.agreement(at.id)
    return amended(at, base=replace(before.base, minimum_size=40))


def propose(at: Collaboration, proposed: Agreement, by: str = "fresh", **changes: Any) -> httpx.Response:
    player = at.stage.players[by]
    player.home.save_amendment(at.id, proposed.canonical())
    body = {
        "agreement": documents.to_json(proposed),
        "signature": encode_base64(player.identity.sign("agreement/v1", proposed.canonical())),
        **changes,
    }
    with at.stage.http(by) as client:
        return client.post(f"/v1/collaborations/{at.id}/amendments", json=body)


def sign(at: Collaboration, by: str) -> agreements.Standing:
    """As `agree` does."""
    player = at.stage.players[by]
    waiting = agreements.waiting(player.home, player.room, agreements.read(player.home, player.room, at.id))
    assert waiting is not None
    return agreements.agree_to_amendment(player.home, player.room, waiting)


def enter(at: Collaboration, proposed: Agreement) -> None:
    assert propose(at, proposed).status_code == 201
    sign(at, "tasty")


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def test_in_force_with_the_last_signature_and_not_before(published: Collaboration) -> None:
    stage, before = published.stage, published.stage.agreement(published.id)
    proposed = looser(published)
    answer = propose(published, proposed)
    assert (answer.status_code, answer.json()["amendment"]["number"]) == (201, 2)
    assert stage.agreement(published.id) == before
    asked = stage.ask("fresh", published.id, OVERLAP)
    sign(published, "tasty")
    assert stage.agreement(published.id) == proposed
    found = stage.players["fresh"].room.collaboration(published.id)
    assert (found.agreement_sha256, found.amendment) == (proposed.sha256(), None)
    assert {name for name, _ in found.signatures} == {"fresh", "tasty"}
    assert [event for event, _ in stage.leaves()][-2:] == ["agreement:sign", "agreement:open"]
    # The same question is another measurement, and the older report keeps what it was made under.
    again = stage.ask("fresh", published.id, OVERLAP)
    assert not again.free
    kept = stage.players["fresh"].room.report(str(asked.id))
    assert "minimum size of 50" in str(kept.explanation)
    assert "minimum size of 40" in str(again.explanation)


def test_everybody_reads_the_amendment_as_the_agreement_that_counts(published: Collaboration) -> None:
    proposed = looser(published)
    enter(published, proposed)
    for name in ("fresh", "tasty"):
        player = published.stage.players[name]
        assert agreements.read(player.home, player.room, published.id).agreement == proposed
        assert player.home.agreement(published.id) == proposed.canonical()
        assert player.home.amendments(published.id) == ()


def test_audiences_whose_columns_change_end_and_the_others_stay(published: Collaboration) -> None:
    stage, before = published.stage, published.stage.agreement(published.id)
    drive, readers = before.audiences
    genre = Attribute("genre", ("food", "news", "sport"))
    enter(published, amended(published, audiences=(drive, replace(readers, attributes=(genre,)))))
    found = stage.players["tasty"].room.collaboration(published.id)
    assert [str(ref) for ref, version in found.audiences if version] == ["fresh/drive"]
    assert [event for event, _ in stage.leaves()][-2:] == ["agreement:open", "audience:retire"]
    (said,) = status(stage.players["tasty"].home, stage.players["tasty"].room)
    assert "prepare" in said.next
    assert stage.ask("fresh", published.id, OVERLAP).reason == "audience_not_published"
    wider = Brand("tasty", "readers", READERS.keys, ("genre", ("food", "news", "sport")), READERS.measure)
    stage.publish(published.id, wider, people(range(100, 400)))
    assert stage.ask("fresh", published.id, OVERLAP).released


def test_a_file_that_was_checked_under_the_agreement_before_is_not_published(opened: Collaboration) -> None:
    stage, before = opened.stage, opened.stage.agreement(opened.id)
    version = stage.upload(DRIVE, stage.prepare(opened.id, DRIVE, people(range(30))))
    drive, readers = before.audiences
    enter(opened, amended(opened, audiences=(replace(drive, attributes=()), readers)))
    stage.work()
    assert stage.version(opened.id, DRIVE, version)["problem"]["reason"] == "columns_mismatch"


def test_an_amendment_during_the_check_is_seen_in_the_last_moment(
    opened: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, before = opened.stage, opened.stage.agreement(opened.id)
    drive, readers = before.audiences
    version = stage.upload(DRIVE, stage.prepare(opened.id, DRIVE, people(range(30))))
    engine, proposed = type(stage.room.engine), amended(opened, audiences=(replace(drive, attributes=()), readers))
    publish = engine.publish

    def late(*arguments: Any) -> None:
        publish(*arguments)
        enter(opened, proposed)

    monkeypatch.setattr(engine, "publish", late)
    stage.work()
    assert stage.version(opened.id, DRIVE, version)["problem"]["reason"] == "columns_mismatch"
    assert list((stage.room.settings.data / "audiences").iterdir()) == []


def test_what_is_no_amendment_of_this_agreement(opened: Collaboration) -> None:
    stage, before, good = opened.stage, opened.stage.agreement(opened.id), looser(opened)
    for proposed in (
        replace(good, number=3),
        replace(good, previous="0" * 64),
        replace(good, id="other"),
        replace(good, name="other"),
        replace(good, floor=Terms()),
    ):
        refused(propose(opened, proposed), 422, "bad-agreement")
    refused(propose(opened, replace(before, base=good.base)), 422, "bad-agreement")  # not an amendment at all
    refused(propose(opened, good, by="tasty", signature=encode_base64(bytes(64))), 403, "bad-signature")
    refused(propose(opened, good, by="sunny"), 404, "not-found")
    third = replace(before.parties[1], name="sunny")
    keys = stage.players["sunny"].identity.public
    third = replace(third, signing_key=keys.signing, sealing_key=keys.sealing)
    refused(propose(opened, replace(good, parties=(*before.parties, third))), 422, "bad-agreement")
    assert stage.agreement(opened.id) == before


def test_an_older_agreement_cannot_come_back(opened: Collaboration) -> None:
    first = opened.stage.agreement(opened.id)
    enter(opened, looser(opened))
    second = opened.stage.agreement(opened.id)
    refused(propose(opened, replace(second, base=first.base)), 422, "bad-agreement")
    player = opened.stage.players["tasty"]
    with opened.stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute(
            "update collaborations set agreement = ?, agreement_sha256 = ?", (first.canonical(), first.sha256())
        )
        connection.execute(
            "update parties set signature = (select signature from agreement_signatures s"
            " where s.partner = parties.partner and s.sha256 = ?)",
            (first.sha256(),),
        )
    with pytest.raises(AgreementRefused, match="another agreement than the one you signed"):
        agreements.read(player.home, player.room, opened.id)


def test_a_copy_of_the_folder_takes_over_what_was_signed_with_its_key(published: Collaboration, tmp_path: Path) -> None:
    """Or a folder that came back from its own backup: by a person's word, as tightening takes signatures back."""
    stage, fresh = published.stage, published.stage.players["fresh"]
    copied = Home.open(Path(shutil.copytree(fresh.home.path, tmp_path / "copy")))
    enter(published, looser(published))
    with closing(open_room(copied, stage.transport())) as room:
        with pytest.raises(
            AgreementRefused, match=f"in a copy of this folder: `cleanroom-partner agree {published.id}`"
        ):
            agreements.follow(copied, room, room.collaboration(published.id))
        agree = ["--home", str(copied.path), "agree", published.id]
        assert CliRunner().invoke(main, agree, obj=stage.transport()).exit_code == 1, "nobody said so"
        taken = CliRunner().invoke(main, [*agree, "--yes"], obj=stage.transport())
        assert "counts here as it is in force" in taken.stdout, taken.output
        agreements.follow(copied, room, room.collaboration(published.id))
        assert agreements.read(copied, room, published.id).agreement.number == 2


def test_one_that_was_not_signed_here_is_not_accepted(opened: Collaboration) -> None:
    """A room that says it is in force, whatever it says of signatures."""
    proposed, player = looser(opened), opened.stage.players["tasty"]
    propose(opened, proposed)
    with opened.stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute(
            "update collaborations set agreement = ?, agreement_sha256 = ?", (proposed.canonical(), proposed.sha256())
        )
        connection.execute("update parties set signature = null")
    with pytest.raises(AgreementRefused):
        agreements.read(player.home, player.room, opened.id)


def test_a_newer_proposal_takes_the_place_of_one_that_waits(opened: Collaboration) -> None:
    first, second = looser(opened), amended(opened, base=replace(looser(opened).base, minimum_size=45))
    propose(opened, first)
    propose(opened, second, by="tasty")
    with opened.stage.http("tasty") as client:
        player = opened.stage.players["tasty"]
        signature = encode_base64(player.identity.sign("agreement/v1", first.canonical()))
        path = f"/v1/collaborations/{opened.id}/amendments/{first.sha256()}/signatures"
        refused(client.post(path, json={"signature": signature}), 409, "changed")
    sign(opened, "fresh")
    assert opened.stage.agreement(opened.id) == second


def test_what_changes_is_told_term_by_term(opened: Collaboration) -> None:
    before = opened.stage.agreement(opened.id)
    drive, readers = before.audiences
    tier = Attribute("tier", ("gold", "bronze"))
    after = amended(
        opened,
        base=replace(before.base, minimum_size=40, epsilon_total=before.base.epsilon_total // 2),
        audiences=(replace(drive, attributes=(tier,)), readers),
    )
    found = difference(before, after)
    told = {each.what: (each.before, each.after, each.direction) for each in found.changes}
    assert told["minimum_size"] == ("50", "40", Direction.LOOSER)
    assert told["epsilon_total"] == ("ε 5", "ε 2.5", Direction.TIGHTER)
    assert told["fresh/drive.tier"] == ("silver", "bronze", Direction.CHANGED)
    assert found.prepare == ("fresh/drive",)
    assert difference(before, amended(opened)).changes == ()

"""A partner that lost every owner key comes back with the consent of the others; through the steps of the commands."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from partners import keys as key_files
from partners.home import Home
from partners.key_change import Role
from partners.keys import key_id
from partners.replacement import BadReplacement, Replacement
from partners.room.connection import RoomRefused
from partners.steps import agreements, joining, keys, replacing, secret
from partners.steps.joining import NotConfirmed
from partners.steps.keys import KeysRefused
from partners.steps.status import notices, status
from partners.transparency.encoding import encode_base64
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, URL, Player, Stage, people
from tests.room.test_keys import colleague, rotate
from tests.room.withdrawing import send

ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def ask_back(stage: Stage, name: str, folder: str = "again") -> Player:
    """A partner in a new folder, with new keys that wait; the old folder stays where it was."""
    home = Home.open(stage.folder / "partners" / f"{name}-{folder}")
    home.create_identity()
    joining.join(home, URL, stage.invite(name), stage.transport())
    return Player(name, home, joining.open_room(home, stage.transport()))


def consent(stage: Stage, by: str, partner: str) -> None:
    player = stage.players[by]
    replacing.consent(player.home, player.room, replacing.wish(player.home, player.room, partner))


def compare(player: Player, other: str) -> None:
    joining.confirm(player.home, joining.compare(player.home, player.room, other))


def come_back(stage: Stage, name: str, *others: str) -> Player:
    """The whole way, until the new folder has taken over."""
    back = ask_back(stage, name)
    for other in others:
        compare(back, other)
        consent(stage, other, name)
    replacing.resume(back.home, back.room)
    stage.players[name] = back
    return back


def signers(stage: Stage, identifier: str) -> dict[str, bytes]:
    return {party.name: party.signing_key for party in stage.agreement(identifier).parties}


def test_a_partner_that_lost_everything_goes_on(published: Collaboration) -> None:
    """Its audience, its withdrawals and what it spent stay; the secret is sent to it again, by who did not make it."""
    stage, identifier = published.stage, published.id
    first = stage.ask("fresh", identifier, ASKED)
    send(published, ["p1@mail.example"], owner="fresh")
    spent = stage.players["tasty"].room.ledger().spent
    old = stage.players["fresh"]
    ada = colleague(stage, "fresh", Role.MARKETER)
    batches = stage.rows("select count(*) from batches")

    fresh = come_back(stage, "fresh", "tasty")
    tasty = stage.players["tasty"]
    assert fresh.home.collaborations() == (identifier,)
    assert fresh.home.former() == (old.identity.public,)
    assert fresh.home.room().role is Role.OWNER
    for ended in (old, ada):  # every key from before has ended, with its tokens
        with pytest.raises(RoomRefused, match="assertion"):
            ended.room.own_keys()
    assert stage.ask("fresh", identifier, ASKED).free
    assert fresh.room.report(first.id or "").figures == first.figures

    # Nothing is sealed to the new keys, and nothing signed with them, before everybody agreed to them.
    with pytest.raises(NotConfirmed, match="amend"):
        secret.send(tasty.home, tasty.room, identifier, "fresh")
    agreements.renew_keys(fresh.home, fresh.room, identifier)
    waiting = agreements.waiting(tasty.home, tasty.room, agreements.read(tasty.home, tasty.room, identifier))
    assert waiting is not None
    agreements.agree_to_amendment(tasty.home, tasty.room, waiting)
    agreements.read(fresh.home, fresh.room, identifier)
    assert signers(stage, identifier)["fresh"] == fresh.identity.public.signing
    assert stage.rows("select state, count(*) from versions group by state") == [("published", 2)]
    secret.send(tasty.home, tasty.room, identifier, "fresh")
    (accepted,) = secret.accept(fresh.home, fresh.room)
    assert (accepted.epoch, fresh.home.secret(identifier, 1)) == (
        1,
        replace(old.home.secret(identifier, 1) or pytest.fail("no secret"), maker="tasty"),
    )
    stage.clock.forward(seconds=1)
    secret.send(tasty.home, tasty.room, identifier, "fresh")
    stage.clock.forward(seconds=1)
    sent = stage.rows("select * from envelopes")
    secret.send(tasty.home, tasty.room, identifier, "fresh")
    assert stage.rows("select * from envelopes") == sent, "once is enough"
    stage.publish(identifier, DRIVE, people(range(310)))
    assert stage.rows("select count(*) from batches") == batches
    assert stage.rows("select count(*) from absences where length(gone) > 0")[0][0] >= 1
    assert tasty.room.ledger().spent == spent
    events = [event for event, _ in stage.leaves()]
    assert [event for event in events if event.startswith("key:")] == [
        "key:add",
        "key:wait",
        "key:consent",
        "key:replace",
    ]
    # A reader of one collaboration reads this: with how many others the partner works is not in it.
    assert set(stage.leaves()[events.index("key:replace")][1]) == {"partner", "key"}


def test_with_the_rest_of_the_folder_nothing_is_sent_again(published: Collaboration) -> None:
    """Only the passphrase was forgotten: agreements, secrets and the list of withdrawals are copied."""
    stage, old = published.stage, published.stage.players["fresh"]
    send(published, ["p1@mail.example"], owner="fresh")
    back = ask_back(stage, "fresh")
    shutil.copytree(old.home.path / "collaborations", back.home.path / "collaborations")
    compare(back, "tasty")
    consent(stage, "tasty", "fresh")
    replacing.resume(back.home, back.room)
    stage.players["fresh"] = back
    version = stage.publish(published.id, DRIVE, people(range(310)))
    assert stage.version(published.id, DRIVE, version)["state"] == "published"
    assert list(back.home.suppressions(published.id))


def test_the_code_alone_gives_a_key_that_sees_nothing(published: Collaboration) -> None:
    stage, old = published.stage, published.stage.players["fresh"]
    back = ask_back(stage, "fresh")
    assert back.home.room().role is Role.WAITING
    for attempt in (
        back.room.collaborations,
        back.room.ledger,
        lambda: back.room.agreement(published.id),
        lambda: back.room.envelopes(published.id),
        lambda: back.room.begin_upload(10),
        lambda: keys.revoke(back.home, back.room, key_id(old.identity.public.signing), stage.clock()),
    ):
        with pytest.raises(RoomRefused, match="This key may not do that"):
            attempt()
    with pytest.raises(KeysRefused, match="tasty must consent first"):
        replacing.resume(back.home, back.room)
    assert old.room.own_keys().role is Role.OWNER, "the old key counts until the others consented"
    assert {each.asked.replacement.keys for each in [replacing.wish(*at(stage, "tasty"), "fresh")]} == {
        back.identity.public
    }


def at(stage: Stage, name: str) -> tuple[Home, object]:
    return stage.players[name].home, stage.players[name].room


def test_consent_is_signed_for_these_keys_with_the_newest_owner_key(published: Collaboration) -> None:
    stage = published.stage
    back = ask_back(stage, "fresh")
    replacement = back.room.replacements()[0].replacement
    tasty = stage.players["tasty"]
    other = replace(replacement, keys=key_files.generate().public)
    with pytest.raises(RoomRefused, match="signature"):
        tasty.room.consent(replacement.id, other.sign(tasty.identity))
    with pytest.raises(RoomRefused, match="signature"):
        tasty.room.consent(replacement.id, replacement.sign(key_files.generate()))
    old = tasty.identity
    rotate(stage, "tasty")
    token = stage.sign_in(stage.assertion("tasty", old)).json()["access_token"]
    with stage.anybody() as client:
        answer = client.post(
            f"/v1/replacements/{replacement.id}/consents",
            json={"signature": encode_base64(replacement.sign(old))},
            headers={"Authorization": f"Bearer {token}"},
        )
    assert answer.status_code == 409
    consent(stage, "tasty", "fresh")
    consent_again = stage.players["tasty"].room.consent(
        replacement.id, replacement.sign(stage.players["tasty"].identity)
    )
    assert consent_again.made, "twice is harmless"
    assert [event for event, _ in stage.leaves()].count("key:consent") == 1


def test_consenting_again_after_a_lost_answer_is_harmless(published: Collaboration) -> None:
    stage, tasty = published.stage, published.stage.players["tasty"]
    old = stage.players["fresh"].identity.public
    back = ask_back(stage, "fresh")
    for _ in range(3):  # the first puts the keys in place
        consent(stage, "tasty", "fresh")
    assert tasty.home.confirmed()["fresh"] == back.identity.public
    assert tasty.home.former_of("fresh") == (old,)
    assert [event for event, _ in stage.leaves()].count("key:consent") == 1


def test_who_still_has_the_keys_ends_a_request_that_it_did_not_make(published: Collaboration) -> None:
    stage, fresh = published.stage, published.stage.players["fresh"]
    thief = ask_back(stage, "fresh")
    (seen,) = replacing.requested(fresh.home, fresh.room)
    keys.revoke(fresh.home, fresh.room, seen.replacement.id, stage.clock())
    assert stage.players["tasty"].room.replacements() == ()
    with pytest.raises(RoomRefused, match="assertion"):
        thief.room.own_keys()


def test_a_newer_request_takes_the_place_of_one_that_waits(published: Collaboration) -> None:
    stage = published.stage
    first, second = ask_back(stage, "fresh", "one"), ask_back(stage, "fresh", "two")
    with pytest.raises(RoomRefused, match="assertion"):
        first.room.own_keys()
    consent(stage, "tasty", "fresh")
    compare(second, "tasty")
    assert replacing.resume(second.home, second.room).collaborations == (published.id,)


def test_with_nobody_to_ask_the_code_decides(joined: Stage) -> None:
    back = ask_back(joined, "fresh")
    assert back.home.room().role is Role.OWNER
    assert back.room.own_keys().role is Role.OWNER
    with pytest.raises(RoomRefused, match="assertion"):
        joined.players["fresh"].room.own_keys()


def test_who_consents_does_not_take_keys_on_the_rooms_word(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A room that says that other keys went than the consenting partner knew is found out."""
    stage = published.stage
    ask_back(stage, "fresh")
    tasty = stage.players["tasty"]
    (asked,) = tasty.room.replacements()
    strange = replace(asked, replacement=replace(asked.replacement, previous=key_files.generate().public))
    monkeypatch.setattr(tasty.room, "replacements", lambda: (strange,))
    with pytest.raises(KeysRefused, match="other keys of fresh than those you knew"):
        replacing.wish(tasty.home, tasty.room, "fresh")


def test_who_comes_back_believes_only_those_it_compared(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = published.stage
    back = ask_back(stage, "fresh")
    consent(stage, "tasty", "fresh")
    with pytest.raises(NotConfirmed, match="compare tasty"):
        replacing.resume(back.home, back.room)
    compare(back, "tasty")
    (asked,) = back.room.replacements()
    strange = replace(asked, replacement=replace(asked.replacement, previous=key_files.generate().public))
    with monkeypatch.context() as patch:
        patch.setattr(back.room, "replacements", lambda: (strange,))
        with pytest.raises(KeysRefused, match="has not consented"):
            replacing.resume(back.home, back.room)
    assert not back.home.former()
    assert replacing.resume(back.home, back.room).collaborations == (published.id,)


def test_keys_that_were_rotated_before_are_known_by_their_chain(published: Collaboration) -> None:
    """tasty compared before the rotation, and the agreement names the keys from before it."""
    stage = published.stage
    before = stage.players["fresh"].identity.public
    rotate(stage, "fresh")
    newest = stage.players["fresh"].identity.public
    fresh = come_back(stage, "fresh", "tasty")
    assert fresh.home.former() == (newest, before)
    assert not agreements.read(fresh.home, fresh.room, published.id).missing


def test_an_envelope_is_sent_again_only_to_who_lost_its_keys(published: Collaboration, tmp_path: Path) -> None:
    stage, tasty = published.stage, published.stage.players["tasty"]
    before = stage.rows("select * from envelopes")
    secret.send(tasty.home, tasty.room, published.id, "fresh")  # fresh made it, so it has no envelope of its own
    assert stage.rows("select count(*) from envelopes") == [(1,)]
    assert stage.rows("select * from envelopes") == before


def test_status_says_who_waits_for_whom(published: Collaboration) -> None:
    stage, tasty = published.stage, published.stage.players["tasty"]
    old, back = stage.players["fresh"], ask_back(stage, "fresh")
    new = key_id(back.identity.public.signing)
    assert notices(tasty.home, tasty.room) == ("fresh lost its keys: call it, then `key consent fresh`",)
    assert notices(old.home, old.room) == (
        f"new keys ask to be yours: was it nobody of fresh? Then `key revoke {new}`",
    )
    assert notices(back.home, back.room) == ("tasty must compare keys with you and run `key consent fresh`",)
    assert status(back.home, back.room) == ()
    consent(stage, "tasty", "fresh")
    assert notices(tasty.home, tasty.room) == ()
    assert notices(back.home, back.room) == ("everybody has consented: run `cleanroom-partner key resume`",)
    compare(back, "tasty")
    replacing.resume(back.home, back.room)

    def said(player: Player) -> tuple[str, tuple[str, ...]]:
        (line,) = status(player.home, player.room)
        return line.next, line.others

    assert said(back) == (f"`amend {published.id} --keys`: it names keys of yours that went", ())
    agreements.renew_keys(back.home, back.room, published.id)
    assert said(back) == ("wait until everybody has signed the amendment", ("tasty: `agree` to amendment 2",))
    waiting = agreements.waiting(tasty.home, tasty.room, agreements.read(tasty.home, tasty.room, published.id))
    assert waiting is not None
    agreements.agree_to_amendment(tasty.home, tasty.room, waiting)
    command = f"`secret send {published.id} fresh`"
    assert said(back) == (f"`secret accept {published.id}`, after another partner ran {command}", ())
    secret.send(tasty.home, tasty.room, published.id, "fresh")
    secret.accept(back.home, back.room)
    assert said(back) == ("`ask` for a report", ())


def test_a_marketer_is_told_what_a_marketer_can_do(opened: Collaboration) -> None:
    stage = opened.stage
    ada = colleague(stage, "fresh", Role.MARKETER)

    def said() -> tuple[str, tuple[str, ...]]:
        (line,) = status(ada.home, ada.room)
        return line.next, line.others

    uploads = ("tasty: `upload` readers",)
    assert said() == ("wait: an owner key of fresh uploads its audience", uploads)
    stage.publish(opened.id, DRIVE, people(range(50)))
    assert said() == ("wait for the audience of tasty", uploads)
    stage.publish(opened.id, READERS, people(range(50)))
    assert said() == ("`ask` for a report", ())
    assert notices(ada.home, ada.room) == ()
    proposed = stage.propose(READERS, DRIVE)
    lines = {line.id: line for line in status(ada.home, ada.room)}
    assert lines[proposed].next == f"read `explain {proposed}`; an owner key of fresh signs it"


def test_the_document_is_read_strictly() -> None:
    good = Replacement("fresh", key_files.generate().public, key_files.generate().public, "2026-03-14T12:00:00Z")
    assert Replacement.from_json(good.to_json()) == good
    for field, value in (
        ("partner", "a b"),
        ("created", "today"),
        ("version", 2),
        ("signing_key", "AAAA"),
        ("sealing_key", 3),
        ("previous", {}),
        ("extra", 1),
    ):
        with pytest.raises(BadReplacement):
            Replacement.from_json({**good.to_json(), field: value})

"""A partner's keys: roles, rotation with overlap, revocation; through the steps that the commands run."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from partners import keys as key_files
from partners import withdrawal
from partners.home import Home
from partners.key_change import Action, KeyChange, Role, SignedChange
from partners.keys import Identity, key_id
from partners.room.connection import RoomRefused
from partners.steps import agreements, joining, reporting, secret
from partners.steps import keys as steps
from partners.steps.keys import KeysRefused, Rotated
from partners.steps.status import notices
from partners.transparency.encoding import encode_base64
from policies import canonical, request
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, URL, Player, Stage, people
from tests.room.withdrawing import code, last, post, send

ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
DAY = 24 * 3600


def now(stage: Stage) -> datetime:
    return stage.clock()


def colleague(stage: Stage, name: str, role: Role) -> Player:
    """Somebody of the partner `name` with a folder and a key of her own."""
    home = Home.open(stage.folder / "partners" / f"{name}-{role.value}")
    home.create_identity()
    file = stage.folder / "colleague.pub"
    file.write_bytes(steps.public_file(home))
    owner = stage.players[name]
    steps.add(owner.home, owner.room, role, file, now(stage))
    steps.enter(home, URL, name, stage.transport())
    return Player(name, home, joining.open_room(home, stage.transport()))


def rotate(stage: Stage, name: str) -> Rotated:
    """Rotates the keys of a player, who goes on with the new ones."""
    player = stage.players[name]
    done = steps.rotate(player.home, player.room, None, now(stage))
    player.room.close()
    stage._enter(Home.open(player.home.path), name)
    return done


def change(stage: Stage, name: str, signer: Identity | None = None, **changes: Any) -> dict[str, Any]:
    """The body of a request that adds a marketer's key, changed."""
    identity = signer or stage.players[name].identity
    fields: dict[str, Any] = {
        "partner": name,
        "action": Action.ADD,
        "serial": 1,
        "created": "2026-03-14T12:00:00Z",
        "role": Role.MARKETER,
        "signing_key": key_files.generate().public.signing,
        "sealing_key": None,
        "previous": None,
    }
    made = KeyChange(**fields | changes)
    return SignedChange(made, identity.sign("key/v1", made.canonical()), None).to_json()


def refused(stage: Stage, name: str, body: dict[str, Any], status: int) -> str:
    with stage.http(name) as client:
        answer = client.post("/v1/keys", json=body)
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_a_marketer_asks_and_reads_and_nothing_else(published: Collaboration) -> None:
    stage = published.stage
    ada = colleague(stage, "fresh", Role.MARKETER)
    assert [each.id for each in ada.room.collaborations()] == [published.id]
    assert not agreements.read(ada.home, ada.room, published.id).missing
    report = reporting.ask(ada.home, ada.room, published.id, request.from_json(ASKED))
    assert report.released
    assert ada.room.report(report.id or "").asked_by == "fresh"
    assert ada.room.ledger().partner == "fresh"
    with pytest.raises(RoomRefused, match="This key may not do that"):
        ada.room.sign(published.id, bytes(64))
    with pytest.raises(RoomRefused, match="This key may not do that"):
        ada.room.begin_upload(10)
    with pytest.raises(RoomRefused, match="This key may not do that"):
        ada.room.keys_of("tasty")
    # The log names her key, not the partner's.
    actors = stage.rows("select body from log_entries order by seq desc limit 1")
    assert key_id(ada.identity.public.signing).encode() in actors[0][0]
    details = [details for event, details in stage.leaves() if event == "key:add"]
    assert details == [
        {"partner": "fresh", "key": key_id(ada.identity.public.signing), "role": "marketer", "serial": 1}
    ]


def test_an_auditors_key_of_a_partner_is_appointed_to_nothing(published: Collaboration) -> None:
    eve = colleague(published.stage, "fresh", Role.AUDITOR)
    assert eve.room.own_keys().role is Role.AUDITOR
    assert (eve.room.collaborations(), eve.room.audited_ledger()) == ((), ())
    with pytest.raises(RoomRefused, match="Not found"):
        eve.room.agreement(published.id)
    with pytest.raises(RoomRefused, match="This key may not do that"):
        eve.room.ledger()


def test_a_revoked_key_ends_at_once_with_its_tokens(published: Collaboration) -> None:
    stage = published.stage
    ada = colleague(stage, "fresh", Role.MARKETER)
    assert ada.room.collaborations()
    fresh = stage.players["fresh"]
    identifier = key_id(ada.identity.public.signing)
    steps.revoke(fresh.home, fresh.room, identifier, now(stage))
    with pytest.raises(RoomRefused, match="client assertion"):  # the token is gone, and no new one is given
        ada.room.collaborations()
    assert steps.revoke(fresh.home, fresh.room, identifier, now(stage)) == identifier, "twice is harmless"
    assert [event for event, _ in stage.leaves()].count("key:revoke") == 1
    (folder,) = [stage.folder / "colleague.pub"]
    with pytest.raises(KeysRefused, match="known already"):  # an ended key never comes back
        steps.add(fresh.home, fresh.room, Role.MARKETER, folder, now(stage))


def test_the_answer_to_adding_may_be_lost(joined: Stage) -> None:
    ada = colleague(joined, "fresh", Role.MARKETER)
    fresh = joined.players["fresh"]
    again = steps.add(fresh.home, fresh.room, Role.MARKETER, joined.folder / "colleague.pub", now(joined))
    assert again == key_id(ada.identity.public.signing)
    assert [event for event, _ in joined.leaves()].count("key:add") == 1


def test_a_rotated_key_counts_for_seven_days(joined: Stage) -> None:
    old = joined.players["fresh"].identity
    done = rotate(joined, "fresh")
    assert (done.old, done.new) == (key_id(old.public.signing), key_id(joined.players["fresh"].identity.public.signing))
    assert joined.players["fresh"].home.former() == (old.public,)
    assert not (joined.players["fresh"].home.path / "identity-next.json").exists()
    assert joined.sign_in(joined.assertion("fresh", old)).status_code == 200
    joined.clock.forward(seconds=7 * DAY - 1)
    assert joined.sign_in(joined.assertion("fresh", old)).status_code == 200
    joined.clock.forward(seconds=1)
    assert joined.sign_in(joined.assertion("fresh", old)).status_code == 401
    assert joined.sign_in(joined.assertion("fresh")).status_code == 200


def test_the_old_key_is_revoked_before_its_time(joined: Stage) -> None:
    old = joined.players["fresh"].identity
    done = rotate(joined, "fresh")
    fresh = joined.players["fresh"]
    steps.revoke(fresh.home, fresh.room, done.old, now(joined))
    assert joined.sign_in(joined.assertion("fresh", old)).status_code == 401


def test_a_cut_in_a_rotation_loses_no_key(joined: Stage) -> None:
    """The room has booked it, the folder does not know: the same command again ends it."""
    fresh = joined.players["fresh"]
    copy = joined.folder / "before"
    copy.mkdir(mode=0o700)
    steps.rotate(fresh.home, fresh.room, None, now(joined))
    new = (fresh.home.path / "identity.json").read_bytes()
    # As it was before the answer came: the old keys in place, the new ones beside them.
    old_home = Home.open(fresh.home.path)
    (old_home.path / "identity-next.json").write_bytes(new)
    (old_home.path / "identity-next.json").chmod(0o600)
    assert steps.rotate(old_home, joining.open_room(old_home, joined.transport()), None, now(joined)).new
    assert (fresh.home.path / "identity.json").read_bytes() == new
    assert [event for event, _ in joined.leaves()].count("key:rotate") == 1


def test_a_collaboration_goes_on_after_a_rotation(published: Collaboration) -> None:
    """Asking, preparing and uploading need no amendment; who compares again reads the agreement as before."""
    stage = published.stage
    rotate(stage, "fresh")
    stage.compare("fresh", "tasty")
    fresh, tasty = stage.players["fresh"], stage.players["tasty"]
    assert stage.ask("fresh", published.id, ASKED).released
    version = stage.publish(published.id, DRIVE, people(range(200)))
    assert stage.version(published.id, DRIVE, version)["state"] == "published"
    for player in (fresh, tasty):
        assert not agreements.read(player.home, player.room, published.id).missing
    # What others verify with the key that the agreement names waits for an amendment.
    with pytest.raises(RoomRefused, match="other keys of yours than these: `amend COLLAB --keys` first"):
        fresh.room.sign(published.id, fresh.identity.sign("agreement/v1", fresh.room.agreement(published.id)))


def test_a_proposal_that_names_older_keys_is_proposed_again(joined: Stage) -> None:
    """The room takes no amendment of what is not open."""
    identifier = joined.propose(DRIVE, READERS)
    rotate(joined, "tasty")
    tasty = joined.players["tasty"]
    with pytest.raises(RoomRefused, match="other keys of yours than these: propose it again") as refused:
        tasty.room.sign(identifier, tasty.identity.sign("agreement/v1", tasty.room.agreement(identifier)))
    assert "amend" not in str(refused.value)


def test_others_do_not_take_new_keys_on_the_rooms_word(published: Collaboration) -> None:
    stage = published.stage
    tasty = stage.players["tasty"]
    before = tasty.home.confirmed()["fresh"]
    rotate(stage, "fresh")
    comparison = joining.compare(tasty.home, tasty.room, "fresh")
    assert (comparison.changed, comparison.former) == (True, (before,))
    assert tasty.home.confirmed()["fresh"] == before
    with pytest.raises(joining.NotConfirmed, match="other keys than those you compared"):
        stage.propose(READERS, DRIVE)


def test_a_new_agreement_does_not_name_former_keys(published: Collaboration) -> None:
    """A room that has a stolen key cannot slip it into an agreement that was not signed yet."""
    stage = published.stage
    identifier = stage.propose(DRIVE, READERS)
    rotate(stage, "fresh")
    stage.compare("fresh", "tasty")
    tasty = stage.players["tasty"]
    with pytest.raises(joining.NotConfirmed):
        agreements.read(tasty.home, tasty.room, identifier)


def test_a_secret_that_waits_for_the_old_key_stops_the_rotation(joined: Stage) -> None:
    identifier = joined.agree(DRIVE, READERS)
    joined.compare("fresh", "tasty")
    fresh, tasty = joined.players["fresh"], joined.players["tasty"]
    secret.make(fresh.home, fresh.room, identifier)
    with pytest.raises(KeysRefused, match="secret accept"):
        steps.rotate(tasty.home, tasty.room, None, now(joined))
    secret.accept(tasty.home, tasty.room, identifier)
    assert rotate(joined, "tasty").collaborations == (identifier,)


def test_a_key_that_was_rotated_away_changes_nothing(joined: Stage) -> None:
    """A thief who has it can neither add a key nor end the new one."""
    old = joined.players["fresh"].identity
    rotate(joined, "fresh")
    token = joined.sign_in(joined.assertion("fresh", old)).json()["access_token"]
    with joined.anybody() as client:
        body = change(joined, "fresh", old, serial=2)
        answer = client.post("/v1/keys", json=body, headers={"Authorization": f"Bearer {token}"})
    assert (answer.status_code, answer.json()["detail"]) == (
        409,
        "Only your newest owner key changes keys; this one was rotated away.",
    )


def test_an_amendment_brings_an_agreement_to_the_new_keys(joined: Stage) -> None:
    """Until then nothing is sealed to keys that went, whether the others know of it or not."""
    identifier = joined.agree(DRIVE, READERS)
    joined.compare("fresh", "tasty")
    rotate(joined, "tasty")
    fresh, tasty = joined.players["fresh"], joined.players["tasty"]
    with pytest.raises(RoomRefused, match="that went: `amend COLLAB --keys` first"):
        secret.make(fresh.home, fresh.room, identifier)
    assert notices(fresh.home, fresh.room) == ("tasty has other keys than you compared: call it, then `compare tasty`",)
    joined.compare("fresh", "tasty")
    assert notices(fresh.home, fresh.room) == ()
    with pytest.raises(joining.NotConfirmed, match="has rotated its keys"):
        secret.make(fresh.home, fresh.room, identifier)
    table = {
        "collaboration": {"name": "drive-2026", "match_keys": ["email", "id.card"]},
        "partner": [{"name": "fresh"}, {"name": "tasty"}],
        "audience": [DRIVE.agreed(), READERS.agreed()],
    }
    agreements.amend(fresh.home, fresh.room, identifier, table)
    waiting = agreements.waiting(tasty.home, tasty.room, agreements.read(tasty.home, tasty.room, identifier))
    assert waiting is not None
    standing = agreements.agree_to_amendment(tasty.home, tasty.room, waiting)
    party = standing.agreement.party("tasty")
    assert party is not None
    assert party.signing_key == tasty.identity.public.signing
    secret.make(fresh.home, fresh.room, identifier)
    assert [each.maker for each in secret.accept(tasty.home, tasty.room, identifier)] == ["fresh"]


@pytest.fixture
def wrong(shared_joined: Stage) -> Iterator[Stage]:
    before = shared_joined.rows("select * from keys")
    yield shared_joined
    assert shared_joined.rows("select * from keys") == before


def test_changes_that_the_room_refuses(wrong: Stage) -> None:
    stranger = key_files.generate()
    mine, theirs = wrong.players["fresh"].identity.public, wrong.players["tasty"].identity.public
    good = change(wrong, "fresh")
    refused(wrong, "tasty", good, 422)  # somebody else's
    refused(wrong, "fresh", change(wrong, "fresh", stranger), 403)
    refused(wrong, "fresh", change(wrong, "fresh", serial=2), 409)  # a replay has an old one
    refused(wrong, "fresh", change(wrong, "fresh", signing_key=theirs.signing), 409)
    rotation = {"action": Action.ROTATE, "role": Role.OWNER, "sealing_key": stranger.public.sealing}
    unproved = change(wrong, "fresh", **rotation, previous=mine)
    refused(wrong, "fresh", unproved, 403)
    last = {"action": Action.REVOKE, "role": Role.OWNER, "signing_key": mine.signing, "sealing_key": mine.sealing}
    assert "rotate it" in refused(wrong, "fresh", change(wrong, "fresh", **last), 409)
    other = {**last, "signing_key": theirs.signing, "sealing_key": theirs.sealing}
    refused(wrong, "fresh", change(wrong, "fresh", **other), 422)
    for field, value in (
        ("role", "owner"),
        ("role", "king"),
        ("action", "rotate"),
        ("serial", "1"),
        ("serial", 0),
        ("created", "today"),
        ("signing_key", "AAAA"),
        ("sealing_key", good["change"]["signing_key"]),
        ("extra", 1),
    ):
        refused(wrong, "fresh", {**good, "change": {**good["change"], field: value}}, 422)


def test_a_rotation_names_the_keys_that_go(joined: Stage) -> None:
    new, theirs = key_files.generate(), joined.players["tasty"].identity.public
    made = KeyChange(
        "fresh", Action.ROTATE, 1, "2026-03-14T12:00:00Z", Role.OWNER, new.public.signing, new.public.sealing, theirs
    )
    document = made.canonical()
    signed = SignedChange(made, joined.players["fresh"].identity.sign("key/v1", document), new.sign("key/v1", document))
    assert "previous" in refused(joined, "fresh", signed.to_json(), 422)


def test_a_folder_enters_one_room(joined: Stage, tmp_path: Path) -> None:
    home = Home.open(tmp_path / "stranger")
    home.create_identity()
    with pytest.raises(RoomRefused, match="assertion"):
        steps.enter(home, URL, "fresh", joined.transport())
    assert not home.has_room()
    with pytest.raises(joining.AlreadyJoined):
        steps.enter(joined.players["fresh"].home, URL, "fresh", joined.transport())


def test_what_the_old_key_signed_may_arrive_after_the_rotation(published: Collaboration) -> None:
    """A grant or a withdrawal whose answer was lost is sent again, by a folder with new keys."""
    stage = published.stage
    old = stage.players["tasty"].identity
    send(published, ["p1@mail.example"])
    batch = replace(last(published).batch, nonce=withdrawal.nonce())
    grant = {"partner": "tasty", "epsilon": 1, "serial": 1, "created": "2026-03-14T12:00:00Z"}
    signed = encode_base64(old.sign("grant/v1", canonical.dumps(grant)))
    done = rotate(stage, "tasty")
    assert post(published, "tasty", withdrawal.sign(old, batch)).status_code == 201
    tasty = stage.players["tasty"]
    steps.revoke(tasty.home, tasty.room, done.old, now(stage))
    again = withdrawal.sign(old, replace(batch, nonce=withdrawal.nonce()))
    assert code(post(published, "tasty", again)) == (403, "bad-signature")
    with stage.http("tasty") as client:
        answer = client.post("/v1/grants", json={"grant": grant, "signature": signed})
        assert code(answer) == (403, "bad-signature")
        fresh = encode_base64(tasty.identity.sign("grant/v1", canonical.dumps(grant)))
        assert client.post("/v1/grants", json={"grant": grant, "signature": fresh}).status_code == 201

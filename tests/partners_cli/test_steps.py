"""The steps against a room that may cut, forget or cheat."""

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partners import keys
from partners.envelopes import EnvelopeRefused, seal
from partners.failure import Failure
from partners.home import Grants, Home
from partners.key_change import Role
from partners.known_log import LogRefused
from partners.protocol import PublicKeys, fingerprint, key_check
from partners.room.connection import RoomRefused, RoomUnreachable
from partners.steps import agreements, joining, naming, reporting, secret
from partners.steps.agreements import AgreementRefused, Standing
from partners.steps.joining import AlreadyJoined, NotConfirmed
from partners.steps.naming import UnknownCollaboration
from partners.steps.reporting import GrantWaits
from partners.steps.secret import SecretRefused
from partners.steps.status import notices, status
from policies import agreement as formats
from policies.agreement import Agreement
from tests.partners_cli.conftest import Partner, agreement_table
from tests.partners_cli.fake_room import URL, FakeRoom

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)


@pytest.fixture
def proposed(fresh: Partner, tasty: Partner) -> Standing:
    return agreements.propose(fresh.home, fresh.room, agreement_table())


def sign(partner: Partner, standing: Standing) -> Standing:
    read = agreements.read(partner.home, partner.room, standing.agreement.id)
    return agreements.agree(partner.home, partner.room, read)


def compare_both(one: Partner, other: Partner) -> None:
    for mine, theirs in ((one, other), (other, one)):
        joining.confirm(mine.home, joining.compare(mine.home, mine.room, theirs.home.room().partner))


def exchange(fake: FakeRoom, standing: Standing, changed: Agreement) -> None:
    """The room shows another agreement in the place of one."""
    _, signatures = fake.agreements[standing.agreement.id]
    fake.agreements[standing.agreement.id] = (changed, signatures)


# Joining and comparing


def test_joining_pins_the_room(fake: FakeRoom, fresh: Partner) -> None:
    pinned = fresh.home.room()
    assert (pinned.url, pinned.partner, pinned.vkey) == (URL, "fresh", fake.signer.verifier)
    assert fake.partners["fresh"] == fresh.home.identity().public


def test_a_folder_joins_once(fake: FakeRoom, fresh: Partner) -> None:
    with pytest.raises(AlreadyJoined, match="--home"):
        joining.join(fresh.home, URL, fake.invite("fresh"), fake.transport())


def test_a_code_works_once(fake: FakeRoom, fresh: Partner, tmp_path: Path) -> None:
    home = Home.open(tmp_path / "thief")
    home.create_identity()
    with pytest.raises(RoomRefused, match="not good; ask the operator"):
        joining.join(home, URL, "code-of-fresh", fake.transport())
    assert not home.has_room()


def test_both_sides_compare_the_same_digits(fresh: Partner, tasty: Partner) -> None:
    ours = joining.compare(fresh.home, fresh.room, "tasty")
    theirs = joining.compare(tasty.home, tasty.room, "fresh")
    assert ours.digits == theirs.digits
    assert ours.digits == fingerprint(fresh.home.identity().public, tasty.home.identity().public)
    assert len(ours.digits.replace(" ", "")) == 60
    assert not ours.confirmed
    joining.confirm(fresh.home, ours)
    assert joining.compare(fresh.home, fresh.room, "tasty").confirmed


def test_exchanged_keys_show_in_the_digits_and_as_changed(fake: FakeRoom, fresh: Partner, tasty: Partner) -> None:
    honest = joining.compare(fresh.home, fresh.room, "tasty")
    joining.confirm(fresh.home, honest)
    fake.partners["tasty"] = PublicKeys(fake.partners["tasty"].signing, keys.generate().public.sealing)
    exchanged = joining.compare(fresh.home, fresh.room, "tasty")
    assert exchanged.digits != honest.digits
    assert exchanged.changed
    assert not exchanged.confirmed


@pytest.mark.parametrize("name", ["fresh", "../tasty", ""])
def test_only_another_partner_can_be_compared(fresh: Partner, name: str) -> None:
    with pytest.raises(NotConfirmed):
        joining.compare(fresh.home, fresh.room, name)


# Agreements


def test_the_proposers_signature_travels_with_the_proposal(fresh: Partner, proposed: Standing) -> None:
    assert proposed.signed == {"fresh"}
    assert proposed.missing == ("tasty",)
    assert fresh.home.agreement(proposed.agreement.id) == proposed.document


def test_the_agreement_is_open_when_everybody_signed_the_same_bytes(tasty: Partner, proposed: Standing) -> None:
    signed = sign(tasty, proposed)
    assert signed.missing == ()
    assert tasty.home.agreement(proposed.agreement.id) == proposed.document
    assert sign(tasty, proposed).missing == ()


def test_own_terms_go_into_ones_own_proposal(fresh: Partner, tasty: Partner) -> None:
    (fresh.home.path / "terms.toml").write_text("minimum_size = 200\n")
    standing = agreements.propose(fresh.home, fresh.room, agreement_table())
    party = standing.agreement.party("fresh")
    assert party is not None
    assert party.terms.minimum_size == 200
    assert standing.agreement.terms.minimum_size == 200


def test_an_agreement_that_is_looser_than_own_terms_is_not_signed(tasty: Partner, proposed: Standing) -> None:
    (tasty.home.path / "terms.toml").write_text("minimum_size = 500\nepsilon_total = 1\n")
    with pytest.raises(AgreementRefused, match="minimum_size, epsilon_total"):
        sign(tasty, proposed)
    assert tasty.home.agreement(proposed.agreement.id) is None


def test_a_proposal_without_oneself_is_refused(
    fresh: Partner, tasty: Partner, joined: Callable[[str], Partner]
) -> None:
    joined("third")
    table = agreement_table()
    table["partner"][0]["name"] = "third"
    table["audience"][0]["owner"] = "third"
    with pytest.raises(Failure, match="but not you"):
        agreements.propose(fresh.home, fresh.room, table)


def test_an_agreement_with_exchanged_keys_is_refused_by_both(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    mallory = keys.generate().public
    parties = tuple(
        replace(party, signing_key=mallory.signing, sealing_key=mallory.sealing) if party.name == "fresh" else party
        for party in proposed.agreement.parties
    )
    joining.confirm(tasty.home, joining.compare(tasty.home, tasty.room, "fresh"))
    exchange(fake, proposed, replace(proposed.agreement, parties=parties))
    with pytest.raises(NotConfirmed, match="other keys than those you compared"):
        sign(tasty, proposed)
    with pytest.raises(AgreementRefused, match="another agreement than the one you signed"):
        agreements.read(fresh.home, fresh.room, proposed.agreement.id)


def test_ones_own_keys_must_be_ones_own(fake: FakeRoom, tasty: Partner, proposed: Standing) -> None:
    parties = tuple(
        replace(party, sealing_key=bytes(32)) if party.name == "tasty" else party
        for party in proposed.agreement.parties
    )
    exchange(fake, proposed, replace(proposed.agreement, parties=parties))
    with pytest.raises(AgreementRefused, match="your own keys"):
        sign(tasty, proposed)


def test_changed_terms_are_not_what_was_signed(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    base = replace(proposed.agreement.base, minimum_size=1)
    exchange(fake, proposed, replace(proposed.agreement, base=base))
    with pytest.raises(AgreementRefused, match="signature of fresh"):
        sign(tasty, proposed)


def test_a_false_signature_is_refused(fake: FakeRoom, fresh: Partner, proposed: Standing) -> None:
    fake.agreements[proposed.agreement.id][1]["tasty"] = bytes(64)
    with pytest.raises(AgreementRefused, match="signature of tasty"):
        agreements.read(fresh.home, fresh.room, proposed.agreement.id)


def test_another_log_key_than_the_pinned_one_stops_a_proposal(fake: FakeRoom, fresh: Partner, tasty: Partner) -> None:
    fake.signer = replace(fake.signer, seed=bytes(32))
    with pytest.raises(AgreementRefused, match="another log key"):
        agreements.propose(fresh.home, fresh.room, agreement_table())


def test_bytes_that_are_no_agreement_are_refused() -> None:
    for document in (b"", b"{}", b"[1.5]", b'{"a": 1}', b"\xff"):
        with pytest.raises(AgreementRefused):
            agreements.parsed(document)


def test_a_name_stands_for_the_only_collaboration_that_has_it(fresh: Partner, proposed: Standing) -> None:
    for find in (naming.find, naming.find_only):
        assert find(fresh.room, "drive-2026").id == proposed.agreement.id
        with pytest.raises(UnknownCollaboration, match="no such"):
            find(fresh.room, "drive-2027")
    other = agreements.propose(fresh.home, fresh.room, agreement_table())
    for find in (naming.find, naming.find_only):
        with pytest.raises(UnknownCollaboration) as refused:
            find(fresh.room, "drive-2026")
        for each in (proposed, other):
            assert f"{each.agreement.id}, proposed, signed by fresh" in str(refused.value)
        assert "`cleanroom-partner leave ID` takes an older proposal away" in str(refused.value)
        assert find(fresh.room, proposed.agreement.id).id == proposed.agreement.id


def test_an_open_one_goes_before_proposals_of_its_name(fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    """But not where something is signed or ended: somebody may have meant the proposal."""
    other = agreements.propose(fresh.home, fresh.room, agreement_table())
    sign(tasty, proposed)
    assert naming.find(tasty.room, "drive-2026").id == proposed.agreement.id
    with pytest.raises(UnknownCollaboration, match=f"{proposed.agreement.id}, open, signed by fresh, tasty"):
        naming.find_only(tasty.room, "drive-2026")
    sign(tasty, other)
    with pytest.raises(UnknownCollaboration) as refused:
        naming.find(tasty.room, "drive-2026")
    assert "leave" not in str(refused.value)


# The secret


def test_the_secret_waits_for_the_comparison_on_both_sides(fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    sign(tasty, proposed)
    identifier = proposed.agreement.id
    with pytest.raises(NotConfirmed, match="compare tasty"):
        secret.make(fresh.home, fresh.room, identifier)
    joining.confirm(fresh.home, joining.compare(fresh.home, fresh.room, "tasty"))
    secret.make(fresh.home, fresh.room, identifier)
    with pytest.raises(NotConfirmed, match="compare fresh"):
        secret.accept(tasty.home, tasty.room)
    assert tasty.home.highest_epoch(identifier) == 0


def shared(fresh: Partner, tasty: Partner, proposed: Standing) -> str:
    sign(tasty, proposed)
    compare_both(fresh, tasty)
    secret.make(fresh.home, fresh.room, proposed.agreement.id)
    return proposed.agreement.id


def test_both_sides_end_with_one_secret(fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    identifier = shared(fresh, tasty, proposed)
    (accepted,) = secret.accept(tasty.home, tasty.room)
    assert (accepted.epoch, accepted.maker) == (1, "fresh")
    ours, theirs = fresh.home.secret(identifier, 1), tasty.home.secret(identifier, 1)
    assert ours is not None
    assert ours == theirs
    assert secret.accept(tasty.home, tasty.room) == ()
    with pytest.raises(SecretRefused, match="has its secret already"):
        secret.make(fresh.home, fresh.room, identifier)
    with pytest.raises(SecretRefused, match="has its secret already"):
        secret.make(tasty.home, tasty.room, identifier)
    seen = b"".join(fake.bodies)
    assert ours.value not in seen
    assert base64.b64encode(ours.value) not in seen


def test_a_secret_is_not_made_twice(fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    identifier = shared(fresh, tasty, proposed)
    with pytest.raises(SecretRefused, match="secret accept"):
        secret.make(tasty.home, tasty.room, identifier)


def test_a_cut_while_sending_is_repaired_with_the_same_secret(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    sign(tasty, proposed)
    compare_both(fresh, tasty)
    identifier = proposed.agreement.id
    fake.lose_answer_of = f"/v1/collaborations/{identifier}/envelopes"
    with pytest.raises(RoomUnreachable):
        secret.make(fresh.home, fresh.room, identifier)
    assert fresh.home.highest_epoch(identifier) == 0
    secret.make(fresh.home, fresh.room, identifier)
    secret.accept(tasty.home, tasty.room)
    assert fresh.home.secret(identifier, 1) == tasty.home.secret(identifier, 1)
    assert len(fake.envelopes) == 1


def test_an_envelope_of_somebody_else_is_not_opened(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    sign(tasty, proposed)
    compare_both(fresh, tasty)
    identifier, mallory = proposed.agreement.id, keys.generate()
    forged = seal(mallory, bytes(32), identifier, 1, "fresh", "tasty", fake.partners["tasty"])
    fake.envelopes.append(forged.to_json())
    with pytest.raises(EnvelopeRefused):
        secret.accept(tasty.home, tasty.room)
    stranger = seal(mallory, bytes(32), identifier, 1, "mallory", "tasty", fake.partners["tasty"])
    fake.envelopes[:] = [stranger.to_json()]
    with pytest.raises(SecretRefused, match="outside the agreement"):
        secret.accept(tasty.home, tasty.room)


def test_an_old_epoch_is_never_accepted_again(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    identifier = shared(fresh, tasty, proposed)
    secret.accept(tasty.home, tasty.room)
    before = tasty.home.secret(identifier, 1)
    old = seal(fresh.home.identity(), bytes(32), identifier, 1, "fresh", "tasty", fake.partners["tasty"])
    fake.envelopes[:] = [old.to_json()]
    assert secret.accept(tasty.home, tasty.room) == ()
    assert tasty.home.secret(identifier, 1) == before


def test_the_room_cannot_compare_audiences_with_another_secret(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing
) -> None:
    identifier = shared(fresh, tasty, proposed)
    other = seal(fresh.home.identity(), bytes(32), identifier, 1, "fresh", "third", fake.partners["fresh"])
    assert other.envelope.key_check == key_check(bytes(32), identifier, 1)
    fake.envelopes.insert(0, other.to_json())
    with pytest.raises(SecretRefused, match="another secret"):
        secret.accept(tasty.home, tasty.room)


def test_only_a_signer_takes_part_in_the_secret(fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    compare_both(fresh, tasty)
    with pytest.raises(SecretRefused, match="agree"):
        secret.make(tasty.home, tasty.room, proposed.agreement.id)


# Grants, reports, status


def test_a_grant_whose_answer_was_lost_is_booked_once(fake: FakeRoom, fresh: Partner) -> None:
    fake.lose_answer_of = "/v1/grants"
    with pytest.raises(RoomUnreachable):
        reporting.grant(fresh.home, fresh.room, 500_000, NOW)
    with pytest.raises(GrantWaits, match="another amount"):
        reporting.grant(fresh.home, fresh.room, 250_000, NOW)
    assert reporting.grant(fresh.home, fresh.room, 500_000, NOW) is None
    assert reporting.grant(fresh.home, fresh.room, 250_000, NOW) is not None
    assert [(each["serial"], each["epsilon"]) for each in fake.grants] == [(1, 500_000), (2, 250_000)]
    assert fresh.home.grants() == Grants(2)


def test_a_grant_that_never_arrived_is_sent_again_unchanged(fake: FakeRoom, fresh: Partner) -> None:
    fresh.room.ledger()
    fake.lose_answer_of = "/v1/grants"
    with pytest.raises(RoomUnreachable):
        reporting.grant(fresh.home, fresh.room, 500_000, NOW)
    first = fake.grants.pop()
    assert reporting.grant(fresh.home, fresh.room, 500_000, NOW.replace(year=2027)) is not None
    assert fake.grants == [first]


def test_a_room_that_forgot_a_grant_gets_no_other(fake: FakeRoom, fresh: Partner) -> None:
    reporting.grant(fresh.home, fresh.room, 500_000, NOW)
    fake.grants.clear()
    with pytest.raises(GrantWaits, match="forgotten"):
        reporting.grant(fresh.home, fresh.room, 500_000, NOW)


def test_a_report_must_carry_its_own_receipt(fake: FakeRoom, fresh: Partner, proposed: Standing) -> None:
    from policies.request import from_json

    wanted = from_json({"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]})
    first = reporting.ask(fresh.home, fresh.room, "drive-2026", wanted)
    second = reporting.ask(fresh.home, fresh.room, "drive-2026", wanted)
    assert fresh.room.report("r-0") == first
    assert second.receipt is not None
    fake.reports["r-0"] |= {"receipt": second.receipt.to_json()}
    with pytest.raises(LogRefused, match="something else"):
        fresh.room.report("r-0")
    fake.reports["r-0"] |= {"receipt": None}
    with pytest.raises(Failure, match="receipt"):
        fresh.room.report("r-0")


def test_status_says_what_is_next(fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing) -> None:
    def following(partner: Partner) -> str:
        (line,) = status(partner.home, partner.room)
        return line.next

    identifier = proposed.agreement.id
    assert following(fresh) == "wait until every partner has signed"
    assert "agree" in following(tasty)
    sign(tasty, proposed)
    assert "secret make" in following(fresh)
    compare_both(fresh, tasty)
    secret.make(fresh.home, fresh.room, identifier)
    assert "prepare" in following(fresh)
    assert "secret accept" in following(tasty)
    secret.accept(tasty.home, tasty.room)
    fake.published["fresh/drive"] = "v-1"
    assert following(fresh) == "wait for the audience of tasty"
    fake.published["tasty/readers"] = "v-2"
    assert following(fresh) == "`ask` for a report"


@pytest.mark.parametrize("role", [Role.OWNER, Role.MARKETER])
def test_an_agreement_that_does_not_parse_stops_no_other(
    fake: FakeRoom, fresh: Partner, tasty: Partner, proposed: Standing, role: Role
) -> None:
    """What its folder keeps of it is damaged; a marketer's folder keeps nothing, and asks the room."""
    sign(tasty, proposed)
    fake.published |= {"fresh/drive": "v-1", "tasty/readers": "v-2"}
    good = sign(tasty, agreements.propose(fresh.home, fresh.room, agreement_table()))
    if role is Role.OWNER:
        fresh.home.save_agreement(proposed.agreement.id, b"{}")
    else:
        fresh.home.save_room(replace(fresh.home.room(), role=role))
        for each in fresh.home.collaborations():
            (fresh.home.path / "collaborations" / each / "agreement.json").unlink()
        fake.documents[proposed.agreement.id] = b"{}"
    said = {line.id: line.next for line in status(fresh.home, fresh.room)}
    assert "no agreement" in said[proposed.agreement.id]
    assert "no agreement" not in said[good.agreement.id]


@pytest.mark.parametrize("status_code", [404, 429, 500])
def test_keys_that_cannot_be_looked_up_are_not_taken_for_ended_ones(
    fake: FakeRoom, fresh: Partner, tasty: Partner, status_code: int
) -> None:
    compare_both(fresh, tasty)
    assert notices(fresh.home, fresh.room) == ()
    fake.refused["/v1/partners/tasty"] = status_code
    if status_code == 404:
        assert notices(fresh.home, fresh.room) == ()
        return
    with pytest.raises(RoomRefused) as refused:
        notices(fresh.home, fresh.room)
    assert refused.value.problem.status == status_code


def test_an_agreement_is_stored_as_it_was_signed(fresh: Partner, proposed: Standing) -> None:
    document = fresh.home.agreement(proposed.agreement.id)
    assert document is not None
    assert agreements.parsed(document) == proposed.agreement
    assert document == proposed.agreement.canonical()
    assert formats.to_json(agreements.parsed(document)) == formats.to_json(proposed.agreement)

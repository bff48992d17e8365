"""Envelopes: from oneself, to another partner, of this epoch, once a recipient; the first maker of a secret wins."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from partners.envelopes import Envelope, SignedEnvelope, seal
from partners.steps import secret
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, VISITS, Brand, Stage

SALTY = Brand("salty", "chips", ("email",))


@pytest.fixture(scope="module")
def shared_signed(shared_joined: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """fresh, tasty and sunny under an open agreement, without a secret; salty has joined the room only."""
    with shared_joined.copy(tmp_path_factory.mktemp("signed")) as stage:
        stage.join("salty")
        identifier = stage.agree(DRIVE, READERS, VISITS)
        stage.compare("fresh", "tasty", "sunny")
        yield Collaboration(stage, identifier)


@pytest.fixture
def signed(shared_signed: Collaboration, tmp_path: Path) -> Iterator[Collaboration]:
    with shared_signed.stage.copy(tmp_path) as stage:
        yield Collaboration(stage, shared_signed.id)


def sealed(at: Collaboration, sender: str, recipient: str, value: bytes, epoch: int = 1) -> SignedEnvelope:
    players = at.stage.players
    return seal(players[sender].identity, value, at.id, epoch, sender, recipient, players[recipient].identity.public)


def send(at: Collaboration, envelope: SignedEnvelope, name: str) -> httpx.Response:
    with at.stage.http(name) as client:
        return client.post(f"/v1/collaborations/{at.id}/envelopes", json=envelope.to_json())


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def test_an_envelope_reaches_its_recipient_alone(signed: Collaboration) -> None:
    value = secrets.token_bytes(32)
    envelope = sealed(signed, "fresh", "tasty", value)
    answer = send(signed, envelope, "fresh")
    assert (answer.status_code, answer.json()) == (201, envelope.to_json())
    players = signed.stage.players
    assert players["tasty"].room.envelopes(signed.id) == (envelope,)
    assert players["fresh"].room.envelopes(signed.id) == players["sunny"].room.envelopes(signed.id) == ()
    assert players["sunny"].room.collaboration(signed.id).key_check == envelope.envelope.key_check
    assert signed.stage.leaves()[-1] == ("secret:relay", {"recipient": "tasty", "epoch": 1})
    everything = (signed.stage.folder / "room" / "catalog.sqlite").read_bytes()
    assert value not in everything


def test_an_envelope_is_ones_own(signed: Collaboration) -> None:
    """Not another partner's, not in its name, not to oneself or a stranger, not for another collaboration or epoch."""
    value, fresh = secrets.token_bytes(32), signed.stage.players["fresh"].identity
    good = sealed(signed, "fresh", "tasty", value)
    refused(send(signed, good, "sunny"), 422, "invalid")
    refused(send(signed, good, "tasty"), 422, "invalid")
    for sender, recipient, epoch in (("fresh", "fresh", 1), ("fresh", "salty", 1), ("fresh", "tasty", 2)):
        refused(send(signed, sealed(signed, sender, recipient, value, epoch), "fresh"), 422, "invalid")

    def resigned(changed: Envelope) -> SignedEnvelope:
        return SignedEnvelope(changed, fresh.sign("envelope/v1", changed.canonical()))

    refused(send(signed, resigned(replace(good.envelope, collaboration="other")), "fresh"), 422, "invalid")
    refused(send(signed, resigned(replace(good.envelope, recipient="nobody")), "fresh"), 422, "invalid")
    refused(send(signed, replace(good, envelope=replace(good.envelope, sender="tasty")), "fresh"), 422, "invalid")
    assert signed.stage.rows("select count(*) from envelopes") == [(0,)]


def test_an_envelope_is_signed_by_its_sender(signed: Collaboration) -> None:
    good, identity = sealed(signed, "fresh", "tasty", secrets.token_bytes(32)), signed.stage.players["fresh"].identity
    for envelope in (
        replace(good, signature=bytes(64)),
        replace(good, signature=identity.sign("agreement/v1", good.envelope.canonical())),
        replace(good, envelope=replace(good.envelope, key_check="0" * 32)),
        replace(good, envelope=replace(good.envelope, sealed=bytes(80))),
    ):
        refused(send(signed, envelope, "fresh"), 403, "bad-signature")


def test_an_envelope_is_relayed_once(signed: Collaboration) -> None:
    value = secrets.token_bytes(32)
    assert send(signed, sealed(signed, "fresh", "tasty", value), "fresh").status_code == 201
    refused(send(signed, sealed(signed, "fresh", "tasty", value), "fresh"), 409, "conflict")
    assert send(signed, sealed(signed, "fresh", "sunny", value), "fresh").status_code == 201
    assert signed.stage.rows("select recipient from envelopes order by recipient") == [("sunny",), ("tasty",)]


def test_the_first_maker_wins(signed: Collaboration) -> None:
    assert send(signed, sealed(signed, "fresh", "tasty", secrets.token_bytes(32)), "fresh").status_code == 201
    refused(send(signed, sealed(signed, "sunny", "fresh", secrets.token_bytes(32)), "sunny"), 409, "conflict")
    refused(send(signed, sealed(signed, "fresh", "sunny", secrets.token_bytes(32)), "fresh"), 409, "conflict")
    sunny = signed.stage.players["sunny"]
    with pytest.raises(secret.SecretRefused):
        secret.make(sunny.home, sunny.room, signed.id)


def test_no_secret_before_the_agreement_is_open(joined: Stage) -> None:
    identifier = joined.propose(DRIVE, READERS)
    at = Collaboration(joined, identifier)
    refused(send(at, sealed(at, "fresh", "tasty", secrets.token_bytes(32)), "fresh"), 409, "not-open")


@pytest.mark.parametrize("change", [{"more": 1}, {"epoch": 0}, {"epoch": 1.0}, {"sealed": "AA=="}, {"key_check": "x"}])
def test_what_is_no_envelope(shared_signed: Collaboration, change: dict[str, object]) -> None:
    body = sealed(shared_signed, "fresh", "tasty", secrets.token_bytes(32)).to_json()
    body["envelope"] |= change
    with shared_signed.stage.http("fresh") as client:
        refused(client.post(f"/v1/collaborations/{shared_signed.id}/envelopes", json=body), 422, "invalid")

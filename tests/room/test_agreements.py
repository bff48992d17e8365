"""Agreements: proposed with the room's floor and everybody's keys, signed byte for byte, open at the last signature."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from partners import keys
from partners.keys import Identity
from partners.proposal import read_proposal
from partners.steps import agreements
from partners.transparency.encoding import encode_base64
from policies import agreement as documents
from policies.agreement import Agreement, Party
from policies.terms import MICRO, Terms
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, FLOOR, READERS, Stage


def drafted(stage: Stage, *names: str) -> Agreement:
    """An agreement that the room would take from fresh."""
    table = {
        "collaboration": {"name": "draft", "match_keys": ["email", "id.card"]},
        "partner": [{"name": name} for name in names or ("fresh", "tasty")],
        "audience": [DRIVE.agreed(), READERS.agreed()],
    }
    return read_proposal(table, FLOOR, lambda name: stage.players[name].identity.public)


def proposed(stage: Stage, document: Any, signature: bytes, name: str = "fresh") -> httpx.Response:
    with stage.http(name) as client:
        return client.post("/v1/collaborations", json={"agreement": document, "signature": encode_base64(signature)})


def propose(stage: Stage, agreement: Agreement, identity: Identity | None = None) -> httpx.Response:
    identity = identity or stage.players["fresh"].identity
    signature = identity.sign("agreement/v1", agreement.canonical())
    return proposed(stage, documents.to_json(agreement), signature)


def signed(stage: Stage, name: str, identifier: str, signature: bytes) -> httpx.Response:
    with stage.http(name) as client:
        body = {"signature": encode_base64(signature)}
        return client.post(f"/v1/collaborations/{identifier}/signatures", json=body)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def nothing_happened(stage: Stage) -> None:
    assert stage.rows("select count(*) from collaborations") == [(0,)]
    assert [event for event, _ in stage.leaves() if event.startswith("agreement")] == []


def test_a_proposal_is_relayed_in_the_bytes_that_were_signed(joined: Stage) -> None:
    agreement = drafted(joined)
    answer = propose(joined, agreement)
    assert answer.status_code == 201
    body = answer.json()
    assert (body["id"], body["name"], body["state"], body["epoch"]) == (agreement.id, "draft", "proposed", 1)
    assert body["agreement_sha256"] == agreement.sha256()
    assert [each["partner"] for each in body["signatures"]] == ["fresh"]
    assert body["audiences"] == [
        {"owner": "fresh", "name": "drive", "version": None},
        {"owner": "tasty", "name": "readers", "version": None},
    ]
    with joined.http("tasty") as client:
        relayed = client.get(f"/v1/collaborations/{agreement.id}/agreement")
        assert (relayed.content, relayed.headers["Content-Type"]) == (agreement.canonical(), "application/json")
        assert client.get(f"/v1/collaborations/{agreement.id}").json() == body


CHANGES: dict[str, Callable[[Agreement], Agreement]] = {
    "a looser floor": lambda agreement: replace(agreement, floor=Terms()),
    "a stricter floor": lambda agreement: replace(agreement, floor=Terms(minimum_size=11)),
    "another protocol": lambda agreement: replace(agreement, protocol=2),
    "without the proposer": lambda agreement: replace(
        agreement,
        parties=tuple(party for party in agreement.parties if party.name != "fresh"),
        audiences=agreement.audiences[1:],
    ),
    "other keys of tasty": lambda agreement: replace(
        agreement, parties=(agreement.parties[0], replace(agreement.parties[1], sealing_key=bytes(32)))
    ),
    "other keys of fresh": lambda agreement: replace(
        agreement, parties=(replace(agreement.parties[0], signing_key=bytes(32)), agreement.parties[1])
    ),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_proposal_that_the_room_does_not_take(joined: Stage, change: Callable[[Agreement], Agreement]) -> None:
    answer = propose(joined, change(drafted(joined, "fresh", "tasty", "sunny")))
    refused(answer, 422, "bad-agreement")
    nothing_happened(joined)


def test_everybody_has_joined_before(joined: Stage) -> None:
    agreement, salty = drafted(joined), keys.generate()
    party = Party("salty", salty.public.signing, salty.public.sealing, Terms())
    refused(propose(joined, replace(agreement, parties=(*agreement.parties, party))), 422, "not-a-partner")
    nothing_happened(joined)


def test_the_proposers_signature_is_over_these_bytes(joined: Stage) -> None:
    agreement, fresh = drafted(joined), joined.players["fresh"].identity
    document = documents.to_json(agreement)
    for signature in (
        bytes(64),
        joined.players["tasty"].identity.sign("agreement/v1", agreement.canonical()),
        fresh.sign("manifest/v1", agreement.canonical()),
        fresh.sign("agreement/v1", agreement.canonical() + b"\n"),
        fresh.sign("agreement/v1", drafted(joined).canonical()),
    ):
        refused(proposed(joined, document, signature), 403, "bad-signature")
    nothing_happened(joined)


@pytest.mark.parametrize(
    "document",
    [{"version": 2}, {"id": 1.5}, {"id": ""}, {"partners": [[[]]]}, {"audiences": {}}, {"more": 1}],
)
def test_a_document_that_is_no_agreement(shared_joined: Stage, document: dict[str, Any]) -> None:
    refused(proposed(shared_joined, document, bytes(64)), 422, "bad-agreement")
    whole = documents.to_json(drafted(shared_joined))
    refused(proposed(shared_joined, whole | document, bytes(64)), 422, "bad-agreement")
    refused(proposed(shared_joined, whole, bytes(64)), 403, "bad-signature")


def test_an_id_is_taken_once(joined: Stage) -> None:
    agreement = drafted(joined)
    assert propose(joined, agreement).status_code == 201
    refused(propose(joined, agreement), 409, "conflict")
    refused(propose(joined, replace(agreement, name="other")), 409, "conflict")
    assert [event for event, _ in joined.leaves()].count("agreement:propose") == 1


def test_an_agreement_opens_with_the_last_signature(joined: Stage) -> None:
    agreement = drafted(joined, "fresh", "sunny", "tasty")
    propose(joined, agreement)
    states = []
    for name in ("tasty", "sunny"):
        player = joined.players[name]
        signature = player.identity.sign("agreement/v1", agreement.canonical())
        states.append(signed(joined, name, agreement.id, signature).json()["state"])
    assert states == ["proposed", "open"]
    events = [event for event, _ in joined.leaves()][-4:]
    assert events == ["agreement:propose", "agreement:sign", "agreement:sign", "agreement:open"]


def test_only_ones_own_signature_over_the_exact_bytes_counts(joined: Stage) -> None:
    agreement, tasty = drafted(joined), joined.players["tasty"].identity
    propose(joined, agreement)
    for signature in (
        bytes(64),
        joined.players["fresh"].identity.sign("agreement/v1", agreement.canonical()),
        tasty.sign("join/v1", agreement.canonical()),
        tasty.sign("agreement/v1", agreement.canonical()[:-1]),
        tasty.sign("agreement/v1", agreement.canonical().replace(b'"minimum_size":50', b'"minimum_size":51')),
    ):
        refused(signed(joined, "tasty", agreement.id, signature), 403, "bad-signature")
    assert joined.rows("select state from collaborations") == [("proposed",)]
    assert joined.rows("select partner from parties where signature is not null") == [("fresh",)]


def test_signing_twice_is_harmless(opened: Collaboration) -> None:
    stage, player = opened.stage, opened.stage.players["tasty"]
    before = stage.leaves()
    document = player.room.agreement(opened.id)
    answer = signed(stage, "tasty", opened.id, player.identity.sign("agreement/v1", document))
    assert (answer.status_code, answer.json()["state"]) == (201, "open")
    standing = agreements.agree(player.home, player.room, agreements.read(player.home, player.room, opened.id))
    assert standing.missing == ()
    assert stage.leaves() == before


def test_signing_at_the_same_time_opens_once(joined: Stage) -> None:
    agreement = drafted(joined, "fresh", "sunny", "tasty")
    propose(joined, agreement)
    answers: list[int] = []

    def sign(name: str) -> None:
        signature = joined.players[name].identity.sign("agreement/v1", agreement.canonical())
        answers.append(signed(joined, name, agreement.id, signature).status_code)

    threads = [threading.Thread(target=sign, args=(name,)) for name in ("sunny", "tasty", "sunny", "tasty")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [201] * 4
    assert joined.rows("select state from collaborations") == [("open",)]
    assert [event for event, _ in joined.leaves()].count("agreement:open") == 1


def test_the_terms_in_force_are_the_strictest(joined: Stage) -> None:
    agreement = drafted(joined)
    stricter = Terms(minimum_size=200, epsilon_per_report=MICRO // 10)
    propose(joined, replace(agreement, parties=(agreement.parties[0], replace(agreement.parties[1], terms=stricter))))
    in_force = joined.agreement(agreement.id).terms
    assert (in_force.minimum_size, in_force.epsilon_per_report) == (200, MICRO // 10)

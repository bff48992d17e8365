"""Invitations and joining: a code works once and for a week; the keys are signed for."""

import threading
from typing import Any

import httpx
import pytest

from partners import keys
from partners.keys import Identity
from partners.room.connection import RoomRefused
from partners.steps import joining
from partners.transparency.encoding import encode_base64
from policies import canonical
from tests.room.stage import DRIVE, READERS, URL, Stage

WEEK = 7 * 24 * 3600


def claim(code: str, identity: Identity, **changes: Any) -> dict[str, Any]:
    """The body of a join, signed; `changes` come after the signature."""
    keys_of = identity.public
    signed = {
        "code": code,
        "signing_key": encode_base64(keys_of.signing),
        "sealing_key": encode_base64(keys_of.sealing),
    }
    signature = identity.sign("join/v1", canonical.dumps(signed))
    return {**signed, "signature": encode_base64(signature), **changes}


def join(stage: Stage, body: dict[str, Any]) -> httpx.Response:
    with stage.anybody() as client:
        return client.post("/v1/join", json=body)


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def test_a_code_works_once(joined: Stage) -> None:
    code = joined.invite("salty")
    assert code not in str(joined.rows("select * from invites"))
    answer = join(joined, claim(code, keys.generate()))
    assert (answer.status_code, answer.json()) == (201, {"partner": "salty", "role": "owner", "waiting": []})
    refused(join(joined, claim(code, keys.generate())), 403, "bad-code")
    assert joined.rows("select count(*) from invites") == [(0,)]
    event, details = joined.leaves()[-1]
    assert (event, details) == ("partner:join", {"partner": "salty", "role": "owner"})


@pytest.mark.parametrize(("seconds", "good"), [(WEEK - 1, True), (WEEK, False), (WEEK + 1, False)])
def test_a_code_is_good_for_a_week(joined: Stage, seconds: int, good: bool) -> None:
    code = joined.invite("salty")
    joined.clock.forward(seconds=seconds)
    answer = join(joined, claim(code, keys.generate()))
    assert answer.status_code == (201 if good else 403)


def test_a_new_code_replaces_an_unused_one(joined: Stage) -> None:
    first, second = joined.invite("salty"), joined.invite("salty")
    refused(join(joined, claim(first, keys.generate())), 403, "bad-code")
    assert join(joined, claim(second, keys.generate())).status_code == 201


def test_the_code_alone_replaces_no_keys(joined: Stage) -> None:
    """An operator's second code does not put other keys in place of the first ones: the others are asked."""
    joined.agree(DRIVE, READERS)
    before = joined.rows("select * from partners order by name")
    answer = join(joined, claim(joined.invite("fresh"), keys.generate()))
    assert answer.json() == {"partner": "fresh", "role": "owner", "waiting": ["tasty"]}
    assert joined.rows("select * from partners order by name") == before
    assert joined.sign_in(joined.assertion("fresh")).status_code == 200


def test_keys_belong_to_one_partner(joined: Stage) -> None:
    code = joined.invite("salty")
    refused(join(joined, claim(code, joined.players["fresh"].identity)), 403, "bad-code")
    assert join(joined, claim(code, keys.generate())).status_code == 201, "the code was not used up"


def test_the_signature_covers_code_and_both_keys(joined: Stage) -> None:
    code, mine, other = joined.invite("salty"), keys.generate(), keys.generate()
    body = claim(code, mine)
    for changed in (
        {"sealing_key": encode_base64(other.public.sealing)},
        {"signing_key": encode_base64(other.public.signing)},
        {"signature": encode_base64(bytes(64))},
        {"signature": encode_base64(mine.sign("agreement/v1", canonical.dumps({})))},
    ):
        refused(join(joined, body | changed), 403, "bad-signature")
    refused(join(joined, claim("another code", mine) | {"code": code}), 403, "bad-signature")
    for changed in ({"signing_key": "AA=="}, {"sealing_key": "A" * 44}, {"signature": "é"}, {"signing_key": ""}):
        refused(join(joined, body | changed), 422, "invalid")
    assert join(joined, body).status_code == 201, "nothing above used the code up"


def test_two_at_once_share_no_code(joined: Stage) -> None:
    code = joined.invite("salty")
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(join(joined, claim(code, keys.generate())).status_code))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 403, 403, 403]


def test_the_client_pins_the_room_that_it_joined(shared_joined: Stage) -> None:
    home = shared_joined.players["fresh"].home
    pinned = home.room()
    assert (pinned.url, pinned.partner, str(pinned.vkey)) == (URL, "fresh", shared_joined.room.vkey)
    with pytest.raises(joining.AlreadyJoined):
        joining.join(home, URL, "x", shared_joined.transport())


def test_keys_of_partners_are_for_partners(shared_joined: Stage) -> None:
    fresh, tasty = shared_joined.players["fresh"], shared_joined.players["tasty"]
    assert fresh.room.keys_of("tasty") == tasty.identity.public
    with pytest.raises(RoomRefused) as caught:
        fresh.room.keys_of("nobody")
    assert caught.value.problem.code == "not-found"

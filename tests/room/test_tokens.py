"""Client assertions (RFC 7523): what is a good one, and that every other one answers alike."""

import base64
import hashlib
import hmac
import json
from typing import Any

import httpx
import jwt
import pytest

from partners import keys
from partners.keys import key_id
from tests.room.stage import URL, Stage


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.json()["type"] == "/problems/bad-assertion"
    assert answer.json()["error"] == "invalid_client"


def _part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_a_good_assertion_gives_a_token_for_ten_minutes(joined: Stage) -> None:
    answer = joined.sign_in(joined.assertion("fresh"))
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 600)
    stored = joined.rows("select * from access_tokens")
    assert body["access_token"] not in str(stored)
    with joined.anybody() as client:
        for scheme in ("Bearer", "bearer", "BEARER"):
            headers = {"Authorization": f"{scheme} {body['access_token']}"}
            assert client.get("/v1/ledger", headers=headers).json()["partner"] == "fresh"


CHANGED: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "https://other.example/v1/token"},
    "the room's address alone": {"aud": URL},
    "no audience": {"aud": None},
    "a longer life": {"exp": 61},
    "no end": {"exp": None},
    "an end as text": {"exp": "later"},
    "no beginning": {"iat": None},
    "a beginning without end": {"iat": float("-inf")},
    "an infinite end": {"exp": float("inf")},
    "a number that is none": {"exp": float("nan")},
    "no jti": {"jti": None},
    "a jti that is no text": {"jti": 7},
    "a jti of half a character": {"jti": "\udfff"},
    "another issuer": {"iss": "tasty"},
    "another subject": {"sub": "tasty"},
    "no subject": {"sub": None},
    "a subject that is no text": {"sub": ["fresh"]},
    "half a character": {"sub": "\ud800"},
    "not before tomorrow": {"nbf": 86_400},
    "not before nonsense": {"nbf": "x"},
}


@pytest.mark.parametrize("changes", CHANGED.values(), ids=CHANGED)
def test_an_assertion_with_wrong_claims(shared_joined: Stage, changes: dict[str, Any]) -> None:
    now = shared_joined.room.now
    moved = {name: now + value if type(value) is int and name != "jti" else value for name, value in changes.items()}
    claims = jwt.decode(shared_joined.assertion("fresh"), options={"verify_signature": False}) | moved
    claims = {name: value for name, value in claims.items() if value is not None}
    signed = f"{_part({'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(claims)}"
    signature = shared_joined.players["fresh"].identity.signing.sign(signed.encode())
    refused(shared_joined.sign_in(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"))


def test_the_test_above_signs_what_would_be_accepted(shared_joined: Stage) -> None:
    claims = jwt.decode(shared_joined.assertion("fresh"), options={"verify_signature": False})
    signed = f"{_part({'alg': 'EdDSA', 'typ': 'JWT'})}.{_part(claims | {'nbf': shared_joined.room.now})}"
    signature = shared_joined.players["fresh"].identity.signing.sign(signed.encode())
    answer = shared_joined.sign_in(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")
    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("seconds", "good"), [(-31, False), (-30, True), (0, True), (30, True), (60, True), (90, True), (91, False)]
)
def test_clocks_may_differ_by_half_a_minute(joined: Stage, seconds: int, good: bool) -> None:
    """The room's clock is `seconds` ahead of the partner's, whose assertion lives for 60."""
    assertion = joined.assertion("fresh")
    joined.clock.forward(seconds=seconds)
    answer = joined.sign_in(assertion)
    if good:
        assert answer.status_code == 200
    else:
        refused(answer)


@pytest.mark.parametrize(("seconds", "side"), [(-45, "45 s ahead of"), (3600, "3600 s behind")])
def test_whoever_signed_well_is_told_how_far_its_clock_is_off(joined: Stage, seconds: int, side: str) -> None:
    """The room's clock is `seconds` ahead of the partner's. A stranger is not told."""
    mine, strangers = joined.assertion("fresh"), joined.assertion("fresh", keys.generate())
    joined.clock.forward(seconds=seconds)
    answer = joined.sign_in(mine)
    refused(answer)
    assert f"has a clock {side} the room's" in answer.json()["detail"]
    stranger = joined.sign_in(strangers)
    refused(stranger)
    assert "clock" not in stranger.json()["detail"]


@pytest.mark.parametrize("kid", ["tasty", "none", "", 7, None, ["x"], {}, "\x00", "a" * 2000])
def test_an_assertion_that_names_no_key_of_the_partner(shared_joined: Stage, kid: Any) -> None:
    named = key_id(shared_joined.players["tasty"].identity.public.signing) if kid == "tasty" else kid
    claims = jwt.decode(shared_joined.assertion("fresh"), options={"verify_signature": False})
    signed = f"{_part({'alg': 'EdDSA', 'typ': 'JWT', 'kid': named})}.{_part(claims)}"
    signature = shared_joined.players["fresh"].identity.signing.sign(signed.encode())
    answer = shared_joined.sign_in(f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}")
    refused(answer)


def test_an_assertion_works_once(joined: Stage) -> None:
    assertion = joined.assertion("fresh")
    assert joined.sign_in(assertion).status_code == 200
    for seconds in (0, 60, 30, 1):  # also at the very end of its life, and after
        joined.clock.forward(seconds=seconds)
        refused(joined.sign_in(assertion))


def test_a_jti_is_remembered_across_restarts_and_by_partner(joined: Stage) -> None:
    assert joined.sign_in(joined.assertion("fresh", jti="one")).status_code == 200
    assert joined.sign_in(joined.assertion("tasty", jti="one")).status_code == 200
    with joined.copy(joined.folder / "again") as again:
        refused(again.sign_in(again.assertion("fresh", jti="one")))
        again.clock.forward(seconds=200)
        assert again.sign_in(again.assertion("fresh", jti="one")).status_code == 200


def test_another_key_and_an_unknown_partner_answer_alike(shared_joined: Stage) -> None:
    stranger = keys.generate()
    other = shared_joined.sign_in(shared_joined.assertion("fresh", stranger))
    unknown = shared_joined.sign_in(shared_joined.assertion("nobody", stranger))
    for_tasty = shared_joined.sign_in(shared_joined.assertion("tasty", shared_joined.players["fresh"].identity))
    refused(other)
    for answer in (unknown, for_tasty):
        assert (answer.content, answer.headers) == (other.content, other.headers)


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "HS512", "RS256", "ES256", "", "eddsa"])
def test_only_one_algorithm_counts(shared_joined: Stage, algorithm: str) -> None:
    """`none` without a signature, and an HMAC under the public key, are the classic two."""
    identity = shared_joined.players["fresh"].identity
    claims = jwt.decode(shared_joined.assertion("fresh"), options={"verify_signature": False})
    signed = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims)}"
    forged = hmac.digest(identity.public.signing, signed.encode(), hashlib.sha256)
    for signature in (b"", forged, identity.signing.sign(signed.encode())):
        text = base64.urlsafe_b64encode(signature).rstrip(b"=").decode()
        refused(shared_joined.sign_in(f"{signed}.{text}"))


@pytest.mark.parametrize(
    "assertion",
    [
        "",
        "x",
        "..",
        "a.b.c",
        "e30.e30.e30",
        f"{_part({'alg': 'EdDSA'})}.{_part([])}.AA",
        f"{_part({'alg': 'EdDSA'})}.{base64.urlsafe_b64encode(b'[' * 1500 + b']' * 1500).decode()}.AA",
        f"{base64.urlsafe_b64encode(b'[' * 1500 + b']' * 1500).decode()}.e30.AA",
        f"{_part({'alg': 'EdDSA'})}.{base64.urlsafe_b64encode(b'9' * 3000).decode()}.AA",
        "é.é.é",
        "\x00",
    ],
)
def test_what_is_no_assertion_at_all(shared_joined: Stage, assertion: str) -> None:
    refused(shared_joined.sign_in(assertion))

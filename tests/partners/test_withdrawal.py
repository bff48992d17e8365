"""Batches of withdrawals: the bytes that are signed, and what is no batch."""

import json
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from partners import withdrawal
from partners.keys import Identity, generate
from partners.transparency.encoding import encode_base64
from partners.withdrawal import MAX_TOKENS, Action, BadWithdrawal, Batch, SignedBatch, ascending
from policies.purpose import Purpose

BATCH = Batch(
    collaboration="drive-1",
    partner="fresh",
    audience=None,
    epoch=1,
    key_check="0123456789abcdef" * 2,
    action=Action.WITHDRAW,
    purposes=frozenset({Purpose.MEASUREMENT, Purpose.INSIGHTS}),
    match_key="email",
    tokens=(bytes(16), b"e" * 16),
    created="2026-03-14T12:00:00Z",
    nonce="00ff" * 8,
)


def test_the_bytes_are_fixed() -> None:
    """A wire form: if this fails, the version has to grow."""
    assert BATCH.canonical() == (
        b'{"action":"withdraw","audience":null,"collaboration":"drive-1","created":"2026-03-14T12:00:00Z","epoch":1,'
        b'"key_check":"0123456789abcdef0123456789abcdef","match_key":"email","nonce":"00ff00ff00ff00ff00ff00ff00ff00ff",'
        b'"partner":"fresh","purposes":["insights","measurement"],'
        b'"tokens":"AAAAAAAAAAAAAAAAAAAAAGVlZWVlZWVlZWVlZWVlZWU=","version":1}'
    )
    assert BATCH.sha256() == "9cdd7dfc12d59aff7eddb16e6dea47fbe51a8600fd47a5ace5c5596813b2f886"
    identity = Identity(Ed25519PrivateKey.from_private_bytes(bytes(32)), X25519PrivateKey.generate())
    assert encode_base64(withdrawal.sign(identity, BATCH).signature) == (
        "IoXJ3pt+oNcV/4eOdH+I7tsk4nZoJaV7ymq5DNAWOJo+u0trU1laiZWpMkAzwds2YNbkq8gaNou//PvqqwTBDg=="
    )
    assert withdrawal.committed("fresh", "2026-03-14", ["aa", "bb"]) == (
        b'{"batches":["aa","bb"],"day":"2026-03-14","partner":"fresh","version":1}'
    )


@given(
    st.sets(st.binary(min_size=16, max_size=16), min_size=1, max_size=20),
    st.sampled_from(Action),
    st.sets(st.sampled_from(Purpose), min_size=1),
    st.sampled_from(["email", "id.card", "person"]),
    st.sampled_from([None, "drive"]),
)
def test_a_batch_is_read_back(
    tokens: set[bytes], action: Action, purposes: set[Purpose], key: str, audience: str | None
) -> None:
    named = frozenset(Purpose) if action is Action.ERASE else frozenset(purposes)
    batch = replace(BATCH, tokens=ascending(tokens), action=action, purposes=named, match_key=key, audience=audience)
    assert Batch.from_json(json.loads(batch.canonical())) == batch


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"version": 2}, "exactly"),
        ({"more": 1}, "exactly"),
        ({"epoch": 0}, "epoch"),
        ({"epoch": True}, "epoch"),
        ({"partner": "a b"}, "partner"),
        ({"audience": ""}, "audience"),
        ({"key_check": "ab"}, "key_check"),
        ({"action": "forget"}, "withdraw, reinstate, erase"),
        ({"action": ["erase"]}, "withdraw, reinstate, erase"),
        ({"action": "erase"}, "all purposes"),
        ({"purposes": []}, "purposes"),
        ({"purposes": ["measurement", "insights"]}, "sorted"),
        ({"purposes": ["insights", "insights"]}, "once"),
        ({"purposes": "insights"}, "purposes"),
        ({"purposes": 5}, "purposes"),
        ({"match_key": "name"}, "match_key"),
        ({"tokens": ""}, "tokens"),
        ({"tokens": None}, "tokens"),
        ({"tokens": encode_base64(bytes(15))}, "16 bytes"),
        ({"tokens": encode_base64(bytes(32))}, "each once"),
        ({"tokens": encode_base64(b"b" * 16 + b"a" * 16)}, "ascending"),
        ({"tokens": encode_base64(b"".join(n.to_bytes(16, "big") for n in range(MAX_TOKENS + 1)))}, "10000"),
        ({"created": "yesterday"}, "created"),
        ({"nonce": 7}, "nonce"),
    ],
)
def test_what_is_no_batch_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BadWithdrawal, match=said):
        Batch.from_json({**BATCH.to_json(), **changes})


def test_a_field_that_is_missing() -> None:
    for field in BATCH.to_json():
        with pytest.raises(BadWithdrawal):
            Batch.from_json({name: value for name, value in BATCH.to_json().items() if name != field})
    with pytest.raises(BadWithdrawal):
        Batch.from_json([])


def test_only_the_owner_signs_and_only_this_batch() -> None:
    identity, other = generate(), generate()
    signed = withdrawal.sign(identity, BATCH)
    assert withdrawal.verify(signed, identity.public.signing)
    assert not withdrawal.verify(signed, other.public.signing)
    assert not withdrawal.verify(
        SignedBatch(replace(BATCH, nonce="11" * 16), signed.signature), identity.public.signing
    )

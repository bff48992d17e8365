"""Changes of keys: one spelling, strict reading, and which former keys new ones vouch for."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners import keys
from partners.key_change import Action, BadKeyChange, KeyChange, Role, SignedChange, vouched
from partners.keys import Identity
from partners.protocol import PublicKeys

CREATED = "2026-03-14T12:00:00Z"
FIRST, SECOND, THIRD, STRANGER = (keys.generate() for _ in range(4))

any_key = st.binary(min_size=32, max_size=32)
changes = st.one_of(
    st.builds(
        KeyChange,
        st.just("fresh"),
        st.just(Action.ADD),
        st.integers(1, 10**6),
        st.just(CREATED),
        st.sampled_from([Role.MARKETER, Role.AUDITOR]),
        any_key,
        st.none(),
        st.none(),
    ),
    st.builds(
        KeyChange,
        st.just("fresh"),
        st.just(Action.ROTATE),
        st.integers(1, 10**6),
        st.just(CREATED),
        st.just(Role.OWNER),
        any_key,
        any_key,
        st.builds(PublicKeys, any_key, any_key),
    ),
    st.builds(
        KeyChange,
        st.just("fresh"),
        st.just(Action.REVOKE),
        st.integers(1, 10**6),
        st.just(CREATED),
        st.just(Role.OWNER),
        any_key,
        any_key,
        st.none(),
    ),
)


@given(changes, st.binary(min_size=64, max_size=64))
def test_what_is_written_is_read(change: KeyChange, signature: bytes) -> None:
    signed = SignedChange(change, signature, signature if change.previous else None)
    assert SignedChange.from_json(signed.to_json()) == signed


OTHERS: list[Any] = ["", "é", "a b", "x" * 65, -1, 0, True, 1.5, [], {}, None]


@given(changes, st.sampled_from(sorted(KeyChange.__slots__)), st.sampled_from(OTHERS))
def test_other_values_are_refused(change: KeyChange, field: str, value: Any) -> None:
    document = change.to_json()
    if document[field] != value:
        with pytest.raises(BadKeyChange):
            KeyChange.from_json({**document, field: value})


def test_the_bytes() -> None:
    change = KeyChange("fresh", Action.ADD, 3, CREATED, Role.MARKETER, bytes(32), None, None)
    assert change.canonical() == (
        b'{"action":"add","created":"2026-03-14T12:00:00Z","partner":"fresh","previous":null,"role":"marketer",'
        b'"sealing_key":null,"serial":3,"signing_key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    )


def rotation(old: Identity, new: Identity, serial: int, prover: Identity | None = None) -> SignedChange:
    change = KeyChange(
        "fresh", Action.ROTATE, serial, CREATED, Role.OWNER, new.public.signing, new.public.sealing, old.public
    )
    document = change.canonical()
    return SignedChange(change, old.sign("key/v1", document), (prover or new).sign("key/v1", document))


def test_new_keys_vouch_for_a_chain_of_old_ones() -> None:
    one, two = rotation(FIRST, SECOND, 1), rotation(SECOND, THIRD, 5)
    assert vouched(THIRD.public, [one, two]) == (SECOND.public, FIRST.public)
    assert vouched(THIRD.public, [two, one]) == (SECOND.public, FIRST.public)
    assert vouched(SECOND.public, [one, two]) == (FIRST.public,)
    assert vouched(FIRST.public, [one, two]) == ()


def test_nobody_else_can_vouch() -> None:
    """A room that makes up a past needs the signature of the keys that were compared."""
    assert vouched(SECOND.public, [rotation(STRANGER, SECOND, 1, prover=STRANGER)]) == ()
    assert vouched(SECOND.public, [rotation(STRANGER, THIRD, 1)]) == ()
    true = rotation(FIRST, SECOND, 1)
    for changed in (
        replace(true, proof=None),
        replace(true, proof=bytes(64)),
        replace(true, change=replace(true.change, previous=STRANGER.public)),
        replace(true, change=replace(true.change, sealing_key=STRANGER.public.sealing)),
    ):
        assert vouched(SECOND.public, [changed]) == ()
    assert vouched(THIRD.public, [rotation(FIRST, SECOND, 1), rotation(SECOND, THIRD, 2, prover=SECOND)]) == ()

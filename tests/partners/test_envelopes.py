from dataclasses import replace
from typing import Any

import pytest

from partners import protocol
from partners.envelopes import BadEnvelope, Envelope, EnvelopeRefused, SignedEnvelope, open_envelope, seal
from partners.keys import Identity
from tests.partners.world import FRESH, SECRET, TASTY, identity

PINNED = (
    "dabbe882b8e6b4d937eb26e2d1c878bc5b016f54854dc3c745da653f0a2d037133f9404d33872796"
    "ee44a491dc256510082a6ce300c8cd68991f85439be2ccb0feb0320d8e0f0d716408f6d58856089d"
)
SIGNED = seal(FRESH, SECRET, "c-1", 3, "fresh", "tasty", TASTY.public)


def signed_anew(**changes: Any) -> SignedEnvelope:
    """The envelope with changes that its own sender signed."""
    envelope = replace(SIGNED.envelope, **changes)
    return SignedEnvelope(envelope, FRESH.sign("envelope/v1", envelope.canonical()))


def test_a_sealed_secret_opens_for_its_recipient() -> None:
    assert open_envelope(TASTY, SIGNED, FRESH.public, "tasty") == SECRET
    assert SIGNED.envelope.key_check == protocol.key_check(SECRET, "c-1", 3)
    assert SECRET not in SIGNED.envelope.canonical()


def test_sealing_twice_gives_other_bytes() -> None:
    assert seal(FRESH, SECRET, "c-1", 3, "fresh", "tasty", TASTY.public).envelope.sealed != SIGNED.envelope.sealed


@pytest.mark.parametrize(
    ("signed", "opener", "sender", "me", "reason"),
    [
        (SIGNED, TASTY, identity(9), "tasty", "not signed"),
        (replace(SIGNED, signature=bytes(64)), TASTY, FRESH, "tasty", "not signed"),
        (replace(SIGNED, envelope=replace(SIGNED.envelope, epoch=4)), TASTY, FRESH, "tasty", "not signed"),
        (SIGNED, TASTY, FRESH, "other", "another partner"),
        (SIGNED, identity(9), FRESH, "tasty", "another key"),
        (signed_anew(epoch=4), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(collaboration="c-2"), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(sender="mallory"), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(sealed=SIGNED.envelope.sealed[:-1] + b"\0"), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(sealed=bytes(80)), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(sealed=b""), TASTY, FRESH, "tasty", "damaged"),
        (signed_anew(key_check="0" * 32), TASTY, FRESH, "tasty", "key check"),
    ],
)
def test_what_must_not_be_used_is_refused(
    signed: SignedEnvelope, opener: Identity, sender: Identity, me: str, reason: str
) -> None:
    with pytest.raises(EnvelopeRefused, match=reason) as refusal:
        open_envelope(opener, signed, sender.public, me)
    assert SECRET.hex() not in str(refusal.value)


def test_json_and_back() -> None:
    assert SignedEnvelope.from_json(SIGNED.to_json()) == SIGNED


def test_the_signed_bytes_are_pinned() -> None:
    envelope = Envelope("c-1", 3, "fresh", "tasty", "0" * 32, bytes(80))
    assert envelope.canonical() == (
        b'{"collaboration":"c-1","epoch":3,"key_check":"00000000000000000000000000000000","recipient":"tasty",'
        b'"sealed":"' + b"A" * 107 + b'=","sender":"fresh","version":1}'
    )


def test_an_envelope_of_version_1_still_opens() -> None:
    """Pins the suite and its `info`: these bytes were sealed once and must open for ever."""
    sealed = bytes.fromhex(PINNED)
    envelope = Envelope("c-1", 3, "fresh", "tasty", protocol.key_check(SECRET, "c-1", 3), sealed)
    signed = SignedEnvelope(envelope, FRESH.sign("envelope/v1", envelope.canonical()))
    assert open_envelope(TASTY, signed, FRESH.public, "tasty") == SECRET


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"more": 1},
        {"epoch": 0},
        {"epoch": "3"},
        {"epoch": True},
        {"sender": ""},
        {"recipient": None},
        {"collaboration": "a/b"},
        {"key_check": "0" * 31},
        {"key_check": "A" * 32},
        {"sealed": "AAAA"},
        {"sealed": 5},
        {"sealed": "é"},
    ],
)
def test_what_is_no_envelope_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(BadEnvelope):
        Envelope.from_json(SIGNED.envelope.to_json() | change)


@pytest.mark.parametrize(
    "value", [None, [], {}, SIGNED.to_json() | {"signature": "AAAA"}, {"envelope": {}, "signature": ""}]
)
def test_what_is_no_signed_envelope_is_refused(value: object) -> None:
    with pytest.raises(BadEnvelope):
        SignedEnvelope.from_json(value)

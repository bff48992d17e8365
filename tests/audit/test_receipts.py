"""Receipts: made by the room, checked by the partner's side with nothing but the verifier key."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.audit.log import LogDamaged
from cleanroom.audit.receipts import receipt as make_receipt
from partners.receipts import Receipt, ReceiptError, check
from partners.transparency.check import Outcome
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.merkle import inclusion_proof, leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey
from partners.transparency.proof import Proof
from tests.audit.rooms import ORIGIN, START_MS, make_room, nonce

KEY = SigningKey(ORIGIN, bytes(range(32)))
BODY = Body("decision:release", "drive", "key-1", {"cost": 250}).encode()
ENTRY = Entry(3, START_MS, commitment(nonce(3), BODY)).encode()
LEAVES = [leaf_hash(b"%d" % number) for number in range(3)] + [leaf_hash(ENTRY), leaf_hash(b"4")]
NODE = nodes_of(LEAVES)
NOTE = KEY.sign(Checkpoint(ORIGIN, 5, root(5, NODE)).text()).decode()
GOOD = Receipt(Proof(3, inclusion_proof(3, 5, NODE), NOTE).encode(), ENTRY, BODY, nonce(3))


def failed(receipt: Receipt) -> dict[str, Outcome]:
    verdict = check(receipt, KEY.verifier)
    assert not verdict.ok
    facts = (verdict.time_ms, verdict.event, verdict.decision, verdict.index, verdict.size, verdict.root)
    assert facts == (None,) * 6
    return {check.name: check.outcome for check in verdict.checks if not check.passed}


def test_every_entry_of_a_room(tmp_path: Path) -> None:
    room = make_room(tmp_path, 300)
    note = room.publish()
    with room.connection() as connection:
        for seq in (0, 1, 2, 3, 255, 256, 299):
            verdict = check(make_receipt(connection, seq, note), room.key)
            assert verdict.ok
            assert (verdict.index, verdict.size, verdict.time_ms) == (seq, 300, START_MS + seq)
            assert verdict.event == ("room:init" if seq == 0 else f"decision:{'refuse' if seq % 3 == 0 else 'release'}")
            assert verdict.decision == (None if seq == 0 else verdict.event.removeprefix("decision:"))


def test_the_verdict() -> None:
    verdict = check(GOOD, KEY.verifier)
    names = ["proof", "signature", "entry", "body", "commitment", "inclusion"]
    assert [(check.name, check.outcome) for check in verdict.checks] == [(name, Outcome.PASSED) for name in names]
    assert (verdict.ok, verdict.time_ms, verdict.index, verdict.size) == (True, START_MS, 3, 5)
    assert (verdict.event, verdict.decision, verdict.root) == ("decision:release", "release", root(5, NODE))


def test_json() -> None:
    value = json.loads(json.dumps(GOOD.to_json()))
    assert value.keys() == {"proof", "entry", "body", "nonce"}
    assert Receipt.from_json(value) == GOOD


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {**GOOD.to_json(), "extra": ""},
        {name: part for name, part in GOOD.to_json().items() if name != "nonce"},
        *({**GOOD.to_json(), name: None} for name in GOOD.to_json()),
        *({**GOOD.to_json(), name: "\ud800"} for name in GOOD.to_json()),
        {**GOOD.to_json(), "nonce": GOOD.to_json()["nonce"] + "\n"},
        {**GOOD.to_json(), "nonce": encode_base64(b"short")},
    ],
)
def test_refuses_json(value: object) -> None:
    with pytest.raises(ReceiptError):
        Receipt.from_json(value)


def test_another_key_or_log() -> None:
    other = SigningKey(ORIGIN, bytes(32))
    assert [c.name for c in check(GOOD, other.verifier).checks if not c.passed] == ["signature", "inclusion"]
    note = KEY.sign(Checkpoint("shop.example", 5, root(5, NODE)).text()).decode()
    assert failed(replace(GOOD, proof=GOOD.proof.replace(NOTE, note)))["signature"] is Outcome.FAILED


def test_each_part_is_checked_by_itself() -> None:
    skipped, wrong = Outcome.SKIPPED, Outcome.FAILED
    assert failed(replace(GOOD, proof="")) == {"proof": wrong, "signature": skipped, "inclusion": skipped}
    assert failed(replace(GOOD, entry=b"{}")) == {"entry": wrong, "commitment": skipped, "inclusion": skipped}
    assert failed(replace(GOOD, body=b"{}")) == {"body": wrong, "commitment": wrong}
    assert failed(replace(GOOD, body=BODY.replace(b"250", b"0"))) == {"commitment": wrong}
    assert failed(replace(GOOD, nonce=nonce(4))) == {"commitment": wrong}
    assert failed(replace(GOOD, entry=ENTRY.replace(b"17", b"18"))) == {"inclusion": wrong}
    assert failed(replace(GOOD, proof=GOOD.proof.replace("index 3", "index 2"))) == {"inclusion": wrong}
    extra = GOOD.proof.replace("index 3", "extra YQ==\nindex 3")
    assert failed(replace(GOOD, proof=extra)) == {"proof": wrong, "signature": skipped, "inclusion": skipped}


def test_an_entry_under_another_number() -> None:
    """An operator cannot show entry 3 as entry 2 of a log that really holds it there."""
    leaves = [*LEAVES[:2], leaf_hash(ENTRY)]
    note = KEY.sign(Checkpoint(ORIGIN, 3, root(3, nodes_of(leaves))).text()).decode()
    proof = Proof(2, inclusion_proof(2, 3, nodes_of(leaves)), note).encode()
    assert failed(replace(GOOD, proof=proof)) == {"inclusion": Outcome.FAILED}


@given(st.sampled_from(["proof", "entry", "body", "nonce"]), st.integers(0, 10_000), st.integers(1, 127))
def test_no_changed_byte_passes(part: str, position: int, change: int) -> None:
    value = GOOD.to_json()
    raw = bytearray(value[part].encode())
    raw[position % len(raw)] ^= change
    try:
        receipt = Receipt.from_json({**value, part: raw.decode()})
    except (ReceiptError, UnicodeDecodeError):
        return
    assert not check(receipt, KEY.verifier).ok


@given(st.text(), st.binary(), st.binary())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_receipt_gets_a_verdict(proof: str, entry: bytes, body: bytes) -> None:
    assert not check(Receipt(proof, entry, body, nonce(0)), KEY.verifier).ok


def test_the_room_refuses_what_it_cannot_prove(tmp_path: Path) -> None:
    room = make_room(tmp_path, 5)
    note = room.publish()
    room.grow(7)
    with room.connection() as connection:
        for seq in (-1, 5, 6, 7):
            with pytest.raises(LookupError, match="publish first"):
                make_receipt(connection, seq, note)
        connection.execute("UPDATE log_entries SET nonce = NULL WHERE seq = 2")
        with pytest.raises(LookupError, match="erased"):
            make_receipt(connection, 2, note)
        connection.execute("DROP TRIGGER log_nodes_no_update")
        connection.execute("UPDATE log_nodes SET hash = zeroblob(32) WHERE level = 1")
        with pytest.raises(LogDamaged, match="does not lead"):
            make_receipt(connection, 3, note)

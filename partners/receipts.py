"""Receipts: the proof, checkable offline, that a decision is in the audit log. Pure.

A receipt holds an inclusion proof with its signed checkpoint, the entry, the body that the entry commits to, and the
nonce of that commitment. It is checked with the log's verifier key, which comes from outside, never from the receipt.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from partners.transparency.check import Check, Outcome
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.cosignature import WitnessKey, check_witnesses
from partners.transparency.encoding import decode_base64, encode_base64
from partners.transparency.entry import NONCE_BYTES, Body, Entry, EntryError, commitment
from partners.transparency.merkle import leaf_hash, verify_inclusion
from partners.transparency.note import NoteError, VerifierKey
from partners.transparency.proof import Proof, ProofError

Part = TypeVar("Part")


class ReceiptError(ValueError):
    """A JSON value that is no receipt; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof text, entry and body as they are in the log, and the 32-byte nonce between them. Nothing is verified."""

    proof: str
    entry: bytes
    body: bytes
    nonce: bytes

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_BYTES:
            raise ReceiptError("this receipt is damaged: its nonce has not 32 bytes")

    def to_json(self) -> dict[str, str]:
        """The JSON object `{"proof", "entry", "body", "nonce"}`: texts as they are, the nonce in base64."""
        return {
            "proof": self.proof,
            "entry": self.entry.decode(),
            "body": self.body.decode(),
            "nonce": encode_base64(self.nonce),
        }

    @classmethod
    def from_json(cls, value: object) -> "Receipt":
        """The receipt of a JSON object; ReceiptError when a part is missing, unknown or not text."""
        if not isinstance(value, dict) or value.keys() != {"proof", "entry", "body", "nonce"}:
            raise ReceiptError("this is not a receipt: it needs exactly proof, entry, body and nonce")
        if not all(isinstance(part, str) for part in value.values()):
            raise ReceiptError("this is not a receipt: each of its parts is text")
        try:
            nonce = decode_base64(value["nonce"])
            proof = value["proof"]
            proof.encode()
            entry, body = value["entry"].encode(), value["body"].encode()
        except ValueError:  # base64, or text that UTF-8 cannot hold
            raise ReceiptError("this receipt is damaged: fetch it again") from None
        return cls(proof, entry, body, nonce)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the checks of a receipt say. The facts below the checks are given only when every check passed.

    `time_ms` is UTC in milliseconds since 1970. `decision` is the action of a `decision:…` event, otherwise None.
    """

    checks: tuple[Check, ...]
    time_ms: int | None = None
    event: str | None = None
    decision: str | None = None
    index: int | None = None
    size: int | None = None
    root: bytes | None = None

    @property
    def ok(self) -> bool:
        return all(check.passed for check in self.checks)


def check(receipt: Receipt, key: VerifierKey, witnesses: Sequence[WitnessKey] = (), quorum: int = 0) -> Verdict:
    """Check a receipt against the log's verifier key: six named checks, each made wherever it still can be.

    With `witnesses`, a seventh: at least `quorum` of them cosigned the checkpoint.
    """
    proof = _attempt(lambda: Proof.parse(receipt.proof))
    if isinstance(proof, Proof) and proof.extra is not None:
        proof = "a receipt's proof carries no extra line"
    checkpoint = _attempt(lambda: open_checkpoint(proof.checkpoint.encode(), key)) if isinstance(proof, Proof) else None
    entry = _attempt(lambda: Entry.parse(receipt.entry))
    body = _attempt(lambda: Body.parse(receipt.body))
    committed = included = None
    if isinstance(entry, Entry):
        committed = entry.commit == commitment(receipt.nonce, receipt.body)
    if isinstance(proof, Proof) and isinstance(checkpoint, Checkpoint) and isinstance(entry, Entry):
        included = proof.index == entry.seq and verify_inclusion(
            leaf_hash(receipt.entry), proof.index, checkpoint.size, proof.path, checkpoint.root
        )
    checks: tuple[Check, ...] = (
        _read("proof", proof, "a c2sp.org/tlog-proof@v1"),
        _read("signature", checkpoint, "the checkpoint is signed by the given key"),
        _read("entry", entry, "an entry in canonical form"),
        _read("body", body, "a body in canonical form"),
        _compared("commitment", committed, "the entry commits to this body", "the entry commits to another body"),
        _compared("inclusion", included, "the entry is in the log", "the proof does not lead to the signed root"),
    )
    if witnesses:
        seen = proof.checkpoint.encode() if isinstance(proof, Proof) and isinstance(checkpoint, Checkpoint) else None
        checks = (*checks, check_witnesses(seen, witnesses, quorum))
    verdict = Verdict(checks)
    if not (verdict.ok and isinstance(checkpoint, Checkpoint) and isinstance(entry, Entry) and isinstance(body, Body)):
        return verdict
    subject, _, action = body.event.partition(":")
    return Verdict(
        checks=checks,
        time_ms=entry.time_ms,
        event=body.event,
        decision=action if subject == "decision" else None,
        index=entry.seq,
        size=checkpoint.size,
        root=checkpoint.root,
    )


def _attempt(make: Callable[[], Part]) -> Part | str:
    """The part, or what is wrong with it."""
    try:
        return make()
    except (ProofError, NoteError, EntryError) as error:
        return str(error)


def _read(name: str, part: object, good: str) -> Check:
    if part is None:
        return Check(name, Outcome.SKIPPED, "what it is read from could not be read")
    return Check(name, Outcome.FAILED, part) if isinstance(part, str) else Check(name, Outcome.PASSED, good)


def _compared(name: str, equal: bool | None, good: str, bad: str) -> Check:
    if equal is None:
        return Check(name, Outcome.SKIPPED, "what it compares could not be read")
    return Check(name, Outcome.PASSED if equal else Outcome.FAILED, good if equal else bad)

"""A report's figures, opened to somebody who may read its log entry: the receipt, the figures, their nonce. Pure.

The entry's body commits to the figures: `evidence` is SHA-256(0x02 ‖ nonce ‖ figures) in hex. Who holds the three can
prove which figures left the room; without the nonce the body tells nothing of them. Nothing here is verified but what
`check` says.
"""

import hmac
import json
from dataclasses import dataclass
from decimal import InvalidOperation
from typing import Any

from partners.receipts import Receipt, ReceiptError
from partners.transparency.check import Check, Outcome
from partners.transparency.encoding import decode_base64, encode_base64
from partners.transparency.entry import NONCE_BYTES, Body, EntryError, commitment
from policies import decision, question
from policies.decision import Release
from policies.question import BadQuestion, Question

FIELDS = {"receipt", "evidence", "nonce"}


@dataclass(frozen=True, slots=True)
class Opened:
    """The receipt of a decision, its figures in the bytes committed to, the 32-byte nonce."""

    receipt: Receipt
    document: bytes
    nonce: bytes

    def to_json(self) -> dict[str, Any]:
        return {
            "receipt": self.receipt.to_json(),
            "evidence": self.document.decode(),
            "nonce": encode_base64(self.nonce),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Opened":
        """The inverse of `to_json`. Raises `ReceiptError`."""
        receipt = Receipt.from_json(value["receipt"])
        try:
            document, nonce = value["evidence"].encode(), decode_base64(value["nonce"])
        except (ValueError, TypeError, AttributeError):
            raise ReceiptError("these figures are damaged: ask for them again") from None
        if len(nonce) != NONCE_BYTES:
            raise ReceiptError("these figures are damaged: their nonce has not 32 bytes")
        return cls(receipt, document, nonce)


def check(opened: Opened) -> Check:
    """Whether the body of the receipt commits to these figures."""
    try:
        stated = Body.parse(opened.receipt.body).details.get("evidence")
    except EntryError:
        return Check("figures", Outcome.SKIPPED, "what they are compared with could not be read")
    if isinstance(stated, str) and hmac.compare_digest(stated.encode(), _hash(opened).encode()):
        return Check("figures", Outcome.PASSED, "the body commits to these figures")
    return Check("figures", Outcome.FAILED, "the body commits to other figures, or to none")


def releases(opened: Opened) -> tuple[tuple[Question, Release], ...]:
    """Each question of the decision with its figures. Raises `ReceiptError`."""
    try:
        asked = Body.parse(opened.receipt.body).details["questions"]
        told = json.loads(opened.document)
        if not isinstance(asked, list) or len(asked) != len(told):
            raise ValueError
        return tuple((question.from_json(q), decision.from_json(r)) for q, r in zip(asked, told, strict=True))
    except (EntryError, BadQuestion, InvalidOperation, ValueError, KeyError, TypeError):
        raise ReceiptError("these figures are not of the form that this version writes; update cleanroom") from None


def _hash(opened: Opened) -> str:
    return commitment(opened.nonce, opened.document)

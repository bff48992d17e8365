"""A batch of withdrawals, reinstatements or erasures: some tokens of one match key, signed by their owner.

Rules:
* Only tokens travel. They are sorted, so that their order tells nothing of the list that they came from.
* The signature covers the canonical JSON, under the label `withdrawal/v1`. The SHA-256 of these bytes is the batch's
  name; a nonce makes two equal requests two batches, and the same batch sent twice one.
* Reading is strict: exactly these fields, each of its kind. Whether a batch fits its agreement, the room decides.
* A wire form: fields may be added only with a new `version`; tests pin the bytes.
"""

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, fields
from enum import Enum
from itertools import pairwise
from typing import Any

from partners import keys
from partners.keys import Identity
from partners.protocol import TOKEN_BYTES
from partners.transparency.encoding import decode_base64, encode_base64
from policies import canonical
from policies.agreement import MATCH_KEY
from policies.purpose import Purpose
from policies.question import NAME

VERSION = 1
MAX_TOKENS = 10_000
NONCE_BYTES = 16
_KEY_CHECK = re.compile(r"[0-9a-f]{32}")
_NONCE = re.compile(r"[0-9a-f]{32}")
_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")


class BadWithdrawal(ValueError):
    """JSON that is no batch; the message names the field and is safe to print."""


class Action(Enum):
    WITHDRAW = "withdraw"  # the rows are absent from questions of these purposes
    REINSTATE = "reinstate"  # undoes what was withdrawn by the same identifiers, for these purposes
    ERASE = "erase"  # absent from every purpose, and overwritten in what the room stores


@dataclass(frozen=True, slots=True)
class Batch:
    """`tokens` are 1 to 10,000 different ones of 16 bytes, ascending, made with the secret of `epoch`.

    `audience` None: every audience of the partner in the collaboration. `purposes` are all four for an erasure.
    `created` is RFC 3339, UTC, in seconds with `Z`; `nonce` 32 random hex digits.
    """

    collaboration: str
    partner: str
    audience: str | None
    epoch: int
    key_check: str
    action: Action
    purposes: frozenset[Purpose]
    match_key: str
    tokens: tuple[bytes, ...]
    created: str
    nonce: str
    version: int = VERSION

    def canonical(self) -> bytes:
        """The bytes that the owner signs."""
        return canonical.dumps(self.to_json())

    def sha256(self) -> str:
        """The batch's name: 64 hex digits."""
        return hashlib.sha256(self.canonical()).hexdigest()

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "collaboration": self.collaboration,
            "partner": self.partner,
            "audience": self.audience,
            "epoch": self.epoch,
            "key_check": self.key_check,
            "action": self.action.value,
            "purposes": sorted(purpose.value for purpose in self.purposes),
            "match_key": self.match_key,
            "tokens": encode_base64(b"".join(self.tokens)),
            "created": self.created,
            "nonce": self.nonce,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Batch":
        """The inverse of `to_json`. Raises `BadWithdrawal`."""
        if not isinstance(value, dict) or value.keys() != _FIELDS or value["version"] != VERSION:
            raise BadWithdrawal(f"a batch of version {VERSION} has exactly: {', '.join(sorted(_FIELDS))}")
        if type(value["epoch"]) is not int or not 1 <= value["epoch"] < 2**31:
            raise BadWithdrawal("epoch of the batch is a whole number from 1")
        batch = cls(
            collaboration=_match(NAME, value, "collaboration"),
            partner=_match(NAME, value, "partner"),
            audience=None if value["audience"] is None else _match(NAME, value, "audience"),
            epoch=value["epoch"],
            key_check=_match(_KEY_CHECK, value, "key_check"),
            action=_action(value["action"]),
            purposes=_purposes(value["purposes"]),
            match_key=_match(MATCH_KEY, value, "match_key"),
            tokens=_tokens(value["tokens"]),
            created=_match(_CREATED, value, "created"),
            nonce=_match(_NONCE, value, "nonce"),
        )
        if batch.action is Action.ERASE and batch.purposes != frozenset(Purpose):
            raise BadWithdrawal("an erasure is from all purposes")
        return batch


@dataclass(frozen=True, slots=True)
class SignedBatch:
    """A batch and its owner's 64-byte signature. Nothing is verified yet."""

    batch: Batch
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        return {"batch": self.batch.to_json(), "signature": encode_base64(self.signature)}


def ascending(tokens: Iterable[bytes]) -> tuple[bytes, ...]:
    """Tokens as a batch has them: each once, sorted."""
    return tuple(sorted(set(tokens)))


def nonce() -> str:
    return secrets.token_hex(NONCE_BYTES)


def sign(identity: Identity, batch: Batch) -> SignedBatch:
    return SignedBatch(batch, identity.sign("withdrawal/v1", batch.canonical()))


def verify(signed: SignedBatch, signing_public: bytes) -> bool:
    """Whether the owner of a 32-byte Ed25519 key signed this batch."""
    return keys.verify(signing_public, "withdrawal/v1", signed.batch.canonical(), signed.signature)


def committed(partner: str, day: str, batches: Iterable[str]) -> bytes:
    """What the log commits to for an owner and an ISO day: the names of its batches, in the order they were taken."""
    return canonical.dumps({"batches": list(batches), "day": day, "partner": partner, "version": VERSION})


_FIELDS = {field.name for field in fields(Batch)}


def _match(pattern: re.Pattern[str], value: dict[str, Any], field: str) -> str:
    found = value[field]
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise BadWithdrawal(f"{field} of the batch has a value that it cannot have")
    return found


def _action(value: Any) -> Action:
    try:
        return Action(value)
    except ValueError:
        raise BadWithdrawal(f"action of the batch is one of {', '.join(each.value for each in Action)}") from None


def _purposes(value: Any) -> frozenset[Purpose]:
    try:
        found = [Purpose(each) for each in value]
    except (ValueError, TypeError):
        found = []
    if not found or value != sorted({purpose.value for purpose in found}):
        raise BadWithdrawal("purposes of the batch are one or more, sorted, each once")
    return frozenset(found)


def _tokens(value: Any) -> tuple[bytes, ...]:
    try:
        joined = decode_base64(value)
    except (ValueError, TypeError, AttributeError):
        joined = b""
    if not joined or len(joined) % TOKEN_BYTES or len(joined) > MAX_TOKENS * TOKEN_BYTES:
        raise BadWithdrawal(f"tokens of the batch are 1 to {MAX_TOKENS} times {TOKEN_BYTES} bytes in base64")
    tokens = tuple(joined[start : start + TOKEN_BYTES] for start in range(0, len(joined), TOKEN_BYTES))
    if any(one >= other for one, other in pairwise(tokens)):
        raise BadWithdrawal("tokens of the batch are ascending, each once")
    return tokens

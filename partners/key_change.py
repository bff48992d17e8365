"""A change of a partner's keys: one more, another in its place, one less. Signed with one of its owner keys.

Rules:
* The signature covers the canonical JSON, under the label `key/v1`. `serial` counts a partner's changes from 1, so that
  none is replayed.
* A rotation is signed twice: by the key that goes, and, as its proof, by the key that comes. The proof names the keys
  that went. Who compared the new keys can so check agreements that the old ones signed.
* A rotation leaves the old keys seven days.
* Reading is strict: exactly these fields, each of its kind. Whether a change fits the partner, the room decides.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from partners.keys import verify
from partners.protocol import PublicKeys
from partners.transparency.encoding import decode_base64, encode_base64
from policies import canonical
from policies.question import NAME

LARGEST_SERIAL = 10**6
OVERLAP_SECONDS = 7 * 24 * 3600
_CREATED = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z")
_FIELDS = {"partner", "action", "serial", "created", "role", "signing_key", "sealing_key", "previous"}


class BadKeyChange(ValueError):
    """JSON that is no change of keys; the message names the field and is safe to print."""


class Role(StrEnum):
    """What a key may do. An owner key may do all that its partner may; it alone can open what is sealed."""

    OWNER = "owner"
    MARKETER = "marketer"  # reads agreements, asks, reads reports and the ledger; decides nothing
    AUDITOR = "auditor"  # reads the log of the collaborations that it is appointed to
    WAITING = "waiting"  # an owner key to be, once the other partners consent; see `replacement.py`


class Action(StrEnum):
    ADD = "add"
    ROTATE = "rotate"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class KeyChange:
    """`signing_key`: the key that comes, or that a revocation ends; 32 bytes. `role` and `sealing_key` are that key's.

    `sealing_key` None: this key opens nothing. `previous`: of a rotation, the keys in whose place the new ones come.
    `created` is RFC 3339, UTC, in seconds with `Z`.
    """

    partner: str
    action: Action
    serial: int
    created: str
    role: Role
    signing_key: bytes
    sealing_key: bytes | None
    previous: PublicKeys | None

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        return canonical.dumps(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "partner": self.partner,
            "action": self.action.value,
            "serial": self.serial,
            "created": self.created,
            "role": self.role.value,
            "signing_key": encode_base64(self.signing_key),
            "sealing_key": None if self.sealing_key is None else encode_base64(self.sealing_key),
            "previous": None
            if self.previous is None
            else {
                "signing_key": encode_base64(self.previous.signing),
                "sealing_key": encode_base64(self.previous.sealing),
            },
        }

    @classmethod
    def from_json(cls, value: Any) -> "KeyChange":
        """The inverse of `to_json`. Raises `BadKeyChange`."""
        if not isinstance(value, dict) or value.keys() != _FIELDS:
            raise BadKeyChange(f"a change of keys has exactly: {', '.join(sorted(_FIELDS))}")
        serial, created = value["serial"], value["created"]
        if type(serial) is not int or not 1 <= serial <= LARGEST_SERIAL:
            raise BadKeyChange("serial is a whole number from 1")
        if not (isinstance(created, str) and _CREATED.fullmatch(created)):
            raise BadKeyChange("created is a time such as 2026-03-14T12:00:00Z")
        if not (isinstance(value["partner"], str) and NAME.fullmatch(value["partner"])):
            raise BadKeyChange("partner is a name")
        try:
            action, role = Action(value["action"]), Role(value["role"])
        except ValueError:
            raise BadKeyChange("action is add, rotate or revoke; role is owner, marketer, auditor or waiting") from None
        sealing = None if value["sealing_key"] is None else _key(value["sealing_key"])
        previous = None if value["previous"] is None else _previous(value["previous"])
        change = cls(value["partner"], action, serial, created, role, _key(value["signing_key"]), sealing, previous)
        if (sealing is None) == (role in (Role.OWNER, Role.WAITING)):
            raise BadKeyChange("an owner key has a sealing key, and no other key has one")
        if (previous is None) == (action is Action.ROTATE):
            raise BadKeyChange("a rotation names the previous keys, and nothing else does")
        comes = {Action.ADD: (Role.MARKETER, Role.AUDITOR), Action.ROTATE: (Role.OWNER,)}
        if action in comes and role not in comes[action]:
            raise BadKeyChange("an owner key comes by rotation, and every other key by being added")
        return change


@dataclass(frozen=True, slots=True)
class SignedChange:
    """A change, the signature of an owner key, and of a rotation the new key's. 64 bytes each; nothing is verified."""

    change: KeyChange
    signature: bytes
    proof: bytes | None

    @property
    def proved(self) -> bool:
        """Whether the key that comes has signed the change, too. True where no proof is needed."""
        if self.change.action is not Action.ROTATE:
            return self.proof is None
        return self.proof is not None and verify(self.change.signing_key, "key/v1", self.change.canonical(), self.proof)

    def to_json(self) -> dict[str, Any]:
        return {
            "change": self.change.to_json(),
            "signature": encode_base64(self.signature),
            "proof": None if self.proof is None else encode_base64(self.proof),
        }

    @classmethod
    def from_json(cls, value: Any) -> "SignedChange":
        """The inverse of `to_json`. Raises `BadKeyChange`."""
        if not isinstance(value, dict) or value.keys() != {"change", "signature", "proof"}:
            raise BadKeyChange("a signed change has exactly change, signature and proof")
        proof = None if value["proof"] is None else _signature(value["proof"])
        return cls(KeyChange.from_json(value["change"]), _signature(value["signature"]), proof)


def vouched(now: PublicKeys, rotations: Iterable[SignedChange]) -> tuple[PublicKeys, ...]:
    """The former keys that `now` vouches for, newest first: each link of the chain is proved by the later key.

    What does not hold, or belongs to other keys, is left out.
    """
    found: list[PublicKeys] = []
    for each in sorted(rotations, key=lambda signed: signed.change.serial, reverse=True):
        change, last = each.change, found[-1] if found else now
        if change.previous is None or not each.proved:
            continue
        if (change.signing_key, change.sealing_key) == (last.signing, last.sealing):
            found.append(change.previous)
    return tuple(found)


def _previous(value: Any) -> PublicKeys:
    if not isinstance(value, dict) or value.keys() != {"signing_key", "sealing_key"}:
        raise BadKeyChange("previous has exactly signing_key and sealing_key")
    return PublicKeys(_key(value["signing_key"]), _key(value["sealing_key"]))


def _key(value: Any) -> bytes:
    return _bytes(value, 32, "a key is 32 bytes in base64")


def _signature(value: Any) -> bytes:
    return _bytes(value, 64, "a signature is 64 bytes in base64")


def _bytes(value: Any, length: int, problem: str) -> bytes:
    try:
        found = decode_base64(value)
    except (ValueError, TypeError, AttributeError):
        raise BadKeyChange(problem) from None
    if len(found) != length:
        raise BadKeyChange(problem)
    return found

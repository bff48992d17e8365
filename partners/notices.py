"""Short documents that one partner signs alone: tightened terms, its leaving, a new secret.

    terms/v1    {agreement, collaboration, created, partner, serial, terms, version}
    leave/v1    {collaboration, created, partner, version}
    rotate/v1   {collaboration, created, deadline, epoch, key_check, partner, version}

Rules: the signature covers the canonical JSON, under the label above. Reading is strict: exactly these fields, each of
its kind. A wire form: fields may be added only with a new `version`.
"""

import re
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from partners import keys
from partners.failure import Failure
from partners.keys import Identity, Label
from policies import canonical, terms
from policies.question import NAME
from policies.terms import BadTerms, Terms

VERSION = 1
MAX_SERIAL = 2**31 - 1
SHORTEST_ROTATION = 7
LONGEST_ROTATION = 366
"""Days until the deadline of a rotation: on it, audiences that have not moved end."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_CHECK = re.compile(r"[0-9a-f]{32}")
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class BadNotice(Failure):
    """What is no such document; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Tightening:
    """A partner's own terms from now on, all of them, under one agreement (its SHA-256).

    `serial` counts the partner's tightenings under this agreement from 1.
    """

    collaboration: str
    partner: str
    agreement: str
    serial: int
    terms: Terms
    created: str
    label: ClassVar[Label] = "terms/v1"

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "collaboration": self.collaboration,
            "partner": self.partner,
            "agreement": self.agreement,
            "serial": self.serial,
            "terms": terms.to_json(self.terms),
            "created": self.created,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Tightening":
        """The inverse of `to_json`. Raises `BadNotice`."""
        _only(value, {"collaboration", "partner", "agreement", "serial", "terms", "created"})
        try:
            own = terms.from_json(value["terms"])
        except BadTerms as problem:
            raise BadNotice(str(problem)) from None
        if terms.to_json(own) != value["terms"]:
            raise BadNotice("the terms are not in the one form that is signed")
        return cls(
            _match(NAME, value, "collaboration"),
            _match(NAME, value, "partner"),
            _match(_SHA256, value, "agreement"),
            _count(value, "serial"),
            own,
            _match(_CREATED, value, "created"),
        )


@dataclass(frozen=True, slots=True)
class Leaving:
    """A partner's part in a collaboration ends."""

    collaboration: str
    partner: str
    created: str
    label: ClassVar[Label] = "leave/v1"

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "collaboration": self.collaboration,
            "partner": self.partner,
            "created": self.created,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Leaving":
        """The inverse of `to_json`. Raises `BadNotice`."""
        _only(value, {"collaboration", "partner", "created"})
        return cls(
            _match(NAME, value, "collaboration"), _match(NAME, value, "partner"), _match(_CREATED, value, "created")
        )


@dataclass(frozen=True, slots=True)
class Rotation:
    """A new secret: its epoch, its key check, and the ISO day from which the old epoch ends, whoever has not moved."""

    collaboration: str
    partner: str
    epoch: int
    key_check: str
    deadline: str
    created: str
    label: ClassVar[Label] = "rotate/v1"

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "collaboration": self.collaboration,
            "partner": self.partner,
            "epoch": self.epoch,
            "key_check": self.key_check,
            "deadline": self.deadline,
            "created": self.created,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Rotation":
        """The inverse of `to_json`. Raises `BadNotice`."""
        _only(value, {"collaboration", "partner", "epoch", "key_check", "deadline", "created"})
        try:
            deadline = date.fromisoformat(value["deadline"]).isoformat()
        except (TypeError, ValueError):
            deadline = None
        if deadline is None or deadline != value["deadline"]:
            raise BadNotice("deadline is a day, written YYYY-MM-DD")
        return cls(
            _match(NAME, value, "collaboration"),
            _match(NAME, value, "partner"),
            _count(value, "epoch"),
            _match(_KEY_CHECK, value, "key_check"),
            deadline,
            _match(_CREATED, value, "created"),
        )


Notice = Tightening | Leaving | Rotation


def payload(notice: Notice) -> bytes:
    """The bytes that are signed."""
    return canonical.dumps(notice.to_json())


def sign(identity: Identity, notice: Notice) -> bytes:
    return identity.sign(notice.label, payload(notice))


def verify(signing_public: bytes, notice: Notice, signature: bytes) -> bool:
    """Whether the holder of a 32-byte Ed25519 key signed this."""
    return keys.verify(signing_public, notice.label, payload(notice), signature)


def _only(value: Any, known: set[str]) -> None:
    if not isinstance(value, dict) or value.keys() != known | {"version"} or value["version"] != VERSION:
        raise BadNotice(f"a notice of version {VERSION} has exactly: {', '.join(sorted(known))}")


def _match(pattern: re.Pattern[str], value: Any, field: str) -> str:
    found = value[field]
    if not isinstance(found, str) or not pattern.fullmatch(found):
        raise BadNotice(f"{field} has a value that it cannot have")
    return found


def _count(value: Any, field: str) -> int:
    found = value[field]
    if type(found) is not int or not 1 <= found <= MAX_SERIAL:
        raise BadNotice(f"{field} is a whole number from 1")
    return found

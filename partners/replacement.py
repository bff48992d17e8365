"""A partner that lost its owner keys comes back with new ones: what the other partners consent to.

    replace/v1   {created, partner, previous, sealing_key, signing_key, version}

Rules: the room writes the document; each partner of a collaboration with that partner compares the new keys with it on
another channel, and then signs the canonical JSON under the label above. `previous` are the owner keys that go: who
consents holds them to those that it knew. So who lost everything learns from its partners which keys were its own.
Reading is strict. A wire form: fields may be added only with a new `version`.
"""

import re
from dataclasses import dataclass
from typing import Any

from partners.keys import Identity, Label, key_id, verify
from partners.protocol import PublicKeys
from partners.transparency.encoding import decode_base64, encode_base64
from policies import canonical
from policies.question import NAME

VERSION = 1
_CREATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_FIELDS = {"version", "partner", "created", "signing_key", "sealing_key", "previous"}
_LABEL: Label = "replace/v1"


class BadReplacement(ValueError):
    """JSON that is no such document; the message names the field and is safe to print."""


@dataclass(frozen=True, slots=True)
class Replacement:
    """New owner keys of a partner, in the place of its `previous` ones. `created` is RFC 3339, UTC, in seconds."""

    partner: str
    keys: PublicKeys
    previous: PublicKeys
    created: str

    @property
    def id(self) -> str:
        """The id of the new signing key."""
        return key_id(self.keys.signing)

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        return canonical.dumps(self.to_json())

    def sign(self, identity: Identity) -> bytes:
        """A partner's consent."""
        return identity.sign(_LABEL, self.canonical())

    def consented(self, signing_public: bytes, signature: bytes) -> bool:
        """Whether the holder of a 32-byte Ed25519 key consents."""
        return verify(signing_public, _LABEL, self.canonical(), signature)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "partner": self.partner,
            "created": self.created,
            **_written(self.keys),
            "previous": _written(self.previous),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Replacement":
        """The inverse of `to_json`. Raises `BadReplacement`."""
        if not isinstance(value, dict) or value.keys() != _FIELDS or value["version"] != VERSION:
            raise BadReplacement(f"a replacement of version {VERSION} has exactly: {', '.join(sorted(_FIELDS))}")
        if not (isinstance(value["partner"], str) and NAME.fullmatch(value["partner"])):
            raise BadReplacement("partner is a name")
        if not (isinstance(value["created"], str) and _CREATED.fullmatch(value["created"])):
            raise BadReplacement("created is a time such as 2026-03-14T12:00:00Z")
        previous = value["previous"]
        if not isinstance(previous, dict) or previous.keys() != {"signing_key", "sealing_key"}:
            raise BadReplacement("previous has exactly signing_key and sealing_key")
        return cls(value["partner"], _keys(value), _keys(previous), value["created"])


def _written(keys: PublicKeys) -> dict[str, str]:
    return {"signing_key": encode_base64(keys.signing), "sealing_key": encode_base64(keys.sealing)}


def _keys(value: dict[str, Any]) -> PublicKeys:
    return PublicKeys(_key(value["signing_key"]), _key(value["sealing_key"]))


def _key(value: Any) -> bytes:
    try:
        found = decode_base64(value)
    except (ValueError, TypeError, AttributeError):
        found = b""
    if len(found) != 32:
        raise BadReplacement("a key is 32 bytes in base64")
    return found

"""The manifest: what an audience file is, signed by its owner.

Rules:
* The signature covers the canonical JSON, under the label `manifest/v1`: equal bytes mean equal meaning.
* Reading is strict: exactly these fields, each of its kind. Whether a manifest fits its agreement, the room decides.
* A wire form: fields may be added only with a new `version`; tests pin the bytes.
"""

import builtins
import re
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import Any, TypeVar

from partners import keys
from partners.keys import Identity
from partners.transparency.encoding import decode_base64, encode_base64
from policies import canonical
from policies.agreement import MATCH_KEY, MAX_BOUND, MAX_VALUES, Attribute, Measure
from policies.canonical import NotCanonical
from policies.question import NAME

VERSION = 1
SIGNATURE_BYTES = 64
MAX_MANIFEST_BYTES = 16 * 2**20
"""More than every code-list of 1,000 values of 128 characters that an audience can sensibly have."""

T = TypeVar("T")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY_CHECK = re.compile(r"[0-9a-f]{32}")
_TEXT = re.compile(r"[!-~]{1,128}")
_CREATED = "%Y-%m-%dT%H:%M:%SZ"


class BadManifest(ValueError):
    """What is no manifest; the message names the field and is safe to print."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """One version of one audience.

    `collaboration` is the agreement's id, `previous` the id of the version that this one follows. `sha256`, `bytes` and
    `rows` are those of the audience file. `keys`, `attributes`, `measures` and `expires_column` are its columns.
    `created` is RFC 3339, UTC, in seconds with `Z`; `expires` the ISO date on which the version is retired, or None.
    """

    collaboration: str
    partner: str
    audience: str
    epoch: int
    previous: str | None
    sha256: str
    bytes: int
    rows: int
    keys: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    measures: tuple[Measure, ...]
    expires_column: bool
    protocol: int
    email_profile: str
    key_check: str
    phone_metadata: str
    created: str
    expires: str | None
    version: int = VERSION

    def canonical(self) -> builtins.bytes:
        """The bytes that the owner signs."""
        return canonical.dumps(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "collaboration": self.collaboration,
            "partner": self.partner,
            "audience": self.audience,
            "epoch": self.epoch,
            "previous": self.previous,
            "sha256": self.sha256,
            "bytes": self.bytes,
            "rows": self.rows,
            "keys": list(self.keys),
            "attributes": [{"name": item.name, "values": list(item.values)} for item in self.attributes],
            "measures": [
                {"name": item.name, "lower": item.lower, "upper": item.upper, "decimals": item.decimals}
                for item in self.measures
            ],
            "expires_column": self.expires_column,
            "protocol": self.protocol,
            "email_profile": self.email_profile,
            "key_check": self.key_check,
            "phone_metadata": self.phone_metadata,
            "created": self.created,
            "expires": self.expires,
        }

    @classmethod
    def from_json(cls, value: Any) -> "Manifest":
        """The inverse of `to_json`. Raises `BadManifest`."""
        if not isinstance(value, dict) or value.keys() != _FIELDS or value["version"] != VERSION:
            raise BadManifest(f"a manifest of version {VERSION} has exactly: {', '.join(sorted(_FIELDS))}")
        manifest = cls(
            collaboration=_match(NAME, value, "collaboration"),
            partner=_match(NAME, value, "partner"),
            audience=_match(NAME, value, "audience"),
            epoch=_count(value, "epoch", 1),
            previous=None if value["previous"] is None else _match(NAME, value, "previous"),
            sha256=_match(_SHA256, value, "sha256"),
            bytes=_count(value, "bytes", 1),
            rows=_count(value, "rows", 1),
            keys=tuple(_one(MATCH_KEY, key, "keys") for key in _list(value, "keys")),
            attributes=tuple(_attribute(item) for item in _list(value, "attributes")),
            measures=tuple(_measure(item) for item in _list(value, "measures")),
            expires_column=_of(bool, value, "expires_column"),
            protocol=_count(value, "protocol", 1),
            email_profile=_match(_TEXT, value, "email_profile"),
            key_check=_match(_KEY_CHECK, value, "key_check"),
            phone_metadata=_match(_TEXT, value, "phone_metadata"),
            created=_created(value),
            expires=_expires(value),
        )
        columns = [item.name for item in manifest.attributes] + [item.name for item in manifest.measures]
        if not manifest.keys or len(set(manifest.keys)) != len(manifest.keys) or len(set(columns)) != len(columns):
            raise BadManifest("a manifest has at least one match key, and names each column once")
        return manifest


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """A manifest and its owner's 64-byte signature. Nothing is verified yet."""

    manifest: Manifest
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        return {"manifest": self.manifest.to_json(), "signature": encode_base64(self.signature)}

    @classmethod
    def from_json(cls, value: Any) -> "SignedManifest":
        """The inverse of `to_json`. Raises `BadManifest`."""
        if not isinstance(value, dict) or value.keys() != {"manifest", "signature"}:
            raise BadManifest("a signed manifest has exactly: manifest, signature")
        try:
            signature = decode_base64(value["signature"])
        except (ValueError, TypeError):
            raise BadManifest("the signature of the manifest is not base64") from None
        if len(signature) != SIGNATURE_BYTES:
            raise BadManifest(f"the signature of a manifest has {SIGNATURE_BYTES} bytes")
        return cls(Manifest.from_json(value["manifest"]), signature)


def sign(identity: Identity, manifest: Manifest) -> SignedManifest:
    return SignedManifest(manifest, identity.sign("manifest/v1", manifest.canonical()))


def verify(signed: SignedManifest, signing_public: bytes) -> bool:
    """Whether the owner of a 32-byte Ed25519 key signed this manifest."""
    return keys.verify(signing_public, "manifest/v1", signed.manifest.canonical(), signed.signature)


def read_manifest(path: Path) -> SignedManifest:
    """The signed manifest of a file: canonical JSON and a line feed. Raises `BadManifest` and OSError."""
    with path.open("rb") as file:
        data = file.read(MAX_MANIFEST_BYTES + 1)
    if len(data) > MAX_MANIFEST_BYTES:
        raise BadManifest(f"{path.name} is too large for a manifest")
    try:
        value = canonical.loads(data.removesuffix(b"\n"))
    except NotCanonical as problem:
        raise BadManifest(f"{path.name} is no manifest: {problem}") from None
    return SignedManifest.from_json(value)


_FIELDS = {field.name for field in fields(Manifest)}


def _of(kind: type[T], value: dict[str, Any], field: str) -> T:
    if type(value[field]) is not kind:
        raise BadManifest(f"{field} of the manifest has a value of the wrong kind")
    item: T = value[field]
    return item


def _count(value: dict[str, Any], field: str, least: int) -> int:
    if not least <= _of(int, value, field) < 2**63:
        raise BadManifest(f"{field} of the manifest is a whole number from {least}")
    return _of(int, value, field)


def _list(value: dict[str, Any], field: str) -> list[Any]:
    items: list[Any] = _of(list, value, field)
    return items


def _match(pattern: re.Pattern[str], value: dict[str, Any], field: str) -> str:
    return _one(pattern, value[field], field)


def _one(pattern: re.Pattern[str], value: Any, field: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise BadManifest(f"{field} of the manifest has a value that it cannot have")
    return value


def _attribute(value: Any) -> Attribute:
    if not isinstance(value, dict) or value.keys() != {"name", "values"}:
        raise BadManifest("an attribute of the manifest has exactly: name, values")
    values = _list(value, "values")
    fits = all(isinstance(item, str) and 0 < len(item) <= 128 and item == item.strip() for item in values)
    if not fits or not 1 <= len(values) <= MAX_VALUES or len(set(values)) != len(values):
        raise BadManifest(f"a code-list of the manifest has 1 to {MAX_VALUES} texts of 1 to 128 characters, each once")
    return Attribute(_match(NAME, value, "name"), tuple(values))


def _measure(value: Any) -> Measure:
    if not isinstance(value, dict) or value.keys() != {"name", "lower", "upper", "decimals"}:
        raise BadManifest("a measure of the manifest has exactly: name, lower, upper, decimals")
    lower, upper, decimals = (_of(int, value, field) for field in ("lower", "upper", "decimals"))
    if not -MAX_BOUND <= lower <= upper <= MAX_BOUND or not 0 <= decimals <= 6:
        raise BadManifest("a measure of the manifest has bounds or decimals that it cannot have")
    return Measure(_match(NAME, value, "name"), lower, upper, decimals)


def _created(value: dict[str, Any]) -> str:
    text = _of(str, value, "created")
    try:
        same = datetime.strptime(text, _CREATED).strftime(_CREATED) == text  # noqa: DTZ007 (the Z is in the format)
    except ValueError:
        same = False
    if not same:
        raise BadManifest("created of the manifest is a time such as 2026-03-01T09:30:00Z")
    return text


def _expires(value: dict[str, Any]) -> str | None:
    if value["expires"] is None:
        return None
    text = _of(str, value, "expires")
    try:
        same = date.fromisoformat(text).isoformat() == text
    except ValueError:
        same = False
    if not same:
        raise BadManifest("expires of the manifest is a date such as 2026-03-01, or null")
    return text

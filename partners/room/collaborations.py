"""A collaboration as the room answers with it, and how its JSON becomes one. Pure; nothing is verified here.

See `partners.room.answers` for everything else that the room answers with.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from partners import fields
from partners.failure import plain
from partners.notices import Rotation, Tightening
from partners.room.answers import enum_of
from policies.question import AudienceRef


class CollaborationState(Enum):
    PROPOSED = "proposed"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Amendment:
    """An amendment that waits for signatures, by its hash. Nothing of it is verified."""

    number: int
    sha256: str
    signatures: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Rotating:
    """A rotation of the secret under way, and the audiences that are published under the new one. Unverified."""

    rotation: Rotation
    signature: bytes
    ready: tuple[AudienceRef, ...]


@dataclass(frozen=True, slots=True)
class Auditor:
    """Who may audit a collaboration. `appointed`, and `read` once it has read, are times as the room writes them."""

    name: str
    appointed: str
    read: str | None


@dataclass(frozen=True, slots=True)
class Collaboration:
    """A collaboration as the room tells it. `signatures`: partner → signature, unverified.

    `published`: the version of each audience that has one. `key_check`: that of the epoch's secret, once it was made.
    `tightened`: what parties tightened alone, with their signatures, unverified. `left`: partners who left.
    """

    id: str
    name: str
    state: CollaborationState
    epoch: int
    agreement_sha256: str
    signatures: tuple[tuple[str, bytes], ...]
    audiences: tuple[tuple[AudienceRef, str | None], ...]
    key_check: str | None
    amendment: Amendment | None
    tightened: tuple[tuple[Tightening, bytes], ...]
    left: tuple[str, ...]
    rotating: Rotating | None
    auditors: tuple[Auditor, ...]


def collaboration(value: object) -> Collaboration:
    found = fields.table(value, "collaboration")
    return Collaboration(
        fields.identifier(found, "id"),
        fields.identifier(found, "name"),
        enum_of(CollaborationState, found),
        fields.integer(found, "epoch"),
        fields.text(found, "agreement_sha256"),
        _signatures(found),
        tuple(_audience(item) for item in fields.items(found, "audiences")),
        fields.optional_text(found, "key_check"),
        _amendment(found.get("amendment")),
        tuple(_tightened(item) for item in fields.items(found, "tightened")),
        fields.identifiers(found, "left"),
        _rotating(found.get("rotation")),
        tuple(_auditor(item) for item in fields.items(found, "auditors")),
    )


def _signatures(found: Mapping[str, Any]) -> tuple[tuple[str, bytes], ...]:
    items = [fields.table(item, "signatures") for item in fields.items(found, "signatures")]
    return tuple((fields.identifier(item, "partner"), fields.signature(item)) for item in items)


def _amendment(value: object) -> Amendment | None:
    if value is None:
        return None
    found = fields.table(value, "amendment")
    return Amendment(fields.integer(found, "number"), fields.identifier(found, "sha256"), _signatures(found))


def _rotating(value: object) -> Rotating | None:
    if value is None:
        return None
    found = fields.table(value, "rotation")
    ready = tuple(_audience(item)[0] for item in fields.items(found, "ready"))
    return Rotating(Rotation.from_json(found.get("rotation")), fields.signature(found), ready)


def _auditor(value: object) -> Auditor:
    found = fields.table(value, "auditors")
    read = fields.optional_text(found, "read")
    return Auditor(fields.identifier(found, "name"), plain(fields.text(found, "appointed")), read and plain(read))


def _tightened(value: object) -> tuple[Tightening, bytes]:
    found = fields.table(value, "tightened")
    return Tightening.from_json(found.get("tightening")), fields.signature(found)


def _audience(value: object) -> tuple[AudienceRef, str | None]:
    found = fields.table(value, "audiences")
    ref = AudienceRef(fields.identifier(found, "owner"), fields.identifier(found, "name"))
    return ref, fields.optional_text(found, "version")

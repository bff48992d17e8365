"""REQUEST.toml -> the request for a report, as the room's API takes it. Pure.

    kind = "statistics"                            kind = "overlap"
    count = "fresh/drive"                          audiences = ["fresh/drive", "tasty/readers"]
    where = { matched = "tasty/readers" }
    by = ["fresh/drive.tier"]
    sum = ["fresh/drive.spend"]

Rules: unknown names are refused; `purpose` is `insights` unless it is written; where, by and sum have the grammar of
`policies.question`. Whether the agreement admits the question is the room's to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partners.failure import Failure
from policies.purpose import Purpose
from policies.question import (
    AudienceRef,
    BadQuestion,
    By,
    ColumnRef,
    Where,
    by_from_json,
    by_to_json,
    purpose_from_json,
    where_from_json,
    where_to_json,
)
from policies.terms import Kind


class BadRequest(Failure):
    """A request that does not parse; the message says what to change."""


@dataclass(frozen=True, slots=True)
class OverlapRequest:
    """How many people each audience has, and how many of them are matched in the others."""

    audiences: tuple[AudienceRef, ...]
    purpose: Purpose

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": Kind.OVERLAP.value,
            "audiences": [str(audience) for audience in self.audiences],
            "purpose": self.purpose.value,
        }


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """One question: count (and sum) the people of `count`, where, by."""

    count: AudienceRef
    where: Where | None
    by: tuple[By, ...]
    sum: tuple[ColumnRef, ...]
    purpose: Purpose

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": Kind.STATISTICS.value,
            "count": str(self.count),
            "where": where_to_json(self.where),
            "by": [by_to_json(item) for item in self.by],
            "sum": [str(column) for column in self.sum],
            "purpose": self.purpose.value,
        }


Request = OverlapRequest | StatisticsRequest


def read_request(table: Mapping[str, Any]) -> Request:
    """The request of a parsed table (a REQUEST.toml, or a `[[report]]` of a scenario). Raises `BadRequest`."""
    try:
        purpose = purpose_from_json(table.get("purpose", Purpose.INSIGHTS.value))
        match table.get("kind"):
            case Kind.OVERLAP.value:
                _only(table, ("kind", "audiences", "purpose"))
                return OverlapRequest(tuple(map(AudienceRef.parse, _list(table, "audiences"))), purpose)
            case Kind.STATISTICS.value:
                _only(table, ("kind", "count", "where", "by", "sum", "purpose"))
                return StatisticsRequest(
                    AudienceRef.parse(table.get("count")),
                    where_from_json(table.get("where")),
                    tuple(map(by_from_json, _list(table, "by"))),
                    tuple(map(ColumnRef.parse, _list(table, "sum"))),
                    purpose,
                )
    except BadQuestion as problem:
        raise BadRequest(f"the request: {problem}") from None
    raise BadRequest(f"the request: kind is one of {', '.join(kind.value for kind in Kind)}")


def _only(table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    if any(name not in known for name in table):
        raise BadRequest(f"the request has an entry that is not known here; it can have: {', '.join(known)}")


def _list(table: Mapping[str, Any], name: str) -> list[Any]:
    value = table.get(name, [])
    if not isinstance(value, list):
        raise BadRequest(f"the request: {name} is a list in square brackets")
    return value

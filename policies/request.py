"""What a marketer asks for, parsed: one request per kind of report.

Rules: broken requests raise `BadQuestion`; whether the agreement admits them is for the gate to say.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from policies.purpose import Purpose
from policies.question import (
    MAX_BY,
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

MAX_OVERLAP = 5
MAX_SUMS = 3


@dataclass(frozen=True, slots=True)
class OverlapRequest:
    """How two to five audiences overlap."""

    audiences: tuple[AudienceRef, ...]
    purpose: Purpose

    kind = Kind.OVERLAP

    def to_json(self) -> dict[str, Any]:
        audiences = [str(audience) for audience in self.audiences]
        return {"kind": self.kind.value, "audiences": audiences, "purpose": self.purpose.value}


@dataclass(frozen=True, slots=True)
class StatisticsRequest:
    """People of one audience, and sums and means of measures, where …, by …."""

    count: AudienceRef
    where: Where | None
    by: tuple[By, ...]
    sum: tuple[ColumnRef, ...]
    purpose: Purpose

    kind = Kind.STATISTICS

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "count": str(self.count),
            "where": where_to_json(self.where),
            "by": [by_to_json(item) for item in self.by],
            "sum": [str(column) for column in self.sum],
            "purpose": self.purpose.value,
        }


Request = OverlapRequest | StatisticsRequest


def from_json(value: Any) -> Request:
    """A request from the JSON of the API. Raises `BadQuestion`."""
    match value:
        case {"kind": "overlap", "audiences": [*audiences], **rest} if set(rest) <= {"purpose"}:
            named = tuple(AudienceRef.parse(item) for item in audiences)
            if len(set(named)) != len(named) or not 2 <= len(named) <= MAX_OVERLAP:
                raise BadQuestion(f"an overlap is of 2 to {MAX_OVERLAP} audiences, each named once")
            return OverlapRequest(named, _purpose(rest))
        case {"kind": "statistics", "count": count, **rest} if set(rest) <= {"where", "by", "sum", "purpose"}:
            by, sums = rest.get("by", []), rest.get("sum", [])
            if not isinstance(by, list) or len(by) > MAX_BY:
                raise BadQuestion(f"`by` is a list of at most {MAX_BY} attributes or matches")
            if not isinstance(sums, list) or len(sums) > MAX_SUMS:
                raise BadQuestion(f"`sum` is a list of at most {MAX_SUMS} measures")
            return StatisticsRequest(
                AudienceRef.parse(count),
                where_from_json(rest.get("where")),
                tuple(by_from_json(item) for item in by),
                tuple(ColumnRef.parse(item) for item in sums),
                _purpose(rest),
            )
    raise BadQuestion(
        "a request is an overlap (audiences, purpose) or statistics (count, where, by, sum, purpose), nothing else"
    )


def _purpose(rest: Mapping[Any, Any]) -> Purpose:
    return purpose_from_json(rest.get("purpose", Purpose.INSIGHTS.value))

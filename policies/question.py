"""A question: count (or sum) the people of ONE audience, where …, by …, for one purpose. A frozen value.

Rules: a question has one canonical form: `by` and `sum` are sets, and equal populations have one spelling (see
`policies.populations`). Two questions with equal canonical forms are the same question: same price, same release.
The JSON form is part of the API, of reports and of the log: pinned by tests, never edited in place.
"""

from dataclasses import dataclass, replace
from typing import Any

from policies.populations import Domain, canonical_where, demands
from policies.purpose import Purpose
from policies.where import (
    MAX_NODES,
    NAME,
    All,
    AnyOf,
    AudienceRef,
    BadQuestion,
    ColumnRef,
    Is,
    Matched,
    Not,
    Where,
    leaf_audience,
    leaves,
    where_from_json,
    where_to_json,
)

__all__ = [
    "MAX_BY",
    "MAX_NODES",
    "NAME",
    "All",
    "AnyOf",
    "AudienceRef",
    "BadQuestion",
    "By",
    "ColumnRef",
    "Is",
    "Matched",
    "Not",
    "Question",
    "Where",
    "by_from_json",
    "by_key",
    "by_to_json",
    "canonical_where",
    "demands",
    "from_json",
    "leaf_audience",
    "leaves",
    "purpose_from_json",
    "to_json",
    "where_from_json",
    "where_to_json",
]

MAX_BY = 3

By = ColumnRef | Matched


@dataclass(frozen=True, slots=True)
class Question:
    """Count the people of `count` where `where` (None: everybody), in cells `by`, with sums of the measures `sum`."""

    count: AudienceRef
    where: Where | None
    by: tuple[By, ...]
    sum: tuple[ColumnRef, ...]
    purpose: Purpose

    def canonical(self, domain: Domain | None = None) -> "Question":
        """The one spelling of this question. Idempotent. `domain`: an agreement's code-lists (`Agreement.domain`).

        Raises `BadQuestion` where `where` tells too many kinds of people apart.
        """
        return replace(
            self,
            where=None if self.where is None else canonical_where(self.where, self.count, domain),
            by=tuple(sorted(set(self.by), key=by_key)),
            sum=tuple(sorted(set(self.sum))),
        )

    def linked(self) -> tuple[AudienceRef, ...]:
        """Every audience but the counted one that the question refers to, sorted."""
        named = {leaf_audience(leaf) for leaf in leaves(self.where)}
        named |= {leaf_audience(item) for item in self.by}
        named |= {column.audience for column in self.sum}
        return tuple(sorted(named - {self.count}))


def by_key(item: By) -> str:
    """The name of a dimension in figures: `owner/name.column` or `matched:owner/name`."""
    return f"matched:{item.audience}" if isinstance(item, Matched) else str(item)


def by_from_json(value: Any) -> By:
    """A dimension: `"owner/name.column"` or `{"matched": "owner/name"}`. Raises `BadQuestion`."""
    match value:
        case {"matched": audience, **rest} if not rest:
            return Matched(AudienceRef.parse(audience))
        case str():
            return ColumnRef.parse(value)
    raise BadQuestion('an item of `by` is "owner/name.column" or {"matched": "owner/name"}')


def by_to_json(item: By) -> Any:
    """The inverse of `by_from_json`."""
    return {"matched": str(item.audience)} if isinstance(item, Matched) else str(item)


def to_json(question: Question) -> dict[str, Any]:
    """The JSON form of a question, as in the API, in figures and in the log."""
    return {
        "count": str(question.count),
        "where": where_to_json(question.where),
        "by": [by_to_json(item) for item in question.by],
        "sum": [str(column) for column in question.sum],
        "purpose": question.purpose.value,
    }


def from_json(value: Any) -> Question:
    """The inverse of `to_json`. Raises `BadQuestion`."""
    match value:
        case {"count": count, "where": where, "by": [*by], "sum": [*sums], "purpose": purpose, **rest} if not rest:
            return Question(
                AudienceRef.parse(count),
                where_from_json(where),
                tuple(by_from_json(item) for item in by),
                tuple(ColumnRef.parse(item) for item in sums),
                purpose_from_json(purpose),
            )
    raise BadQuestion("a question has exactly: count, where, by, sum, purpose")


def purpose_from_json(value: Any) -> Purpose:
    """A purpose by its name. Raises `BadQuestion`."""
    try:
        return Purpose(value)
    except ValueError:
        raise BadQuestion(f"purpose is one of {', '.join(item.value for item in Purpose)}") from None

"""A question: count (or sum) the people of ONE audience, where …, by …, for one purpose. A frozen value.

Rules: a question has one canonical form. `canonical()` brings equal populations that the grammar can see as equal to
one spelling: negation pushed to the leaves, nested `all`/`any` flattened, duplicates and absorbed branches removed,
everything sorted. Two questions with equal canonical forms are the same question: same price, same release.
The JSON form is part of the API, of reports and of the log: pinned by tests, never edited in place.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from policies.purpose import Purpose

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MAX_BY = 3
MAX_NODES = 64


class BadQuestion(ValueError):
    """The question does not parse; the message is safe to print."""


@dataclass(frozen=True, slots=True, order=True)
class AudienceRef:
    """An audience within a collaboration, written `owner/name`."""

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}/{self.name}"

    @classmethod
    def parse(cls, text: object) -> "AudienceRef":
        owner, slash, name = text.partition("/") if isinstance(text, str) else ("", "", "")
        if not (slash and NAME.fullmatch(owner) and NAME.fullmatch(name)):
            raise BadQuestion("an audience is written owner/name, in letters, digits, - and _")
        return cls(owner, name)


@dataclass(frozen=True, slots=True, order=True)
class ColumnRef:
    """An attribute or a measure of an audience, written `owner/name.column`."""

    audience: AudienceRef
    column: str

    def __str__(self) -> str:
        return f"{self.audience}.{self.column}"

    @classmethod
    def parse(cls, text: object) -> "ColumnRef":
        audience, dot, column = text.partition(".") if isinstance(text, str) else ("", "", "")
        if not (dot and NAME.fullmatch(column)):
            raise BadQuestion("a column is written owner/name.column, in letters, digits, - and _")
        return cls(AudienceRef.parse(audience), column)


@dataclass(frozen=True, slots=True)
class Matched:
    """The counted person has a partner row in `audience`."""

    audience: AudienceRef


@dataclass(frozen=True, slots=True)
class Is:
    """The attribute is one of `values`. False for somebody unmatched."""

    column: ColumnRef
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Not:
    """The exact complement."""

    term: "Where"


@dataclass(frozen=True, slots=True)
class All:
    """Every term holds; true when empty."""

    terms: tuple["Where", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one term holds; false when empty."""

    terms: tuple["Where", ...]


Where = Matched | Is | Not | All | AnyOf
By = ColumnRef | Matched


@dataclass(frozen=True, slots=True)
class Question:
    """Count the people of `count` where `where` (None: everybody), in cells `by`, with sums of the measures `sum`."""

    count: AudienceRef
    where: Where | None
    by: tuple[By, ...]
    sum: tuple[ColumnRef, ...]
    purpose: Purpose

    def canonical(self) -> "Question":
        """The one spelling of this question. Idempotent."""
        return replace(
            self,
            where=None if self.where is None else canonical_where(self.where),
            by=tuple(sorted(set(self.by), key=by_key)),
            sum=tuple(sorted(set(self.sum))),
        )

    def linked(self) -> tuple[AudienceRef, ...]:
        """Every audience but the counted one that the question refers to, sorted."""
        named = {leaf_audience(leaf) for leaf in leaves(self.where)}
        named |= {leaf_audience(item) for item in self.by}
        named |= {column.audience for column in self.sum}
        return tuple(sorted(named - {self.count}))


def leaf_audience(leaf: Matched | Is | ColumnRef) -> AudienceRef:
    """The audience that a leaf of `where` or an item of `by` refers to."""
    return leaf.column.audience if isinstance(leaf, Is) else leaf.audience


def by_key(item: By) -> str:
    """The name of a dimension in figures: `owner/name.column` or `matched:owner/name`."""
    return f"matched:{item.audience}" if isinstance(item, Matched) else str(item)


def leaves(where: Where | None) -> Iterator[Matched | Is]:
    """Every `Matched` and `Is` in an expression."""
    match where:
        case Matched() | Is():
            yield where
        case Not(term):
            yield from leaves(term)
        case All(terms) | AnyOf(terms):
            for term in terms:
                yield from leaves(term)


def demands(where: Where | None, audience: AudienceRef) -> bool:
    """Whether `where` can only hold for people matched in `audience`, as far as its form tells."""
    match where:
        case Matched(named):
            return named == audience
        case Is(column, _):
            return column.audience == audience
        case All(terms):
            return any(demands(term, audience) for term in terms)
        case AnyOf(terms):
            return bool(terms) and all(demands(term, audience) for term in terms)
        case Not():
            pushed = canonical_where(where)
            return not isinstance(pushed, Not) and demands(pushed, audience)
    return False


def canonical_where(where: Where) -> Where | None:
    """Negation normal form, flattened, absorbed, sorted. None when the expression holds for everybody."""
    form = _normal(where, negated=False)
    return None if form == All(()) else form


def _normal(where: Where, negated: bool) -> Where:
    match where:
        case Not(term):
            return _normal(term, not negated)
        case All(terms) | AnyOf(terms):
            conjunction = isinstance(where, All) != negated
            return _join([_normal(term, negated) for term in terms], conjunction)
        case Is(_, values) if not values:  # no value is in the empty set
            return All(()) if negated else AnyOf(())
    return Not(where) if negated else where


def _join(terms: list[Where], conjunction: bool) -> Where:
    kind, other = (All, AnyOf) if conjunction else (AnyOf, All)
    flat: set[Where] = set()
    for term in terms:
        flat.update(term.terms if isinstance(term, kind) else (term,))
    neutral, dominant = kind(()), other(())
    flat.discard(neutral)
    contradicts = any(Not(term) in flat for term in flat if not isinstance(term, Not))
    if dominant in flat or contradicts:
        return dominant
    # Absorption: x and (x or y) is x; x or (x and y) is x.
    kept = [term for term in flat if not (isinstance(term, other) and flat & set(term.terms))]
    if len(kept) == 1:
        return kept[0]
    return kind(tuple(sorted(kept, key=lambda term: repr(where_to_json(term)))))


def where_to_json(where: Where | None) -> Any:
    """The JSON form: {"matched": "o/n"}, {"is": ["o/n.c", [values]]}, {"not": W}, {"all": [W]} or {"any": [W]}."""
    match where:
        case None:
            return None
        case Matched(audience):
            return {"matched": str(audience)}
        case Is(column, values):
            return {"is": [str(column), sorted(values)]}
        case Not(term):
            return {"not": where_to_json(term)}
        case All(terms):
            return {"all": [where_to_json(term) for term in terms]}
        case AnyOf(terms):
            return {"any": [where_to_json(term) for term in terms]}


def where_from_json(value: Any) -> Where | None:
    """The inverse of `where_to_json`. Raises `BadQuestion`, also for more than 64 nodes."""
    return None if value is None else _where_from_json(value, [MAX_NODES])


def _where_from_json(value: Any, left: list[int]) -> Where:
    left[0] -= 1
    if left[0] < 0:
        raise BadQuestion(f"`where` has more than {MAX_NODES} parts; ask a simpler question")
    match value:
        case {"matched": audience, **rest} if not rest:
            return Matched(AudienceRef.parse(audience))
        case {"is": [column, [*values]], **rest} if not rest and all(map(_is_text, values)):
            return Is(ColumnRef.parse(column), frozenset(values))
        case {"not": term, **rest} if not rest:
            return Not(_where_from_json(term, left))
        case {"all": [*terms], **rest} if not rest:
            return All(tuple(_where_from_json(term, left) for term in terms))
        case {"any": [*terms], **rest} if not rest:
            return AnyOf(tuple(_where_from_json(term, left) for term in terms))
    raise BadQuestion("`where` is one of matched, is, not, all, any, each with its own arguments")


def _is_text(value: object) -> bool:
    """Whether it is text that can be written: JSON can spell half a character, which no UTF-8 can."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


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

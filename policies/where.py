"""Who is counted: and, or, not over matches and values of attributes. Frozen values, and their JSON form.

Rules: an attribute of somebody unmatched has no value: `is` is false for it, and `not` is the exact complement. The
JSON form is part of the API, of reports and of the log: pinned by tests, never edited in place. What spellings mean
the same people is for `policies.populations`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
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


def leaf_audience(leaf: Matched | Is | ColumnRef) -> AudienceRef:
    """The audience that a leaf of `where` or an item of `by` refers to."""
    return leaf.column.audience if isinstance(leaf, Is) else leaf.audience


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


def nodes(where: Where | None) -> int:
    """How many parts an expression has, as `MAX_NODES` counts them."""
    match where:
        case None:
            return 0
        case Not(term):
            return 1 + nodes(term)
        case All(terms) | AnyOf(terms):
            return 1 + sum(map(nodes, terms))
    return 1


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

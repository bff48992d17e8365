"""The naive model: what a question means, written from the privacy page with dictionaries and loops.

It shares no code with the engine and none of the rules of `policies`: two independent readings of one text.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import date

from policies.question import All, AnyOf, AudienceRef, ColumnRef, Is, Matched, Not, Question, Where
from tests.worlds import Row, World

BITS = {"insights": 1, "measurement": 2, "modelling": 4, "activation": 8}
Cell = tuple[str | bool | None, ...]


@dataclass(frozen=True, slots=True)
class Person:
    """A counted person: its own row, and its partner's row or None per audience; its own audience included."""

    rows: dict[AudienceRef, Row | None]


def measure(question: Question, world: World) -> tuple[Counter[Cell], dict[ColumnRef, Counter[Cell]]]:
    """The people in each cell that has any, and the sums."""
    counts: Counter[Cell] = Counter()
    sums: dict[ColumnRef, Counter[Cell]] = {column: Counter() for column in question.sum}
    for person in people(question, world):
        if question.where is not None and not holds(question.where, person):
            continue
        cell = tuple(dimension(item, person) for item in question.by)
        counts[cell] += 1
        for column in question.sum:
            sums[column][cell] += amount(column, person, world)
    return counts, sums


def people(question: Question, world: World) -> list[Person]:
    present = {ref: who_takes_part(ref, question, world) for ref in world.rows}
    everybody = []
    for own in present[question.count]:
        rows: dict[AudienceRef, Row | None] = {}
        for ref, others in present.items():
            rows[ref] = own if ref == question.count else partner(own, others, world.agreement.match_keys)
        everybody.append(Person(rows))
    return everybody


def who_takes_part(ref: AudienceRef, question: Question, world: World) -> list[Row]:
    return [
        row
        for number, row in enumerate(world.rows[ref])
        if row.consent & BITS[question.purpose.value]
        and not expired(row.expires, world.day)
        and not (number in world.withdrawn[ref] and withdrawn_from(ref, number, world) & BITS[question.purpose.value])
    ]


def withdrawn_from(ref: AudienceRef, number: int, world: World) -> int:
    return world.withdrawn_from.get(ref, {}).get(number, sum(BITS.values()))


def expired(expires: date | None, day: date) -> bool:
    return expires is not None and expires < day


def partner(own: Row, others: list[Row], match_keys: tuple[str, ...]) -> Row | None:
    for key in match_keys:
        for other in others:
            if key in own.tokens and key in other.tokens and own.tokens[key] == other.tokens[key]:
                return other
    return None


def holds(where: Where, person: Person) -> bool:
    match where:
        case Matched(audience):
            return person.rows[audience] is not None
        case Is(column, values):
            return attribute(column, person) in values
        case Not(term):
            return not holds(term, person)
        case All(terms):
            return all(holds(term, person) for term in terms)
        case AnyOf(terms):
            return any(holds(term, person) for term in terms)


def dimension(item: ColumnRef | Matched, person: Person) -> str | bool | None:
    return holds(item, person) if isinstance(item, Matched) else attribute(item, person)


def attribute(column: ColumnRef, person: Person) -> str | None:
    row = person.rows[column.audience]
    return None if row is None else row.attributes[column.column]


def amount(column: ColumnRef, person: Person, world: World) -> int:
    row = person.rows[column.audience]
    if row is None or column.column not in row.measures:
        return 0
    agreed = next(each for each in world.agreement.audiences if each.ref == column.audience)
    bounds = next(each for each in agreed.measures if each.name == column.column)
    return max(bounds.lower, min(bounds.upper, row.measures[column.column]))

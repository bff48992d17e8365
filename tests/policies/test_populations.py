"""The canonical form is one for each set of people: checked against a plain truth table, and over random rewritings.

The table is worked out person by person with the naive model of `tests/engine/model.py`, over every person that small
code-lists allow; the form under test shares nothing with it.
"""

import time
from functools import cache
from itertools import product
from random import Random

import pytest

from policies.populations import MAX_BYTES, MAX_STATES, canonical_where, demands
from policies.where import (
    MAX_NODES,
    All,
    AnyOf,
    AudienceRef,
    BadQuestion,
    ColumnRef,
    Is,
    Matched,
    Not,
    Where,
    leaves,
    nodes,
    where_from_json,
    where_to_json,
)
from tests.engine.model import Person, holds
from tests.policies.strategies import A, D, E
from tests.worlds import Row

LISTS: dict[ColumnRef, tuple[str, ...]] = {
    ColumnRef(A, "city"): ("Oslo", "Rome", "other"),
    ColumnRef(D, "colour"): ("blue", "green", "red"),
    ColumnRef(D, "size"): ("large", "small"),
    ColumnRef(E, "tier"): ("gold", "unknown"),
}
CITY, COLOUR, SIZE, TIER = LISTS
IN_D, IN_E = Matched(D), Matched(E)


@cache
def everybody(elsewhere: bool) -> tuple[Person, ...]:
    """Everybody whom the code-lists allow; with `elsewhere`, also with values that no list and no question has."""

    def rows(ref: AudienceRef) -> list[Row | None]:
        lists = {
            column.column: (*values, "nowhere") if elsewhere else values
            for column, values in LISTS.items()
            if column.audience == ref
        }
        found = [Row({}, dict(zip(lists, values, strict=True)), {}) for values in product(*lists.values())]
        return list(found) if ref == A else [None, *found]

    return tuple(Person({A: a, D: d, E: e}) for a, d, e in product(rows(A), rows(D), rows(E)))


def truth(where: Where | None, elsewhere: bool = False) -> tuple[bool, ...]:
    return tuple(where is None or holds(where, person) for person in everybody(elsewhere))


def spelled(where: Where | None, closed: bool = True) -> Where | None:
    return None if where is None else canonical_where(where, A, LISTS.get if closed else None)


def expression(random: Random, depth: int) -> Where:
    shape = random.random()
    if depth == 0 or shape < 0.25:
        column = random.choice(list(LISTS))
        known: list[Where] = [Is(column, frozenset(some(random, LISTS[column])))] * 5
        return random.choice([IN_D, IN_E, Matched(A), *known])
    if shape < 0.4:
        return Not(expression(random, depth - 1))
    terms = tuple(expression(random, depth - 1) for _ in range(random.randint(0, 3)))
    return All(terms) if random.random() < 0.5 else AnyOf(terms)


def some(random: Random, values: tuple[str, ...]) -> list[str]:
    return [value for value in values if random.random() < 0.5]


def rewritten(random: Random, where: Where, closed: bool) -> Where:
    """The same people, spelled otherwise, by laws that need the meaning of `is`, `matched` and the code-lists."""
    match where:
        case Not(term):
            where = Not(rewritten(random, term, closed))
        case All(terms) | AnyOf(terms):
            again = [rewritten(random, term, closed) for term in terms]
            random.shuffle(again)
            where = type(where)((*again, *random.sample(again, min(len(again), random.randint(0, 1)))))
        case Is(column, values):
            where = _other_is(random, column, values, closed)
    other = expression(random, 1)
    laws = (
        lambda w: Not(Not(w)),
        lambda w: All((w, AnyOf((w, other)))),
        lambda w: AnyOf((All((w, other)), w)),
        lambda w: AnyOf((All((w, other)), All((w, Not(other))))),
        lambda w: All((AnyOf((w, other)), AnyOf((Not(other), w)))),
        lambda w: AnyOf((w, All((other, Not(other))))),
        lambda w: Not(_swapped(w)),
    )
    return random.choice(laws)(where) if random.random() < 0.4 else where


def _other_is(random: Random, column: ColumnRef, values: frozenset[str], closed: bool) -> Where:
    left = frozenset(some(random, tuple(sorted(values))))
    every = frozenset(LISTS[column])
    ways: list[Where] = [Is(column, values), AnyOf((Is(column, left), Is(column, values - left)))]
    more = values | set(some(random, LISTS[column]))
    ways.append(All((Is(column, more), Not(Is(column, more - values)))))
    ways.append(All((Is(column, values), Matched(column.audience))))
    if closed:
        ways.append(All((Matched(column.audience), Not(Is(column, every - values)))))
        ways.append(Is(column, values) if values != every else Matched(column.audience))
    return random.choice(ways)


def _swapped(where: Where) -> Where:
    """The complement, by De Morgan."""
    match where:
        case All(terms) | AnyOf(terms):
            return (AnyOf if isinstance(where, All) else All)(tuple(Not(term) for term in terms))
    return Not(where)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("seed", range(20))
def test_a_thousand_rewritings_have_one_form(seed: int, closed: bool) -> None:
    random = Random(seed)
    where = expression(random, 2)
    form = spelled(where, closed)
    for _ in range(50):
        other = rewritten(random, where, closed)
        assert truth(other, elsewhere=not closed) == truth(where, elsewhere=not closed), "the law does not hold"
        assert spelled(other, closed) == form


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_forms_are_equal_exactly_where_the_people_are(seed: int, closed: bool) -> None:
    """Small expressions, so that equal populations meet by chance: form by table and table by form are one to one."""
    random = Random(1000 + seed)
    by_table: dict[tuple[bool, ...], Where | None] = {}
    met = 0
    for _ in range(300):
        where = expression(random, random.randint(0, 2))
        form, table = spelled(where, closed), truth(where, elsewhere=not closed)
        met += table in by_table
        assert by_table.setdefault(table, form) == form, where
        assert truth(form, elsewhere=not closed) == table
        assert spelled(form, closed) == form
    assert met > 50
    assert len(set(map(repr, by_table.values()))) == len(by_table)


def test_what_demands_a_match_is_a_matter_of_meaning() -> None:
    random = Random(5)
    seen = {True: 0, False: 0}
    for _ in range(300):
        where = expression(random, 2)
        for ref in (D, E):
            people = [person for person in everybody(True) if holds(where, person)]
            # Without knowing whom the question counts: `matched` in A may be false there.
            expected = bool(people) and all(person.rows[ref] is not None for person in people)
            if Matched(A) not in leaves(where):
                assert demands(where, ref) is expected
                seen[expected] += 1
            elif demands(where, ref):
                assert expected or not people
    assert min(seen.values()) > 50


RED, BLUE = Is(COLOUR, frozenset({"red"})), Is(COLOUR, frozenset({"blue"}))
COLOURS = frozenset(LISTS[COLOUR])


@pytest.mark.parametrize(
    ("where", "form"),
    [
        (AnyOf((RED, BLUE)), Is(COLOUR, frozenset({"red", "blue"}))),
        (All((RED, BLUE)), AnyOf(())),
        (All((RED, IN_D)), RED),  # a value is a match
        (All((IN_D, Not(RED))), Is(COLOUR, COLOURS - {"red"})),
        (Not(RED), Not(RED)),  # holds for the unmatched
        (AnyOf((Not(IN_D), Is(COLOUR, COLOURS - {"red"}))), Not(RED)),
        (Is(COLOUR, COLOURS), IN_D),
        (Not(Is(COLOUR, COLOURS)), Not(IN_D)),
        (Is(CITY, frozenset(LISTS[CITY])), None),  # everybody counted has a city
        (Not(Is(CITY, frozenset({"Rome", "Oslo"}))), Is(CITY, frozenset({"other"}))),
        (Matched(A), None),
        (AnyOf((RED, All((Not(RED), IN_E)))), AnyOf((RED, IN_E))),
        (All((AnyOf((IN_D, RED)), AnyOf((IN_D, BLUE)))), IN_D),
        (AnyOf((All((RED, IN_E)), All((BLUE, IN_E)))), All((Is(COLOUR, frozenset({"red", "blue"})), IN_E))),
    ],
)
def test_forms(where: Where, form: Where | None) -> None:
    assert truth(where) == truth(form)
    assert spelled(where) == form


def json_of(where: Where | None) -> str:
    return repr(where_to_json(where))


@pytest.mark.parametrize("values", [{"red", "mauve"}, {"mauve"}])
def test_what_no_code_list_has_stays_as_it_is_written(values: set[str]) -> None:
    """Also in a branch that cannot hold: admission refuses whatever names it."""
    odd = All((Not(Not(IN_D)), AnyOf((RED, All((IN_E, Not(IN_E), Is(COLOUR, frozenset(values))))))))
    assert spelled(odd) == odd
    other = All((Not(Not(IN_D)), Is(ColumnRef(D, "weight"), frozenset({"red"}))))
    assert spelled(other) == other


PARTNERS = [Matched(AudienceRef(f"p{number}", "x")) for number in range(16)]
OWN = [ColumnRef(A, f"c{number}") for number in range(16)]


def either(one: Where, other: Where) -> Where:
    return AnyOf((All((one, Not(other))), All((Not(one), other))))


FOUR_PAIRS = All(tuple(AnyOf((PARTNERS[n], PARTNERS[n + 4])) for n in range(4)))


@pytest.mark.parametrize(
    ("where", "parts"),
    [
        (AnyOf(tuple(All((PARTNERS[n], PARTNERS[15 - n])) for n in range(8))), 25),
        (All(tuple(AnyOf((PARTNERS[n], PARTNERS[15 - n])) for n in range(8))), 25),
        (All(tuple(either(PARTNERS[2 * n], PARTNERS[2 * n + 1]) for n in range(7))), 57),
        (AnyOf(tuple(All((Is(OWN[n], frozenset("a")), Is(OWN[15 - n], frozenset("b")))) for n in range(16))), None),
        (either(either(either(PARTNERS[0], PARTNERS[1]), PARTNERS[2]), PARTNERS[3]), 57),
        (AnyOf((FOUR_PAIRS, All(tuple(AnyOf((PARTNERS[n], PARTNERS[n + 4])) for n in range(8, 12))))), None),
    ],
)
def test_hostile_questions_end_soon(where: Where, parts: int | None) -> None:
    """Each has its form, or is refused; none takes the time that an exponential would."""
    assert nodes(where) <= MAX_NODES
    began = time.process_time()
    if parts is None:
        with pytest.raises(BadQuestion, match="name fewer"):
            canonical_where(where, A)
    else:
        form = canonical_where(where, A)
        assert nodes(form) == parts
        assert where_from_json(where_to_json(form)) == form
    assert time.process_time() - began < 20  # a hang, not a matter of speed


def test_just_so_many_kinds_of_people() -> None:
    columns = [ColumnRef(A, f"c{number}") for number in range(17)]
    fits = All(tuple(Is(column, frozenset({"a"})) for column in columns[:16]))
    assert MAX_STATES == 2**16
    assert canonical_where(fits, A) == All(tuple(sorted(fits.terms, key=json_of)))
    with pytest.raises(BadQuestion):
        canonical_where(All((*fits.terms, Is(columns[16], frozenset({"a"})))), A)


def test_a_form_that_is_too_long_for_the_log() -> None:
    half = frozenset({"x" * (MAX_BYTES // 2)})
    assert canonical_where(Is(CITY, half), A) == Is(CITY, half)
    with pytest.raises(BadQuestion):
        canonical_where(Is(CITY, half | {"y" * (MAX_BYTES // 2)}), A)

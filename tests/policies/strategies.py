"""Random questions, terms and broken documents for the tests of `policies`, and for whoever else needs some."""

import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st

from policies.purpose import Purpose
from policies.question import All, AnyOf, AudienceRef, ColumnRef, Is, Matched, Not, Question, Where
from policies.terms import MICRO, Figures, Kind, Mode, Terms
from tests.engine.model import Person
from tests.worlds import Row

T = TypeVar("T")
LAW = settings(deadline=None, max_examples=60)

A, D, E = AudienceRef("ada", "main"), AudienceRef("bea", "main"), AudienceRef("cid", "main")
VALUES = ("red", "green", "other", "unknown")
COLUMNS = tuple(ColumnRef(ref, name) for ref in (A, D, E) for name in ("colour", "size"))
MEASURES = tuple(ColumnRef(ref, "spend") for ref in (A, D, E))
# What a careless person could paste anywhere; no message may repeat it.
IDENTIFIER = "jane@example.com"


def leaves() -> st.SearchStrategy[Where]:
    matched = st.sampled_from((A, D, E)).map(Matched)
    return matched | st.builds(Is, st.sampled_from(COLUMNS), st.frozensets(st.sampled_from(VALUES), max_size=3))


def wheres() -> st.SearchStrategy[Where]:
    """Expressions over three audiences with two attributes each, with empty and doubled branches."""
    return st.recursive(leaves(), _around, max_leaves=10)


def _around(inner: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
    terms = st.lists(inner, max_size=4).map(tuple)
    return st.builds(Not, inner) | st.builds(All, terms) | st.builds(AnyOf, terms)


def questions() -> st.SearchStrategy[Question]:
    dimensions = st.sampled_from(COLUMNS) | st.sampled_from((A, D, E)).map(Matched)
    return st.builds(
        Question,
        st.sampled_from((A, D, E)),
        st.none() | wheres(),
        st.lists(dimensions, max_size=3).map(tuple),
        st.lists(st.sampled_from(MEASURES), max_size=3).map(tuple),
        st.sampled_from(Purpose),
    )


def people(*unmatched: AudienceRef) -> st.SearchStrategy[Person]:
    """Somebody of A, matched or not in each other audience, with any values; never matched in `unmatched`."""

    def row(ref: AudienceRef) -> st.SearchStrategy[Row | None]:
        attributes = st.fixed_dictionaries({name: st.sampled_from(VALUES) for name in ("colour", "size")})
        rows = attributes.map(lambda values: Row({}, values, {}))
        return st.none() if ref in unmatched else rows if ref == A else st.none() | rows

    return st.builds(Person, st.fixed_dictionaries({ref: row(ref) for ref in (A, D, E)}))


def rewritten(random: Random, where: Where) -> Where:
    """The same population, written otherwise: order, duplicates, nesting, double negation, De Morgan."""
    match where:
        case Not(term):
            where = Not(rewritten(random, term))
        case All(terms) | AnyOf(terms):
            where = _rewritten_list(random, type(where), [rewritten(random, term) for term in terms])
    for wrap in random.choices((lambda w: Not(Not(w)), lambda w: All((w,)), lambda w: AnyOf((w, w))), k=2):
        where = wrap(where) if random.random() < 0.3 else where
    return where


def _rewritten_list(random: Random, kind: type[All] | type[AnyOf], terms: list[Where]) -> Where:
    terms = random.sample(terms, len(terms)) + (random.choices(terms, k=random.randint(0, 2)) if terms else [])
    if random.random() < 0.5:
        cut = random.randint(0, len(terms))
        terms = [kind(tuple(terms[:cut])), *terms[cut:]]
    if random.random() < 0.5:
        return Not((AnyOf if kind is All else All)(tuple(map(Not, terms))))
    return kind(tuple(terms))


def terms() -> st.SearchStrategy[Terms]:
    """Terms with any of them open."""
    sizes, epsilons = st.none() | st.integers(1, 10_000), st.none() | st.integers(MICRO // 1000, 1000 * MICRO)
    columns = st.frozensets(st.sampled_from([str(column) for column in COLUMNS]))
    return st.builds(
        Terms,
        minimum_size=sizes,
        rounding=sizes,
        epsilon_per_report=epsilons,
        epsilon_total=epsilons,
        mode=st.none() | st.sampled_from(Mode),
        purposes=st.none() | st.frozensets(st.sampled_from(Purpose)),
        kinds=st.none() | st.frozensets(st.sampled_from(Kind)),
        columns=st.none() | columns,
        retention_days=st.none() | st.integers(1, 3_660),
        figures=st.none() | st.sampled_from(Figures),
        minimum_audience=sizes,
    )


def junk() -> st.SearchStrategy[Any]:
    """JSON values, the odd ones first: what fits nowhere, and what nearly fits everywhere."""
    odd: tuple[Any, ...] = (
        None,
        True,
        False,
        0,
        1,
        -1,
        10**30,
        1.0,
        float("nan"),
        "",
        " ",
        "\ud800",
        "a/b",
        IDENTIFIER,
        [],
        {},
        [[]],
    )
    scalars = st.sampled_from(odd) | st.integers() | st.text(max_size=5)
    return scalars | st.lists(scalars, max_size=3) | st.dictionaries(st.text(max_size=5), scalars, max_size=3)


@st.composite
def broken(draw: st.DrawFn, document: Any) -> Any:
    """The document with one to three of its nodes replaced, deleted, doubled or added."""
    document = copy.deepcopy(document)
    for _ in range(draw(st.integers(1, 3))):
        places = list(_places(document))
        if not places:
            return document
        parent, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(("replace", "replace", "delete", "add"))):
            case "replace":
                parent[key] = draw(junk())
            case "delete":
                del parent[key]
            case "add" if isinstance(parent, dict):
                parent[draw(st.sampled_from(("", "note", "terms", IDENTIFIER)))] = draw(junk())
            case "add":
                parent.insert(key, draw(junk() | st.just(copy.deepcopy(parent[key]))))
    return document


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every node below the top, as its parent and its key there."""
    if isinstance(node, dict | list):
        for key in node if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from _places(node[key])


def parsed(parse: Callable[[Any], T], value: Any, refusal: type[ValueError]) -> T | None:
    """What `parse` makes of the value. None for a refusal, which must be safe to print; any other exception goes on."""
    try:
        return parse(value)
    except refusal as problem:
        message = str(problem)
    assert is_safe(message)
    return None


def is_safe(message: str) -> bool:
    """One line, not empty, and nothing of the input in it."""
    return bool(message) and message.isprintable() and IDENTIFIER not in message

"""Cells: every combination of values that somebody can have, in one order, whatever the data."""

from itertools import product
from random import Random

import pytest

from policies.agreement import Attribute, Audience
from policies.cells import MAX_CELLS, Cell, Value, cells, size
from policies.purpose import Purpose
from policies.question import AudienceRef, By, ColumnRef, Is, Matched, Not, Question, Where, demands
from tests import worlds
from tests.engine import model
from tests.policies.strategies import A, D, E

AGREEMENT = worlds.agreement(
    [
        Audience(A, ("email",), (Attribute("city", ("Rome", "other")),), ()),
        Audience(D, ("email",), (Attribute("tier", ("gold",)), Attribute("size", ("s", "m"))), ()),
        Audience(E, ("email",), (), ()),
    ],
    ("email",),
)
CITY, TIER, SIZE = ColumnRef(A, "city"), ColumnRef(D, "tier"), ColumnRef(D, "size")
GOLD = Is(TIER, frozenset({"gold"}))


def ask(where: Where | None, *by: By) -> Question:
    return Question(A, where, by, (), Purpose.INSIGHTS).canonical()


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (ask(None), [()]),
        (ask(None, CITY), [("Rome",), ("other",), ("unknown",)]),
        (ask(None, Matched(A)), [(True,)]),
        (ask(None, Matched(D)), [(True,), (False,)]),
        (ask(Matched(D), Matched(D)), [(True,)]),
        (ask(Not(Matched(D)), Matched(D)), [(True,), (False,)]),
        (ask(None, TIER), [("gold",), ("other",), ("unknown",), (None,)]),
        (ask(GOLD, TIER), [("gold",), ("other",), ("unknown",)]),
        (ask(None, Matched(D), TIER), [("gold", True), ("other", True), ("unknown", True), (None, False)]),
        (ask(None, Matched(D), Matched(E)), [(True, True), (True, False), (False, True), (False, False)]),
    ],
)
def test_cells(question: Question, expected: list[Cell]) -> None:
    assert list(cells(question, AGREEMENT)) == expected


def test_two_attributes_of_one_audience_are_both_there_or_neither() -> None:
    found = cells(ask(None, TIER, SIZE), AGREEMENT)
    assert [cell for cell in found if None in cell] == [(None, None)]
    assert len(found) == 3 * 4 + 1


def naive(question: Question, world: worlds.World) -> set[Cell]:
    """Every cell, from every way in which a person can be matched or not and have values."""
    certain = {question.count} | {ref for ref in question.linked() if demands(question.where, ref)}
    audiences = sorted({item.audience for item in question.by})
    found: set[Cell] = set()
    for matches in product((True, False), repeat=len(audiences)):
        matched = dict(zip(audiences, matches, strict=True))
        if all(matched.get(ref, True) for ref in certain):
            found |= set(product(*(_values(item, matched, world) for item in question.by)))
    return found


def _values(item: By, matched: dict[AudienceRef, bool], world: worlds.World) -> list[Value]:
    if isinstance(item, Matched):
        return [matched[item.audience]]
    if not matched[item.audience]:
        return [None]
    audience = next(each for each in world.agreement.audiences if each.ref == item.audience)
    listed = next(each.values for each in audience.attributes if each.name == item.column)
    return list({*listed, "other", "unknown"})


@pytest.mark.parametrize("seed", range(0, 300, 50))
def test_random_worlds(seed: int) -> None:
    for each in range(seed, seed + 50):
        random = Random(each)
        world = worlds.random_world(random)
        question = worlds.random_question(random, world)
        found = cells(question, world.agreement)
        assert len(set(found)) == len(found) <= size(question, world.agreement), (each, question)
        assert set(found) == naive(question, world), (each, question)
        # Every person that `where` holds for has exactly one of the cells, and the same audience has the same cells
        # whatever its rows.
        counts, _ = model.measure(question, world)
        assert set(counts) <= set(found), (each, question)
        empty = worlds.World(world.agreement, dict.fromkeys(world.rows, ()), world.withdrawn)
        assert cells(question, empty.agreement) == found


def test_the_order_is_that_of_the_code_lists_last_dimension_fastest() -> None:
    question = ask(None, CITY, SIZE)
    domains = (("Rome", "other", "unknown"), ("s", "m", "other", "unknown", None))
    assert cells(question, AGREEMENT) == tuple(product(*domains))


def test_size_is_known_without_making_the_cells() -> None:
    wide = worlds.agreement(
        [Audience(A, ("email",), tuple(Attribute(f"a{n}", tuple(map(str, range(998)))) for n in range(3)), ())],
        ("email",),
    )
    question = ask(None, *(ColumnRef(A, f"a{n}") for n in range(3)))
    assert size(question, wide) == 1000**3 > MAX_CELLS
    assert size(ask(None), AGREEMENT) == 1
    assert size(ask(None, TIER, SIZE), AGREEMENT) == 4 * 5

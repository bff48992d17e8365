"""Take any one row out of a small random world: no vector changes by more than its sensitivity says.

The change is measured by the naive model of `tests/engine/model.py`. Worlds are seeded, so a failure names its world.
`make soak` runs 200,000 neighbouring worlds. `test_bounds_are_met` keeps the bounds from being loose.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import pytest

from policies.agreement import Attribute, Audience, Measure
from policies.purpose import Purpose
from policies.question import (
    AudienceRef,
    By,
    ColumnRef,
    Is,
    Matched,
    Not,
    Question,
    Where,
    demands,
    leaf_audience,
    leaves,
)
from policies.sensitivity import owners, sensitivity
from tests import worlds
from tests.engine import model
from tests.soak import FACTOR
from tests.worlds import Row, World

NEIGHBOURS = 10_000 * FACTOR


@dataclass(frozen=True, slots=True)
class Change:
    """What one row's absence did to one vector, against what it may do."""

    owner: str
    measure: ColumnRef | None
    moved: int
    allowed: int


def _changes(question: Question, world: World) -> Iterator[Change]:
    counts, sums = model.measure(question, world)
    for ref in (question.count, *question.linked()):
        for index in range(len(world.rows[ref])):
            other_counts, other_sums = model.measure(question, world.without(ref, index))
            yield _change(question, world, ref, None, counts, other_counts)
            for measure in question.sum:
                yield _change(question, world, ref, measure, sums[measure], other_sums[measure])


def _change(
    question: Question,
    world: World,
    ref: AudienceRef,
    measure: ColumnRef | None,
    one: Counter[model.Cell],
    other: Counter[model.Cell],
) -> Change:
    moved = sum(abs(one[cell] - other[cell]) for cell in one.keys() | other.keys())
    return Change(ref.owner, measure, moved, sensitivity(question, measure, ref.owner, world.agreement))


def test_no_row_moves_a_vector_further_than_its_sensitivity() -> None:
    """Neighbouring worlds of every shape: a row of each audience of the question goes, one after the other."""
    neighbours, seed = 0, 0
    shapes: set[str] = set()
    while neighbours < NEIGHBOURS:
        random = Random(seed)
        world = worlds.random_world(random)
        question = worlds.random_question(random, world)
        for change in _changes(question, world):
            assert change.moved <= change.allowed, (seed, question, change)
            if change.moved:
                shapes.update(_shapes(question, change.measure, world))
        neighbours += sum(len(world.rows[ref]) for ref in (question.count, *question.linked()))
        seed += 1
    assert shapes == SHAPES, "every shape of question was there, and in each something moved"


SHAPES = {
    f"{keys} keys, {what}"
    for keys in (1, 2, 3)
    for what in ("where", "where not", "by matched", "by attribute", "count", "own sum", "linked sum", "two linked")
}


def _shapes(question: Question, measure: ColumnRef | None, world: World) -> Iterator[str]:
    """What there is of each linked audience in the question, with the number of keys it is matched on."""
    linked = question.linked()
    for ref in linked:
        keys = f"{len(world.agreement.common_keys(question.count, ref))} keys"
        if any(leaf_audience(leaf) == ref for leaf in leaves(question.where)):
            yield f"{keys}, where{'' if demands(question.where, ref) else ' not'}"
        for item in question.by:
            if item.audience == ref:
                yield f"{keys}, by {'matched' if isinstance(item, Matched) else 'attribute'}"
        yield f"{keys}, {'count' if measure is None else 'linked sum' if measure.audience == ref else 'own sum'}"
        if len(linked) > 1:
            yield f"{keys}, two linked"


def test_an_audience_that_takes_no_part_moves_nothing() -> None:
    random = Random(7)
    world = worlds.random_world(random)
    question = Question(world.agreement.audiences[0].ref, None, (), (), Purpose.INSIGHTS)
    assert owners(question) == (question.count.owner,)


A, D = AudienceRef("ada", "main"), AudienceRef("bea", "main")
COLOUR, SPEND, OWN = ColumnRef(D, "colour"), ColumnRef(D, "spend"), ColumnRef(A, "spend")
RED = Is(COLOUR, frozenset({"red"}))


@pytest.mark.parametrize(
    ("where", "by", "measure", "keys", "met"),
    [
        # The row of D goes; its e is that of a person who …
        (Matched(D), (), None, 1, 1),  # vanishes
        (Not(Matched(D)), (), None, 1, 1),  # appears
        (None, (Matched(D),), None, 1, 2),  # moves from matched to unmatched
        (None, (COLOUR,), None, 1, 2),
        (RED, (COLOUR,), None, 1, 1),  # vanishes, because the match is demanded
        (Matched(D), (COLOUR,), None, 2, 3),  # finds another row through the next key, in another cell
        (RED, (), None, 2, 2),
        (Matched(D), (COLOUR,), None, 3, 5),
        (None, (Matched(D),), None, 3, 6),
        (Matched(D), (Matched(D),), None, 2, 2),
        (None, (), OWN, 1, 0),  # stays: the sum of A's own measure does not depend on D
        (Matched(D), (), OWN, 1, 10),
        (None, (Matched(D),), OWN, 1, 20),
        (None, (), SPEND, 1, 10),  # loses the value
        (None, (), SPEND, 2, 25),  # has another row's value, -5 for 10
        (Matched(D), (COLOUR,), SPEND, 2, 30),
    ],
)
def test_bounds_are_met(
    where: Where | None, by: tuple[By, ...], measure: ColumnRef | None, keys: int, met: int
) -> None:
    question = Question(A, where, by, (measure,) if measure else (), Purpose.INSIGHTS).canonical()
    most = 0
    for seed in range(600):
        world = _two_audiences(Random(seed), ("email", "phone", "id.card")[:keys])
        changes = [each for each in _changes(question, world) if each.owner == D.owner and each.measure == measure]
        assert {each.allowed for each in changes} <= {met}
        most = max(most, *(each.moved for each in changes), 0)
    assert most == met


def _two_audiences(random: Random, keys: tuple[str, ...]) -> World:
    """Up to three people and as many partners with the same few tokens, on rows that differ as much as rows can."""
    audiences = [
        Audience(ref, keys, (Attribute("colour", ("red", "green")),), (Measure("spend", -5, 10, 0),)) for ref in (A, D)
    ]
    rows = {
        each.ref: tuple(
            Row(tokens, {"colour": random.choice(("red", "green"))}, {"spend": random.choice((-5, 10))})
            for tokens in _hands(random, keys)
        )
        for each in audiences
    }
    return World(worlds.agreement(audiences, keys), rows, {A: frozenset(), D: frozenset()})


def _hands(random: Random, keys: tuple[str, ...]) -> list[dict[str, bytes]]:
    pools = {key: random.sample(range(3), 3) for key in keys}
    hands = [{key: worlds.token(key, pools[key][n]) for key in keys if random.random() < 0.8} for n in range(3)]
    return [hand for hand in hands if hand]

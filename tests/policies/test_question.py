"""The canonical form: one spelling per population that the grammar can see as one, and the same people in it."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.purpose import Purpose
from policies.question import (
    All,
    AnyOf,
    AudienceRef,
    Is,
    Matched,
    Not,
    Question,
    Where,
    canonical_where,
    demands,
    leaves,
)
from tests.engine.model import Person, holds
from tests.policies.strategies import COLUMNS, LAW, A, D, E, people, questions, rewritten, wheres

IN_D, IN_E = Matched(D), Matched(E)
RED = Is(COLUMNS[2], frozenset({"red"}))
NOBODY = AnyOf(())


@LAW
@given(questions())
def test_canonical_is_idempotent(question: Question) -> None:
    assert question.canonical().canonical() == question.canonical()


@LAW
@given(wheres(), st.randoms(use_true_random=False))
def test_every_rewriting_has_the_same_canonical_form(where: Where, random: Random) -> None:
    assert canonical_where(rewritten(random, where)) == canonical_where(where)


@LAW
@given(questions(), st.randoms(use_true_random=False))
def test_by_and_sum_are_sets(question: Question, random: Random) -> None:
    by = random.sample(question.by, len(question.by)) + list(question.by)
    sums = random.sample(question.sum, len(question.sum)) + list(question.sum)
    assert Question(question.count, question.where, tuple(by), tuple(sums), question.purpose).canonical() == (
        question.canonical()
    )


@LAW
@given(wheres(), people())
def test_canonical_keeps_the_meaning(where: Where, person: Person) -> None:
    canonical = canonical_where(where)
    assert holds(where, person) == (canonical is None or holds(canonical, person))


@LAW
@given(wheres(), wheres(), people())
def test_equal_forms_are_equal_populations(one: Where, other: Where, person: Person) -> None:
    if canonical_where(one) == canonical_where(other):
        assert holds(one, person) == holds(other, person)


@pytest.mark.parametrize(
    ("where", "canonical"),
    [
        (All(()), None),
        (Not(NOBODY), None),
        (AnyOf((IN_D, Not(IN_D))), None),
        (All((IN_D, Not(IN_D))), NOBODY),
        (Is(COLUMNS[2], frozenset()), NOBODY),
        (Not(Not(IN_D)), IN_D),
        (All((IN_D, IN_D)), IN_D),
        (Not(All((IN_D, Not(IN_E)))), AnyOf((IN_E, Not(IN_D)))),
        (All((IN_D, AnyOf((IN_D, IN_E)))), IN_D),  # absorbed
        (AnyOf((IN_D, All((IN_D, IN_E)))), IN_D),
        (All((IN_E, All((RED, IN_D)))), All((RED, IN_E))),  # flattened, sorted; a value is a match
    ],
)
def test_forms(where: Where, canonical: Where | None) -> None:
    assert canonical_where(where) == canonical


def test_different_populations_stay_apart() -> None:
    forms: list[Where | None] = [
        IN_D,
        IN_E,
        Not(IN_D),
        RED,
        Not(RED),
        All((IN_D, IN_E)),
        AnyOf((IN_D, IN_E)),
        NOBODY,
        None,
    ]
    assert len({canonical_where(each) if each else None for each in forms}) == len(forms)


@LAW
@given(wheres(), st.sampled_from((D, E)), st.data())
def test_what_demands_a_match_holds_for_nobody_unmatched(
    where: Where, audience: AudienceRef, data: st.DataObject
) -> None:
    if demands(where, audience):
        assert not holds(where, data.draw(people(audience)))


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, False),
        (IN_D, True),
        (RED, True),
        (IN_E, False),
        (Not(IN_D), False),
        (Not(RED), False),  # holds for the unmatched
        (Not(Not(IN_D)), True),
        (Not(AnyOf((Not(IN_D), IN_E))), True),
        (All((IN_E, RED)), True),
        (AnyOf((IN_D, RED)), True),
        (AnyOf((IN_D, IN_E)), False),
        (NOBODY, False),
        (All(()), False),
    ],
)
def test_demands(where: Where | None, expected: bool) -> None:
    assert demands(where, D) is expected


def test_linked_audiences_are_those_of_where_by_and_sum() -> None:
    question = Question(A, All((RED, Matched(A))), (COLUMNS[0], IN_E), (), Purpose.INSIGHTS)
    assert question.linked() == (D, E)
    assert list(leaves(question.where)) == [RED, Matched(A)]
    assert Question(A, None, (), (COLUMNS[2],), Purpose.INSIGHTS).linked() == (D,)
    assert Question(A, Not(IN_E), (), (), Purpose.INSIGHTS).linked() == (E,)

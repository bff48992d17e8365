"""Prices: exact, known before asking, never above the terms, and no more noise than they need."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from math import ceil
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.agreement import Agreement, Audience, Measure
from policies.budget import Account, Price, Scales, affordable, charge, price
from policies.decision import Reason, Refuse
from policies.margins import margin95, minimum_size_margin
from policies.purpose import Purpose
from policies.question import AudienceRef, By, ColumnRef, Matched, Question
from policies.sensitivity import owners, sensitivity
from policies.terms import DEFAULTS, MICRO, Mode
from tests import worlds
from tests.policies.strategies import A, D, E

SPEND = ColumnRef(D, "spend")


def agreement(refs: Iterable[AudienceRef], keys: tuple[str, ...]) -> Agreement:
    return worlds.agreement([Audience(ref, keys, (), (Measure("spend", -5, 10, 2),)) for ref in refs], keys)


def overlap(*refs: AudienceRef) -> tuple[Question, ...]:
    """The questions of an overlap: each audience by `matched` in the others."""
    return tuple(ask(ref, *(Matched(other) for other in refs if other != ref)) for ref in refs)


def ask(count: AudienceRef, *by: By, sums: tuple[ColumnRef, ...] = ()) -> Question:
    return Question(count, None, by, sums, Purpose.INSIGHTS).canonical()


def test_the_figures_of_the_privacy_page() -> None:
    """Two audiences on two keys at ε = 0.25: scale 20, margins of ±60, cells from 220 people."""
    two_keys = agreement((A, D), ("email", "phone"))
    prices = price(overlap(A, D), two_keys)
    assert [each.scales for each in prices] == [Scales(20, {})] * 2
    # Its own audience is counted once (1) and linked once: two keys, two cells that change (4).
    assert [each.charges for each in prices] == [
        {"ada": Fraction(1, 20), "bea": Fraction(4, 20)},
        {"ada": Fraction(4, 20), "bea": Fraction(1, 20)},
    ]
    assert charge(prices) == {"ada": 250_000, "bea": 250_000}
    assert margin95(20, 1) == 60
    assert two_keys.terms.minimum_size + minimum_size_margin(20, 1) == 220


@pytest.mark.parametrize(
    ("questions", "keys", "counts"),
    [
        ((ask(A),), 1, 4),  # 1 / 0.25
        (overlap(A, D), 1, 12),  # (1 + 2) / 0.25
        (overlap(A, D, E), 1, 20),  # (1 + 2 + 2) / 0.25
        ((ask(A, sums=(ColumnRef(A, "spend"),)),), 1, 8),  # half the share
    ],
)
def test_scales(questions: tuple[Question, ...], keys: int, counts: int) -> None:
    for each in price(questions, agreement((A, D, E), ("email", "phone")[:keys])):
        assert each.scales is not None
        assert each.scales.counts == counts


def test_people_and_each_measure_get_equal_shares() -> None:
    """A sum of D's measure over A: one person of A is 1 and its value 10 units; one row of D is the value alone."""
    (priced,) = price((ask(A, sums=(SPEND,)),), agreement((A, D), ("email",)))
    assert priced.scales == Scales(counts=8, sums={SPEND: 80})  # 1 / 0.125, 10 / 0.125
    assert priced.charges == {"ada": Fraction(1, 8) + Fraction(10, 80), "bea": Fraction(10, 80)}


@pytest.mark.parametrize("seed", range(0, 300, 50))
def test_nobody_is_charged_more_than_the_terms_and_scales_are_minimal(seed: int) -> None:
    for each in range(seed, seed + 50):
        random = Random(each)
        world = worlds.random_world(random)
        epsilon = random.randint(MICRO // 1000, 3 * MICRO)
        terms = replace(DEFAULTS, epsilon_per_report=epsilon)
        agreed = replace(world.agreement, base=terms)
        questions = tuple(worlds.random_question(random, world) for _ in range(random.randint(1, 4)))
        prices = price(questions, agreed)
        _check_charges(questions, prices, agreed)
        _check_scales(questions, prices, agreed)


def _check_charges(questions: tuple[Question, ...], prices: tuple[Price, ...], agreed: Agreement) -> None:
    total: dict[str, Fraction] = {}
    for question, priced in zip(questions, prices, strict=True):
        assert set(priced.charges) == set(owners(question))
        for owner, epsilon in priced.charges.items():
            assert isinstance(epsilon, Fraction)
            assert epsilon == sum(Fraction(lost, scale) for lost, scale in _losses(question, priced, owner, agreed))
            total[owner] = total.get(owner, Fraction(0)) + epsilon
    assert all(epsilon * MICRO <= agreed.terms.epsilon_per_report for epsilon in total.values())
    assert charge(prices) == {owner: ceil(epsilon * MICRO) for owner, epsilon in total.items()}
    assert all(micro <= agreed.terms.epsilon_per_report for micro in charge(prices).values())


def _losses(question: Question, priced: Price, owner: str, agreed: Agreement) -> list[tuple[int, int]]:
    """The sensitivity and the scale of each vector of a question, to one owner."""
    assert priced.scales is not None
    counts = (sensitivity(question, None, owner, agreed), priced.scales.counts)
    return [counts, *((sensitivity(question, m, owner, agreed), priced.scales.sums[m]) for m in question.sum)]


def _check_scales(questions: tuple[Question, ...], prices: tuple[Price, ...], agreed: Agreement) -> None:
    measures = {measure for question in questions for measure in question.sum}
    share = Fraction(agreed.terms.epsilon_per_report, MICRO) / (1 + len(measures))
    for measure in (None, *measures):
        summed = [question for question in questions if measure is None or measure in question.sum]
        everybody = {owner for question in questions for owner in owners(question)}
        worst = max(sum(sensitivity(each, measure, owner, agreed) for each in summed) for owner in everybody)
        scales = {
            priced.scales.sums[measure] if measure else priced.scales.counts
            for question, priced in zip(questions, prices, strict=True)
            if question in summed and priced.scales
        }
        (scale,) = scales
        assert isinstance(scale, int)
        assert Fraction(worst, scale) <= share
        assert scale == 1 or Fraction(worst, scale - 1) > share


def test_threshold_mode_charges_nothing_because_nothing_bounds_the_loss() -> None:
    agreed = agreement((A, D), ("email",))
    agreed = replace(agreed, base=replace(agreed.base, mode=Mode.THRESHOLD))
    for priced in price(overlap(A, D), agreed):
        assert priced == Price(None, {"ada": Fraction(0), "bea": Fraction(0)})
    assert charge(price(overlap(A, D), agreed)) == {"ada": 0, "bea": 0}


@given(st.lists(st.dictionaries(st.sampled_from(("ada", "bea")), st.fractions(0, 2, max_denominator=999)), max_size=4))
def test_charges_are_rounded_up_once_for_the_whole_report(charges: list[dict[str, Fraction]]) -> None:
    total = charge(Price(None, each) for each in charges)
    for owner in ("ada", "bea"):
        exact = sum((each.get(owner, Fraction(0)) for each in charges), Fraction(0)) * MICRO
        assert exact <= total.get(owner, 0) < exact + 1


def test_rounding_up_once_is_less_than_rounding_each() -> None:
    third = Price(None, {"ada": Fraction(1, 3)})
    assert charge([third]) == {"ada": 333_334}
    assert charge([third, third]) == {"ada": 666_667}
    assert charge([third] * 3) == {"ada": 1_000_000}


@pytest.mark.parametrize(
    ("account", "left"),
    [
        (Account(spent_here=0, allotted_here=5, spent_ever=0, allowance=10), 5),
        (Account(spent_here=5, allotted_here=5, spent_ever=5, allowance=10), 0),
        (Account(spent_here=0, allotted_here=5, spent_ever=8, allowance=10), 2),  # spent elsewhere
        (Account(spent_here=6, allotted_here=5, spent_ever=6, allowance=10), 0),  # the terms became stricter
        (Account(spent_here=0, allotted_here=5, spent_ever=11, allowance=10), 0),
    ],
)
def test_what_is_left_is_the_lesser_of_here_and_ever(account: Account, left: int) -> None:
    assert account.left == left
    assert affordable({"ada": left}, {"ada": account}) is None
    assert affordable({"ada": left + 1}, {"ada": account}) == Refuse(Reason.BUDGET, "ada")


def test_every_owner_must_afford_its_charge() -> None:
    rich, poor = Account(0, 100, 0, 100), Account(0, 9, 0, 100)
    assert affordable({"bea": 10, "ada": 10}, {"ada": rich, "bea": rich}) is None
    assert affordable({"bea": 10, "ada": 10}, {"ada": rich, "bea": poor}) == Refuse(Reason.BUDGET, "bea")
    assert affordable({"bea": 10, "ada": 10}, {"ada": poor, "bea": poor}) == Refuse(Reason.BUDGET, "ada")
    assert affordable({}, {}) is None
    assert affordable({"ada": 0}, {"ada": Account(9, 9, 9, 9)}) is None  # a stored release is free

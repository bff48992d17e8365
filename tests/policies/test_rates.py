"""Match rates alone: whole percents, "at least 85" above 85, audiences large enough; nothing else of a release."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.agreement import Agreement
from policies.budget import price
from policies.decision import Figure
from policies.disclose import Measured, private, threshold
from policies.margins import minimum_size_margin
from policies.purpose import Purpose
from policies.question import Matched, Question
from policies.rates import CAP, match_rate
from policies.terms import Figures, Kind, Mode, Terms
from tests.policies.strategies import LAW, A, D
from tests.policies.tables import CITY, agreement, zeros

QUESTION = Question(A, None, (Matched(D),), (), Purpose.INSIGHTS)
BY = (("matched:bea/main", True),)
WITHHELD = Figure(BY, "match_rate", None, None)


def rates_only(mode: Mode, minimum: int | None = None) -> Agreement:
    agreed = agreement(mode, rounding=1)
    return replace(agreed, floor=Terms(figures=Figures.MATCH_RATES, minimum_audience=minimum))


def rate(matched: int, unmatched: int, minimum: int | None = None) -> Figure:
    """The one figure of an exact release."""
    (figure,) = threshold(QUESTION, rates_only(Mode.THRESHOLD, minimum), Measured((matched, unmatched), {})).figures
    return figure


@pytest.mark.parametrize(
    ("matched", "unmatched", "value", "at_least"),
    [
        (500, 500, 50, False),
        (845, 155, 84, False),  # 84.5 to the even percent
        (850, 150, 85, False),
        (854, 146, 85, False),
        (856, 144, 85, True),
        (999, 50, 85, True),
        (950, 50, 85, True),
    ],
)
def test_whole_percents_and_no_more_than_the_cap(matched: int, unmatched: int, value: int, at_least: bool) -> None:
    assert rate(matched, unmatched) == Figure(BY, "match_rate", Decimal(value), Decimal(0), at_least)


@LAW
@given(st.integers(0, 3_000), st.integers(0, 3_000))
def test_nothing_but_a_coarse_rate_leaves(matched: int, unmatched: int) -> None:
    figure = rate(matched, unmatched)
    if matched < 50 or unmatched < 50:
        assert figure == WITHHELD
    else:
        assert figure.value is not None
        assert figure.value == int(figure.value) <= CAP
        exact = Decimal(100 * matched) / (matched + unmatched)
        assert abs(figure.value - exact) <= Decimal("0.5") or (figure.at_least and exact > CAP)


def test_a_small_audience_shows_nothing() -> None:
    assert rate(500, 499, minimum=1000) == WITHHELD
    assert rate(500, 500, minimum=1000).value == 50


def test_a_minimum_audience_holds_for_every_figure() -> None:
    agreed = replace(agreement(Mode.THRESHOLD), floor=Terms(minimum_audience=1000))
    by_city = Question(A, None, (CITY,), (), Purpose.INSIGHTS)
    small, large = (threshold(by_city, agreed, Measured((people, 300, 100, 100), {})) for people in (490, 500))
    assert all(figure.withheld for figure in small.figures)
    assert not any(figure.withheld for figure in large.figures)
    # A part of an audience is held to it as well: else a `where` that holds for everybody would be a way around it.
    part = replace(by_city, where=Matched(D))
    for people, shown in ((490, False), (500, True)):
        figures = threshold(part, agreed, Measured((people, 300, 100, 100), {})).figures
        assert any(not figure.withheld for figure in figures) is shown


def test_noise_makes_the_minimum_audience_larger() -> None:
    agreed = rates_only(Mode.PRIVATE, minimum=1000)
    (priced,) = price((QUESTION,), agreed)
    scales = priced.scales
    assert scales is not None
    least = 1000 + minimum_size_margin(scales.counts, 2)

    def shown(people: int) -> Figure:
        measured = Measured((people - 400, 400), {})
        (figure,) = private(QUESTION, agreed, measured, zeros(measured), scales).figures
        return figure

    assert shown(least - 1) == WITHHELD
    figure = shown(least)
    assert figure.value is not None
    assert figure.margin95 is not None
    assert figure.value == int(figure.value)
    assert figure.margin95 == int(figure.margin95) > 0


def test_a_rate_of_what_is_not_shown_whole() -> None:
    whole, part = (Figure((), "people", Decimal(100), Decimal(0), at_least) for at_least in (False, True))
    assert match_rate(whole, part).withheld
    assert match_rate(part, whole).withheld
    assert match_rate(Figure((), "people", None, None), whole).withheld
    assert match_rate(whole, whole).value == 100


def test_only_overlaps_are_left_to_ask_for() -> None:
    assert rates_only(Mode.PRIVATE).terms.kinds == {Kind.OVERLAP}

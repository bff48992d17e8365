"""Margins against the exact distribution of the noise, worked out another way, to forty digits.

A draw is the difference of two geometric variables, so a sum of n draws is the difference of two sums of n of them:
P(G = i) = C(n + i - 1, i) (1 - p)^n p^i with p = exp(-1/scale). `test_the_yardstick` checks that by the definition.
"""

from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from functools import cache
from itertools import accumulate

import pytest

from policies.margins import margin95, minimum_size_margin

SCALES = (1, 2, 3, 5, 8, 20)
DRAWS = range(1, 9)
K, ONCE_IN_10_000 = 50, Decimal("1e-4")


@cache
def geometric_sum(scale: int, draws: int) -> tuple[Sequence[Decimal], Sequence[Decimal]]:
    """P(G = i) and P(G >= i); 60 scales are as good as no end."""
    p = (Decimal(-1) / scale).exp()
    masses = [(1 - p) ** draws]
    for i in range(60 * scale + 10 * draws):
        masses.append(masses[-1] * p * (draws + i) / (i + 1))
    return masses, list(accumulate(reversed(masses)))[::-1]


def reaches(scale: int, draws: int, t: int) -> Decimal:
    """P(S >= t) where S is the sum of `draws` draws at `scale`; t >= 0."""
    with localcontext(prec=40):
        masses, above = geometric_sum(scale, draws)
        return sum((mass * most for mass, most in zip(masses, above[t:], strict=False)), Decimal(0))


def within(scale: int, draws: int, margin: int) -> Decimal:
    """P(-margin <= S <= margin)."""
    return 1 - 2 * reaches(scale, draws, margin + 1)


def test_the_yardstick() -> None:
    """One draw by its definition, P(X = x) proportional to exp(-|x| / scale); two and three by convolution."""
    scale, reach = 1, 30
    weights = {x: (Decimal(-abs(x)) / scale).exp() for x in range(-reach, reach + 1)}
    total = sum(weights.values())
    one = {x: weight / total for x, weight in weights.items()}
    sums = one
    for draws in (1, 2, 3):
        for t in (0, 1, 5, 13):
            exact = sum(mass for x, mass in sums.items() if x >= t)
            assert abs(exact - reaches(scale, draws, t)) < Decimal("1e-11")
        added: dict[int, Decimal] = {}
        for x, mass in sums.items():
            for y in range(-reach, reach + 1):
                added[x + y] = added.get(x + y, Decimal(0)) + mass * one[y]
        sums = added


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("draws", DRAWS)
def test_fewer_than_k_people_show_at_most_once_in_ten_thousand(scale: int, draws: int) -> None:
    most, shown_from = K - 1, K + minimum_size_margin(scale, draws)
    assert reaches(scale, draws, shown_from - most) <= ONCE_IN_10_000


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("draws", DRAWS)
def test_the_minimum_size_margin_wastes_little(scale: int, draws: int) -> None:
    """A margin smaller by a person, and by half a person for each draw, would be too small."""
    smaller = minimum_size_margin(scale, draws) - 2 - draws // 2
    assert reaches(scale, draws, smaller + 1) > ONCE_IN_10_000


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("draws", DRAWS)
def test_margins_cover_95_percent(scale: int, draws: int) -> None:
    """Never less, and never two people wider than a margin that does."""
    margin = margin95(scale, draws)
    assert within(scale, draws, margin) >= Decimal("0.95") > within(scale, draws, margin - 2)
    if scale >= 8:  # below, one person more or less is a large part of the distribution
        assert within(scale, draws, margin) <= Decimal("0.955")


def test_margins_of_the_default_overlap() -> None:
    """The figures of the privacy page: at a scale of 20, ±60 and cells from 220 people."""
    assert margin95(20, 1) == 60
    assert K + minimum_size_margin(20, 1) == 220


@pytest.mark.parametrize("margin", [margin95, minimum_size_margin])
def test_more_noise_never_has_a_smaller_margin(margin: Callable[[int, int], int]) -> None:
    by_scale = [margin(scale, 4) for scale in range(1, 60)]
    by_draws = [margin(20, draws) for draws in range(1, 40)]
    assert by_scale == sorted(by_scale)
    assert by_draws == sorted(by_draws)

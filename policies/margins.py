"""How far noise can carry a figure: quantiles of sums of discrete Laplace draws, in exact decimal arithmetic.

Rules: margins depend on public facts only (the scale, and how many cells were added up). Decimal, no floats.

A draw X at scale s has P(X = x) proportional to exp(-|x|/s), x an integer. For x >= 1,
P(X >= x) = exp(-x/s) / (1 + exp(-1/s)) <= P(Y >= x - 1/2) with Y the continuous Laplace variable of scale s: X is no
more spread than Y rounded to the nearest integer. Both are symmetric and unimodal, so the same holds for sums of n
independent draws (Birnbaum, "On random variables with comparable peakedness", 1948), where rounding n terms moves the
sum by at most n/2. For the sum S of n continuous draws of scale 1, a difference of two Gamma(n) variables,
P(S > t) = P(N + M <= n - 1) with N Poisson(t) and M negative binomial (n, 1/2): a finite sum.
"""

from decimal import ROUND_CEILING, Context, Decimal, localcontext
from functools import lru_cache

SHOWN_TOO_SMALL = Decimal("0.0001")  # the most a cell with fewer than k people may show
OUTSIDE_95 = Decimal("0.05")

_CONTEXT = Context(prec=40)
_PRECISION = Decimal("1e-12")


def margin95(scale: int, draws: int) -> int:
    """The m such that the sum of `draws` draws at `scale` lies within ±m with probability 95 %."""
    with localcontext(_CONTEXT):
        edge = scale * _quantile(draws, OUTSIDE_95 / 2) + Decimal("0.5")
        return int(edge.to_integral_value(ROUND_CEILING)) - 1


def minimum_size_margin(scale: int, draws: int) -> int:
    """The m such that k - 1 people plus noise reach k + m with probability at most 1e-4."""
    with localcontext(_CONTEXT):
        edge = scale * _quantile(draws, SHOWN_TOO_SMALL) + Decimal(draws) / 2
        return int(edge.to_integral_value(ROUND_CEILING)) - 1


@lru_cache(maxsize=4096)
def _quantile(draws: int, tail: Decimal) -> Decimal:
    """The t such that P(S > t) = `tail`, to 12 digits, from above.

    Newton's method on the logarithm of the survival function: that is concave, as the density of S is log-concave, so
    every step but the first lands above the quantile and comes down to it.
    """
    chances = _negative_binomial(draws)
    t = (2 * Decimal(draws)).sqrt()
    while True:
        survival, density = _survival(chances, t)
        step = (survival.ln() - tail.ln()) * survival / density
        t += step
        if abs(step) < t * _PRECISION:
            return t


def _negative_binomial(draws: int) -> tuple[Decimal, ...]:
    """P(M = i) for i = 0 … draws - 1, M the failures before the `draws`-th success of a fair coin."""
    term = Decimal(2) ** -draws
    chances = []
    for failures in range(draws):
        chances.append(term)
        term = term * (draws + failures) / (failures + 1) / 2
    return tuple(chances)


def _survival(chances: tuple[Decimal, ...], t: Decimal) -> tuple[Decimal, Decimal]:
    """P(S > t), the sum over j of P(N = j) P(M <= draws - 1 - j), and the density there, with P(M = draws - 1 - j)."""
    term, survival, density = (-t).exp(), Decimal(0), Decimal(0)
    below = sum(chances)
    for arrivals, chance in enumerate(reversed(chances), start=1):
        survival += term * below
        density += term * chance
        below -= chance
        term = term * t / arrivals
    return survival, density

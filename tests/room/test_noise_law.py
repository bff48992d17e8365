"""The noise against its own law: chi-square with the exact probabilities, and a search for events that give it away.

`make soak` draws 10^6 at each scale; `make test` a twentieth.
"""

import operator
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from math import exp, log, sqrt

import pytest

from cleanroom import noise
from tests.soak import FACTOR

DRAWS = min(1_000_000, 50_000 * FACTOR)
CHOSEN = 10
Event = Callable[[int], bool]


@pytest.mark.parametrize("scale", [1, 20])
def test_draws_fit_the_exact_distribution(scale: int) -> None:
    """Chi-square over every value that is drawn often enough, the two tails in one class each."""
    drawn = Counter(noise.draw(scale, DRAWS))
    edge = _edge(scale, DRAWS)
    q = exp(-1 / scale)
    point = (1 - q) / (1 + q)
    tail = q ** (edge + 1) / (1 + q)
    statistic = 0.0
    for value in range(-edge, edge + 1):
        expected = DRAWS * point * q ** abs(value)
        statistic += (drawn[value] - expected) ** 2 / expected
    for seen in (sum(n for v, n in drawn.items() if v > edge), sum(n for v, n in drawn.items() if v < -edge)):
        statistic += (seen - DRAWS * tail) ** 2 / (DRAWS * tail)
    freedom = 2 * edge + 2
    assert statistic < _chi_square(freedom, deviations=4.75), "once in 10^6 runs"


def test_the_fit_finds_a_wrong_scale() -> None:
    """The same statistic, of draws at a scale that is 10 % too small."""
    scale, edge = 20, _edge(20, DRAWS)
    drawn = Counter(noise.draw(scale - 2, DRAWS))
    q = exp(-1 / scale)
    expected = {value: DRAWS * (1 - q) / (1 + q) * q ** abs(value) for value in range(-edge, edge + 1)}
    statistic = sum((drawn[value] - each) ** 2 / each for value, each in expected.items())
    assert statistic > _chi_square(2 * edge, deviations=4.75)


@pytest.mark.parametrize(("scale", "sensitivity"), [(1, 1), (4, 1), (20, 5)])
def test_no_event_tells_neighbours_apart_better_than_epsilon(scale: int, sensitivity: int) -> None:
    """Two data sets whose count differs by the sensitivity: ε is sensitivity / scale."""
    here, there = noise.draw(scale, DRAWS), [draw + sensitivity for draw in noise.draw(scale, DRAWS)]
    assert _most_told(here, there) <= sensitivity / scale
    assert _most_told(there, here) <= sensitivity / scale


def test_the_search_finds_too_little_noise() -> None:
    """The same search, of noise at three quarters of its scale: it tells more than it is charged for."""
    here, there = noise.draw(3, DRAWS), [draw + 1 for draw in noise.draw(3, DRAWS)]
    assert _most_told(here, there) > 1 / 4


def _edge(scale: int, draws: int) -> int:
    """The largest value that is expected ten times at least."""
    q = exp(-1 / scale)
    return int(scale * log(draws * (1 - q) / (1 + q) / 10))


def _chi_square(freedom: int, deviations: float) -> float:
    """Its quantile at so many normal deviations (Wilson and Hilferty, "The distribution of chi-square", 1931)."""
    part = 2 / (9 * freedom)
    return freedom * (1 - part + deviations * sqrt(part)) ** 3


def _most_told(here: Sequence[int], there: Sequence[int]) -> float:
    """The largest log-ratio that is certain at 99.9 %: P(event here) / P(event there), over half-lines and values.

    Events are chosen on one half of the draws and judged on the other, all of them at 99.9 % together.
    """
    half = len(here) // 2
    first, second = Counter(here[:half]), Counter(there[:half])
    values = sorted(set(first) | set(second))
    events: list[Event] = [partial(sort, value) for value in values for sort in (operator.eq, operator.le, operator.ge)]
    risk = 0.001 / CHOSEN / 2
    events = [event for event in events if _seen(event, first) >= half // 1000]
    chosen = sorted(events, key=lambda event: _certain(event, first, second, half, risk), reverse=True)[:CHOSEN]
    kept, other = Counter(here[half:]), Counter(there[half:])
    return max(_certain(event, kept, other, half, risk) for event in chosen)


def _seen(event: Event, counted: Counter[int]) -> int:
    return sum(n for value, n in counted.items() if event(value))


def _certain(event: Event, here: Counter[int], there: Counter[int], trials: int, risk: float) -> float:
    """The log-ratio that the true one is below with at most twice the risk."""
    least = _least(_seen(event, here), trials, risk)
    most = 1 - _least(trials - _seen(event, there), trials, risk)
    return log(least / most) if least else float("-inf")


def _least(successes: int, trials: int, risk: float) -> float:
    """A probability that the true one is below with at most this risk (Chernoff: n KL(k / n, p) <= ln(1 / risk))."""
    share, low, high = successes / trials, 0.0, successes / trials
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if trials * _divergence(share, middle) > log(1 / risk) else (low, middle)
    return low


def _divergence(share: float, chance: float) -> float:
    if not 0 < chance < 1:
        return 0.0 if share == chance else float("inf")
    parts = ((share, chance), (1 - share, 1 - chance))
    return sum(one * log(one / other) for one, other in parts if one)

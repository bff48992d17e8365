"""The noise that the gate draws, and the margins that its figures state. Bounds are at least six sigma away."""

from math import exp

import pytest

from cleanroom import gate, noise
from cleanroom.engine.sealed import Sealed
from cleanroom.reports import plan
from policies import budget, request
from policies.cells import Value
from policies.disclose import Measured
from policies.question import ColumnRef
from tests.room.conftest import Collaboration

MATCHED, UNMATCHED, DRAWS = 4561, 439, 10_000
"""The size of the linked pair of the FEBRL benchmark: 5,000 people, of whom 4,561 are found again."""


def test_figures_lie_within_their_stated_margin(shared_opened: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate's own disclosure of an overlap, 10,000 times: 95 of 100 within the margin, for cells and for totals."""
    agreement = shared_opened.stage.agreement(shared_opened.id)
    asked = request.from_json({"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]})
    question, price = plan.questions(asked, agreement)[0], budget.price(plan.questions(asked, agreement), agreement)[0]
    sealed = Sealed(Measured((MATCHED, UNMATCHED), {}))
    exact: dict[tuple[Value, ...], int] = {(True,): MATCHED, (False,): UNMATCHED, (): MATCHED + UNMATCHED}
    within = dict.fromkeys(exact, 0)
    apart: list[int] = []
    assert price.scales is not None
    drawn = iter(noise.draw(price.scales.counts, 2 * DRAWS))  # all in one call, which takes half the time
    monkeypatch.setattr(noise, "draw", lambda _, count: tuple(next(drawn) for _ in range(count)))
    for _ in range(DRAWS):
        matched, unmatched, total = gate._disclose(agreement, question, price, sealed).figures
        for figure in (matched, unmatched, total):
            value = tuple(value for _, value in figure.by)
            # The smaller cell is withheld once in 10^5 times, for a noise that is far outside.
            if figure.value is not None and figure.margin95 is not None:
                within[value] += abs(figure.value - exact[value]) <= figure.margin95
        apart.append(int(matched.value or 0) - MATCHED)
    for value, count in within.items():
        assert 0.93 <= count / DRAWS <= 0.975, value
    assert abs(sum(apart)) / DRAWS < 6 * 20 * 2**0.5 / DRAWS**0.5
    assert len(set(apart)) > 100


@pytest.mark.parametrize("scale", [1, 20, 2_000_000])
def test_the_distribution_is_the_discrete_laplace(scale: int) -> None:
    """Its variance is 2q / (1 - q)², with q = exp(-1 / scale); that of the square is below 6 times the square."""
    count, q = 40_000, exp(-1 / scale)
    drawn = noise.draw(scale, count)
    variance = 2 * q / (1 - q) ** 2
    assert len(drawn) == count
    assert all(type(draw) is int for draw in drawn)
    assert abs(sum(drawn) / count) < 6 * (variance / count) ** 0.5
    fourth = 24 * scale**4 + 14 * scale**2 + 1
    assert abs(sum(draw * draw for draw in drawn) / count - variance) < 6 * (fourth / count) ** 0.5
    positive, negative = sum(draw > 0 for draw in drawn), sum(draw < 0 for draw in drawn)
    assert abs(positive - negative) < 6 * count**0.5


def test_draws_are_wider_than_32_bits() -> None:
    drawn = noise.draw(2**45, 100)
    assert len(set(drawn)) == 100
    # All hundred below 2^31 has a probability below 10^-400.
    assert max(map(abs, drawn)) > 2**31


@pytest.mark.parametrize("scale", [0, -1, 2**53 + 1])
def test_a_scale_out_of_range(scale: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        noise.draw(scale, 1)
    assert noise.draw(1, 0) == ()


def test_every_vector_has_its_own_noise(shared_opened: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts and sums are drawn apart, each at its own scale, one draw a cell."""
    agreement = shared_opened.stage.agreement(shared_opened.id)
    asked = request.from_json(
        {
            "kind": "statistics",
            "count": "fresh/drive",
            "by": ["fresh/drive.tier"],
            "sum": ["tasty/readers.clicks", "fresh/drive.spend"],
        }
    )
    (question,) = plan.questions(asked, agreement)
    (price,) = budget.price((question,), agreement)
    clicks, spend = ColumnRef.parse("tasty/readers.clicks"), ColumnRef.parse("fresh/drive.spend")
    drawn: list[tuple[int, int]] = []

    def draw(scale: int, count: int) -> tuple[int, ...]:
        drawn.append((scale, count))
        return (0,) * count

    monkeypatch.setattr(noise, "draw", draw)
    sealed = Sealed(Measured((1000,) * 4, {clicks: (0,) * 4, spend: (0,) * 4}))
    gate._disclose(agreement, question, price, sealed)
    assert price.scales is not None
    assert sorted(drawn) == sorted((scale, 4) for scale in (price.scales.counts, *price.scales.sums.values()))
    assert len({scale for scale, _ in drawn}) == 3

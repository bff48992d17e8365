"""The main path in one process: agreement, secret, upload, publication, report; and every figure counted again."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest

from cleanroom.reports import plan
from partners.reports import Figure, Report
from policies import budget, request
from tests.room.conftest import CUSTOMERS, TODAY, Trio
from tests.room.recount import People

TWO = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
THREE = {"kind": "overlap", "audiences": ["fresh/drive", "sunny/visits", "tasty/readers"], "purpose": "measurement"}
TABLE = {
    "kind": "statistics",
    "count": "fresh/drive",
    "where": {"any": [{"matched": "tasty/readers"}, {"not": {"matched": "sunny/visits"}}]},
    "by": ["fresh/drive.tier", "tasty/readers.genre"],
}
SUMS = {
    "kind": "statistics",
    "count": "tasty/readers",
    "where": {"all": [{"matched": "fresh/drive"}, {"is": ["tasty/readers.genre", ["news"]]}]},
    "sum": ["fresh/drive.spend"],
}
ASKED: dict[str, dict[str, Any]] = {"two": TWO, "three": THREE, "table": TABLE, "sums": SUMS}


def recounted(report: Report, asked: Mapping[str, Any]) -> list[tuple[Figure, Decimal | None]]:
    everybody = People.taking_part(CUSTOMERS, asked.get("purpose", "insights"), TODAY)
    return [(figure, everybody.expected(figure)) for figure in report.figures]


@pytest.mark.parametrize("name", ASKED)
def test_threshold_figures_are_those_of_a_recount(trio: Trio, name: str) -> None:
    report = trio.stage.ask("tasty", trio.threshold, ASKED[name])
    figures = recounted(report, ASKED[name])
    assert report.released
    assert sum(not figure.withheld for figure, _ in figures) >= 3
    for figure, exact in figures:
        if figure.withheld:
            assert figure.measure != "people" or (exact is not None and exact < 10)
        elif figure.measure in ("people", "sum:fresh/drive.spend"):
            # What is withheld here are empty cells, so that no total lacks anybody.
            assert figure.value == exact
        else:
            assert exact is not None
            assert abs((figure.value or 0) - exact) < Decimal("0.0001")
        assert figure.margin95 == (None if figure.withheld else 0)


@pytest.mark.parametrize("name", ASKED)
def test_private_figures_are_those_of_a_recount_and_noise(trio: Trio, name: str) -> None:
    agreement = trio.stage.agreement(trio.private)
    prices = budget.price(plan.questions(request.from_json(ASKED[name]), agreement), agreement)
    people = max(price.scales.counts for price in prices if price.scales)
    amounts = max((scale for price in prices if price.scales for scale in price.scales.sums.values()), default=0)
    # A sum of a dozen draws is 60 scales away once in 10^13 times.
    tolerance = {"people": Decimal(60 * people), "sum:fresh/drive.spend": Decimal(60 * amounts) / 100}
    report = trio.stage.ask("tasty", trio.private, ASKED[name])
    assert report.released
    for figure, exact in recounted(report, ASKED[name]):
        if figure.measure in tolerance and exact is not None:
            assert figure.withheld or abs((figure.value or 0) - exact) <= tolerance[figure.measure]
            assert not (figure.withheld and figure.measure == "people" and exact > 250)
            assert not (exact == 0 and figure.measure == "people" and not figure.withheld)


def test_a_small_cell_is_withheld_and_its_total_says_so(trio: Trio) -> None:
    asked = {"kind": "statistics", "count": "fresh/drive", "where": {"is": ["fresh/drive.tier", ["gold"]]}}
    small = {**asked, "by": [{"matched": "sunny/visits"}, {"matched": "tasty/readers"}], "purpose": "measurement"}
    report = trio.stage.ask("sunny", trio.threshold, small)
    everybody = People.taking_part(CUSTOMERS, "measurement", TODAY)
    cells = [figure for figure in report.figures if len(figure.by) == 2]
    shown = [figure for figure in cells if not figure.withheld]
    total = next(figure for figure in report.figures if not figure.by)
    assert {figure.withheld for figure in cells} == {True, False}
    assert total.value == sum(figure.value or 0 for figure in shown)
    assert total.at_least
    assert total.value < (everybody.expected(total) or 0)


def test_the_same_report_is_read_by_every_party(trio: Trio) -> None:
    report = trio.stage.ask("tasty", trio.threshold, TWO)
    assert report.id is not None
    for player in trio.stage.players.values():
        read = player.room.report(report.id)
        for name in ("figures", "cost", "free", "date", "explanation"):
            assert getattr(read, name) == getattr(report, name)
        assert report.id in [each.id for each in player.room.reports(trio.threshold)]


def test_the_log_has_every_step(trio: Trio) -> None:
    events = [event for event, _ in trio.stage.leaves()]
    assert events[0] == "room:init"
    for event, least in (
        ("partner:join", 3),
        ("agreement:propose", 2),
        ("agreement:sign", 4),
        ("agreement:open", 2),
        ("secret:relay", 4),
        ("upload:receive", 6),
        ("audience:publish", 6),
    ):
        assert events.count(event) == least, event

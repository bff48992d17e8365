"""The gate's decisions: what is refused and why, what repeats free, what is charged, what a price says beforehand."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cleanroom.engine import columns
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import NotPublished
from cleanroom.engine.sealed import Sealed
from cleanroom.reports import plan
from partners import receipts
from partners.room.connection import RoomRefused
from policies import budget, request
from policies.agreement import Agreement
from policies.cells import cells
from policies.decision import RULES, Reason
from policies.disclose import Measured
from policies.question import Question
from policies.terms import MICRO
from tests.room.conftest import CUSTOMERS, TODAY, Collaboration, Trio
from tests.room.recount import People
from tests.room.stage import DRIVE, READERS, VISITS, Brand, Stage, people

OVERLAP: dict[str, Any] = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
MATCHED: dict[str, Any] = {"kind": "statistics", "count": "fresh/drive", "by": [{"matched": "tasty/readers"}]}
GOLD = {"is": ["fresh/drive.tier", ["gold"]]}
WHOLE = {"is": ["tasty/readers.genre", ["food", "news", "other", "unknown"]]}
QUARTER = MICRO // 4


def spent(stage: Stage) -> dict[str, int]:
    """What every owner was charged so far, in micro-ε."""
    return dict(stage.rows("select owner, sum(micro) from ledger group by owner"))


def decisions(stage: Stage) -> list[tuple[str, dict[str, Any]]]:
    return [(event, details) for event, details in stage.leaves() if event.startswith("decision")]


# Refusals


@pytest.fixture(scope="module")
def wide(shared_joined: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """An open agreement without any version, in which most can be asked wrongly."""
    many = tuple(f"v{n}" for n in range(150))
    cards = Brand("tasty", "cards", ("id.card",), ("shop", many))
    with shared_joined.copy(tmp_path_factory.mktemp("wide")) as stage:
        identifier = stage.agree(
            replace(DRIVE, attribute=("tier", many)),
            READERS,
            cards,
            VISITS,
            columns=["fresh/drive.tier", "fresh/drive.spend", "tasty/cards.shop", "tasty/readers.clicks"],
        )
        yield Collaboration(stage, identifier)


def statistics(**changes: Any) -> dict[str, Any]:
    return {"kind": "statistics", "count": "fresh/drive", **changes}


REFUSALS: dict[str, tuple[Reason, str | None, dict[str, Any]]] = {
    "a purpose that nobody agreed": (Reason.PURPOSE, "modelling", {**OVERLAP, "purpose": "modelling"}),
    "an audience of nobody": (Reason.AUDIENCE, "fresh/other", {"kind": "statistics", "count": "fresh/other"}),
    "a linked audience of nobody": (Reason.AUDIENCE, "salty/x", statistics(where={"matched": "salty/x"})),
    "an attribute of nobody": (Reason.COLUMN, "fresh/drive.age", statistics(by=["fresh/drive.age"])),
    "a column outside the terms": (Reason.COLUMN, "tasty/readers.genre", statistics(by=["tasty/readers.genre"])),
    "a value outside the list": (
        Reason.COLUMN,
        "fresh/drive.tier",
        statistics(where={"not": {"is": ["fresh/drive.tier", ["v1", "v150"]]}}),
    ),
    "a measure as an attribute": (Reason.COLUMN, "fresh/drive.spend", statistics(by=["fresh/drive.spend"])),
    "an attribute as a measure": (Reason.COLUMN, "fresh/drive.tier", statistics(sum=["fresh/drive.tier"])),
    "one's own measure": (Reason.OWN_MEASURE, "fresh/drive.spend", statistics(sum=["fresh/drive.spend"])),
    "no key in common": (
        Reason.NO_COMMON_KEY,
        "tasty/cards",
        {"kind": "overlap", "audiences": ["sunny/visits", "tasty/cards"]},
    ),
    "a table that is too large": (
        Reason.TOO_MANY_CELLS,
        None,
        statistics(by=["fresh/drive.tier", "tasty/cards.shop"]),
    ),
    "an audience without a version": (Reason.NOT_PUBLISHED, "fresh/drive", OVERLAP),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_has_a_reason_a_leaf_and_a_receipt(wide: Collaboration, case: str) -> None:
    reason, about, asked = REFUSALS[case]
    report = wide.stage.ask("fresh", wide.id, asked)
    refused_for(wide, report.id, reason, about, asked)


def refused_for(at: Collaboration, identifier: str | None, reason: Reason, about: str | None, asked: Any) -> None:
    """The stored report is this refusal; its receipt holds, its leaf says as much, and nothing was released."""
    assert identifier is not None
    with at.stage.http("fresh") as client:
        stored = client.get(f"/v1/reports/{identifier}").json()
    assert (stored["status"], stored["reason"], stored["figures"]) == ("refused", reason.value, [])
    assert (stored["cost"], stored["free"]) == ({}, True)
    assert stored["explanation"].startswith(f"{RULES[reason]} ({about}) " if about else f"{RULES[reason]} ")
    receipt = receipts.Receipt.from_json(stored["receipt"])
    verdict = receipts.check(receipt, at.stage.room.signer.verifier)
    assert (verdict.ok, verdict.decision) == (True, "refuse")
    event, details = next(leaf for leaf in decisions(at.stage) if leaf[1]["report"] == identifier)
    assert (event, details["reason"], details["about"]) == ("decision:refuse", reason.value, about)
    assert details["day"] == stored["date"] == at.stage.clock().date().isoformat()
    assert len(details["questions"]) == len(plan.questions(request.from_json(asked), at.stage.agreement(at.id)))
    assert at.stage.rows("select count(*) from releases where report = ?", identifier) == [(0,)]
    assert at.stage.rows("select count(*) from ledger where report = ?", identifier) == [(0,)]


def test_an_agreement_that_is_not_open(joined: Stage) -> None:
    at = Collaboration(joined, joined.propose(DRIVE, READERS))
    refused_for(at, joined.ask("fresh", at.id, OVERLAP).id, Reason.NOT_OPEN, None, OVERLAP)


def test_a_kind_that_is_not_agreed(joined: Stage) -> None:
    at = Collaboration(joined, joined.agree(DRIVE, READERS, kinds=["overlap"]))
    refused_for(at, joined.ask("fresh", at.id, MATCHED).id, Reason.KIND, "statistics", MATCHED)


# Repeats


SPELLINGS: tuple[dict[str, Any], ...] = (
    statistics(where={"all": [{"matched": "tasty/readers"}, GOLD]}, by=["fresh/drive.tier", "tasty/readers.genre"]),
    statistics(where={"all": [GOLD, {"matched": "tasty/readers"}]}, by=["tasty/readers.genre", "fresh/drive.tier"]),
    statistics(
        where={"not": {"any": [{"not": {"matched": "tasty/readers"}}, {"not": GOLD}]}},
        by=["fresh/drive.tier", "tasty/readers.genre", "fresh/drive.tier"],
        purpose="insights",
    ),
    statistics(  # a value is no match in the counted audience, a whole code-list of another is one
        where={"any": [{"all": [GOLD, WHOLE, {"matched": "fresh/drive"}]}, {"all": [GOLD, {"not": WHOLE}, WHOLE]}]},
        by=["fresh/drive.tier", "tasty/readers.genre"],
    ),
)


def test_the_same_day_the_same_question_is_the_same_release(published: Collaboration) -> None:
    stage = published.stage
    first = stage.ask("fresh", published.id, SPELLINGS[0])
    charged = spent(stage)
    assert (first.free, dict(first.cost)) == (
        False,
        {owner: Decimal(micro) / MICRO for owner, micro in charged.items()},
    )
    assert set(charged) == {"fresh", "tasty"}
    stage.clock.forward(hours=11, minutes=59)
    for name in ("tasty", "fresh"):
        for asked in SPELLINGS:
            again = stage.ask(name, published.id, asked)
            assert [(f.by, f.measure, f.value, f.margin95) for f in again.figures] == [
                (f.by, f.measure, f.value, f.margin95) for f in first.figures
            ]
            assert (again.free, again.cost, again.asked_by) == (True, (), name)
            assert again.id != first.id
    assert spent(stage) == charged
    assert [event for event, _ in decisions(stage)] == ["decision:release"] + 8 * ["decision:repeat"]
    assert {str(details["cost"]) for event, details in decisions(stage) if event == "decision:repeat"} == {"{}"}


def test_an_overlap_repeats_in_another_order(published: Collaboration) -> None:
    first = published.stage.ask("fresh", published.id, OVERLAP)
    turned = {**OVERLAP, "audiences": OVERLAP["audiences"][::-1]}
    again = published.stage.ask("tasty", published.id, turned)
    assert again.free
    assert sorted(map(repr, again.figures)) == sorted(map(repr, first.figures))


def test_a_question_that_was_released_within_another_report_is_not_charged_again(published: Collaboration) -> None:
    stage, agreement = published.stage, published.stage.agreement(published.id)
    stage.ask("fresh", published.id, MATCHED)
    before = spent(stage)
    report = stage.ask("fresh", published.id, OVERLAP)
    _, other = budget.price(plan.questions(request.from_json(OVERLAP), agreement), agreement)
    charged = budget.charge([other])
    assert {owner: micro - before[owner] for owner, micro in spent(stage).items()} == charged
    assert dict(report.cost) == {owner: Decimal(micro) / MICRO for owner, micro in charged.items()}


def test_another_day_is_a_new_measurement(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    assert spent(stage) == {"fresh": QUARTER, "tasty": QUARTER}
    stage.clock.forward(hours=12)
    report = stage.ask("fresh", published.id, OVERLAP)
    assert (report.free, report.date) == (False, "2026-03-15")
    assert spent(stage) == {"fresh": 2 * QUARTER, "tasty": 2 * QUARTER}
    assert [event for event, _ in decisions(stage)] == 2 * ["decision:release"]
    costs = [details["cost"]["fresh"] for _, details in decisions(stage)]
    assert costs == [
        {"micro": QUARTER, "before": 0, "after": QUARTER},
        {"micro": QUARTER, "before": QUARTER, "after": 2 * QUARTER},
    ]


def test_consent_that_ends_tonight_is_absent_tomorrow(trio: Trio, tmp_path: Path) -> None:
    with trio.stage.copy(tmp_path) as stage:
        today = stage.ask("tasty", trio.threshold, OVERLAP)
        stage.clock.forward(days=1)
        tomorrow = stage.ask("tasty", trio.threshold, OVERLAP)
    for day, report in ((TODAY, today), (TODAY + timedelta(days=1), tomorrow)):
        everybody = People.taking_part(CUSTOMERS, "insights", day)
        figure = report.figures[0]
        assert (str(figure.counted), figure.value) == ("fresh/drive", everybody.expected(figure))
    assert tomorrow.figures[0].value != today.figures[0].value


def test_a_new_version_is_a_new_measurement(published: Collaboration) -> None:
    stage = published.stage
    stage.ask("fresh", published.id, OVERLAP)
    stage.publish(published.id, READERS, people(range(100, 400)))
    assert not stage.ask("fresh", published.id, OVERLAP).free
    assert spent(stage) == {"fresh": 2 * QUARTER, "tasty": 2 * QUARTER}


# Prices


@pytest.mark.parametrize("asked", [OVERLAP, MATCHED, SPELLINGS[0], statistics(sum=["tasty/readers.clicks"])])
def test_a_price_charges_nothing_and_is_what_is_charged(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    stage, room = published.stage, published.stage.players["fresh"].room
    leaves = stage.leaves()
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedEngine, "measure", None)
        quotes = [room.quote(published.id, request.from_json(asked)) for _ in range(2)]
    assert quotes[0] == quotes[1]
    assert quotes[0].questions == plan.questions(request.from_json(asked), stage.agreement(published.id))
    assert dict(quotes[0].left) == dict.fromkeys(("fresh", "tasty"), 5 * MICRO)
    assert (quotes[0].refused, quotes[0].unbounded) == (None, False)
    assert (stage.leaves(), spent(stage)) == (leaves, {})
    assert stage.rows("select * from reports") == []
    stage.ask("fresh", published.id, asked)
    assert spent(stage) == dict(quotes[0].cost)
    after = room.quote(published.id, request.from_json({**asked, "purpose": "measurement"}))
    assert dict(after.left) == {owner: 5 * MICRO - micro for owner, micro in spent(stage).items()}
    assert dict(room.quote(published.id, request.from_json(asked)).cost) == {}


def test_a_price_says_what_would_be_refused(wide: Collaboration) -> None:
    before = len(wide.stage.leaves())
    room = wide.stage.players["fresh"].room
    for reason, about, asked in REFUSALS.values():
        quote = room.quote(wide.id, request.from_json(asked))
        assert (quote.cost, quote.refused) == ((), reason.value)
        assert quote.explanation is not None
        assert about is None or about in quote.explanation
    assert len(wide.stage.leaves()) == before


def test_threshold_mode_costs_nothing_and_says_that_nothing_bounds_it(trio: Trio) -> None:
    room, asked = trio.stage.players["fresh"].room, statistics(where=GOLD, purpose="measurement")
    quote = room.quote(trio.threshold, request.from_json(asked))
    assert quote.unbounded
    assert not any(micro for _, micro in quote.cost)
    report = trio.stage.ask("fresh", trio.threshold, asked)
    assert (report.cost, report.free) == ((), True)
    assert [event for event, _ in decisions(trio.stage)][-1] == "decision:release"
    line = next(each for each in room.ledger().collaborations if each.id == trio.threshold)
    assert (line.spent, line.unbounded) == (0, True)
    assert "single people out" in (report.explanation or "")


def test_cost_and_shape_do_not_depend_on_the_data(
    published: Collaboration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that finds nobody, everybody or nonsense: the same price, the same leaf but for the evidence."""
    asked = statistics(by=["fresh/drive.tier", {"matched": "tasty/readers"}], sum=["tasty/readers.clicks"])
    seen = []
    for number, people_in_a_cell in enumerate((0, 1, 10**6, -5)):

        def measure(
            _: EmbeddedEngine, each: Question, agreement: Agreement, *__: Any, value: int = people_in_a_cell
        ) -> Sealed:
            size = len(cells(each, agreement))
            return Sealed(Measured((value,) * size, dict.fromkeys(each.sum, (value,) * size)))

        monkeypatch.setattr(EmbeddedEngine, "measure", measure)
        with published.stage.copy(tmp_path / str(number)) as stage:
            report = stage.ask("fresh", published.id, asked)
            ((_, details),) = decisions(stage)
            assert details.pop("evidence")
            assert details.pop("report") == report.id
            shape = [(figure.by, figure.measure) for figure in report.figures]
            seen.append((report.cost, shape, report.explanation, details, spent(stage)))
    assert all(each == seen[0] for each in seen)


# What changes while it is measured


def test_a_version_that_changes_meanwhile_is_decided_again(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, measure, calls = published.stage, EmbeddedEngine.measure, 0

    def slow(*arguments: Any) -> Sealed:
        nonlocal calls
        calls += 1
        found = measure(*arguments)
        if calls == 2:
            stage.publish(published.id, READERS, people(range(100, 400)))
        return found

    monkeypatch.setattr(EmbeddedEngine, "measure", slow)
    report = stage.ask("fresh", published.id, OVERLAP)
    assert (report.released, calls) == (True, 4)
    ((_, details),) = decisions(stage)
    (newest,) = stage.rows("select id from versions where owner = 'tasty' and state = 'published'")[0]
    assert details["versions"]["tasty/readers"] == newest
    assert spent(stage) == {"fresh": QUARTER, "tasty": QUARTER}


def test_a_version_that_is_removed_meanwhile_is_decided_again(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine has opened the older version when the newer one retires it: its files are gone."""
    stage, read, opened = published.stage, columns.read, list[Path]()

    def opening(folder: Path) -> columns.Columns:
        found = read(folder)
        opened.append(folder)
        if len(opened) == 1:
            stage.publish(published.id, DRIVE, people(range(300)))
            assert not folder.exists()
        return found

    monkeypatch.setattr(columns, "read", opening)
    assert stage.ask("fresh", published.id, MATCHED).released
    assert len(decisions(stage)) == 1


def test_midnight_passes_meanwhile(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    stage, measure, calls = published.stage, EmbeddedEngine.measure, []

    def slow(*arguments: Any) -> Sealed:
        calls.append(arguments[4])
        if len(calls) == 1:
            stage.clock.forward(hours=12)
        return measure(*arguments)

    monkeypatch.setattr(EmbeddedEngine, "measure", slow)
    assert stage.ask("fresh", published.id, MATCHED).date == "2026-03-15"
    assert [day.isoformat() for day in calls] == ["2026-03-14", "2026-03-15"]


def test_facts_that_never_settle(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> Sealed:
        raise NotPublished("gone")

    monkeypatch.setattr(EmbeddedEngine, "measure", gone)
    before = published.stage.leaves()
    with pytest.raises(RoomRefused) as caught:
        published.stage.ask("fresh", published.id, OVERLAP)
    assert (caught.value.problem.status, caught.value.problem.code) == (503, "unsettled")
    assert (published.stage.leaves(), spent(published.stage)) == (before, {})

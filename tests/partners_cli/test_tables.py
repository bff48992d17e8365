"""Reports as tables and CSV: numbers aligned, withheld alike, nothing that the report does not say."""

import csv
import io
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from partners import tables, words
from partners.fields import OddAnswer
from partners.reports import read_report
from policies.question import where_from_json

DRIVE, READERS = "fresh/drive", "tasty/readers"
SPACE = words.GROUP


def figure(value: Any, margin: Any = 60, measure: str = "people", **changed: Any) -> dict[str, Any]:
    withheld = value is None
    shown = {"value": value, "margin95": None if withheld else margin, "withheld": withheld, "at_least": False}
    return {"counted": DRIVE, "where": None, "by": {}, "measure": measure, **shown, **changed}


def report(*figures: dict[str, Any], **changed: Any) -> dict[str, Any]:
    return {
        "id": "r-1",
        "collaboration": "drive-1",
        "kind": "statistics",
        "asked_by": "tasty",
        "mode": "private",
        "date": "2026-03-14",
        "status": "released",
        "reason": None,
        "explanation": "",
        "figures": list(figures),
        "cost": {"fresh": 0.25, "tasty": 0.0625},
        "free": False,
        "receipt": None,
        **changed,
    }


def printed(value: dict[str, Any], width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, highlight=False)
    tables.render_report(value, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


TIER, SPEND = f"{DRIVE}.tier", f"{DRIVE}.spend"
STATISTICS = report(
    *(
        each
        for tier, people, total in (("gold", 12345, 1234567.5), ("silver", 940, 88.25), ("unknown", None, None))
        for each in (
            figure(people, 46, by={TIER: tier}),
            figure(total, 9000, f"sum:{SPEND}", by={TIER: tier}),
        )
    ),
    figure(13285, 80),
    figure(1234655.75, 12345.5, f"sum:{SPEND}"),
)


def test_statistics_are_one_table_with_its_totals() -> None:
    (section,) = tables.sections(read_report(STATISTICS))
    assert section.title == "people of fresh/drive: everybody"
    assert section.columns == (TIER, "people", f"sum of\n{SPEND}")
    assert section.rows == (
        ("gold", f"12{SPACE}345 ± 46", f"1{SPACE}234{SPACE}567.50 ±  9{SPACE}000.00"),
        ("silver", "940 ± 46", f"88.25 ±  9{SPACE}000.00"),
        ("unknown", "withheld", "withheld"),
        ("total", f"13{SPACE}285 ± 80", f"1{SPACE}234{SPACE}655.75 ± 12{SPACE}345.50"),
    )


def test_numbers_end_in_one_column_on_the_terminal() -> None:
    lines = [
        line
        for line in printed(STATISTICS).splitlines()
        if "±" in line and "│" not in line and "no further" not in line
    ]
    ends = {line.index(" ± ", line.index(" ± ") + 1) for line in lines}
    assert len(lines) == 3
    assert len(ends) == 1


OVERLAP = report(
    figure(1000),
    figure(400, where={"matched": READERS}),
    figure(400, by={f"matched:{READERS}": True}),
    figure(600, by={f"matched:{READERS}": False}),
    figure(40.1234, 3.5, "match_rate", where={"matched": READERS}),
    figure(None, counted=READERS),
    kind="overlap",
)


def test_an_overlap_shows_each_audience_with_its_own_denominator() -> None:
    first, regions, second = tables.sections(read_report(OVERLAP))
    assert first.columns == ("who", "people", "match rate, %")
    assert first.rows == (
        ("everybody", f"1{SPACE}000 ± 60", ""),
        (f"matched in {READERS}", "400 ± 60", "40.12 ± 3.50"),
    )
    assert regions.columns == (f"matched in {READERS}", "people")
    assert regions.rows == (("yes", "400 ± 60"), ("no", "600 ± 60"))
    assert second.rows == (("everybody", "withheld"),)


THRESHOLD = report(
    figure(120, 0, by={TIER: "gold"}),
    figure(None, by={TIER: "silver"}),
    figure(120, 0, at_least=True),
    mode="threshold",
    cost={"fresh": 0},
)


def test_threshold_mode_says_that_differencing_works_and_has_no_margins() -> None:
    text = printed(THRESHOLD)
    assert "does not stop differencing" in text
    assert "±" not in text
    assert "at least 120" in text
    assert "withheld: too small, empty or unknown" in text
    assert "nothing is charged" in text


def test_a_repeat_says_why_it_costs_nothing() -> None:
    assert "Cost: nothing, the same was asked before today." in printed({**STATISTICS, "cost": {}, "free": True})


def test_private_mode_explains_the_margin_and_the_cost() -> None:
    text = printed(STATISTICS)
    assert "95 of 100" in text
    assert "differencing" not in text
    assert "Cost: fresh ε 0.25, tasty ε 0.0625." in text
    assert "report r-1 --csv FILE" in text


@pytest.mark.parametrize(
    ("reason", "explanation", "words"),
    [
        ("budget_spent", "", "the owner can grant more."),
        ("budget_spent", "Ask fresh for more.", "Ask fresh for more."),
        ("something_new", "", "update cleanroom-partner"),
    ],
)
def test_a_refusal_says_what_would_pass(reason: str, explanation: str, words: str) -> None:
    text = printed(report(status="refused", reason=reason, explanation=explanation, cost={}))
    assert "Refused: " in text
    assert "Cost: nothing." in text
    assert words in text
    assert "--csv" not in text


def test_a_rehearsals_report_needs_no_id_or_receipt_object() -> None:
    value = {**STATISTICS, "receipt": "kept elsewhere"}
    for name in ("id", "collaboration", "free", "explanation"):
        del value[name]
    assert "statistics report, asked by tasty" in printed(value)


def test_foreign_text_steers_neither_terminal_nor_spreadsheet() -> None:
    nasty = report(figure(5, by={TIER: "=HYPERLINK(1)"}), figure(6, by={TIER: "\x1b[2J[bold]x[/bold]"}))
    text = printed(nasty)
    assert "\x1b" not in text
    assert "[bold]x[/bold]" in text
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(read_report(nasty)))))
    assert rows[0][TIER] == "'=HYPERLINK(1)"


def test_csv_has_one_row_per_figure_and_exact_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(tables.to_csv(read_report(STATISTICS)))))
    assert len(rows) == len(STATISTICS["figures"])
    assert rows[1] == {
        "counted": DRIVE,
        "where": "",
        TIER: "gold",
        "measure": f"sum:{SPEND}",
        "value": "1234567.5",
        "margin95": "9000",
        "withheld": "false",
        "at_least": "false",
    }
    assert rows[4][TIER] == "unknown"
    assert (rows[4]["value"], rows[4]["withheld"]) == ("", "true")
    assert rows[6][TIER] == ""


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": "list"},
        {"status": "maybe"},
        {"mode": None},
        {"cost": {"fresh": "0.25"}},
        {"cost": []},
        {"figures": {}},
        {"figures": [{**figure(5), "value": "5"}]},
        {"figures": [{**figure(5), "value": None}]},
        {"figures": [{**figure(5), "value": float("nan")}]},
        {"figures": [{**figure(5), "by": {TIER: 7}}]},
        {"figures": [{**figure(5), "counted": "drive"}]},
        {"figures": [{**figure(5), "where": {"matched": 7}}]},
        {"receipt": {"proof": ""}},
        {"free": "no"},
    ],
)
def test_an_odd_report_is_refused_as_a_whole(changed: dict[str, Any]) -> None:
    with pytest.raises(OddAnswer):
        read_report({**STATISTICS, **changed})


@given(st.decimals(-(10**12), 10**12, places=2), st.integers(0, 4))
def test_a_number_loses_nothing_but_its_grouping(value: Decimal, places: int) -> None:
    shown = words.number(value, places)
    assert Decimal(shown.replace(SPACE, "")) == round(value, places)
    whole = shown.lstrip("-").partition(".")[0]
    assert all(len(group) == 3 for group in whole.split(SPACE)[1:])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (None, "everybody"),
        ({"matched": READERS}, f"matched in {READERS}"),
        ({"is": [TIER, ["silver", "gold"]]}, f"{TIER} is gold or silver"),
        ({"not": {"matched": READERS}}, f"not (matched in {READERS})"),
        ({"all": [{"matched": READERS}, {"any": [{"is": [TIER, ["a"]]}, {"matched": DRIVE}]}]},
         f"matched in {READERS} and ({TIER} is a or matched in {DRIVE})"),
        ({"any": []}, "nobody"),
        ({"all": []}, "everybody"),
        ({"is": [TIER, []]}, f"{TIER} is nothing"),
    ],
)  # fmt: skip
def test_a_condition_in_words(where: Any, said: str) -> None:
    assert words.where(where_from_json(where)) == said

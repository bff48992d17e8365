"""The preset `pair`, end to end: match rates in whole percents, and nothing of audiences that are too small."""

import json
from typing import Any

import pytest

from tests.rehearsal import files
from tests.rehearsal.conftest import rehearse
from tests.rehearsal.test_private import PARTNER

HEAD = """
[collaboration]
name = "pair-try"
match_keys = ["id"]
preset = "pair"
"""
REPORT = """
[[report]]
kind = "overlap"
asked_by = "one"
audiences = ["one/a", "{other}"]
"""
STATISTICS = """
[[report]]
kind = "statistics"
asked_by = "one"
count = "one/a"
where = { matched = "two/b" }
"""
SIZES = {"one": range(3_000), "two": range(1_200, 4_200), "three": range(200, 3_000), "four": range(600)}
AUDIENCES = {"one": "a", "two": "b", "three": "c", "four": "d"}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("pair")
    text = HEAD
    for name, people in SIZES.items():
        files.table(folder / f"{name}.csv", ["card"], [[f"c{number}"] for number in people])
        text += PARTNER.format(name=name, audience=AUDIENCES[name])
    text += "".join(REPORT.format(other=f"{name}/{AUDIENCES[name]}") for name in ("two", "three", "four")) + STATISTICS
    (folder / "scenario.toml").write_text(text, encoding="utf-8")
    done = rehearse(folder / "scenario.toml", "--json", str(folder / "out.json"))
    assert done.returncode == 0, done.stderr
    assert "at least 85" in done.stdout
    found: list[dict[str, Any]] = json.loads((folder / "out.json").read_text())["reports"]
    return found


def test_nothing_but_match_rates_leaves(reports: list[dict[str, Any]]) -> None:
    figures = [figure for report in reports for figure in report["figures"]]
    assert {figure["measure"] for figure in figures} == {"match_rate"}
    assert all(figure["by"] == {} and isinstance(figure["value"], int | None) for figure in figures)


def test_rates_are_whole_percents_within_their_margin(reports: list[dict[str, Any]]) -> None:
    """1,800 of 3,000 either way."""
    assert [figure["counted"] for figure in reports[0]["figures"]] == ["one/a", "two/b"]
    for figure in reports[0]["figures"]:
        assert abs(figure["value"] - 60) <= 2 * figure["margin95"]
        assert not figure["at_least"]


def test_above_the_cap_rates_are_not_told_apart(reports: list[dict[str, Any]]) -> None:
    """2,800 of 3,000 one way; all of 2,800 the other, where the unmatched are too few for the noise to matter."""
    for figure in reports[1]["figures"]:
        assert (figure["value"], figure["at_least"]) == (85, True)


def test_a_pair_with_a_small_audience_shows_neither_rate(reports: list[dict[str, Any]]) -> None:
    assert [figure["withheld"] for figure in reports[2]["figures"]] == [True, True]
    assert reports[2]["cost"]


def test_other_reports_are_refused(reports: list[dict[str, Any]]) -> None:
    assert (reports[3]["status"], reports[3]["reason"]) == ("refused", "kind_not_agreed")

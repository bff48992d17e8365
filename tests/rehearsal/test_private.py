"""Private mode, end to end: margins hold, budgets run out, a larger budget is granted, the same day is free."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import files
from tests.rehearsal.conftest import rehearse

PEOPLE, SHARED = 3_000, 1_800
REPORT = """
[[report]]
kind = "overlap"
asked_by = "{asker}"
audiences = ["one/a", "two/b"]
purpose = "{purpose}"
"""
HEAD = """
[collaboration]
name = "private-try"
match_keys = ["id"]
minimum_size = 50
epsilon_per_report = 3.0
epsilon_total = {total}
"""
PARTNER = """
[[partner]]
name = "{name}"
audience = "{audience}"
file = "{name}.csv"
keys = {{ id = "card" }}
consent = {{ purposes = ["insights", "measurement", "modelling"] }}
"""


def scenario(folder: Path, total: float, asked: list[tuple[str, str]]) -> Path:
    """Two files that share `SHARED` cards."""
    files.table(folder / "one.csv", ["card"], [[f"c{number}"] for number in range(PEOPLE)])
    files.table(
        folder / "two.csv", ["card"], [[f"c{number}"] for number in range(PEOPLE - SHARED, 2 * PEOPLE - SHARED)]
    )
    text = HEAD.format(total=total)
    text += PARTNER.format(name="one", audience="a") + PARTNER.format(name="two", audience="b")
    text += "".join(REPORT.format(asker=asker, purpose=purpose) for asker, purpose in asked)
    path = folder / "scenario.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("private")
    asked = [("one", "insights"), ("two", "insights"), ("one", "measurement"), ("one", "modelling")]
    done = rehearse(scenario(folder, 6.0, asked), "--json", str(folder / "out.json"))
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads((folder / "out.json").read_text())["reports"]
    return found


def test_a_total_above_the_allowance_is_granted_and_spent_to_its_end(reports: list[dict[str, Any]]) -> None:
    """A total of 6 is more than the allowance of 5; two reports of 3 fit into it, a third does not."""
    assert [report["status"] for report in reports] == ["released", "released", "released", "refused"]
    assert reports[3]["reason"] == "budget_spent"
    assert reports[3]["cost"] == {}


def test_the_same_question_on_the_same_day_is_free_and_the_same(reports: list[dict[str, Any]]) -> None:
    first, again = reports[0], reports[1]
    assert (first["cost"], again["cost"]) == ({"one": 3.0, "two": 3.0}, {})
    assert first["figures"] == again["figures"]
    assert reports[2]["figures"] != first["figures"]


def test_figures_lie_near_the_truth_and_carry_their_margin(reports: list[dict[str, Any]]) -> None:
    """The chance that one of these is six margins away is below 10^-6."""
    for figure in reports[0]["figures"]:
        if figure["measure"] == "people" and figure["where"]:
            assert figure["margin95"] > 0
            assert abs(figure["value"] - SHARED) < 6 * figure["margin95"]

"""`simulate`: one's own file, counted as the room would, without the room."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from partners.cli import main
from partners.domains import read_domains
from partners.mapping import Map, load
from partners.reading import BadFile
from partners.simulate import Simulation
from partners.steps import simulating
from policies.purpose import Purpose
from policies.terms import DEFAULTS

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
MAP = """
name = "fresh"
audience = "drive"
file = "fresh.csv"
keys = { email = "mail" }
attributes = { tier = { column = "tier", values = ["gold", "silver"] }, city = "city" }
consent = { insights = "ok", measurement = "ok2", expires = "until" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """600 rows: gold 360 (300 of them in Rome), silver 200, blank 40; 20 more without consent, 20 that expired."""
    rows = [("gold", "Rome")] * 300 + [("gold", "Oslo")] * 60 + [("silver", "Rome")] * 200 + [("", "Oslo")] * 40
    lines = [f"p{n}@mail.example,{tier},{city},yes,no,2999-12-31" for n, (tier, city) in enumerate(rows)]
    lines += [f"n{n}@mail.example,gold,Rome,no,no,2999-12-31" for n in range(20)]
    lines += [f"e{n}@mail.example,gold,Rome,yes,yes,2026-01-01" for n in range(20)]
    (tmp_path / "fresh.csv").write_text("mail,tier,city,ok,ok2,until\n" + "\n".join(lines) + "\n", encoding="utf-8")
    (tmp_path / "map.toml").write_text(MAP, encoding="utf-8")
    return tmp_path


def simulated(path: Path, matched: int = 100, purpose: Purpose = Purpose.INSIGHTS) -> Simulation:
    return simulating.simulated(path, purpose, matched, DEFAULTS, NOW, lambda *_: None)


def _closed(folder: Path) -> Map:
    return read_domains(load(folder / "map.toml"), lambda *_: None)


def test_what_shows_and_what_does_not(folder: Path) -> None:
    """One key at ε 0.25: a scale of 4, so ± 12, and a cell needs 50 + 34 people."""
    found = simulated(folder / "map.toml")
    assert (str(found.audience), found.people) == ("fresh/drive", 600)
    tables = {table.by: table for table in found.tables}
    assert set(tables) == {(), ("tier",), ("city",), ("tier", "city")}
    tier = tables["tier",]
    assert (tier.needs, tier.margin95) == (84, 12)
    # gold 360 and silver 200 show; unknown 40 is too few; nobody is other.
    assert (tier.cells, tier.empty, tier.shown, tier.shown_threshold) == (4, 1, 2, 2)
    assert str(tier.hidden) == "6.7"  # 40 of 600
    assert str(tier.error) == "1.4"  # 4 ln 2 of 200
    both = tables["tier", "city"]
    # gold in Oslo has 60: enough for threshold mode, too few under noise.
    assert (both.shown, both.shown_threshold, both.cells, both.empty) == (2, 3, 16, 12)


def test_fewer_are_matched_than_there_are(folder: Path) -> None:
    tier = next(table for table in simulated(folder / "map.toml", matched=30).tables if table.by == ("tier",))
    assert (tier.shown, tier.shown_threshold) == (1, 2)  # 108 of gold; 60 of silver


def test_what_prepare_wrote_gives_the_same(folder: Path) -> None:
    simulating._prepared(_closed(folder), folder, NOW, lambda *_: None)
    expected = simulated(folder / "map.toml")
    for name in ("drive.manifest.json", "drive.audience.parquet"):
        assert simulated(folder / name).tables == expected.tables


def test_the_purpose_counts(folder: Path) -> None:
    assert simulated(folder / "map.toml", purpose=Purpose.MEASUREMENT).people == 0


def test_a_damaged_file_is_one_line(folder: Path) -> None:
    simulating._prepared(_closed(folder), folder, NOW, lambda *_: None)
    (folder / "drive.audience.parquet").write_bytes(b"no parquet")
    with pytest.raises(BadFile, match="run `prepare` again"):
        simulated(folder / "drive.audience.parquet")


def test_the_command_prints_a_table_and_json(folder: Path) -> None:
    runner = CliRunner()
    shown = runner.invoke(main, ["simulate", str(folder / "map.toml"), "--matched", "50", "--epsilon", "1"])
    assert shown.exit_code == 0, shown.output
    assert "tier × city" in shown.output
    assert "Next: " in shown.output
    answer = runner.invoke(main, ["simulate", str(folder / "map.toml"), "--json"])
    value = json.loads(answer.stdout)
    assert value["epsilon_micro"] == 250_000
    assert [table["by"] for table in value["tables"]] == [[], ["tier"], ["city"], ["tier", "city"]]
    assert not list(folder.glob("*.parquet")), "nothing is left behind"

"""Bad input ends as one clear line, exit 1, and the same in the JSON: the step, the partner, what to do."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.rehearsal import files
from tests.rehearsal.conftest import rehearse

Spoil = Callable[[Path], None]


def change(old: str, new: str) -> Spoil:
    """Replaces a text in the scenario."""

    def spoil(folder: Path) -> None:
        path = folder / "scenario.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")

    return spoil


def content(name: str, data: str) -> Spoil:
    """Replaces a file."""
    return lambda folder: (folder / name).write_text(data, encoding="utf-8") and None


HASHES = "email,mobile,loyalty_tier,spend_eur\n" + f"{'ab' * 32},0612341000,gold,1\n" * 5


@pytest.mark.parametrize(
    ("spoil", "step", "says"),
    [
        (change('email = "email"', 'email = "mail"'), "prepare", "mail"),
        (content("fresh.csv", ""), "read", "empty"),
        (content("fresh.csv", "email,mobile,loyalty_tier,spend_eur\n"), "read", "no rows"),
        (change('region = "FR"', 'region = "FR"\ndelimiter = ";"'), "read", "delimiter"),
        (
            content("fresh.csv", 'email,mobile,loyalty_tier,spend_eur\na@b.fr,,gold,1\n"a@b.fr,,gold,1\n'),
            "read",
            "line 3",
        ),
        (content("fresh.csv", HASHES), "prepare", "hashes"),
        (change('insights = "ok"', ""), "scenario", "consent"),
        (change('insights = "ok"', 'insights = "okay"'), "prepare", "okay"),
        (change('file = "tasty.csv"', 'file = "absent.csv"'), "prepare", "absent.csv"),
        (change('mode = "threshold"', 'mode = "open"'), "scenario", "mode"),
        (change("minimum_size = 5", "minimum_sise = 5"), "scenario", "minimum_sise"),
        (change('kind = "overlap"', 'kind = "everything"'), "scenario", "overlap"),
        (change("[collaboration]", "[collaboration"), "scenario", "TOML"),
    ],
)
def test_one_clear_line(spoil: Spoil, step: str, says: str, tmp_path: Path) -> None:
    scenario, json_file = files.write(tmp_path), tmp_path / "out.json"
    spoil(tmp_path)
    done = rehearse(scenario, "--json", str(json_file))
    assert done.returncode == 1
    found: dict[str, Any] = json.loads(json_file.read_text())
    assert list(found) == ["error"]
    assert set(found["error"]) == {"step", "partner", "type", "detail"}
    assert (found["error"]["step"], says in found["error"]["detail"]) == (step, True), found
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert "person." not in done.stderr


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (change('by = ["fresh/drive.tier"]', 'by = ["fresh/drive.shoe_size"]'), "column_not_agreed"),
        (change('asked_by = "tasty"', 'asked_by = "fresh"'), "own_measure"),
        (change("[partner.measures]", '[partner.terms]\nkinds = ["overlap"]\n[partner.measures]'), "kind_not_agreed"),
    ],
)
def test_a_question_outside_the_agreement_is_refused_and_the_rehearsal_goes_on(
    spoil: Spoil, reason: str, tmp_path: Path
) -> None:
    scenario, json_file = files.write(tmp_path), tmp_path / "out.json"
    spoil(tmp_path)
    done = rehearse(scenario, "--json", str(json_file))
    assert done.returncode == 0, done.stderr
    released, refused = json.loads(json_file.read_text())["reports"]
    assert (released["status"], refused["status"], refused["reason"]) == ("released", "refused", reason)
    assert refused["figures"] == []


def test_a_folder_that_is_not_empty_is_not_used(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "mine.txt").write_text("mine")
    done = rehearse(files.write(tmp_path), "--keep", str(keep))
    assert done.returncode == 1
    assert "not empty" in done.stderr
    assert [path.name for path in keep.iterdir()] == ["mine.txt"]

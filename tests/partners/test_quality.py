import io
import json
from pathlib import Path

from rich.console import Console

from partners.counting import Counts
from partners.quality import Quality, Tally, render
from tests.partners.world import run

PEOPLE = [
    ("jane@example.fr", "0199001234", "gold", "12.50"),
    ("jane@example.fr", "0199001234", "bronze", "x"),
    ("not an address", "", "", "9999"),
    ("info@example.fr", "12", "silver", ""),
]


def page(quality: Quality, width: int = 100) -> str:
    text = io.StringIO()
    render(quality, Console(file=text, width=width))
    return text.getvalue()


def test_the_json_is_that_of_a_rehearsal(tmp_path: Path) -> None:
    report = run(tmp_path, PEOPLE).quality.to_json()
    assert json.loads(json.dumps(report)) == {
        "name": "fresh",
        "audience": "drive",
        "rows_read": 4,
        "rows_kept": 1,
        "dropped": {"no_consent": 0, "expired": 0, "no_identifier": 2, "duplicate": 1},
        "keys": {
            "email": {"filled": 4, "valid": 2, "invalid": {"not_an_address": 1, "role_mailbox": 1}},
            "phone": {"filled": 3, "valid": 2, "invalid": {"not_a_number": 1}},
        },
        "tokens_dropped": {"email": 1, "phone": 1},
        "attributes": {"tier": {"other": 1, "unknown": 1}},
        "measures": {"spend": {"missing": 1, "not_a_number": 1, "clipped": 1}},
        "consent": {},
        "lines": {
            "dropped": {"no_identifier": [4, 5], "duplicate": [3]},
            "keys": {"email": {"not_an_address": [4], "role_mailbox": [5]}, "phone": {"not_a_number": [5]}},
            "attributes": {"tier": {"other": [3], "unknown": [4]}},
            "measures": {"spend": {"missing": [5], "not_a_number": [3], "clipped": [4]}},
            "consent": {},
        },
    }


def test_the_page_says_what_happened_and_what_to_do(tmp_path: Path) -> None:
    quality = run(tmp_path, PEOPLE).quality
    text = page(quality)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "fresh/drive: 1 of 4 rows can be used (25.0 %)"
    assert "read 4 100.0 %" in lines
    assert "no consent to any purpose 0 0.0 %" in lines
    assert "no valid identifier 2 50.0 % 4, 5" in lines
    assert "repeats an earlier row 1 25.0 % 3" in lines
    assert "kept 1 25.0 %" in lines
    assert "The value is not an e-mail address 1 25.0 % 4" in lines
    assert "beyond the bounds: clipped 1 25.0 % 4" in lines
    assert "• phone: national numbers need the right `region` in the map." in lines
    for value in ("jane", "0199", "not an address", "bronze", "9999"):
        assert value not in text


def test_the_page_fits_a_small_terminal(tmp_path: Path) -> None:
    text = page(run(tmp_path, PEOPLE).quality, width=80)
    assert max(map(len, text.splitlines())) <= 80


def test_names_are_not_read_as_markup(tmp_path: Path) -> None:
    header = ("email", "mobile", "tier", "spend", "[red]ok")
    rows = [(*PEOPLE[0], "yes"), (*PEOPLE[2], "no")]
    quality = run(tmp_path, rows, header, table={"consent": {"insights": "[red]ok"}}).quality
    assert "[red]ok" in page(quality)


def test_only_the_first_lines_are_named() -> None:
    counts, later = Counts(), Counts()
    for line in range(2, 10):
        counts.add(line, "dropped", "expired")
    for line in range(10, 30):
        later.add(line, "dropped", "expired")
    later.add_many(5, "rows")
    counts.merge(later)
    assert counts.tally("dropped", "expired") == Tally("expired", 28, tuple(range(2, 12)))
    assert counts.count("rows") == 5
    assert counts.tally("dropped", "duplicate") == Tally("duplicate", 0, ())
    assert counts.found("dropped") == ("expired",)


def test_merging_keeps_the_order_of_the_file() -> None:
    whole, parts = Counts(), [Counts(), Counts(), Counts()]
    for line in range(60):
        whole.add(line, "key", "email", str(line % 3))
        parts[line // 20].add(line, "key", "email", str(line % 3))
    merged = Counts()
    for part in parts:
        merged.merge(part)
    for code in whole.found("key", "email"):
        assert merged.tally("key", "email", code) == whole.tally("key", "email", code)

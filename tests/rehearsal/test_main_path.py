"""The main job over real processes and real HTTP: figures against a plain count, proofs, what is left on the disk."""

import hashlib
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from partners.receipts import Receipt, check
from partners.transparency.note import VerifierKey
from tests.rehearsal import files
from tests.rehearsal.conftest import Rehearsed

SCHEMA = Path(__file__).with_name("results.schema.json")
DRIVE, READERS = "fresh/drive", "tasty/readers"


def value(figures: list[dict[str, Any]], counted: str, measure: str, by: dict[str, Any], where: Any) -> Any:
    """The one figure that is about this."""
    (found,) = [
        figure
        for figure in figures
        if (figure["counted"], figure["measure"], figure["by"], figure["where"]) == (counted, measure, by, where)
    ]
    return found["value"]


def test_a_rehearsal_ends_well_and_writes_what_its_schema_says(rehearsed: Rehearsed) -> None:
    assert rehearsed.code == 0, rehearsed.err
    jsonschema.validate(rehearsed.found, json.loads(SCHEMA.read_text()))


def test_the_overlap_is_the_one_that_a_plain_count_gives(rehearsed: Rehearsed) -> None:
    figures = rehearsed.found["reports"][0]["figures"]
    readers = [number for number in files.TASTY if number % 10]
    assert value(figures, DRIVE, "people", {}, None) == len(files.FRESH)
    assert value(figures, DRIVE, "people", {}, {"matched": READERS}) == len(files.SHARED)
    assert value(figures, READERS, "people", {}, None) == len(readers)
    assert value(figures, READERS, "people", {}, {"matched": DRIVE}) == len(files.SHARED)
    rate = value(figures, DRIVE, "match_rate", {}, {"matched": READERS})
    assert rate == pytest.approx(100 * len(files.SHARED) / len(files.FRESH))


@pytest.mark.parametrize("tier", ["gold", "silver"])
def test_the_statistics_are_those_of_a_plain_query(rehearsed: Rehearsed, tier: str) -> None:
    figures, shared = rehearsed.found["reports"][1]["figures"], {"matched": READERS}
    people = [number for number in files.SHARED if files.tier(number) == tier]
    cents = sum(files.spend(number) for number in people)
    by = {f"{DRIVE}.tier": tier}
    assert value(figures, DRIVE, "people", by, shared) == len(people)
    assert value(figures, DRIVE, f"sum:{DRIVE}.spend", by, shared) == cents / 100
    assert value(figures, DRIVE, f"mean:{DRIVE}.spend", by, shared) == pytest.approx(cents / 100 / len(people))


def test_the_quality_report_says_who_was_left_at_home_and_why(rehearsed: Rehearsed) -> None:
    fresh, tasty = rehearsed.found["partners"]
    assert (fresh["rows_read"], fresh["rows_kept"]) == (60, 60)
    assert tasty["dropped"] == {"no_consent": 8, "expired": 0, "no_identifier": 0, "duplicate": 0}
    assert tasty["keys"]["email"] == {"filled": 40, "valid": 40, "invalid": {}}


def test_every_receipt_holds_under_the_key_of_the_log(rehearsed: Rehearsed) -> None:
    key = VerifierKey.parse(rehearsed.found["audit"]["vkey"])
    for report in rehearsed.found["reports"]:
        assert check(Receipt.from_json(report["receipt"]), key).ok


def test_the_room_keeps_no_identifier_no_plain_hash_of_one_and_no_token_as_the_partners_made_it(
    rehearsed: Rehearsed,
) -> None:
    """Every byte of the data folder is searched, for every person of both files."""
    numbers = sorted({*files.FRESH, *files.TASTY})
    national = [files.phone(number).replace(" ", "") for number in numbers]
    identifiers = [*map(files.email, numbers), *map(files.phone, numbers), *national]
    identifiers += [f"+33{number[1:]}" for number in national]
    identifiers += [text.upper() for text in identifiers]
    wanted = [text.encode() for text in identifiers]
    for name in ("sha256", "sha1", "md5"):
        digests = [hashlib.new(name, text.encode()) for text in identifiers]
        wanted += [digest.digest() for digest in digests] + [digest.hexdigest().encode() for digest in digests]
    paths = [path for path in rehearsed.data.rglob("*") if path.is_file()]
    assert len(paths) > 20
    for path in paths:
        content = path.read_bytes()
        assert not [text for text in wanted if text in content], path.name


def test_nothing_is_left_in_the_folder_of_uploads(rehearsed: Rehearsed) -> None:
    assert list((rehearsed.data / "incoming").iterdir()) == []

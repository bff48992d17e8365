from pathlib import Path

import pytest

from partners.domains import read_domains
from partners.mapping import Map
from partners.reading import BadFile, delimited
from tests.partners.world import mapped, write_csv


def domains(mapping: Map) -> dict[str, tuple[str, ...] | None]:
    return {item.name: item.values for item in read_domains(mapping, lambda done, total: None).attributes}


def test_open_code_lists_are_read_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 2)
    tiers = ["silver", " gold ", "", "gold", "unknown", "other", "bronze"]
    write_csv(tmp_path / "fresh.csv", [("", "", tier, "x") for tier in tiers])
    attributes = {"tier": "tier", "again": "tier", "fixed": {"column": "spend", "values": ["z", "a"]}}
    assert domains(mapped(tmp_path, attributes=attributes)) == {
        "tier": ("bronze", "gold", "silver"),
        "again": ("bronze", "gold", "silver"),
        "fixed": ("z", "a"),
    }


def test_nothing_is_read_where_nothing_is_open(tmp_path: Path) -> None:
    mapping = mapped(tmp_path, file="nowhere.csv", attributes={"tier": {"column": "tier", "values": ["a"]}})
    assert read_domains(mapping, lambda done, total: None) is mapping


@pytest.mark.parametrize(
    ("tiers", "message"),
    [
        ([str(number) for number in range(1001)], "column tier has more than 1000 different values"),
        (["x" * 129], "column tier holds values of more than 128 characters"),
        (["", "unknown"], "column tier has no value at all"),
        (["gold", "L\x92Or"], "column tier holds values with control characters; is its `encoding` right"),
    ],
)
def test_what_is_no_attribute_is_refused(tmp_path: Path, tiers: list[str], message: str) -> None:
    write_csv(tmp_path / "fresh.csv", [("", "", tier, "") for tier in tiers])
    with pytest.raises(BadFile, match=message):
        domains(mapped(tmp_path))


def test_a_thousand_values_are_an_attribute(tmp_path: Path) -> None:
    write_csv(tmp_path / "fresh.csv", [("", "", str(number), "") for number in range(1000)])
    assert len(domains(mapped(tmp_path))["tier"] or ()) == 1000

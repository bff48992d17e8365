"""Typed columns of Parquet files: no value becomes another one without a word."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partners import prepare
from partners.reading import BadFile, Source, read
from tests.partners.world import AGREEMENT, FRESH, HEADER, NOW, mapped, write_csv, written


def texts(folder: Path, column: pa.Array, exact: bool = True) -> list[str]:
    pq.write_table(pa.table({"a": column}), folder / "f.parquet")
    chunks = read(Source(folder / "f.parquet"), ("a",), frozenset({"a"} if exact else ()), lambda done, total: None)
    return [text for chunk in chunks for text in chunk.column("a")]


@pytest.mark.parametrize("kind", [pa.decimal128(10, 3), pa.decimal256(50, 3), pa.float64()])
def test_typed_numbers_have_a_point_whatever_the_map_says(tmp_path: Path, kind: pa.DataType) -> None:
    """In a folder, text keeps the decimal of the map, before and after the numbers."""
    folder = tmp_path / "exports"
    folder.mkdir()
    write_csv(folder / "a.csv", [("a@x.fr", "", "", "1,5")], HEADER)
    amounts = pa.array([Decimal("12.500"), Decimal("1.250")], pa.decimal128(10, 3)).cast(kind)
    blank = pa.array(["", ""])
    table = pa.table({"email": ["b@x.fr", "c@x.fr"], "mobile": blank, "tier": blank, "spend": amounts})
    pq.write_table(table, folder / "b.parquet")
    pq.write_table(
        pa.table({"email": ["d@x.fr"], "mobile": [""], "tier": [""], "spend": ["2,5"]}), folder / "c.parquet"
    )
    (tmp_path / "out").mkdir()
    mapping = mapped(tmp_path, file="exports", decimal=",")
    prepared = prepare.prepare(mapping, AGREEMENT, 1, bytes(32), FRESH, tmp_path / "out", now=NOW)
    assert sorted(row["measure.spend"] for row in written(prepared)) == [125, 150, 250, 1250]


@pytest.mark.parametrize("dictionary", [False, True])
def test_whole_decimals_are_identifiers(tmp_path: Path, dictionary: bool) -> None:
    column = pa.array([Decimal(12345), None, Decimal(10) ** 25], pa.decimal128(38, 10))
    found = texts(tmp_path, column.dictionary_encode() if dictionary else column)
    assert found == ["12345", "", "1" + "0" * 25]
    assert texts(tmp_path, pa.array([Decimal(-7)], pa.decimal256(76, 3))) == ["-7"]


def test_decimals_with_a_fraction_are_no_identifiers(tmp_path: Path) -> None:
    column = pa.array([Decimal(12345), Decimal("0.5")], pa.decimal128(38, 10))
    with pytest.raises(BadFile, match=r"f\.parquet: column a holds identifiers as decimal numbers with a fraction"):
        texts(tmp_path, column)


MIDNIGHT = dt.datetime(1980, 5, 2, 22)  # noqa: DTZ001 (what Arrow stores: in UTC; in Paris the third of May)


@pytest.mark.parametrize("zone", ["Europe/Paris", "UTC"])
def test_a_time_with_a_zone_is_no_birth_date(tmp_path: Path, zone: str) -> None:
    with pytest.raises(BadFile, match=r"column a holds times with a time zone, .* write it as a date"):
        texts(tmp_path, pa.array([MIDNIGHT], pa.timestamp("us", zone)))
    assert texts(tmp_path, pa.array([dt.date(1980, 5, 3)])) == ["1980-05-03"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", ["Europe/Paris", "Not/Known"])
def test_another_time_with_a_zone_is_that_of_utc(tmp_path: Path, unit: str, zone: str) -> None:
    """Without asking which zones there are."""
    found = texts(tmp_path, pa.array([MIDNIGHT, None], pa.timestamp(unit, zone)), exact=False)
    assert [text[:16] + text[-1:] for text in found] == ["1980-05-02 22:00Z", ""]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("text", [b"zo\xe9@x.fr", b" zo\xe9 "])
def test_text_that_is_not_utf_8(tmp_path: Path, kind: pa.DataType, exact: bool, text: bytes) -> None:
    column = pa.array([b"a", text], pa.large_binary() if pa.types.is_large_string(kind) else pa.binary()).view(kind)
    with pytest.raises(BadFile, match=r"f\.parquet: column a holds text that is not UTF-8"):
        texts(tmp_path, column, exact)

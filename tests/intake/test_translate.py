"""What a file's contents are translated to, and every content that is refused. In this process, without limits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cleanroom.engine.columns import EPOCH_DAY, Columns
from cleanroom.engine.rekey import Rekeyer
from cleanroom.intake import translate
from cleanroom.intake.limits import LIMITS, Limits
from cleanroom.intake.rejection import Rejected, Rejection
from cleanroom.intake.translate import Refused, meta_of
from partners.manifest import Manifest
from tests.intake import uploads
from tests.intake.uploads import AUDIENCE, REKEY_KEY, ROWS, row
from tests.worlds import Row


def _translate(tmp_path: Path, path: Path, rows: int, limits: Limits = LIMITS, **manifest: object) -> Columns:
    folder = tmp_path / "columns"
    folder.mkdir()
    described: Manifest = uploads.manifest_of(path, rows, **manifest)
    assert translate.translate(path, described, Rekeyer(REKEY_KEY), folder, limits) == rows
    return Columns(folder, meta_of(described))


def _refusal(tmp_path: Path, data: pa.Table, limits: Limits = LIMITS, **manifest: object) -> tuple[Rejection, str]:
    path = uploads.write(tmp_path / "file", data)
    with pytest.raises(Refused) as refused:
        _translate(tmp_path, path, len(data), limits, **manifest)
    return refused.value.why.reason, refused.value.why.detail


def test_every_column_arrives_in_the_order_of_the_file(tmp_path: Path) -> None:
    rows = tuple(
        replace(each, tokens={"phone": each.tokens["phone"]}, measures={}) if number % 3 == 0 else each
        for number, each in enumerate(ROWS)
    )
    data = uploads.table(rows)
    assert uploads.in_the_order_of_the_protocol(data)
    path = uploads.write(tmp_path / "file", data, row_group_size=6)
    columns = _translate(tmp_path, path, len(rows), replace(LIMITS, batch_rows=4))
    assert columns.present("email").tolist() == ["email" in each.tokens for each in rows]
    assert columns.present("phone").all()
    for key in AUDIENCE.keys:
        rekeyed = [Rekeyer(REKEY_KEY).tokens(each.tokens[key]) if key in each.tokens else bytes(16) for each in rows]
        assert columns.tokens(key).tobytes() == b"".join(rekeyed)
    [colour] = AUDIENCE.attributes
    assert [colour.domain[code] for code in columns.codes("colour")] == [each.attributes["colour"] for each in rows]
    values, measured = columns.measure("spend")
    assert values.tolist() == [each.measures.get("spend", 0) for each in rows]
    assert measured.tolist() == ["spend" in each.measures for each in rows]
    assert columns.consent().tolist() == [each.consent for each in rows]
    expires = columns.expires()
    assert expires is not None
    assert expires.tolist() == [(date(2027, 1, 1) - EPOCH_DAY).days] * len(rows)


def test_a_file_without_expiry_column(tmp_path: Path) -> None:
    path = uploads.write(tmp_path / "file", uploads.table(tuple(replace(each, expires=None) for each in ROWS)))
    assert _translate(tmp_path, path, len(ROWS), expires_column=False).expires() is None


def test_a_file_of_another_parquet_writer(tmp_path: Path) -> None:
    """One that stores no Arrow schema, so that the dictionary is a detail of the encoding."""
    path = uploads.write(tmp_path / "file", uploads.table(), store_schema=False)
    assert _translate(tmp_path, path, len(ROWS)).codes("colour").tolist() == [number % 4 for number in range(20)]


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ((row(1, measures={"spend": 10_001}),), Rejection.MEASURE_OUT_OF_BOUNDS),
        ((row(1, measures={"spend": -101}),), Rejection.MEASURE_OUT_OF_BOUNDS),
        ((row(1, consent=0),), Rejection.BAD_CONSENT),
        ((row(1, consent=16),), Rejection.BAD_CONSENT),
        ((row(1, consent=255),), Rejection.BAD_CONSENT),
        ((row(1, tokens={}),), Rejection.ROW_WITHOUT_TOKEN),
        ((row(1), row(2, tokens=row(1).tokens)), Rejection.TOKEN_TWICE),
        ((row(1), row(2, tokens={"phone": row(1).tokens["phone"]})), Rejection.TOKEN_TWICE),
        ((row(0), *ROWS[1:], row(21, tokens={"email": bytes(16)})), Rejection.TOKEN_TWICE),
    ],
)
def test_rows_that_break_a_rule(tmp_path: Path, rows: tuple[Row, ...], reason: Rejection) -> None:
    assert _refusal(tmp_path, uploads.table(rows))[0] is reason


def test_the_bounds_themselves_and_a_missing_measure_are_allowed(tmp_path: Path) -> None:
    rows = (row(1, measures={"spend": -100}), row(2, measures={"spend": 10_000}), row(3, measures={}))
    path = uploads.write(tmp_path / "file", uploads.table(rows))
    assert _translate(tmp_path, path, 3).measure("spend")[0].tolist() == [-100, 10_000, 0]


def _dictionary(values: list[str | None], codes: list[int | None]) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), pa.array(values, pa.string()))


@pytest.mark.parametrize(
    "column",
    [
        _dictionary(["red", "secret-value"], [0, 1]),
        _dictionary(["red", ""], [0, 1]),
        _dictionary(["red", "Red"], [0, 1]),
    ],
)
def test_values_outside_the_code_list(tmp_path: Path, column: pa.DictionaryArray) -> None:
    data = uploads.table(ROWS[:2])
    data = data.set_column(2, data.schema.field(2), column)
    reason, detail = _refusal(tmp_path, data)
    assert reason is Rejection.VALUE_OUTSIDE_DOMAIN
    assert detail == "attribute colour"


def _nullable(data: pa.Table, name: str, column: pa.Array) -> pa.Table:
    return data.set_column(data.schema.get_field_index(name), pa.field(name, column.type, nullable=True), column)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.drop_columns(["consent"]),
        lambda data: data.drop_columns(["expires"]),
        lambda data: data.append_column("email", pa.array(["ada@example.com"] * len(data))),
        lambda data: data.rename_columns(["token.email", "token.mail", *data.column_names[2:]]),
        lambda data: data.select([1, 0, *range(2, data.num_columns)]),
        lambda data: _nullable(data, "consent", pa.array([1] * len(data), pa.int16())),
        lambda data: _nullable(data, "consent", pa.array([None] * len(data), pa.uint8())),
        lambda data: _nullable(data, "token.email", pa.array([b"x" * 32] * len(data), pa.binary(32))),
        lambda data: _nullable(data, "token.email", pa.array([b"x" * 16] * len(data), pa.binary())),
        lambda data: _nullable(data, "measure.spend", pa.array([1.5] * len(data), pa.float64())),
        lambda data: _nullable(data, "attribute.colour", pa.array([1] * len(data), pa.int32())),
        lambda data: _nullable(data, "attribute.colour", pa.array([["red"]] * len(data))),
        lambda data: _nullable(data, "consent", pa.array([{"a": 1}] * len(data))),
        # Two spellings of one path: the nested column `colour` of `attribute`.
        lambda data: data.set_column(2, "attribute", pa.array([{"colour": "red"}] * len(data))),
        lambda data: data.set_column(2, "attribute", pa.array([{"colour": "red", "size": "red"}] * len(data))),
        lambda data: _nullable(data, "consent", pa.array([{"a": 1, "b": 2}] * len(data))),
    ],
)
def test_columns_that_are_not_the_manifests(tmp_path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    reason, detail = _refusal(tmp_path, change(uploads.table()))
    assert reason is Rejection.COLUMNS_MISMATCH
    assert "mail@" not in detail
    assert "token.mail" not in detail


def test_a_file_with_thousands_of_columns(tmp_path: Path) -> None:
    data = pa.table({f"column {number}": pa.array([1]) for number in range(5_000)})
    assert _refusal(tmp_path, data) == (Rejection.COLUMNS_MISMATCH, "the file has 5000 columns, not 6")


def test_too_many_row_groups(tmp_path: Path) -> None:
    path = uploads.write(tmp_path / "file", uploads.table(), row_group_size=1)
    with pytest.raises(Refused) as refused:
        _translate(tmp_path, path, len(ROWS), replace(LIMITS, row_groups=19))
    assert refused.value.why.reason is Rejection.TOO_LARGE


def test_another_number_of_rows_than_the_manifest_says(tmp_path: Path) -> None:
    path = uploads.write(tmp_path / "file", uploads.table())
    with pytest.raises(Refused) as refused:
        _translate(tmp_path, path, len(ROWS) + 1)
    assert refused.value.why == Rejected(Rejection.ROWS_MISMATCH, "the file has 20 rows, not 21")


@pytest.mark.parametrize("claimed", [19, 21])
def test_a_footer_that_lies_about_the_rows(tmp_path: Path, claimed: int) -> None:
    """FileMetaData.num_rows is field 3 of the footer, an i64: 0x16 and a zigzag varint, as is a row group's."""
    path = uploads.write(tmp_path / "file", uploads.table())
    data = path.read_bytes()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    honest, lie = bytes([0x16, 2 * len(ROWS)]), bytes([0x16, 2 * claimed])
    for number in range(data.count(honest, start)):
        place = start - 1
        for _ in range(number + 1):
            place = data.index(honest, place + 1)
        changed = data[:place] + lie + data[place + 2 :]
        path.write_bytes(changed)
        if pq.read_metadata(path).num_rows == claimed:
            break
    else:
        pytest.fail("the field was not found")
    with pytest.raises(Refused) as refused:
        _translate(tmp_path, path, claimed)
    assert refused.value.why.reason is Rejection.ROWS_MISMATCH


@pytest.mark.parametrize("index", [4, -1])
def test_an_index_outside_its_dictionary(tmp_path: Path, index: int) -> None:
    """Arrow decodes it without complaint; -1 would quietly be the last value of the code-list."""
    path = tmp_path / "file"
    rows = tuple(row(number) for number in range(1000))
    pq.write_table(uploads.table(rows), path, compression="none", write_statistics=False)
    data, column = path.read_bytes(), pq.read_metadata(path).row_group(0).column(2)
    # A page of indices: their width in bits, then here a run of 63 packed groups of 8 and the rest.
    page = data.index(b"\x02\x7f", column.data_page_offset)
    # Instead: 32 bits wide, one run of 1000 times the index.
    lie = b"\x20\xd0\x0f" + index.to_bytes(4, "little", signed=True)
    path.write_bytes(data[:page] + lie + data[page + len(lie) :])
    with pytest.raises(pa.ArrowInvalid, match="out of bounds"):
        _translate(tmp_path, path, len(rows))


def test_tokens_of_a_slice() -> None:
    tokens = pa.array([b"a" * 16, b"b" * 16, None], pa.binary(16)).slice(1)
    rekeyed, present = translate._tokens(tokens, Rekeyer(REKEY_KEY))
    assert rekeyed.tobytes() == Rekeyer(REKEY_KEY).tokens(b"b" * 16) + bytes(16)
    assert present.tolist() == [True, False]
    whole, _ = translate._tokens(tokens.slice(0, 1), Rekeyer(REKEY_KEY))
    assert whole.tobytes() == Rekeyer(REKEY_KEY).tokens(b"b" * 16)


def _good_file(tmp_path: Path) -> bytes:
    return uploads.write(tmp_path / "good", uploads.table()).read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: b"PAR1",
        lambda data: b"PAR1" + bytes(4) + b"PAR1",
        lambda data: b"email,phone\nada@example.com,\n",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data[1:],
        lambda data: data[:-8] + b"\xff\xff\xff\x7fPAR1",
        lambda data: data[:-8] + (5).to_bytes(4, "little") + b"PAR1",
        lambda data: data[:-4] + b"PARE",
    ],
)
def test_files_that_are_no_parquet(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "file"
    path.write_bytes(damage(_good_file(tmp_path)))
    with pytest.raises(Refused) as refused:
        _translate(tmp_path, path, len(ROWS))
    assert refused.value.why.reason is Rejection.NOT_PARQUET


def test_a_token_of_a_missing_row_is_not_stored(tmp_path: Path) -> None:
    path = uploads.write(tmp_path / "file", uploads.table((row(1, tokens={"phone": b"p" * 16}),)))
    columns = _translate(tmp_path, path, 1)
    assert not np.asarray(columns.tokens("email")).any()

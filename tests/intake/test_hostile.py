"""Parquet files that were made to do harm, byte by byte, through the real child: each ends as a refusal.

The service gets a documented reason and a hint that is safe to print, in bounded time; its own memory does not grow.
"""

import base64
import pickle
import resource
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cleanroom.intake.check import Accepted, check
from cleanroom.intake.limits import LIMITS
from cleanroom.intake.rejection import ADVICE, Rejection
from tests.intake import thrift, uploads
from tests.intake.thrift import BINARY, I32, I64, LIST, STRUCT, Parquet, page
from tests.intake.uploads import EXPECTED, REKEY_KEY, ROWS

NOT_PARQUET, BROKEN, COLUMNS = Rejection.NOT_PARQUET, Rejection.HOSTILE_OR_BROKEN_FILE, Rejection.COLUMNS_MISMATCH
ROWS_DIFFER, DOMAIN, TWICE = Rejection.ROWS_MISMATCH, Rejection.VALUE_OUTSIDE_DOMAIN, Rejection.TOKEN_TWICE
EMAIL, COLOUR, SPEND, CONSENT = 0, 2, 3, 4
BILLION = 10**9
SECONDS = 30
PARENT_BYTES = 64 * 2**20
CASES: dict[str, tuple[Callable[[Parquet, Path], Any], Rejection, int]] = {}


def case(reason: Rejection, rows: int = len(ROWS)) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers what a function makes of a good file; `rows`: what its manifest promises."""

    def register(make: Callable[..., Any]) -> Callable[..., Any]:
        CASES[make.__name__] = (make, reason, rows)
        return make

    return register


@case(NOT_PARQUET)
def footer_longer_than_the_file(file: Parquet, path: Path) -> None:
    data = file.write(path).read_bytes()
    path.write_bytes(data[:-8] + len(data).to_bytes(4, "little") + thrift.MAGIC)


@case(NOT_PARQUET)
def footer_of_four_gibibytes(file: Parquet, path: Path) -> None:
    path.write_bytes(file.write(path).read_bytes()[:-8] + b"\xff\xff\xff\xff" + thrift.MAGIC)


@case(NOT_PARQUET)
def footer_of_no_bytes(file: Parquet, path: Path) -> None:
    path.write_bytes(file.write(path).read_bytes()[:-8] + bytes(4) + thrift.MAGIC)


@case(NOT_PARQUET)
def footer_cut_in_the_middle(file: Parquet, path: Path) -> None:
    file.write(path, thrift.encode(file.footer)[:-200])


@case(NOT_PARQUET)
def footer_encrypted(file: Parquet, path: Path) -> None:
    path.write_bytes(file.write(path).read_bytes()[:-4] + b"PARE")


@case(NOT_PARQUET)
def list_of_two_billion_columns(file: Parquet, path: Path) -> None:
    file.write(path, bytes([0x29, 0xFC]) + thrift.varint(2**31 - 1))


@case(NOT_PARQUET)
def text_of_two_gibibytes(file: Parquet, path: Path) -> None:
    file.write(path, bytes([0x68]) + thrift.varint(2**31 - 1))


@case(NOT_PARQUET)
def structs_in_structs_a_million_deep(file: Parquet, path: Path) -> None:
    file.write(path, bytes([0xFC]) + bytes([0x1C]) * 10**6 + bytes(10**6 + 2))


@case(ROWS_DIFFER)
def more_rows_in_the_footer(file: Parquet, path: Path) -> None:
    file.footer[thrift.NUM_ROWS] = (I64, 2**62)


@case(ROWS_DIFFER)
def fewer_rows_than_none(file: Parquet, path: Path) -> None:
    file.footer[thrift.NUM_ROWS] = (I64, -1)


@case(ROWS_DIFFER)
def row_group_with_fewer_rows(file: Parquet, path: Path) -> None:
    file.groups[0][thrift.GROUP_ROWS] = (I64, 7)


@case(ROWS_DIFFER)
def row_group_with_a_billion_rows(file: Parquet, path: Path) -> None:
    file.groups[0][thrift.GROUP_ROWS] = (I64, BILLION)


@case(TWICE, 40)
def two_row_groups_of_the_same_bytes(file: Parquet, path: Path) -> None:
    file.groups.append(file.groups[0])
    file.footer[thrift.NUM_ROWS] = (I64, 40)


@case(Rejection.TOO_LARGE)
def more_row_groups_than_there_may_be(file: Parquet, path: Path) -> None:
    file.footer[thrift.ROW_GROUPS] = (
        LIST,
        (STRUCT, [thrift.encode(file.groups[0])] * (LIMITS.row_groups + 1)),
    )


@case(BROKEN)
def row_group_without_columns(file: Parquet, path: Path) -> None:
    file.groups[0][thrift.COLUMNS] = (LIST, (STRUCT, []))


@case(BROKEN)
def offset_before_the_file(file: Parquet, path: Path) -> None:
    file.meta(SPEND)[thrift.DATA_OFFSET] = (I64, -5000)
    file.meta(SPEND).pop(thrift.DICTIONARY_OFFSET, None)


@case(BROKEN)
def offset_behind_the_file(file: Parquet, path: Path) -> None:
    file.meta(SPEND)[thrift.DATA_OFFSET] = file.meta(SPEND)[thrift.DICTIONARY_OFFSET] = (I64, 2**40)


@case(BROKEN)
def column_of_a_negative_size(file: Parquet, path: Path) -> None:
    file.meta(EMAIL)[thrift.PACKED] = file.meta(EMAIL)[thrift.UNPACKED] = (I64, -1)


@case(BROKEN)
def column_larger_than_any_file(file: Parquet, path: Path) -> None:
    file.meta(EMAIL)[thrift.PACKED] = file.meta(EMAIL)[thrift.UNPACKED] = (I64, 2**62)


@case(BROKEN)
def codec_that_does_not_exist(file: Parquet, path: Path) -> None:
    file.meta(EMAIL)[thrift.CODEC] = (I32, 99)


@case(BROKEN)
def codec_that_is_another(file: Parquet, path: Path) -> None:
    file.meta(EMAIL)[thrift.CODEC] = (I32, 1)


@case(BROKEN)
def page_that_says_two_gibibytes(file: Parquet, path: Path) -> None:
    file.put_pages(CONSENT, page(b"1234", 20, 0, unpacked=2**31 - 1))
    file.meta(CONSENT)[thrift.CODEC] = (I32, 6)


@case(BROKEN)
def page_of_a_negative_size(file: Parquet, path: Path) -> None:
    file.put_pages(CONSENT, page(b"1234", 20, 0, unpacked=-1))


@case(BROKEN)
def page_of_a_negative_number_of_values(file: Parquet, path: Path) -> None:
    file.put_pages(CONSENT, page(bytes(80), -20, 0))


def _bomb(file: Parquet, codec: str, number: int, unpacked: int | None = None) -> None:
    """A column of one page: half a gibibyte of zeros, packed."""
    content = pa.Codec(codec).compress(bytes(2**29), asbytes=True)
    assert len(content) < 2**25
    file.put_pages(CONSENT, page(content, 2**27, 0, unpacked=2**29 if unpacked is None else unpacked))
    file.meta(CONSENT)[thrift.CODEC] = (I32, number)


@case(Rejection.BAD_CONSENT)
def zstd_that_unpacks_to_half_a_gibibyte(file: Parquet, path: Path) -> None:
    """Within the child's memory: it is refused for its first values, zeros."""
    _bomb(file, "zstd", 6)


@case(BROKEN)
def zstd_that_unpacks_to_more_than_it_says(file: Parquet, path: Path) -> None:
    _bomb(file, "zstd", 6, 80)


@case(BROKEN)
def snappy_that_unpacks_to_more_than_it_says(file: Parquet, path: Path) -> None:
    _bomb(file, "snappy", 1, 80)


def _one_colour(file: Parquet, times: int, rows: int) -> None:
    """A dictionary of one value, and a page of one run: two bytes and a number."""
    red = (3).to_bytes(4, "little") + b"red"
    file.put_pages(COLOUR, page(red, 1, 0, dictionary=True), page(b"\x01" + thrift.run(0, times, 1), rows, 8))
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)
    file.meta(COLOUR)[thrift.NUM_VALUES] = (I64, rows)


@case(ROWS_DIFFER)
def run_of_a_billion_colours(file: Parquet, path: Path) -> None:
    _one_colour(file, BILLION, BILLION)


@case(BROKEN, LIMITS.rows)
def run_of_fifty_million_colours_in_as_many_rows(file: Parquet, path: Path) -> None:
    """Every number of the footer agrees; only the pages of the other columns do not go so far."""
    _one_colour(file, LIMITS.rows, LIMITS.rows)
    for column in range(len(file.schema) - 1):
        file.meta(column)[thrift.NUM_VALUES] = (I64, LIMITS.rows)
    file.groups[0][thrift.GROUP_ROWS] = file.footer[thrift.NUM_ROWS] = (I64, LIMITS.rows)


@case(DOMAIN)
def run_of_a_billion_in_a_page_of_twenty(file: Parquet, path: Path) -> None:
    blue = (4).to_bytes(4, "little") + b"blue"
    file.put_pages(COLOUR, page(blue, 1, 0, dictionary=True), page(b"\x01" + thrift.run(0, BILLION, 1), BILLION, 8))
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)


@case(ROWS_DIFFER)
def run_of_a_billion_levels(file: Parquet, path: Path) -> None:
    file.put_pages(EMAIL, page(thrift.levels(BILLION), BILLION, 0))
    file.meta(EMAIL)[thrift.CODEC] = (I32, 0)
    file.meta(EMAIL)[thrift.NUM_VALUES] = (I64, BILLION)


@case(BROKEN)
def index_outside_its_dictionary(file: Parquet, path: Path) -> None:
    red = (3).to_bytes(4, "little") + b"red"
    file.put_pages(COLOUR, page(red, 1, 0, dictionary=True), page(b"\x20" + thrift.run(2**31 - 1, 20, 32), 20, 8))
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)


@case(BROKEN)
def dictionary_of_two_billion_values(file: Parquet, path: Path) -> None:
    file.put_pages(
        COLOUR, page(b"\x03\0\0\0red", 2**31 - 1, 0, dictionary=True), page(b"\x01" + thrift.run(0, 20, 1), 20, 8)
    )
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)


@case(DOMAIN)
def dictionary_with_a_value_of_megabytes(file: Parquet, path: Path) -> None:
    value = b"x" * 2**24
    content = len(value).to_bytes(4, "little") + value
    file.put_pages(COLOUR, page(content, 1, 0, dictionary=True), page(b"\x01" + thrift.run(0, 20, 1), 20, 8))
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)


@case(BROKEN)
def column_in_another_file(file: Parquet, path: Path) -> None:
    """It must not be read from there."""
    file.chunk(SPEND)[thrift.FILE_PATH] = (BINARY, b"/etc/passwd")


@case(COLUMNS)
def a_million_columns(file: Parquet, path: Path) -> None:
    leaf = thrift.encode({thrift.TYPE: (I32, 1), thrift.REPETITION: (I32, 0), thrift.NAME: (BINARY, b"a")})
    count = 10**6 - 1  # with the root a million, the most that Arrow takes of anything
    root = {thrift.NAME: (BINARY, b"schema"), thrift.CHILDREN: (I32, count)}
    file.footer[thrift.SCHEMA] = (LIST, (STRUCT, [root, *[leaf] * count]))
    file.footer.pop(thrift.ORDERS)
    file.footer[thrift.ROW_GROUPS] = (LIST, (STRUCT, []))


@case(NOT_PARQUET)
def groups_in_groups_a_hundred_thousand_deep(file: Parquet, path: Path) -> None:
    group = thrift.encode({thrift.REPETITION: (I32, 1), thrift.NAME: (BINARY, b"g"), thrift.CHILDREN: (I32, 1)})
    file.footer[thrift.SCHEMA] = (LIST, (STRUCT, [file.schema[0], *[group] * 10**5, *file.schema[1:]]))


def _nested(file: Parquet) -> None:
    """The column `token.email` becomes `email` in a struct `token`, which has the same path."""
    group = {thrift.REPETITION: (I32, 1), thrift.NAME: (BINARY, b"token"), thrift.CHILDREN: (I32, 1)}
    leaf = {**file.schema[1], thrift.NAME: (BINARY, b"email")}
    file.footer[thrift.SCHEMA] = (LIST, (STRUCT, [file.schema[0], group, leaf, *file.schema[2:]]))


@case(BROKEN)
def statistics_of_another_nesting(file: Parquet, path: Path) -> None:
    """Arrow ends the whole process over these."""
    _nested(file)


@case(COLUMNS)
def a_column_that_is_a_struct(file: Parquet, path: Path) -> None:
    _nested(file)
    for column in range(len(file.schema) - 2):
        file.meta(column).pop(thrift.STATISTICS, None)


@case(COLUMNS)
def a_column_that_is_a_list(file: Parquet, path: Path) -> None:
    file.schema[1][thrift.REPETITION] = (I32, 2)


@case(NOT_PARQUET)
def more_children_than_columns(file: Parquet, path: Path) -> None:
    file.schema[0][thrift.CHILDREN] = (I32, 2**31 - 1)


@case(COLUMNS)
def tokens_of_another_length(file: Parquet, path: Path) -> None:
    file.schema[1][thrift.TYPE_LENGTH] = (I32, 2**30)


@case(NOT_PARQUET)
def tokens_of_no_length(file: Parquet, path: Path) -> None:
    file.schema[1][thrift.TYPE_LENGTH] = (I32, 0)


@case(BROKEN)
def a_name_that_is_no_text(file: Parquet, path: Path) -> None:
    file.schema[1][thrift.NAME] = (BINARY, b"\xff\x1b[2J")


def _claim(file: Parquet, schema: pa.Schema) -> None:
    """Arrow's own schema, which the footer carries beside Parquet's; a reader takes types from it where they fit."""
    encoded = base64.b64encode(schema.serialize().to_pybytes())
    file.footer[thrift.KEY_VALUES] = (LIST, (STRUCT, [{1: (BINARY, b"ARROW:schema"), 2: (BINARY, encoded)}]))


def _as(kind: pa.DataType, column: int, metadata: dict[str, str] | None = None) -> pa.Schema:
    schema = uploads.table().schema
    return schema.set(column, pa.field(schema.names[column], kind, schema.field(column).nullable, metadata))


@case(COLUMNS)
def tokens_that_claim_to_be_an_extension(file: Parquet, path: Path) -> None:
    _claim(file, _as(pa.uuid(), EMAIL))


@case(COLUMNS)
def spend_that_claims_to_be_a_duration(file: Parquet, path: Path) -> None:
    _claim(file, _as(pa.duration("ns"), SPEND))


@case(NOT_PARQUET)
def an_arrow_schema_that_is_none(file: Parquet, path: Path) -> None:
    junk = base64.b64encode(b"\xff" * 2**20)
    file.footer[thrift.KEY_VALUES] = (LIST, (STRUCT, [{1: (BINARY, b"ARROW:schema"), 2: (BINARY, junk)}]))


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return uploads.write(tmp_path_factory.mktemp("good") / "file", uploads.table())


def made(name: str, good: Path, path: Path) -> Path:
    """The file of a case. What a function did not write itself is put together from what it changed."""
    file = Parquet.read(good)
    CASES[name][0](file, path)
    return path if path.exists() else file.write(path)


@pytest.mark.parametrize("name", CASES)
def test_a_hostile_file_is_refused(name: str, good: Path, tmp_path: Path) -> None:
    _, reason, rows = CASES[name]
    path = made(name, good, tmp_path / "file")
    signed = uploads.signed(path, rows)
    before, began = peak(), time.monotonic()
    outcome = check(path, signed, EXPECTED, REKEY_KEY, tmp_path / "staged", replace(LIMITS, wall_seconds=2 * SECONDS))
    assert not isinstance(outcome, Accepted)
    assert (outcome.reason, time.monotonic() - began < SECONDS) == (reason, True)
    assert outcome.detail.isprintable()
    assert len(outcome.detail) <= 200
    assert ADVICE[outcome.reason]
    assert peak() - before < PARENT_BYTES
    assert sorted(each.name for each in tmp_path.iterdir()) == ["file"]


def peak() -> int:
    """The most memory that this process ever had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_taken_apart_and_put_together_it_is_accepted(good: Path, tmp_path: Path) -> None:
    """The cases fail for what they change, not for how they are written."""
    file = Parquet.read(good)
    _one_colour(file, len(ROWS), len(ROWS))
    path = file.write(tmp_path / "file")
    assert isinstance(check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged"), Accepted)


def test_metadata_of_megabytes_is_ignored(good: Path, tmp_path: Path) -> None:
    file = Parquet.read(good)
    pairs = [thrift.encode({1: (BINARY, b"key"), 2: (BINARY, b"v" * 100)})] * 100_000
    file.footer[thrift.KEY_VALUES][1][1].extend(pairs)
    path = file.write(tmp_path / "file")
    assert isinstance(check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged"), Accepted)


def test_an_extension_type_that_would_run_something_does_not(good: Path, tmp_path: Path) -> None:
    """Older readers unpickled the description of such a type. The file is a good one otherwise."""
    file, ran = Parquet.read(good), tmp_path / "ran"
    pickled = f"cposix\nsystem\n(S'touch {ran}'\ntR."
    assert pickle.loads(pickled.replace("touch", "true").encode()) == 0, "it would run"
    name = {"ARROW:extension:name": "arrow.py_extension_type", "ARROW:extension:metadata": pickled}
    _claim(file, _as(pa.binary(16), EMAIL, name))
    path = file.write(tmp_path / "file")
    check(path, uploads.signed(path), EXPECTED, REKEY_KEY, tmp_path / "staged")
    assert not ran.exists()

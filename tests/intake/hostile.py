"""Parquet files that were made to do harm: footers, pages, codecs and dictionaries; each a case with its refusal."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from cleanroom.intake.limits import LIMITS
from cleanroom.intake.rejection import Rejection
from tests.intake import thrift
from tests.intake.thrift import BINARY, I32, I64, LIST, STRUCT, Parquet, page
from tests.intake.uploads import ROWS

NOT_PARQUET, BROKEN, COLUMNS = Rejection.NOT_PARQUET, Rejection.HOSTILE_OR_BROKEN_FILE, Rejection.COLUMNS_MISMATCH
ROWS_DIFFER, DOMAIN, TWICE = Rejection.ROWS_MISMATCH, Rejection.VALUE_OUTSIDE_DOMAIN, Rejection.TOKEN_TWICE
EMAIL, COLOUR, SPEND, CONSENT = 0, 2, 3, 4
BILLION = 10**9
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


def one_colour(file: Parquet, times: int, rows: int) -> None:
    """A dictionary of one value, and a page of one run: two bytes and a number."""
    red = (3).to_bytes(4, "little") + b"red"
    file.put_pages(COLOUR, page(red, 1, 0, dictionary=True), page(b"\x01" + thrift.run(0, times, 1), rows, 8))
    file.meta(COLOUR)[thrift.CODEC] = (I32, 0)
    file.meta(COLOUR)[thrift.NUM_VALUES] = (I64, rows)


@case(ROWS_DIFFER)
def run_of_a_billion_colours(file: Parquet, path: Path) -> None:
    one_colour(file, BILLION, BILLION)


@case(BROKEN, LIMITS.rows)
def run_of_fifty_million_colours_in_as_many_rows(file: Parquet, path: Path) -> None:
    """Every number of the footer agrees; only the pages of the other columns do not go so far."""
    one_colour(file, LIMITS.rows, LIMITS.rows)
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

"""Parquet files that were made to do harm: their schemas, Parquet's own and the one that Arrow puts beside it."""

import base64
from pathlib import Path

import pyarrow as pa

from tests.intake import thrift, uploads
from tests.intake.hostile import BROKEN, COLUMNS, EMAIL, NOT_PARQUET, SPEND, case
from tests.intake.thrift import BINARY, I32, LIST, STRUCT, Parquet


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


def claim(file: Parquet, schema: pa.Schema) -> None:
    """Arrow's own schema, which the footer carries beside Parquet's; a reader takes types from it where they fit."""
    encoded = base64.b64encode(schema.serialize().to_pybytes())
    file.footer[thrift.KEY_VALUES] = (LIST, (STRUCT, [{1: (BINARY, b"ARROW:schema"), 2: (BINARY, encoded)}]))


def column_as(kind: pa.DataType, column: int, metadata: dict[str, str] | None = None) -> pa.Schema:
    schema = uploads.table().schema
    return schema.set(column, pa.field(schema.names[column], kind, schema.field(column).nullable, metadata))


@case(COLUMNS)
def tokens_that_claim_to_be_an_extension(file: Parquet, path: Path) -> None:
    claim(file, column_as(pa.uuid(), EMAIL))


@case(COLUMNS)
def spend_that_claims_to_be_a_duration(file: Parquet, path: Path) -> None:
    claim(file, column_as(pa.duration("ns"), SPEND))


@case(NOT_PARQUET)
def an_arrow_schema_that_is_none(file: Parquet, path: Path) -> None:
    junk = base64.b64encode(b"\xff" * 2**20)
    file.footer[thrift.KEY_VALUES] = (LIST, (STRUCT, [{1: (BINARY, b"ARROW:schema"), 2: (BINARY, junk)}]))

"""Reads an audience file, checks every value, re-keys its tokens and writes an engine's columns. Runs in the child.

Rules: nothing in the file is believed. The footer's size is known before it is parsed, the schema is exactly the
manifest's before data is read, and row groups pass in batches of bounded size. Refusals are safe to print: they name
columns of the manifest, never of the file.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from cleanroom.engine.columns import Array, Columns, Meta, Writer
from cleanroom.engine.linking import repeats
from cleanroom.engine.rekey import Rekeyer
from cleanroom.intake.limits import Limits
from cleanroom.intake.rejection import Rejected, Rejection
from partners import audience
from partners.manifest import Manifest
from partners.protocol import TOKEN_BYTES
from policies.agreement import Attribute, Measure
from policies.question import AudienceRef

_MAGIC = b"PAR1"
_TAIL = 8  # the footer's length in 4 bytes, little-endian, and the magic


class Refused(Exception):
    """The file breaks a rule. `why` is the refusal."""

    def __init__(self, reason: Rejection, detail: str = "") -> None:
        super().__init__(reason.value)
        self.why = Rejected(reason, detail)


def meta_of(manifest: Manifest) -> Meta:
    """What an engine is told about the version that a manifest describes."""
    return Meta(
        manifest.collaboration,
        AudienceRef(manifest.partner, manifest.audience),
        manifest.epoch,
        manifest.rows,
        manifest.keys,
        manifest.attributes,
        manifest.measures,
        manifest.expires_column,
    )


def translate(path: Path, manifest: Manifest, rekeyer: Rekeyer, folder: Path, limits: Limits) -> int:
    """Writes the columns of a file into an empty folder; the number of rows. Raises `Refused`.

    A file that Arrow cannot decode raises whatever Arrow does; the child dies of it, and the parent says so.
    """
    meta = meta_of(manifest)
    with path.open("rb") as file:
        parquet = _open(file, manifest, limits)
        with Writer(folder, meta) as writer:
            rows = 0
            for batch in _batches(parquet, limits):
                rows += batch.num_rows
                _write(batch, manifest, rekeyer, writer)
            if rows != manifest.rows:
                raise Refused(Rejection.ROWS_MISMATCH, "the file has another number of rows than its own footer says")
    columns = Columns(folder, meta)
    for key in manifest.keys:
        if repeats(columns.tokens(key), columns.present(key)):
            raise Refused(Rejection.TOKEN_TWICE, f"match key {key}")
    return rows


def _open(file: Any, manifest: Manifest, limits: Limits) -> pq.ParquetFile:
    """The file as Parquet, with exactly the manifest's columns and number of rows."""
    _check_footer(file, limits)
    try:
        metadata = pq.read_metadata(file)
    except (pa.ArrowInvalid, OSError):
        raise Refused(Rejection.NOT_PARQUET, "its footer cannot be read") from None
    expected = audience.schema(manifest)
    if metadata.num_columns != len(expected):
        raise Refused(Rejection.COLUMNS_MISMATCH, f"the file has {metadata.num_columns} columns, not {len(expected)}")
    if metadata.num_row_groups > limits.row_groups:
        raise Refused(Rejection.TOO_LARGE, f"the file has more than {limits.row_groups} row groups")
    if metadata.num_rows != manifest.rows:
        raise Refused(Rejection.ROWS_MISMATCH, f"the file has {metadata.num_rows} rows, not {manifest.rows}")
    _check_row_groups(metadata)
    # A path with a dot more than the name is a nested column. Types come after names: reading by name needs the names.
    _check_same([metadata.schema.column(index).path for index in range(len(expected))], expected.names, expected)
    parquet = pq.ParquetFile(
        file,
        metadata=metadata,
        read_dictionary=[audience.attribute_column(item.name) for item in manifest.attributes],
        pre_buffer=False,
        buffer_size=2**16,
    )
    _check_same(list(parquet.schema_arrow.remove_metadata()), list(expected), expected)
    return parquet


def _check_row_groups(metadata: pq.FileMetaData) -> None:
    """Refuses numbers that contradict each other; Arrow would read what it can of them, and say nothing."""
    rows = 0
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        rows += group.num_rows
        for chunk in map(group.column, range(metadata.num_columns)):
            if chunk.file_path:
                raise Refused(Rejection.HOSTILE_OR_BROKEN_FILE, "it wants a column to be read from another file")
            if group.num_rows < 0 or chunk.num_values != group.num_rows:
                raise Refused(Rejection.ROWS_MISMATCH, "a column of a row group has another number of values than rows")
    if rows != metadata.num_rows:
        raise Refused(Rejection.ROWS_MISMATCH, "the row groups have another number of rows than the footer says")


def _check_same(found: Sequence[object], right: Sequence[object], expected: pa.Schema) -> None:
    """Refuses the file at the first column that is not as it should be."""
    for number, (one, other) in enumerate(zip_longest(found, right), start=1):
        if one != other:
            name = expected.names[number - 1]
            raise Refused(Rejection.COLUMNS_MISMATCH, f"column {number} has to be {name}, of the type in the protocol")


def _check_footer(file: Any, limits: Limits) -> None:
    head = file.read(len(_MAGIC))
    size = file.seek(0, 2)
    file.seek(max(size - _TAIL, 0))
    tail = file.read(_TAIL)
    file.seek(0)
    if size < 2 * _TAIL or head != _MAGIC or tail[4:] != _MAGIC:
        raise Refused(Rejection.NOT_PARQUET, "it does not begin and end as one")
    if int.from_bytes(tail[:4], "little") > min(limits.footer_bytes, size):
        raise Refused(Rejection.NOT_PARQUET, "its footer is longer than a footer can be")


def _batches(parquet: pq.ParquetFile, limits: Limits) -> Iterator[pa.RecordBatch]:
    for batch in parquet.iter_batches(batch_size=limits.batch_rows, use_threads=False):
        # Arrow decodes without checking everything: an index may point outside its dictionary until this has passed.
        batch.validate(full=True)
        yield batch


def _write(batch: pa.RecordBatch, manifest: Manifest, rekeyer: Rekeyer, writer: Writer) -> None:
    """Checks the rows of one batch and writes them."""
    any_token = np.zeros(batch.num_rows, np.bool_)
    for key in manifest.keys:
        tokens, present = _tokens(batch.column(audience.token_column(key)), rekeyer)
        any_token |= present
        writer.append(f"token.{key}", tokens)
        writer.append(f"present.{key}", present)
    if not any_token.all():
        raise Refused(Rejection.ROW_WITHOUT_TOKEN)
    for attribute in manifest.attributes:
        codes = _codes(batch.column(audience.attribute_column(attribute.name)), attribute)
        writer.append(f"attribute.{attribute.name}", codes)
    for measure in manifest.measures:
        values, measured = _amounts(batch.column(audience.measure_column(measure.name)), measure)
        writer.append(f"measure.{measure.name}", values)
        writer.append(f"measured.{measure.name}", measured)
    writer.append("consent", _consent(batch.column(audience.CONSENT)))
    if manifest.expires_column:
        writer.append("expires", _expires(batch.column(audience.EXPIRES)))


def _tokens(column: pa.Array, rekeyer: Rekeyer) -> tuple[Array, Array]:
    present = _there(column)
    filled = column.fill_null(bytes(TOKEN_BYTES))
    start = filled.offset * TOKEN_BYTES
    plain = memoryview(filled.buffers()[1]).cast("B")[start : start + len(filled) * TOKEN_BYTES]
    tokens = np.frombuffer(rekeyer.tokens(plain), np.uint8).reshape(-1, TOKEN_BYTES)
    return tokens * present[:, np.newaxis], present


def _codes(column: pa.DictionaryArray, attribute: Attribute) -> Array:
    # In the dictionary's own terms, so that a value of the file is never made into a Python string.
    places = pc.index_in(column.dictionary, value_set=pa.array(attribute.domain, pa.string()))
    if column.null_count or places.null_count:
        raise Refused(Rejection.VALUE_OUTSIDE_DOMAIN, f"attribute {attribute.name}")
    codes: Array = places.to_numpy()[column.indices.to_numpy()].astype(np.uint16)
    return codes


def _amounts(column: pa.Array, measure: Measure) -> tuple[Array, Array]:
    there = _there(column)
    values: Array = column.fill_null(0).to_numpy()
    if (there & ((values < measure.lower) | (values > measure.upper))).any():
        raise Refused(Rejection.MEASURE_OUT_OF_BOUNDS, f"measure {measure.name}")
    return values, there


def _consent(column: pa.Array) -> Array:
    mask: Array = column.fill_null(0).to_numpy()
    if ((mask < 1) | (mask > 15)).any():
        raise Refused(Rejection.BAD_CONSENT, "a row consents to nothing, or to purposes that do not exist")
    return mask


def _expires(column: pa.Array) -> Array:
    if column.null_count:
        raise Refused(Rejection.BAD_CONSENT, "a row lacks its expiry date")
    days: Array = column.view(pa.int32()).to_numpy()
    return days


def _there(column: pa.Array) -> Array:
    there: Array = column.is_valid().to_numpy(zero_copy_only=False)
    return there

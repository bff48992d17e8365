"""Parquet, by row groups, only the wanted columns, each as text.

Rules, by the column's type:
* Text as it is, and it is UTF-8; whole numbers in digits; `true` / `false`; dates and times in ISO 8601, those with a
  zone in UTC; decimals as written; dictionaries by their values; nulls blank.
* Floating-point numbers as Arrow prints them (`12.5`, `612345678`, `1e+20`).
* Numbers have a decimal point, whatever the map says of decimals; the chunk names their columns.
* A column of identifiers is exact or refused. Floating-point numbers have lost leading zeros or digits without a trace;
  decimals are taken where each of them is whole, and written so; a time with a zone may be of another day in UTC.
* Bytes, times of day, durations, lists and structures are refused.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partners.reading.chunk import CHUNK_ROWS, BadFile, Chunk, Progress, positions
from partners.reading.strip import stripped

_WHOLE = pa.decimal256(76, 0)
_AS_TEXT = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_boolean,
    pa.types.is_date,
    pa.types.is_timestamp,
    pa.types.is_decimal,
    pa.types.is_null,
)


def read_parquet(
    path: Path, names: tuple[str, ...], identifiers: frozenset[str], progress: Progress
) -> Iterator[Chunk]:
    """The rows of a Parquet file. Raises `BadFile` and OSError."""
    total = path.stat().st_size
    try:
        with path.open("rb") as raw, pq.ParquetFile(raw) as file:
            schema = file.schema_arrow
            headers = [schema.names[position] for position in positions(names, schema.names, path.name)]
            kinds = [_kind(schema.field(header).type) for header in headers]
            for name, kind in zip(names, kinds, strict=True):
                _check_type(kind, name, name in identifiers, path.name)
            numbers = frozenset(name for name, kind in zip(names, kinds, strict=True) if _is_number(kind))
            done = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=headers):
                lines = range(done + 1, done + 1 + batch.num_rows)
                done += batch.num_rows
                columns = tuple(
                    _texts(batch.column(header), name, name in identifiers, path.name)
                    for name, header in zip(names, headers, strict=True)
                )
                progress(total * done // file.metadata.num_rows, total)
                yield Chunk(lines, names, columns, numbers)
    except pa.ArrowException:
        raise BadFile(f"{path.name} is not a Parquet file, or a damaged one") from None


def _kind(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _check_type(kind: pa.DataType, name: str, identifier: bool, file: str) -> None:
    if not any(fits(kind) for fits in _AS_TEXT):
        raise BadFile(f"{file}: column {name} is not text, a number, a date or true/false; write it as text")
    if identifier and pa.types.is_floating(kind):
        raise BadFile(f"{file}: column {name} holds identifiers as floating-point numbers; write it as text")
    if identifier and pa.types.is_timestamp(kind) and kind.tz is not None:
        raise BadFile(
            f"{file}: column {name} holds times with a time zone, whose day depends on the zone; write it as a date"
        )


def _texts(column: pa.Array, name: str, identifier: bool, file: str) -> pa.StringArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if identifier and pa.types.is_decimal(column.type):
        try:
            column = column.cast(_WHOLE)
        except pa.ArrowInvalid:
            raise BadFile(
                f"{file}: column {name} holds identifiers as decimal numbers with a fraction; write it as text"
            ) from None
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        # What is stored is UTC. Arrow would ask a database of time zones to print it, which not every machine has.
        in_utc = column.view(pa.timestamp(column.type.unit)).cast(pa.string())
        texts = pc.binary_join_element_wise(in_utc, "Z", "")
    else:
        texts = column.cast(pa.string())
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raise BadFile(f"{file}: column {name} holds text that is not UTF-8; write the file again, as UTF-8") from None
    return stripped(pc.fill_null(texts, ""))

"""Parquet, by row groups, only the wanted columns, each as text.

Rules, by the column's type:
* Text as it is; whole numbers in digits; `true` / `false`; dates and times in ISO 8601, those with a zone in UTC;
  decimals as written; dictionaries by their values; nulls blank.
* Floating-point numbers as Arrow prints them (`12.5`, `612345678`, `1e+20`), but never in a column of identifiers: a
  number of that kind has lost leading zeros or digits without a trace.
* Bytes, times of day, durations, lists and structures are refused.
"""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from partners.reading.chunk import CHUNK_ROWS, BadFile, Chunk, Progress, positions
from partners.reading.strip import stripped

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
            for name, header in zip(names, headers, strict=True):
                _check_type(schema.field(header).type, name, name in identifiers, path.name)
            done = 0
            for batch in file.iter_batches(CHUNK_ROWS, columns=headers):
                lines = range(done + 1, done + 1 + batch.num_rows)
                done += batch.num_rows
                columns = tuple(_texts(batch.column(header)) for header in headers)
                progress(total * done // file.metadata.num_rows, total)
                yield Chunk(lines, names, columns)
    except pa.ArrowException:
        raise BadFile(f"{path.name} is not a Parquet file, or a damaged one") from None


def _check_type(kind: pa.DataType, name: str, identifier: bool, file: str) -> None:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if not any(fits(kind) for fits in _AS_TEXT):
        raise BadFile(f"{file}: column {name} is not text, a number, a date or true/false; write it as text")
    if identifier and pa.types.is_floating(kind):
        raise BadFile(f"{file}: column {name} holds identifiers as floating-point numbers; write it as text")


def _texts(column: pa.Array) -> pa.StringArray:
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_timestamp(column.type) and column.type.tz is not None:
        column = column.cast(pa.timestamp(column.type.unit, "UTC"))
    return stripped(pc.fill_null(column.cast(pa.string()), ""))

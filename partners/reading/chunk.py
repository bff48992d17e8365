"""What every reader takes and gives."""

import gzip
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

CHUNK_ROWS = 50_000
COMPRESSED = frozenset({".gz", ".zst"})

_SEEMS_A_VALUE = re.compile(r"@|(?:[0-9][^0-9]?){6}")

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


class BadFile(ValueError):
    """A customer file that cannot be used; the message is one line and safe to print."""


class NoRows(BadFile):
    """A file without a row. One of several in a folder may be so."""


@dataclass(frozen=True, slots=True)
class Source:
    """A customer file and how it is written. `encoding` and `delimiter` count for CSV; None: found from the header."""

    path: Path
    encoding: str = "utf-8"
    delimiter: str | None = None

    @property
    def compressed(self) -> bool:
        return self.path.suffix.lower() in COMPRESSED

    @contextmanager
    def opened(self) -> "Iterator[tuple[IO[bytes], Callable[[], int]]]":
        """Its bytes, unpacked, and how many bytes of the file itself were read. Raises OSError, EOFError."""
        with self.path.open("rb") as raw:
            if not self.compressed:
                yield raw, raw.tell
            elif self.path.suffix.lower() == ".gz":
                with gzip.open(raw) as unpacked:
                    yield unpacked, raw.tell  # type: ignore[misc]  # a GzipFile is what TextIOWrapper needs
            else:
                with pa.CompressedInputStream(raw, "zstd") as stream:
                    yield stream, raw.tell


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a customer file, by columns: `columns[i]` are the texts of column `names[i]`, one for each line.

    `lines`: in a CSV file the line on which a row begins, the header being line 1; in a Parquet file the row, from 1.
    A column is a list or an Arrow array of strings without nulls. `numbers`: the columns that the file itself holds as
    numbers; their texts have a decimal point, whatever its map says.
    """

    lines: Sequence[int] | NDArray[np.int64]
    names: tuple[str, ...]
    columns: tuple[Any, ...]
    numbers: frozenset[str] = frozenset()

    def column(self, name: str) -> list[str]:
        column = self.columns[self.names.index(name)]
        return column if isinstance(column, list) else column.to_pylist()

    def array(self, name: str) -> pa.StringArray | list[str]:
        """The column as an Arrow array; as a list where a text cannot be written as UTF-8."""
        column = self.columns[self.names.index(name)]
        if not isinstance(column, list):
            return column
        try:
            return pa.array(column, pa.string())
        except UnicodeEncodeError:  # a lone surrogate
            return column

    def moved(self, by: int) -> "Chunk":
        """The same rows, `by` lines further on."""
        return replace(self, lines=np.asarray(self.lines, np.int64) + by) if by else self

    def after(self, line: int) -> "Chunk | None":
        """The rows behind a line; None where there is none."""
        first = int(np.searchsorted(self.lines, line, side="right"))
        if first == len(self.lines):
            return None
        columns = tuple(column[first:] for column in self.columns)
        return replace(self, lines=self.lines[first:], columns=columns) if first else self

    def distinct(self, name: str) -> tuple[list[str], NDArray[np.int64]]:
        """The different texts of a column, and which of them stands in each row."""
        column = self.array(name)
        if isinstance(column, list):
            codes: dict[str, int] = {}
            each = [codes.setdefault(text, len(codes)) for text in column]
            return list(codes), np.array(each, np.int64)
        encoded = column.dictionary_encode()
        return encoded.dictionary.to_pylist(), encoded.indices.to_numpy().astype(np.int64)


def positions(names: Sequence[str], header: Sequence[str], file: str) -> list[int]:
    """Where each wanted column stands in the header. Raises `BadFile` for one that is not there, or there twice."""
    trimmed = [" ".join(each.split()) for each in header]
    for name in names:
        if name not in trimmed:
            raise BadFile(f"{file} has no column {name}; {_what_it_has(trimmed, names)}")
        if trimmed.count(name) > 1:
            raise BadFile(f"{file} has several columns {name}; give each a header of its own")
    return [trimmed.index(name) for name in names]


def _what_it_has(header: list[str], names: Sequence[str]) -> str:
    """The header, unless it may be the first row of a file without headers, and so somebody's data."""
    if any(map(_SEEMS_A_VALUE.search, header)):
        return "its first line seems to hold values, not headers; put the names of the columns there"
    if not {each.casefold() for each in names} & {each.casefold() for each in header}:
        hint = "" if len(header) > 1 else ", or state their `delimiter`"
        return f"its first line has none of the names {', '.join(names)}; put the names of the columns there{hint}"
    return f"it has: {', '.join(header)}"

"""What every reader takes and gives."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

CHUNK_ROWS = 50_000

_SEEMS_A_VALUE = re.compile(r"@|(?:[0-9][^0-9]?){6}")

Progress = Callable[[int, int], None]
"""Called with the bytes done and the bytes in all."""


class BadFile(ValueError):
    """A customer file that cannot be used; the message is one line and safe to print."""


@dataclass(frozen=True, slots=True)
class Source:
    """A customer file and how it is written. `encoding` and `delimiter` count for CSV; None: found from the header."""

    path: Path
    encoding: str = "utf-8"
    delimiter: str | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows of a customer file, by columns: `columns[i]` are the texts of column `names[i]`, one for each line.

    `lines`: in a CSV file the line on which a row begins, the header being line 1; in a Parquet file the row, from 1.
    """

    lines: Sequence[int]
    names: tuple[str, ...]
    columns: tuple[Sequence[str], ...]

    def column(self, name: str) -> Sequence[str]:
        return self.columns[self.names.index(name)]


def positions(names: Sequence[str], header: Sequence[str], file: str) -> list[int]:
    """Where each wanted column stands in the header. Raises `BadFile` for one that is not there, or there twice."""
    trimmed = [" ".join(each.split()) for each in header]
    for name in names:
        if name not in trimmed:
            raise BadFile(f"{file} has no column {name}; {_what_it_has(trimmed)}")
        if trimmed.count(name) > 1:
            raise BadFile(f"{file} has several columns {name}; give each a header of its own")
    return [trimmed.index(name) for name in names]


def _what_it_has(header: list[str]) -> str:
    if any(map(_SEEMS_A_VALUE.search, header)):  # a file without headers: its first line is somebody's data
        return "its first line seems to hold values, not headers; put the names of the columns there"
    hint = "" if len(header) > 1 else "; if these are several columns, state their `delimiter`"
    return f"it has: {', '.join(header)}{hint}"

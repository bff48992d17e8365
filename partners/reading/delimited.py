"""CSV and its relatives, strictly.

Rules:
* UTF-8, with or without a byte order mark, unless the map states another encoding; bytes that do not fit it, and NULs,
  stop the run (see `encoding`).
* The delimiter is the map's, or the one that Excel's own first line names, or the candidate that finds the most wanted
  columns in the header, then the most columns at all.
* Every row has as many fields as the header; quotes are closed; a value has at most 131,072 characters (the csv
  module's own limit, which also bounds what an unclosed quote can swallow). Lines that are blank are skipped; one
  without end is refused.
"""

import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from partners.reading.chunk import CHUNK_ROWS, BadFile, Chunk, NoRows, Progress, Source, positions
from partners.reading.encoding import bounded, decoded, named_by_nul, refuse_other_kinds, undecodable

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t", "|")
MAX_HEADER_LINES = 100
_NAMED_DELIMITER = re.compile(r'"?sep=([^\r\n"])"?[\r\n]*', re.IGNORECASE)
MARK = "\ufeff"


def read_delimited(source: Source, names: tuple[str, ...], progress: Progress) -> Iterator[Chunk]:
    """The rows of a delimited file. Raises `BadFile` and OSError."""
    try:
        yield from _chunks(source, names, progress)
    except UnicodeError:
        raise undecodable(source) from None


def _chunks(source: Source, names: tuple[str, ...], progress: Progress) -> Iterator[Chunk]:
    file, total = source.path.name, source.path.stat().st_size
    refuse_other_kinds(source)
    with source.opened() as (raw, read), decoded(raw, source.encoding, file) as text:
        lines = without_nul(text, file)
        first, named = first_record(lines, file)
        delimiter = source.delimiter or named or choose_delimiter(first, names)
        reader = csv.reader(chain(first, lines), delimiter=delimiter, strict=True, skipinitialspace=True)
        header = next(records(reader, None, file), None)
        if header is None:
            raise NoRows(f"{file} is empty")
        wanted = positions(names, header[1], file)
        rows = records(reader, len(header[1]), file)
        while batch := list(islice(rows, CHUNK_ROWS)):
            columns = tuple([row[position].strip() for _, row in batch] for position in wanted)
            progress(read(), total)
            yield Chunk([line for line, _ in batch], names, columns)


def records(reader: "Reader", width: int | None, file: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are left, each with the line on which it begins; `width` None: any number of fields."""
    line = reader.line_num + 1
    while True:
        try:
            row = next(reader, None)
        except csv.Error:
            raise BadFile(
                f"{file}, line {line}: a quoted value is not closed, has text after its closing quote, "
                "or is longer than 131,072 characters"
            ) from None
        if row is None:
            return
        blank = not row or (len(row) == 1 and width != 1 and not row[0].strip())
        if not blank:
            if width is not None and len(row) != width:
                raise BadFile(f"{file}, line {line}: the row has {len(row)} fields and the header {width}")
            yield line, row
        line = reader.line_num + 1


def first_record(lines: Iterator[str], file: str) -> tuple[list[str], str | None]:
    """The lines up to the end of the header: blank ones, then one, or more where a quoted header spans lines.

    And the delimiter that Excel names on a line of its own before the header, `sep=;`. That line becomes a blank one.
    """
    taken: list[str] = []
    named = None
    for line in islice(lines, MAX_HEADER_LINES):
        if not taken and (match := _NAMED_DELIMITER.fullmatch(line)):
            named = match[1]
            taken.append("\n")
            continue
        taken.append(line)
        if line.strip() and sum(each.count('"') for each in taken) % 2 == 0:
            return taken, named
    if any(line.strip() for line in taken):
        raise BadFile(f"{file}, line 1: a quoted header is not closed")
    raise NoRows(f"{file} is empty")


def choose_delimiter(first: list[str], names: tuple[str, ...]) -> str:
    def found(delimiter: str) -> tuple[int, int]:
        try:
            rows = list(csv.reader(first, delimiter=delimiter, strict=True, skipinitialspace=True))
        except csv.Error:
            return (-1, 0)
        header = {field.strip() for field in rows[-1]}
        return (len(header.intersection(names)), len(header))

    return max(DELIMITERS, key=found)


def without_nul(text: io.TextIOWrapper, file: str) -> Iterator[str]:
    """The lines of a text, the first one without a byte order mark that the decoder left."""
    for number, line in enumerate(bounded(text, file), start=1):
        nul = line.find("\0")
        if nul >= 0:
            other = named_by_nul(line, text.encoding) if number == 1 else None
            hint = f'the `encoding` may be "{other}", or ' if other else ""
            raise BadFile(f"{file}, line {number}: a NUL character; {hint}this is no CSV")
        yield line.removeprefix(MARK) if number == 1 else line

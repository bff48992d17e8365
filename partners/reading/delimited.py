"""CSV and its relatives, strictly.

Rules:
* UTF-8, with or without a byte order mark, unless the map states another encoding; bytes that do not fit it, and NULs,
  stop the run.
* The delimiter is the candidate that finds the most wanted columns in the header, then the most columns at all.
* Every row has as many fields as the header; quotes are closed; a value has at most 131,072 characters (the csv
  module's own limit, which also bounds what an unclosed quote can swallow). Lines that are blank are skipped.
"""

import codecs
import csv
import io
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING

from partners.reading.chunk import CHUNK_ROWS, BadFile, Chunk, Progress, Source, positions

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = (",", ";", "\t", "|")
MAX_HEADER_LINES = 100
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def read_delimited(source: Source, names: tuple[str, ...], progress: Progress) -> Iterator[Chunk]:
    """The rows of a delimited file. Raises `BadFile` and OSError."""
    try:
        yield from _chunks(source, names, progress)
    except UnicodeError:
        raise BadFile(
            f"{source.path.name}, line {_undecodable_line(source)}: bytes that are not {source.encoding}; "
            'state the `encoding` of the file, such as "windows-1252" or "utf-16"'
        ) from None


def _chunks(source: Source, names: tuple[str, ...], progress: Progress) -> Iterator[Chunk]:
    file, total = source.path.name, source.path.stat().st_size
    with source.opened() as (raw, read), io.TextIOWrapper(raw, encoding=codec(source.encoding), newline="") as text:
        lines = without_nul(text, file)
        first = first_record(lines, file)
        delimiter = source.delimiter or choose_delimiter(first, names)
        reader = csv.reader(chain(first, lines), delimiter=delimiter, strict=True, skipinitialspace=True)
        header = next(records(reader, None, file), None)
        if header is None:
            raise BadFile(f"{file} is empty")
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


def first_record(lines: Iterator[str], file: str) -> list[str]:
    """The lines up to the end of the header: blank ones, then one, or more where a quoted header spans lines."""
    taken: list[str] = []
    for line in islice(lines, MAX_HEADER_LINES):
        taken.append(line)
        if line.strip() and sum(each.count('"') for each in taken) % 2 == 0:
            return taken
    if any(line.strip() for line in taken):
        raise BadFile(f"{file}, line 1: a quoted header is not closed")
    raise BadFile(f"{file} is empty")


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
    for number, line in enumerate(text, start=1):
        if "\0" in line:
            raise BadFile(f'{file}, line {number}: a NUL character; the `encoding` may be "utf-16", or this is no CSV')
        yield line


def codec(encoding: str) -> str:
    """The encoding, with a byte order mark allowed where it is UTF-8."""
    name = codecs.lookup(encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def _undecodable_line(source: Source) -> int:
    """The line that cannot be decoded. A second pass: the first one decodes ahead of the line that it is on."""
    try:
        with (
            source.opened() as (raw, _),
            io.TextIOWrapper(raw, encoding=codec(source.encoding), errors="replace", newline="") as text,
        ):
            return next((number for number, line in enumerate(text, start=1) if _REPLACEMENT in line), 1)
    except UnicodeError:  # UTF-16 without its mark
        return 1

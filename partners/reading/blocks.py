"""A large CSV file in blocks of bytes that can be read apart, in any process.

Rules:
* For UTF-8 files of the usual form. Whatever is unusual about a file or a block leaves it to `read_delimited`, which
  reads from the start, says what is wrong and on which line, or finds that nothing is.
* A block begins where a row begins and ends where one ends. Inside a block, Arrow's reader is trusted where quotes and
  line ends are regular, as it then gives the rows that the csv module gives; otherwise the csv module reads the block,
  and it must end outside quotes. So each block that is read proves that the next one begins at a row.
* The line of every row is known, quoted line ends and blank lines counted.
"""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv

from partners.reading.chunk import BadFile, Chunk, Source, positions
from partners.reading.delimited import choose_delimiter, first_record, records, without_nul
from partners.reading.encoding import codec
from partners.reading.strip import stripped

BLOCK_BYTES = 768 * 1024
MAX_BLOCK_BYTES = 16 * 1024 * 1024
MAX_LINE_BYTES = 131_072  # of the csv module, for one value
_BOM = "\ufeff".encode()
_NEWLINE, _RETURN, _QUOTE = b'\n\r"'


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a file are written, and which columns of them are wanted; rows begin at the byte `start`."""

    path: Path
    delimiter: str
    width: int
    names: tuple[str, ...]
    places: tuple[int, ...]
    start: int
    first_line: int


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows of a file: its bytes from `start` to `end`, and its lines from `first_line` to before `next_line`."""

    start: int
    end: int
    first_line: int
    next_line: int


def layout(source: Source, names: tuple[str, ...], before: int = 0) -> Layout | None:
    """The layout of a file, None where it is not for blocks. A file that cannot be read has none.

    `before`: the lines of the files before it, which are counted on.
    """
    if source.compressed or codec(source.encoding) not in ("utf-8-sig", "ascii"):
        return None
    try:
        with source.path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            first, named = first_record(without_nul(text, ""), "")
        if named is not None:
            return None
        delimiter = source.delimiter or choose_delimiter(first, names)
        reader = csv.reader(first, delimiter=delimiter, strict=True, skipinitialspace=True)
        header = [row for _, row in records(reader, None, "")]
        if len(header) != 1 or reader.line_num != len(first) or not delimiter.isascii():
            return None
        if not first[-1].endswith("\n"):
            return None
        places = tuple(positions(names, header[0], ""))
        with source.path.open("rb") as raw:
            head = raw.read(2 * len(_BOM))
        if head == 2 * _BOM:
            return None
        start = len("".join(first).encode()) + (len(_BOM) if head.startswith(_BOM) else 0)
    except (BadFile, OSError, UnicodeError):
        return None
    return Layout(source.path, delimiter, len(header[0]), names, places, start, before + len(first) + 1)


def blocks(of: Layout) -> Iterator[Block]:
    """The blocks of a file, in order; they end early where no end of a row is found. Raises OSError."""
    with of.path.open("rb") as file:
        file.seek(of.start)
        rest, start, line = b"", of.start, of.first_line
        while True:
            wanted = max(BLOCK_BYTES, 2 * len(rest)) - len(rest)
            data = file.read(wanted)
            rest += data
            if not rest:
                return
            cut = _end_of_a_row(rest) if len(data) == wanted else len(rest)
            if cut:
                found = rest if cut == len(rest) else rest[:cut]
                rest = rest[cut:]
                next_line = line + _line_ends(found)
                yield Block(start, start + cut, line, next_line)
                start, line = start + cut, next_line
            elif len(rest) > MAX_BLOCK_BYTES:
                return


def read_block(of: Layout, block: Block) -> Chunk | None:
    """The rows of a block, None where the whole file has to be read in order."""
    try:
        with of.path.open("rb") as file:
            file.seek(block.start)
            data = file.read(block.end - block.start)
    except OSError:
        return None
    if len(data) != block.end - block.start or b"\0" in data:
        return None
    return _regular(data, of, block) or _any(data, of, block)


def _end_of_a_row(data: bytes) -> int:
    """Behind the last line end that has an even number of quotes before it; 0 where there is none."""
    cut = data.rfind(b"\n") + 1
    if b'"' not in data:
        return cut
    quotes = data.count(b'"', 0, cut)
    while quotes % 2:
        previous = data.rfind(b"\n", 0, cut - 1) + 1
        quotes -= data.count(b'"', previous, cut)
        cut = previous
    return cut


def _line_ends(data: bytes) -> int:
    """How many lines end, as Python reads text: at `\\n`, `\\r` or `\\r\\n`."""
    ends = data.count(b"\n")
    return ends + data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else ends


def _regular(data: bytes, of: Layout, block: Block) -> Chunk | None:
    """The rows by Arrow's reader; None where it may not be trusted."""
    if data.count(b"\r") != data.count(b"\r\n") or not _is_utf8(data):
        return None
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == _NEWLINE)
    lengths = np.diff(ends, prepend=-1)
    if int(lengths.max(initial=0)) > MAX_LINE_BYTES or len(data) - int(ends[-1] if len(ends) else 0) > MAX_LINE_BYTES:
        return None
    if b'"' in data and not _quotes_are_regular(array, ord(of.delimiter)):
        return None
    names = [str(place) for place in range(of.width)]
    wanted = [str(place) for place in of.places]
    try:
        table = pc_csv.read_csv(
            pa.BufferReader(data),
            pc_csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=names),
            pc_csv.ParseOptions(delimiter=of.delimiter, newlines_in_values=True),
            pc_csv.ConvertOptions(
                include_columns=wanted, column_types=dict.fromkeys(wanted, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return None
    rows = len(ends) + (not data.endswith(b"\n"))
    if table.num_rows != rows:  # a blank line, or a quoted line end: rows and lines are not the same
        return None
    columns = tuple(stripped(table.column(name).combine_chunks()) for name in wanted)
    return Chunk(np.arange(block.first_line, block.first_line + rows), of.names, columns)


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _quotes_are_regular(array: np.ndarray[tuple[int], np.dtype[np.uint8]], delimiter: int) -> bool:
    """Whether every quote opens a value, closes one, or stands twice for one inside a quoted value."""
    places = np.flatnonzero(array == _QUOTE)
    if len(places) % 2:
        return False
    opening, closing = places[0::2], places[1::2]
    before = np.concatenate([[_NEWLINE], array])[opening]
    after = np.concatenate([array, [_NEWLINE]])[closing + 1]
    twice = closing[:-1] + 1 == opening[1:]
    opens = (before == delimiter) | (before == _NEWLINE)
    closes = (after == delimiter) | (after == _NEWLINE) | (after == _RETURN)
    opens[1:] |= twice
    closes[:-1] |= twice
    return bool(opens.all() and closes.all())


def _any(data: bytes, of: Layout, block: Block) -> Chunk | None:
    """The rows by the csv module; None where anything is wrong with them."""
    try:
        lines = io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", newline="")
        reader = csv.reader(lines, delimiter=of.delimiter, strict=True, skipinitialspace=True)
        found = list(records(reader, of.width, ""))
    except (BadFile, UnicodeError):
        return None
    columns = tuple([row[place].strip() for _, row in found] for place in of.places)
    return Chunk([line + block.first_line - 1 for line, _ in found], of.names, columns)

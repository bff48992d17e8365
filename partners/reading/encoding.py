"""Which encoding a file is in: what its map states, held to what its bytes look like.

Rules:
* UTF-8 may begin with a byte order mark, UTF-16 begins with one; `utf-16-le` and `utf-16-be` have none.
* Every byte is some character of a single-byte encoding. So bytes that are UTF-8 are refused under one: they would be
  read as other characters, and give tokens that nobody else has.
* A hint names an encoding that fits the bytes, never the one that has just failed.
"""

import codecs
import io
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from typing import IO, Any

from partners.reading.chunk import BadFile, Source

FEW, MANY = 1, 16
HEAD = 4096
BLOCK = 32 * 1024
MAX_LINE = 16 * 2**20
_KINDS = {
    b"PK\x03\x04": "it is a workbook or another zip archive; save it as CSV, or unpack it",
    b"\xd0\xcf\x11\xe0": "it is a workbook of an old Excel; save it as CSV",
    b"\x1f\x8b": "it is packed by gzip; give its name the ending .csv.gz",
    b"\x28\xb5\x2f\xfd": "it is packed by zstd; give its name the ending .csv.zst",
}
"""How files begin that are no text, and what to do with them."""
_PACKED = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_UTF_32_MARKS = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def codec(encoding: str) -> str:
    """The encoding, with a byte order mark allowed where it is UTF-8."""
    name = codecs.lookup(encoding).name
    return "utf-8-sig" if name == "utf-8" else name


def decoded(raw: IO[bytes], encoding: str, file: str) -> io.TextIOWrapper:
    """Bytes as text with its line ends, which raises `BadFile` where UTF-8 goes under the name of another encoding."""
    name = codec(encoding)
    held = io.BufferedReader(_Held(raw, encoding, file), BLOCK) if _is_single_byte(name) else raw
    return io.TextIOWrapper(held, name, newline="")


def bounded(text: io.TextIOWrapper, file: str) -> Iterator[str]:
    """The lines of a text, none of them without end. Raises `BadFile`."""
    for number, line in enumerate(_lines(text), start=1):
        if len(line) > MAX_LINE and len(line.rstrip("\r\n")) > MAX_LINE:
            raise BadFile(f"{file}, line {number}: longer than {MAX_LINE:,} characters; this is no CSV")
        yield line


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """The lines of a text with their ends; one that is too long in pieces, which are too long as well."""
    return iter(partial(text.readline, MAX_LINE + len("\r\n")), "")


def refuse_other_kinds(source: Source) -> None:
    """Raises `BadFile` for a file that begins as one of another kind does, whatever its name says; OSError."""
    with source.opened() as (raw, _):
        head = raw.read(max(map(len, _KINDS)))
    for begins, what in _KINDS.items():
        if head.startswith(begins):
            twice = source.compressed and begins in _PACKED
            raise BadFile(f"{source.path.name} is no CSV: {'it is packed twice; unpack it once' if twice else what}")


def undecodable(source: Source) -> BadFile:
    """What is wrong with a file that could not be decoded. A second pass: the first one decodes ahead of its line."""
    with source.opened() as (raw, _):
        head = raw.read(HEAD)
    stated = codec(source.encoding)
    line, mixed = 1, False
    with (
        suppress(UnicodeError),  # UTF-16 and UTF-32 want their mark before anything is read
        source.opened() as (raw, _),
        io.TextIOWrapper(raw, stated, errors="replace", newline="") as text,
    ):
        line, mixed = _first_broken(_lines(text))
    if head.startswith(_UTF_32_MARKS) and stated != "utf-32":
        hint = 'the file begins as UTF-32 does; state encoding = "utf-32"'
    elif head.startswith(_UTF_16_MARKS) and stated != "utf-16":
        hint = 'the file begins as UTF-16 does; state encoding = "utf-16"'
    elif 4 * head.count(0) > len(head) and not head.startswith(_UTF_16_MARKS) and (wide := _wide(head)) != stated:
        hint = f'the file may be {wide[:6].upper()} without a mark; state encoding = "{wide}"'
    elif stated == "utf-8-sig" and mixed:
        hint = "lines before it are UTF-8, so the file mixes encodings; export it again, all of it as UTF-8"
    else:
        others = [each for each in ("windows-1252", "utf-16", "utf-8") if codec(each) != stated]
        hint = f'state the `encoding` of the file, such as "{others[0]}" or "{others[1]}"'
    return BadFile(f"{source.path.name}, line {line}: bytes that are not {source.encoding}; {hint}")


def named_by_nul(line: str, encoding: str) -> str | None:
    """The encoding that a first line with a NUL may be in, where it was decoded as another one that has no NULs."""
    head = line[:HEAD].encode(encoding).removeprefix(codecs.BOM_UTF8)
    wide = _wide(head) if 0 in head else None
    return None if wide is None or wide[:6] == codec(encoding)[:6] else wide


def _wide(head: bytes) -> str:
    """Which UTF-16 or UTF-32 begins with these bytes, of a text that begins in ASCII. One of them is zero."""
    if head.startswith(_UTF_32_MARKS):
        return "utf-32"
    first = head.index(0)
    width = 32 if head.startswith(bytes(3), first) else 16
    return f"utf-{width}-{'le' if first % 2 else 'be'}"


def _first_broken(lines: Iterable[str]) -> tuple[int, bool]:
    """The first line with a broken character, and whether one before it has a whole one beyond ASCII."""
    beyond = False
    for number, line in enumerate(lines, start=1):
        if _REPLACEMENT in line:
            return number, beyond
        beyond = beyond or not line.isascii()
    return 1, False


def _is_single_byte(name: str) -> bool:
    try:
        return all(len(two.decode(name, "replace")) == 2 for two in (b"\xc3\xa9", b"\x81\x40"))
    except UnicodeError:  # an encoding of something else than text files; decoding will fail as well
        return False


class _Held(io.RawIOBase):
    """Bytes on their way to a single-byte decoder, held to what UTF-8 would make of them, block by block.

    One character of UTF-8 is enough as long as no bytes were something else; after that, it takes several in a block.
    """

    def __init__(self, raw: IO[bytes], encoding: str, file: str) -> None:
        super().__init__()
        self._raw, self._encoding, self._file = raw, encoding, file
        self._rest, self._line, self._needed = b"", 1, FEW

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        data = self._raw.read(len(buffer))
        if self._rest or not data.isascii():
            self._hold(self._rest + data, not data)
        self._line += data.count(b"\n")
        buffer[: len(data)] = data
        return len(data)

    def _hold(self, data: bytes, last: bool) -> None:
        try:
            text, used = codecs.utf_8_decode(data, "strict", last)
        except UnicodeDecodeError:
            self._rest, self._needed = b"", MANY
            return
        self._rest = data[used:]
        if used - len(text) < self._needed:
            return
        line = self._line + next(text.count("\n", 0, place) for place, each in enumerate(text) if not each.isascii())
        if self._needed == FEW:
            hint = 'state encoding = "utf-8", or export it again as UTF-8'
        else:
            hint = "the file mixes encodings; export it again, all of it as UTF-8"
        raise BadFile(f"{self._file}, line {line}: not {self._encoding}, it looks like UTF-8; {hint}")

"""Parquet's own bytes, for files that no library writes: Thrift's compact protocol, and a file taken apart.

Source: the Thrift compact protocol specification, and parquet.thrift for the numbers of fields. A struct is a dict from
the number of a field to its kind and value; the kinds are Thrift's. A list is the kind of its elements and the
elements, each of which may be encoded already.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
Struct = dict[int, tuple[int, Any]]

# FileMetaData
SCHEMA, NUM_ROWS, ROW_GROUPS, KEY_VALUES, ORDERS = 2, 3, 4, 5, 7
# SchemaElement
TYPE, TYPE_LENGTH, REPETITION, NAME, CHILDREN, CONVERTED, LOGICAL = 1, 2, 3, 4, 5, 6, 10
# RowGroup, ColumnChunk
COLUMNS, GROUP_BYTES, GROUP_ROWS = 1, 2, 3
FILE_PATH, FILE_OFFSET, META = 1, 2, 3
# ColumnMetaData
CODEC, NUM_VALUES, UNPACKED, PACKED, DATA_OFFSET, DICTIONARY_OFFSET, STATISTICS = 4, 5, 6, 7, 9, 11, 16
# PageHeader
PAGE_TYPE, PAGE_UNPACKED, PAGE_PACKED, DATA_PAGE, DICTIONARY_PAGE = 1, 2, 3, 5, 7

MAGIC = b"PAR1"


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def zigzag(number: int) -> bytes:
    return varint(number << 1 if number >= 0 else (-number << 1) - 1)


def encode(struct: Struct) -> bytes:
    """A struct; its fields in the order of the dict, each with its number written out."""
    out = bytearray()
    for number, (kind, value) in struct.items():
        out += bytes([kind]) + zigzag(number) + _value(kind, value)
    return bytes(out) + b"\0"


def _value(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return b""
    if kind in (BYTE, DOUBLE):
        return bytes(value)
    if kind in (I16, I32, I64):
        return zigzag(value)
    if kind == BINARY:
        return varint(len(value)) + bytes(value)
    if kind == STRUCT:
        return value if isinstance(value, bytes) else encode(value)
    element, items = value
    return bytes([0xF0 | element]) + varint(len(items)) + b"".join(_value(element, each) for each in items)


class Reader:
    """Decodes structs; `at` is where the next byte stands."""

    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data = data
        self.at = at

    def struct(self) -> Struct:
        found: Struct = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._zigzag()
            found[number] = (head & 15, self._read(head & 15))
        return found

    def _read(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return None
        if kind == BYTE:
            return self._take(1)
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == DOUBLE:
            return self._take(8)
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct()
        assert kind in (LIST, SET)
        head = self._byte()
        size = head >> 4 if head >> 4 != 15 else self._varint()
        return head & 15, [self._read(head & 15) for _ in range(size)]

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def _varint(self) -> int:
        found = shift = 0
        while (byte := self._byte()) > 127:
            found |= (byte & 127) << shift
            shift += 7
        return found | byte << shift

    def _zigzag(self) -> int:
        found = self._varint()
        return -(found + 1 >> 1) if found & 1 else found >> 1


@dataclass(slots=True)
class Parquet:
    """A file taken apart: what comes before the footer, and the footer."""

    body: bytes
    footer: Struct

    @classmethod
    def read(cls, path: Path) -> "Parquet":
        data = path.read_bytes()
        start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
        return cls(data[:start], Reader(data, start).struct())

    def write(self, path: Path, footer: bytes | None = None) -> Path:
        """Puts it together; `footer` in place of its own."""
        encoded = encode(self.footer) if footer is None else footer
        path.write_bytes(self.body + encoded + len(encoded).to_bytes(4, "little") + MAGIC)
        return path

    @property
    def schema(self) -> list[Struct]:
        """The root, then every column."""
        found: list[Struct] = self.footer[SCHEMA][1][1]
        return found

    @property
    def groups(self) -> list[Struct]:
        found: list[Struct] = self.footer[ROW_GROUPS][1][1]
        return found

    def chunk(self, column: int, group: int = 0) -> Struct:
        found: Struct = self.groups[group][COLUMNS][1][1][column]
        return found

    def meta(self, column: int, group: int = 0) -> Struct:
        found: Struct = self.chunk(column, group)[META][1]
        return found

    def put_pages(self, column: int, *pages: bytes) -> None:
        """Appends pages, and has the column chunk point at them: a dictionary first, where there are two."""
        meta, start = self.meta(column), len(self.body)
        self.body += b"".join(pages)
        meta.pop(DICTIONARY_OFFSET, None)
        meta[DATA_OFFSET] = (I64, start + sum(map(len, pages[:-1])))
        if len(pages) > 1:
            meta[DICTIONARY_OFFSET] = (I64, start)
        for field in (PACKED, UNPACKED):
            meta[field] = (I64, sum(map(len, pages)))


def page(content: bytes, values: int, encoding: int, *, dictionary: bool = False, unpacked: int | None = None) -> bytes:
    """A page with its header. `encoding`: 0 plain, 8 RLE_DICTIONARY. `unpacked`: what it says to become."""
    kind = {1: (I32, values), 2: (I32, encoding)}
    header: Struct = {
        PAGE_TYPE: (I32, 2 if dictionary else 0),
        PAGE_UNPACKED: (I32, len(content) if unpacked is None else unpacked),
        PAGE_PACKED: (I32, len(content)),
    }
    if dictionary:
        header[DICTIONARY_PAGE] = (STRUCT, kind)
    else:
        header[DATA_PAGE] = (STRUCT, kind | {3: (I32, 3), 4: (I32, 3)})
    return encode(header) + content


def run(value: int, times: int, width: int) -> bytes:
    """A run of the RLE/bit-packing hybrid: one value, so many times."""
    return varint(times << 1) + value.to_bytes((width + 7) // 8, "little")


def levels(times: int) -> bytes:
    """Definition levels of a data page: every value is there."""
    content = run(1, times, 1)
    return len(content).to_bytes(4, "little") + content

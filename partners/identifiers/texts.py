"""Columns of text as bytes: what the fast rules of whole columns are made of.

Rules:
* Columns are Arrow strings without nulls: blank is "".
* A fast rule may leave a value open, and then the rule for one value decides. It never decides otherwise than that one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from partners.identifiers.reason import Invalid

Bytes = NDArray[np.uint8]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Canonical:
    """A column of identifiers, read: `texts` is null where a value is invalid, and `invalid` has the rows of it."""

    texts: pa.StringArray
    invalid: dict[Invalid, Counts]


@dataclass(frozen=True, slots=True)
class Decided:
    """What a fast rule says: `texts` of the rows `valid`, in order; the rows `invalid`; nothing of the rows `open`."""

    texts: pa.StringArray
    valid: Counts
    invalid: dict[Invalid, Counts]
    open: Counts


@dataclass(frozen=True, slots=True)
class Flat:
    """The bytes of a column, one value after the other; value i is `data[starts[i]:starts[i + 1]]`."""

    data: Bytes
    starts: Counts

    @classmethod
    def of(cls, column: pa.StringArray) -> "Flat":
        _, offsets, data = column.buffers()
        starts = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1].astype(np.int64)
        held = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        return cls(held[starts[0] : starts[-1]], starts - starts[0])

    @property
    def lengths(self) -> Counts:
        return np.diff(self.starts)

    def count(self, which: Mask) -> Counts:
        """How many bytes of each value a mask over `data` takes."""
        return np.diff(self.before(which))

    def before(self, which: Mask) -> Counts:
        """How many bytes a mask over `data` takes before each value, and at the end."""
        taken = np.empty(len(which) + 1, np.int64)
        taken[0] = 0
        np.cumsum(which, out=taken[1:])
        return taken[self.starts]

    def only(self, which: Mask) -> pa.StringArray:
        """The column of the bytes that a mask over `data` takes."""
        return column(self.data[which], self.before(which))


def column(data: Bytes, starts: Counts) -> pa.StringArray:
    """The column of values that stand one after the other, as in `Flat`; ASCII, or whole characters."""
    return pa.StringArray.from_buffers(
        len(starts) - 1, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))
    )


def scattered(size: int, rows: Counts, values: pa.StringArray) -> pa.StringArray:
    """A column of `size` values: `values` in these rows, null in the others."""
    index = np.full(size, -1, np.int64)
    index[rows] = np.arange(len(rows))
    return values.take(pa.array(index, mask=index < 0))


def one_by_one(columns: tuple[Any, ...], rule: Callable[[tuple[str, ...]], str | Invalid]) -> Canonical:
    """Columns read by the rule for one value, each different one once."""
    known: dict[tuple[str, ...], str | Invalid] = {}
    texts: list[str | None] = []
    invalid: dict[Invalid, list[int]] = {}
    for row, parts in enumerate(zip(*columns, strict=True)):
        found = known.get(parts)
        if found is None:
            found = known[parts] = rule(parts)
        if isinstance(found, Invalid):
            invalid.setdefault(found, []).append(row)
            texts.append(None)
        else:
            texts.append(found)
    return Canonical(
        pa.array(texts, pa.string()), {reason: np.array(rows, np.int64) for reason, rows in invalid.items()}
    )

"""Columns of text as bytes: what the fast rules of whole columns are made of.

Rules:
* Columns are Arrow strings without nulls: blank is "".
* A fast rule may leave a value open, and then the rule for one value decides. It never decides otherwise than that one.
"""

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
        return self.sums(which.view(np.int8))

    def sums(self, weights: NDArray[Any]) -> Counts:
        """The sum of the weights of each value's bytes, one for each byte of `data`; each below 2^31."""
        before = np.zeros(len(weights) + 1, np.int32)  # goes round, and the differences are right all the same
        np.cumsum(weights, dtype=np.int32, out=before[1:])
        return np.diff(before[self.starts]).astype(np.int64)

    def between(self, first: Counts, end: Counts) -> Mask:
        """A mask over `data`: the bytes from each `first` up to its `end`. The spans are in order and not empty."""
        change = np.zeros(len(self.data) + 1, np.int8)
        change[first] = 1
        change[end] -= 1  # one span may begin where another ends
        mask: Mask = np.cumsum(change[:-1], dtype=np.int8).view(np.bool_)
        return mask


def ends_of(lengths: Counts) -> Counts:
    """Where values of these lengths stand, one after the other: 0, and the end of each."""
    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return ends


def column(data: Bytes, starts: Counts) -> pa.StringArray:
    """The column of values that stand one after the other, as in `Flat`; ASCII, or whole characters."""
    return pa.StringArray.from_buffers(
        len(starts) - 1, pa.py_buffer(starts.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))
    )

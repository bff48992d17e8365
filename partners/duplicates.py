"""Within one audience a token stands in one row only. Pure.

Rules:
* For each match key, the first row in the file's order keeps a token; it is taken from every later row.
* A row that is left with no token is dropped.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from partners.protocol import TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class Distinct:
    """The token columns without repeated tokens, the mask of the rows that keep one, and the tokens dropped by key."""

    columns: tuple[pa.Array, ...]
    kept: NDArray[np.bool_]
    tokens_dropped: tuple[int, ...]


def distinct(columns: Sequence[pa.Array]) -> Distinct:
    """Take repeated tokens from nullable columns of 16 bytes, which are equally long and begin at the first row."""
    firsts = [_first_of_each(column) for column in columns]
    return Distinct(
        tuple(
            pc.if_else(pa.array(first), column, pa.scalar(None, column.type))
            for first, column in zip(firsts, columns, strict=True)
        ),
        np.logical_or.reduce(firsts),
        tuple(
            len(column) - column.null_count - int(first.sum()) for first, column in zip(firsts, columns, strict=True)
        ),
    )


def _first_of_each(column: pa.Array) -> NDArray[np.bool_]:
    """Where a token stands for the first time; false where there is none."""
    first = np.zeros(len(column), dtype=np.bool_)
    rows = np.flatnonzero(column.is_valid().to_numpy(zero_copy_only=False))
    if not len(rows):
        return first
    start, end = column.offset * TOKEN_BYTES, (column.offset + len(column)) * TOKEN_BYTES
    halves = np.frombuffer(column.buffers()[1], dtype=np.uint8)[start:end].view(np.uint64).reshape(-1, 2)[rows]
    order = np.lexsort((halves[:, 1], halves[:, 0]))  # stable: of equal tokens, the earliest row comes first
    ordered = halves[order]
    new = np.ones(len(rows), dtype=np.bool_)
    new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first[rows[order[new]]] = True
    return first

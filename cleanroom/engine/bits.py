"""Sets of an audience's rows as bitmaps, an eighth of a byte a row.

Rules: row n is bit n % 8 of byte n // 8. The bytes are handled in words of 64 bits, filled up with zeros; bits past the
last row are zero in every stored set, so a complement must be intersected with one before it is counted.
"""

import numpy as np
import numpy.typing as npt

from cleanroom.engine.columns import Array

Words = npt.NDArray[np.uint64]
Mask = npt.NDArray[np.bool_]
WORD = 64


def words_of(rows: int) -> int:
    """The words that a set over so many rows takes."""
    return -(-rows // WORD)


def pack(mask: Mask) -> Words:
    """The set of the rows for which `mask` holds."""
    octets = np.zeros(words_of(len(mask)) * (WORD // 8), np.uint8)
    packed = np.packbits(mask, bitorder="little")
    octets[: len(packed)] = packed
    words: Words = octets.view(np.uint64)
    return words


def numbers(words: Words) -> npt.NDArray[np.intp]:
    """The rows of a set, ascending."""
    return np.flatnonzero(np.unpackbits(words.view(np.uint8), bitorder="little").view(np.bool_))


def size(words: Words) -> int:
    """How many rows a set has."""
    return int(np.bitwise_count(words).sum())


def contains(words: Words, rows: Array) -> Mask:
    """For each of some row numbers, whether it is in the set. Every one must be a row."""
    octets = words.view(np.uint8).take(rows >> 3, mode="clip")
    mask: Mask = (octets >> (rows & 7).astype(np.uint8)) & np.uint8(1) != 0
    return mask

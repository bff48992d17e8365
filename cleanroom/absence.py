"""The absent rows of one version: row numbers, each with the mask of purposes that it is withdrawn from.

Rules: rows ascend, each once. `ERASE` marks a row that is to be overwritten; until that is done it is absent from every
purpose, whatever is reinstated. The digest names exactly these rows and masks.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np

from cleanroom.engine.interface import Masks, Rows
from policies.purpose import Purpose, mask

EVERY_PURPOSE = mask(frozenset(Purpose))
ERASE = 16
ERASED = EVERY_PURPOSE | ERASE


@dataclass(frozen=True, slots=True, eq=False)
class Gone:
    """Absent rows and their masks."""

    rows: Rows
    masks: Masks

    @classmethod
    def of(cls, found: Mapping[int, int]) -> Self:
        """Of row numbers and masks in any order."""
        rows = np.fromiter(found.keys(), np.uint32, len(found))
        masks = np.fromiter(found.values(), np.uint8, len(found))
        order = np.argsort(rows)
        return cls(rows[order], masks[order])

    @classmethod
    def read(cls, written: bytes) -> Self:
        """The inverse of `write`."""
        count = len(written) // 5
        return cls(
            np.frombuffer(written, "<u4", count).astype(np.uint32), np.frombuffer(written, np.uint8, count, 4 * count)
        )

    def write(self) -> bytes:
        """The rows, 4 bytes each, little-endian; then the masks, a byte each."""
        return self.rows.astype("<u4").tobytes() + self.masks.tobytes()

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.write()).hexdigest()[:32]

    def and_also(self, other: "Gone") -> "Gone":
        """Rows that are absent in either, from the purposes of both."""
        rows = np.union1d(self.rows, other.rows)
        masks = np.zeros(len(rows), np.uint8)
        masks[np.searchsorted(rows, self.rows)] |= self.masks
        masks[np.searchsorted(rows, other.rows)] |= other.masks
        return Gone(rows, masks)

    def to_erase(self) -> "Gone":
        """The rows that are to be overwritten."""
        return self._where((self.masks & ERASE) != 0)

    def without(self, rows: Rows) -> "Gone":
        return self._where(~np.isin(self.rows, rows))

    def _where(self, kept: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> "Gone":
        return Gone(self.rows[kept], self.masks[kept])

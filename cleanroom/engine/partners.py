"""Who takes part, and who is whose partner: what views are made from.

Rules: a row that does not take part is left out before anybody is matched. The partner of a row of the counted audience
is the row of the other one that the first link leads to, in the agreement's order of keys, among those that take part.
Everything goes over the rows in blocks, so memory does not grow with the audience; no token is touched.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from cleanroom.engine import bits
from cleanroom.engine.bits import WORD, Words
from cleanroom.engine.columns import EPOCH_DAY, Array, Columns
from cleanroom.engine.interface import Withdrawn
from cleanroom.engine.linking import UNMATCHED, Links
from policies.agreement import Attribute, Measure
from policies.purpose import Purpose

BLOCK = 1 << 18
assert BLOCK % WORD == 0, "a block is whole words"


def taking_part(audience: Columns, purpose: Purpose, day: date, withdrawn: Withdrawn | None) -> Words:
    """The rows that take part; the rule is that of `policies.consent.takes_part`."""
    consent, expires, rows = audience.consent(), audience.expires(), audience.meta.rows
    words = np.zeros(bits.words_of(rows), np.uint64)
    for start in range(0, rows, BLOCK):
        block = slice(start, start + BLOCK)
        mask = (consent[block] & np.uint8(purpose.bit)) != 0
        if expires is not None:
            mask &= expires[block] >= (day - EPOCH_DAY).days
        words[start // WORD : (start + BLOCK) // WORD] = bits.pack(mask)
    if withdrawn is not None:
        gone, purposes = withdrawn.read()
        at = gone[purposes & np.uint8(purpose.bit) != 0].astype(np.int64)
        np.bitwise_and.at(words.view(np.uint8), at >> 3, ~(np.uint8(1) << (at & 7).astype(np.uint8)))
    return words


@dataclass(frozen=True, slots=True)
class Partners:
    """Each row's partner. `links`: one per common key, in the agreement's order; `present`: the other's taking part."""

    rows: int
    links: tuple[Links, ...]
    present: Words

    def matched(self) -> Iterator[Words]:
        """Block by block, the rows that have a partner."""
        for partners in self._blocks():
            yield bits.pack(partners != UNMATCHED)

    def codes(self, stored: Array, attribute: Attribute) -> Iterator[Array]:
        """Block by block, each row's partner's code; one past the domain for those that have none."""
        null, kind = len(attribute.domain), code_type(attribute)
        for partners in self._blocks():
            matched = np.flatnonzero(partners != UNMATCHED)
            codes = np.full(len(partners), null, kind)
            codes[matched] = stored.take(partners.take(matched), mode="clip")
            yield codes

    def amounts(self, values: Array, there: Array, measure: Measure) -> Iterator[Array]:
        """Block by block, each row's partner's amount, clipped; 0 where it is missing or there is no partner."""
        for partners in self._blocks():
            matched = np.flatnonzero(partners != UNMATCHED)
            rows = partners.take(matched)
            amounts = np.zeros(len(partners), amount_type(measure))
            amounts[matched] = _clipped(values.take(rows, mode="clip"), there.take(rows, mode="clip"), measure)
            yield amounts

    def _blocks(self) -> Iterator[npt.NDArray[np.int32]]:
        for start in range(0, self.rows, BLOCK):
            partners = np.full(min(BLOCK, self.rows - start), UNMATCHED, np.int32)
            for link in self.links:
                candidates = link[start : start + BLOCK]
                seeking = np.flatnonzero((partners == UNMATCHED) & (candidates != UNMATCHED))
                found = candidates.take(seeking)
                there = bits.contains(self.present, found)
                partners[seeking[there]] = found[there]
            yield partners


def blocks_of_amounts(values: Array, there: Array, measure: Measure) -> Iterator[Array]:
    """Block by block, amounts clipped to the measure's bounds; 0 where missing."""
    for start in range(0, len(values), BLOCK):
        block = slice(start, start + BLOCK)
        yield _clipped(values[block], there[block], measure)


def _clipped(values: Array, there: Array, measure: Measure) -> Array:
    return np.where(there, np.clip(values, measure.lower, measure.upper), 0)


def code_type(attribute: Attribute) -> type[np.generic]:
    """The smallest type for the codes of an attribute, null included."""
    return np.uint8 if len(attribute.domain) < 1 << 8 else np.uint16


def amount_type(measure: Measure) -> type[np.generic]:
    """The smallest type for amounts within the bounds."""
    fits = measure.lower >= -(1 << 31) and measure.upper < 1 << 31
    return np.int32 if fits else np.int64

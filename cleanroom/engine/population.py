"""The people of one question: for whom a condition holds, and what is read of them. Block by block of rows.

Rules: sets are bitmaps over the rows of the counted audience, cut to the block; columns are arrays aligned to its rows,
whoever's they are. A person's attribute is a code into the attribute's domain; the code one past the domain stands for
null, an attribute of somebody unmatched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_

import numpy as np
import numpy.typing as npt

from cleanroom.engine import bits
from cleanroom.engine.bits import WORD, Words
from cleanroom.engine.columns import Array
from policies.agreement import Attribute
from policies.question import All, AnyOf, AudienceRef, ColumnRef, Is, Matched, Not, Where

Rows = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Codes:
    """An attribute of everybody: its code for each row."""

    attribute: Attribute
    stored: Array


@dataclass(frozen=True, slots=True)
class Population:
    """Everybody of the counted audience who takes part.

    `rows`: how many rows the audience has. `matched`: who has a partner, the counted audience itself included.
    `codes`, `amounts`: every column that the question names; amounts are in units, clipped to their bounds.
    """

    rows: int
    present: Words
    matched: Mapping[AudienceRef, Words]
    codes: Mapping[ColumnRef, Codes]
    amounts: Mapping[ColumnRef, Array]


@dataclass(frozen=True, slots=True)
class Block:
    """The rows `start`..`stop` of a population; `start` begins a word."""

    people: Population
    start: int
    stop: int

    def selected(self, where: Where | None) -> Words:
        """Those who take part and for whom `where` holds."""
        return self._cut(self.people.present) & self._holds(where)

    def matched(self, audience: AudienceRef) -> Words:
        """Those who have a partner in `audience`."""
        return self._cut(self.people.matched[audience])

    def codes(self, column: ColumnRef, rows: Rows) -> Array:
        """The codes of some rows, numbered from `start`."""
        return self.people.codes[column].stored[self.start : self.stop].take(rows, mode="clip")

    def amounts(self, column: ColumnRef, rows: Rows) -> Array:
        """The amounts of some rows, numbered from `start`."""
        return self.people.amounts[column][self.start : self.stop].take(rows, mode="clip")

    def _cut(self, words: Words) -> Words:
        return words[self.start // WORD : bits.words_of(self.stop)]

    def _holds(self, where: Where | None) -> Words:
        """Where it holds; of bits past the last row and of rows that do not take part, anything."""
        match where:
            case None:
                return self._every()
            case Matched(audience):
                return self.matched(audience)
            case Is(column, values):
                codes = self.people.codes[column]
                wanted = np.array([*(value in values for value in codes.attribute.domain), False])
                return bits.pack(wanted.take(codes.stored[self.start : self.stop]))
            case Not(term):
                return ~self._holds(term)
            case All(terms):
                return reduce(and_, map(self._holds, terms), self._every())
            case AnyOf(terms):
                return reduce(or_, map(self._holds, terms), ~self._every())

    def _every(self) -> Words:
        return np.full(bits.words_of(self.stop - self.start), ~np.uint64(0))

"""The people of one question: who takes part, who is matched to whom, for whom a condition holds.

Rules: arrays over the people of the counted audience who take part, no loop over people, no token touched. A row that
does not take part is left out before anybody is matched. A person's attribute is a code into the attribute's domain;
the code one past the domain stands for null, an attribute of somebody unmatched.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import reduce
from operator import and_, or_

import numpy as np
import numpy.typing as npt

from cleanroom.engine.columns import EPOCH_DAY, Columns
from cleanroom.engine.linking import UNMATCHED, Links
from policies.agreement import Attribute, Measure
from policies.purpose import Purpose
from policies.question import All, AnyOf, AudienceRef, ColumnRef, Is, Matched, Not, Where

Rows = npt.NDArray[np.intp]
Mask = npt.NDArray[np.bool_]


def taking_part(audience: Columns, purpose: Purpose, day: date, withdrawn: npt.NDArray[np.uint32] | None) -> Mask:
    """Per row, whether it takes part; the rule is that of `policies.consent.takes_part`."""
    mask: Mask = (audience.consent() & np.uint8(purpose.bit)) != 0
    expires = audience.expires()
    if expires is not None:
        mask &= expires >= (day - EPOCH_DAY).days
    if withdrawn is not None:
        mask[withdrawn] = False
    return mask


def match(people: Rows, links: tuple[Links, ...], partners_taking_part: Mask) -> Rows:
    """Per person the row of the partner, -1 for none: the first link, in order, to a row that takes part."""
    partners = np.full(len(people), UNMATCHED, np.intp)
    for link in links:
        candidates = link[people]
        found = (partners == UNMATCHED) & (candidates != UNMATCHED)
        found[found] = partners_taking_part[candidates[found]]
        partners[found] = candidates[found]
    return partners


@dataclass(frozen=True, slots=True)
class Population:
    """Some people of the counted audience. `rows`: per audience, the row of each of them, -1 for unmatched."""

    audiences: Mapping[AudienceRef, Columns]
    rows: Mapping[AudienceRef, Rows]
    size: int

    def only(self, mask: Mask) -> "Population":
        """Those for whom `mask` holds."""
        return Population(
            self.audiences, {ref: rows[mask] for ref, rows in self.rows.items()}, int(np.count_nonzero(mask))
        )

    def matched(self, audience: AudienceRef) -> Mask:
        """Whether each person has a row in `audience`; true for the counted audience itself."""
        mask: Mask = self.rows[audience] != UNMATCHED
        return mask

    def codes(self, column: ColumnRef, attribute: Attribute) -> Rows:
        """The attribute of each person, as an index into its domain; one past it for null."""
        stored = self.audiences[column.audience].codes(column.column)
        matched = self.matched(column.audience)
        codes = np.full(self.size, len(attribute.domain), np.intp)
        codes[matched] = stored[self.rows[column.audience][matched]]
        return codes

    def amounts(self, column: ColumnRef, measure: Measure) -> npt.NDArray[np.int64]:
        """The measure of each person in its units, clipped to its bounds; 0 where missing or unmatched."""
        values, there = self.audiences[column.audience].measure(column.column)
        matched = self.matched(column.audience)
        rows = self.rows[column.audience][matched]
        amounts = np.zeros(self.size, np.int64)
        amounts[matched] = np.where(there[rows], np.clip(values[rows], measure.lower, measure.upper), 0)
        return amounts

    def holds(self, where: Where | None, domains: Mapping[ColumnRef, Attribute]) -> Mask:
        """Whether `where` holds for each person. `domains` has every attribute that it names."""
        match where:
            case None:
                return np.ones(self.size, np.bool_)
            case Matched(audience):
                return self.matched(audience)
            case Is(column, values):
                domain = domains[column].domain
                wanted = np.array([*(value in values for value in domain), False])
                mask: Mask = wanted[self.codes(column, domains[column])]
                return mask
            case Not(term):
                return ~self.holds(term, domains)
            case All(terms):
                return reduce(and_, (self.holds(term, domains) for term in terms), np.ones(self.size, np.bool_))
            case AnyOf(terms):
                return reduce(or_, (self.holds(term, domains) for term in terms), np.zeros(self.size, np.bool_))

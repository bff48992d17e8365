"""Why people are counted. A question has one purpose; a row takes part only in the purposes that it consented to.

The numbers are those of the IAB Europe Transparency and Consent Framework (TCF 2.2), so that a consent string maps
without interpretation. Unknown means no.
"""

from enum import Enum


class Purpose(Enum):
    """A purpose, with its TCF number and its bit in an audience's consent column."""

    INSIGHTS = "insights"
    MEASUREMENT = "measurement"
    MODELLING = "modelling"
    ACTIVATION = "activation"

    @property
    def tcf(self) -> int:
        """The TCF 2.2 purpose: 9 statistics on audiences, 7 ad performance, 3 profiles, 4 personalised ads."""
        return {"insights": 9, "measurement": 7, "modelling": 3, "activation": 4}[self.value]

    @property
    def bit(self) -> int:
        """The mask of this purpose in the `consent` column of an audience file (protocol version 1)."""
        return {"insights": 1, "measurement": 2, "modelling": 4, "activation": 8}[self.value]


def mask(purposes: frozenset[Purpose]) -> int:
    """The consent mask of a set of purposes: 0 (none) to 15 (all)."""
    return sum(purpose.bit for purpose in purposes)

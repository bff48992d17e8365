"""Counting while a customer file is read, towards its quality report.

Rules:
* Chunks are counted apart, in any process, and merged in the file's order, so that first lines are the first.
"""

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from partners.consent import ConsentRule
from partners.manifest import Manifest
from partners.quality import ColumnQuality, Drop, Flaw, KeyQuality, Quality, Tally

FIRST_LINES = 10


class Counts:
    """How often each thing was found, and on which lines first.

    What is counted is named by a few words, such as ("key", "email", "not_an_address").
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._lines: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)

    def add(self, line: int, *what: str) -> None:
        """One more, on this line."""
        self._counts[what] += 1
        if self._counts[what] <= FIRST_LINES:
            self._lines[what].append(line)

    def add_rows(self, lines: NDArray[np.int64], *what: str) -> None:
        """One more on each of these lines, which are in order."""
        if len(lines):
            first = lines[: max(FIRST_LINES - self._counts[what], 0)]
            self._counts[what] += len(lines)
            self._lines[what].extend(first.tolist())

    def add_many(self, count: int, *what: str) -> None:
        """Several more, whose lines nobody needs."""
        self._counts[what] += count

    def merge(self, later: "Counts") -> None:
        """Add the counts of later rows."""
        self._counts.update(later._counts)
        for what, lines in later._lines.items():
            self._lines[what] = (self._lines[what] + lines)[:FIRST_LINES]

    def count(self, *what: str) -> int:
        return self._counts[what]

    def tally(self, *what: str) -> Tally:
        """The tally of one thing; its code is the last word."""
        return Tally(what[-1], self._counts[what], tuple(self._lines.get(what, ())))

    def found(self, *within: str) -> tuple[str, ...]:
        """The last words counted under these first words, sorted."""
        return tuple(sorted(what[-1] for what in self._counts if what[:-1] == within and self._counts[what]))


def summarise(counts: Counts, rows_kept: int, manifest: Manifest, consent: ConsentRule) -> Quality:
    """The report of what was counted for the columns of a manifest; `rows_kept` without duplicates."""

    def key(match_key: str) -> KeyQuality:
        invalid = tuple(counts.tally("invalid", match_key, code) for code in counts.found("invalid", match_key))
        valid = counts.count("valid", match_key)
        filled = valid + sum(tally.count for tally in invalid)
        return KeyQuality(match_key, filled, valid, invalid, counts.count("tokens_dropped", match_key))

    def column(kind: str, name: str, *flaws: Flaw) -> ColumnQuality:
        return ColumnQuality(name, tuple(counts.tally(kind, name, flaw.value) for flaw in flaws))

    consent_columns = [header for header, _ in consent.columns] + ([consent.expires] if consent.expires else [])
    return Quality(
        name=manifest.partner,
        audience=manifest.audience,
        rows_read=counts.count("rows"),
        rows_kept=rows_kept,
        dropped=tuple(counts.tally("dropped", drop.value) for drop in Drop),
        keys=tuple(map(key, manifest.keys)),
        attributes=tuple(column("attribute", item.name, Flaw.OTHER, Flaw.UNKNOWN) for item in manifest.attributes),
        measures=tuple(
            column("measure", item.name, Flaw.MISSING, Flaw.NOT_A_NUMBER, Flaw.CLIPPED) for item in manifest.measures
        ),
        consent=tuple(column("consent", header, Flaw.MISSING, Flaw.UNREADABLE) for header in consent_columns),
    )

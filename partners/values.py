"""What each value of a map's consent columns and attributes becomes, with counts: for looking before preparing.

Rules:
* The same readings as `prepare` makes; nothing is hashed, nothing written.
* A value is named where it is a known word of consent or a code of the list; another one only where `MANY_ROWS` rows
  have it, in a column of at most `FEW_VALUES` such values, and it is short with at most four digits and no @. What is
  left is shown by its form, digits as 9 and letters as a. So a column mapped by mistake puts nobody on the screen.
* At most `MOST_FORMS` different forms a column; what comes later is counted together.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from partners.consent import read_consent, read_date, read_yes_no
from partners.mapping import Map
from partners.reading import Progress, read_all
from policies.agreement import OTHER, UNKNOWN
from policies.purpose import Purpose

MOST_FORMS = 1_000
MANY_ROWS = 10
FEW_VALUES = 50
REST = "everything else"
_LONGEST = 16
_MANY_DIGITS = re.compile(r"(?:[0-9].*){5}")


@dataclass(frozen=True, slots=True)
class Value:
    """A form of a column's values, what it becomes, and how many rows have it."""

    column: str
    setting: str
    shown: str
    becomes: str
    rows: int


def values(mapping: Map, progress: Progress) -> tuple[Value, ...]:
    """Every consent column, the expiry column and every attribute with a code-list of the map, the most rows first.

    Raises `BadFile`.
    """
    columns = list(_columns(mapping))
    names = tuple(dict.fromkeys(each.column for each in columns))
    if not names:
        return ()
    for _, chunk in read_all(mapping.file, mapping.encoding, mapping.delimiter, names, frozenset(), progress):
        for each in columns:
            for text, rows in Counter(chunk.column(each.column)).items():
                each.add(text, rows)
    return tuple(
        Value(each.column, each.setting, shown, outcome, rows)
        for each in columns
        for (shown, outcome), rows in each.finished().most_common()
    )


def form(text: str) -> str:
    """What a value looks like, without what it says."""
    if not text:
        return "(blank)"
    made = "".join("9" if c.isdecimal() else "a" if c.isalpha() else c if c.isprintable() else "?" for c in text)
    made = re.sub(r"a{4,}", "a…", made)
    return made if len(made) <= 2 * _LONGEST else f"{made[: 2 * _LONGEST]}…"


class _Column:
    """A column under one setting, and what was counted in it so far."""

    def __init__(self, column: str, setting: str, becomes: "_Becomes") -> None:
        self.column, self.setting, self._becomes = column, setting, becomes
        self._forms: Counter[tuple[str, str]] = Counter()
        self._others: Counter[str] | None = Counter()
        """Values that are not known; None once they are too many to be anything but somebody's."""

    def add(self, text: str, rows: int) -> None:
        if self._becomes.knows(text):
            self._count(text, text, rows)
        elif self._others is None:
            self._count(form(text), text, rows)
        else:
            self._others[text] += rows
            if len(self._others) > FEW_VALUES:
                others, self._others = self._others, None
                for other, times in others.items():
                    self._count(form(other), other, times)

    def finished(self) -> Counter[tuple[str, str]]:
        """The rows of each value or form with what it becomes."""
        for text, rows in (self._others or {}).items():
            self._count(text if rows >= MANY_ROWS and _harmless(text) else form(text), text, rows)
        self._others = None
        return self._forms

    def _count(self, shown: str, text: str, rows: int) -> None:
        found = (shown, self._becomes(text))
        if found not in self._forms and len(self._forms) >= MOST_FORMS:
            found = (REST, found[1])
        self._forms[found] += rows


def _harmless(text: str) -> bool:
    return 0 < len(text) <= _LONGEST and "@" not in text and not _MANY_DIGITS.search(text) and text.isprintable()


class _Becomes:
    """How a column is read."""

    def __init__(self, mapping: Map, purposes: int = 0, domain: frozenset[str] | None = None) -> None:
        self._order, self._purposes, self._domain = mapping.date_order, purposes, domain

    def __call__(self, text: str) -> str:
        if self._domain is not None:
            return text if text in self._domain else UNKNOWN if not text else OTHER
        if self._purposes:
            return self._consent(text)
        day = read_date(text, self._order)
        return day.strftime("a day of %Y") if day else "expired: blank or no date"

    def knows(self, text: str) -> bool:
        """Whether it is a word of consent, or a code of the list."""
        return text in self._domain if self._domain is not None else read_yes_no(text) is not None

    def _consent(self, text: str) -> str:
        mask = read_consent(text, self._purposes)
        if mask is None:
            return "no: blank or unknown"
        if read_yes_no(text) is not None:
            return "yes" if mask else "no"
        return ", ".join(each.value for each in Purpose if each.bit & mask) or "no"


def _columns(mapping: Map) -> Iterator[_Column]:
    for column, purposes in mapping.consent.columns:
        names = ", ".join(each.value for each in Purpose if each.bit & purposes)
        yield _Column(column, f"consent to {names}", _Becomes(mapping, purposes))
    if mapping.consent.expires:
        yield _Column(mapping.consent.expires, "consent expires", _Becomes(mapping))
    for item in mapping.attributes:
        if item.values is not None:
            yield _Column(item.column, f"attribute {item.name}", _Becomes(mapping, domain=frozenset(item.values)))

"""What each value of a map's consent columns and attributes becomes, with counts: for looking before preparing.

Rules:
* The same readings as `prepare` makes; nothing is hashed, nothing written.
* A value is named only where it is short and holds at most four digits and no @; any other one by its form, digits as 9
  and letters as a. So a column that is mapped by mistake puts nobody on the screen.
* At most `MOST_FORMS` different forms a column; what comes later is counted together.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from partners.consent import read_consent, read_date, read_yes_no
from partners.mapping import Map
from partners.reading import Progress, Source, files_of, read
from policies.agreement import OTHER, UNKNOWN
from policies.purpose import Purpose

MOST_FORMS = 1_000
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
    counted: dict[tuple[str, str], Counter[tuple[str, str]]] = {each[:2]: Counter() for each in columns}
    names = tuple(dict.fromkeys(column for column, _, _ in columns))
    if not names:
        return ()
    for path in files_of(mapping.file):
        for chunk in read(Source(path, mapping.encoding, mapping.delimiter), names, frozenset(), progress):
            for column, setting, becomes in columns:
                forms = counted[column, setting]
                for text, rows in Counter(chunk.column(column)).items():
                    form = (shown(text), becomes(text))
                    if form not in forms and len(forms) >= MOST_FORMS:
                        form = (REST, form[1])
                    forms[form] += rows
    return tuple(
        Value(column, setting, form, outcome, rows)
        for (column, setting), forms in counted.items()
        for (form, outcome), rows in forms.most_common()
    )


def shown(text: str) -> str:
    """A value, or its form where it may be somebody's."""
    if not text:
        return "(blank)"
    if len(text) <= _LONGEST and "@" not in text and not _MANY_DIGITS.search(text) and text.isprintable():
        return text
    form = "".join("9" if c.isdecimal() else "a" if c.isalpha() else c if c.isprintable() else "?" for c in text)
    form = re.sub(r"a{4,}", "a…", form)
    return form if len(form) <= 2 * _LONGEST else f"{form[: 2 * _LONGEST]}…"


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

    def _consent(self, text: str) -> str:
        mask = read_consent(text, self._purposes)
        if mask is None:
            return "no: blank or unknown"
        if read_yes_no(text) is not None:
            return "yes" if mask else "no"
        return ", ".join(each.value for each in Purpose if each.bit & mask) or "no"


def _columns(mapping: Map) -> Iterator[tuple[str, str, _Becomes]]:
    for column, purposes in mapping.consent.columns:
        names = ", ".join(each.value for each in Purpose if each.bit & purposes)
        yield column, f"consent to {names}", _Becomes(mapping, purposes)
    if mapping.consent.expires:
        yield mapping.consent.expires, "consent expires", _Becomes(mapping)
    for item in mapping.attributes:
        if item.values is not None:
            yield item.column, f"attribute {item.name}", _Becomes(mapping, domain=frozenset(item.values))

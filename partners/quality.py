"""The quality report: what became of the rows of a customer file, and why.

Rules:
* Counts and line numbers, never a value.
* What is counted of columns is counted over every row read, those without consent too; what is counted of rows goes by
  the first reason that drops a row.
* The page for people says what to do next, in the words of a marketer.
* The codes stand in JSON reports: they may be added to, never renamed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from partners.identifiers import Invalid

SHOWN_LINES = 5


class Drop(Enum):
    """Why a row is dropped, in the order in which the reasons are tried."""

    NO_CONSENT = "no_consent"
    EXPIRED = "expired"
    NO_IDENTIFIER = "no_identifier"
    DUPLICATE = "duplicate"


class Flaw(Enum):
    """What a cell that is no identifier can have wrong."""

    OTHER = "other"
    UNKNOWN = "unknown"
    MISSING = "missing"
    NOT_A_NUMBER = "not_a_number"
    CLIPPED = "clipped"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often something was found, and on which lines first (10 at most)."""

    code: str
    count: int
    lines: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyQuality:
    """One match key: cells that are not blank, those that are valid, the others by reason.

    `tokens_dropped`: tokens of it that an earlier row has already.
    """

    key: str
    filled: int
    valid: int
    invalid: tuple[Tally, ...]
    tokens_dropped: int


@dataclass(frozen=True, slots=True)
class ColumnQuality:
    """One attribute or measure, by its name, or one consent column, by its header."""

    name: str
    flaws: tuple[Tally, ...]

    def count(self, flaw: Flaw) -> int:
        return sum(tally.count for tally in self.flaws if tally.code == flaw.value)


@dataclass(frozen=True, slots=True)
class Quality:
    """The report of one customer file. `dropped` holds every `Drop`, in order."""

    name: str
    audience: str
    rows_read: int
    rows_kept: int
    dropped: tuple[Tally, ...]
    keys: tuple[KeyQuality, ...]
    attributes: tuple[ColumnQuality, ...]
    measures: tuple[ColumnQuality, ...]
    consent: tuple[ColumnQuality, ...]

    def to_json(self) -> dict[str, Any]:
        """The JSON form, as in a rehearsal's result; first lines stand under `lines`, where there are any."""
        return {
            "name": self.name,
            "audience": self.audience,
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "dropped": _counts(self.dropped),
            "keys": {
                key.key: {"filled": key.filled, "valid": key.valid, "invalid": _counts(key.invalid)}
                for key in self.keys
            },
            "tokens_dropped": {key.key: key.tokens_dropped for key in self.keys},
            "attributes": {column.name: _counts(column.flaws) for column in self.attributes},
            "measures": {column.name: _counts(column.flaws) for column in self.measures},
            "consent": {column.name: _counts(column.flaws) for column in self.consent},
            "lines": {
                "dropped": _lines(self.dropped),
                "keys": {key.key: _lines(key.invalid) for key in self.keys},
                "attributes": {column.name: _lines(column.flaws) for column in self.attributes},
                "measures": {column.name: _lines(column.flaws) for column in self.measures},
                "consent": {column.name: _lines(column.flaws) for column in self.consent},
            },
        }


def _counts(tallies: tuple[Tally, ...]) -> dict[str, int]:
    return {tally.code: tally.count for tally in tallies}


def _lines(tallies: tuple[Tally, ...]) -> dict[str, list[int]]:
    return {tally.code: list(tally.lines) for tally in tallies if tally.lines}


def render(quality: Quality, console: Console) -> None:
    """Print the report for people: what was read, kept and dropped, each column, and what to do next."""
    share = _share(quality.rows_kept, quality.rows_read)
    name = escape(f"{quality.name}/{quality.audience}")
    console.print(f"[bold]{name}[/]: {quality.rows_kept:,} of {quality.rows_read:,} rows can be used ({share})")
    columns = [("attribute", quality.attributes), ("measure", quality.measures), ("consent", quality.consent)]
    tables = [_rows_table(quality), _keys_table(quality)]
    tables += [_columns_table(columns, quality.rows_read)] if any(found for _, found in columns) else []
    for table in tables:
        console.print(table)
    hints = _hints(quality)
    if hints:
        console.print("[bold]What to look at[/]")
    for hint in hints:
        console.print(Padding(f"• {escape(hint)}", (0, 0, 0, 2)))


def _rows_table(quality: Quality) -> Table:
    table = _table("Rows", "rows", "of all")
    table.add_row("read", f"{quality.rows_read:,}", _share(quality.rows_read, quality.rows_read))
    for tally in quality.dropped:
        _add(table, _DROPPED[Drop(tally.code)], tally, quality.rows_read)
    table.add_row("kept", f"{quality.rows_kept:,}", _share(quality.rows_kept, quality.rows_read), style="bold")
    return table


def _keys_table(quality: Quality) -> Table:
    table = _table("Match keys", "cells", "of filled")
    for key in quality.keys:
        table.add_row(f"[bold]{escape(key.key)}[/]")
        table.add_row("filled", f"{key.filled:,}")
        table.add_row("valid", f"{key.valid:,}", _share(key.valid, key.filled))
        for tally in key.invalid:
            _add(table, Invalid(tally.code).sentence.rstrip("."), tally, key.filled)
    return table


def _columns_table(columns: list[tuple[str, tuple[ColumnQuality, ...]]], rows_read: int) -> Table:
    table = _table("Columns", "rows", "of all")
    for kind, found in columns:
        for column in found:
            table.add_row(f"[bold]{escape(column.name)}[/], {kind}")
            for tally in column.flaws:
                _add(table, _FLAWS[Flaw(tally.code)], tally, rows_read)
    return table


def _table(title: str, counted: str, share: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column(title, width=36)
    table.add_column(counted, justify="right", min_width=9, no_wrap=True)
    table.add_column(share, justify="right", min_width=9, no_wrap=True)
    table.add_column("first lines", style="dim")
    return table


def _add(table: Table, label: str, tally: Tally, whole: int) -> None:
    shown = tally.lines[:SHOWN_LINES]
    more = ", …" if tally.count > len(shown) > 0 else ""
    table.add_row(label, f"{tally.count:,}", _share(tally.count, whole), ", ".join(map(str, shown)) + more)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


_DROPPED = {
    Drop.NO_CONSENT: "no consent to any purpose",
    Drop.EXPIRED: "consent expired",
    Drop.NO_IDENTIFIER: "no valid identifier",
    Drop.DUPLICATE: "repeats an earlier row",
}
_FLAWS = {
    Flaw.OTHER: "not in the code-list: other",
    Flaw.UNKNOWN: "blank: unknown",
    Flaw.MISSING: "blank",
    Flaw.NOT_A_NUMBER: "not a number",
    Flaw.CLIPPED: "beyond the bounds: clipped",
    Flaw.UNREADABLE: "unreadable: taken as no",
}


def _hints(quality: Quality) -> list[str]:
    hints = []
    dropped = {Drop(tally.code): tally.count for tally in quality.dropped}
    if 2 * dropped[Drop.NO_CONSENT] > quality.rows_read:
        hints.append("Most rows have no consent. If that is a surprise, check [consent] in the map.")
    if dropped[Drop.EXPIRED]:
        hints.append("Rows with expired consent count again once you renew it and prepare the file anew.")
    if dropped[Drop.DUPLICATE]:
        hints.append("Of rows with the same identifiers, only the first counts: put the row that you trust most first.")
    for key in quality.keys:
        codes = {tally.code for tally in key.invalid}
        if Invalid.NOT_A_NUMBER.value in codes:
            hints.append(f"{key.key}: national numbers need the right `region` in the map.")
        if Invalid.NOT_A_DATE.value in codes:
            hints.append(f"{key.key}: check `date_order` in the map (ymd, dmy or mdy).")
        if Invalid.LOOKS_HASHED.value in codes:
            hints.append(f"{key.key}: give raw values instead of hashed ones; prepare hashes them here.")
    for column in quality.attributes:
        if column.count(Flaw.OTHER):
            hints.append(f"{column.name}: to count a value apart from `other`, agree on a code-list that has it.")
    for column in quality.measures:
        if column.count(Flaw.NOT_A_NUMBER):
            hints.append(f"{column.name}: write numbers in digits with a decimal point, such as 1234.50.")
        if column.count(Flaw.CLIPPED):
            hints.append(f"{column.name}: clipped values count as the nearest bound of the agreement.")
    for column in quality.consent:
        if column.count(Flaw.UNREADABLE):
            hints.append(f"{column.name}: correct the lines above; what cannot be read counts as no consent.")
    return hints

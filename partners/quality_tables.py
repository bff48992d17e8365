"""The quality report of `prepare` as tables on a terminal: what became of the rows, and where to look."""

from collections.abc import Iterable

from rich.console import Console
from rich.table import Table
from rich.text import Text

from partners.quality import ColumnQuality, Quality, Tally

_WORDS = {
    "no_consent": "no consent to any purpose",
    "expired": "consent expired",
    "no_identifier": "no valid identifier",
    "duplicate": "every identifier stands in an earlier row",
}


def show_quality(quality: Quality, console: Console) -> None:
    """Prints a quality report: counts and line numbers, never a value."""
    console.print(
        Text(f"{quality.name}/{quality.audience}: {quality.rows_read:,} rows read, {quality.rows_kept:,} kept")
    )
    _table(console, ("dropped rows", "count", "first lines"), map(_tally, quality.dropped))
    keys = Table("match key", "filled", "valid", "invalid", "why, and first lines", "in an earlier row")
    for key in quality.keys:
        why = "; ".join(f"{_words(each)} {each.count:,} (line {_lines(each)})" for each in key.invalid)
        invalid = sum(each.count for each in key.invalid)
        numbers = (f"{key.filled:,}", f"{key.valid:,}", f"{invalid:,}")
        keys.add_row(*map(Text, (key.key, *numbers, why, f"{key.tokens_dropped:,}")))
    console.print(keys)
    columns = (*quality.attributes, *quality.measures, *quality.consent)
    _table(console, ("column", "what", "count", "first lines"), _flaws(columns))


def _table(console: Console, heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    """A table, unless it would be empty."""
    table = Table(*heads)
    for row in rows:
        table.add_row(*map(Text, row))
    if table.row_count:
        console.print(table)


def _flaws(columns: Iterable[ColumnQuality]) -> Iterable[tuple[str, ...]]:
    return ((column.name, *_tally(flaw)) for column in columns for flaw in column.flaws if flaw.count)


def _tally(tally: Tally) -> tuple[str, str, str]:
    return _words(tally), f"{tally.count:,}", _lines(tally)


def _words(tally: Tally) -> str:
    return _WORDS.get(tally.code, tally.code.replace("_", " "))


def _lines(tally: Tally) -> str:
    return ", ".join(map(str, tally.lines))

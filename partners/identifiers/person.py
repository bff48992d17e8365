"""The match key `person`: given name, family name and birth date together.

Rules, in this order:
* Trim each part; all three blank is `empty`; any part of 32, 40 or 64 hex digits, as given or as folded, is
  `looks_hashed`.
* A name: Unicode NFKD; marks dropped (category M); only letters kept (category L, without the spacing modifier letters
  U+02B0 to U+02FF, which are written where others write an apostrophe); lower case, then upper case, so that `ß` and
  `ẞ` both give `SS`. Letters that Unicode does not take apart (`ø`, `ł`, `æ`) stay themselves.
* A name with nothing left, or a blank date: `missing_part`.
* A birth date: ASCII digits, one of
  - year first with a separator, `1990-02-01`, `1990/2/1`, `1990.02.01`: read so under every order;
  - year last with a separator, `1/2/1990`, `01-02-1990`, `01.02.1990`: read by the file's order, day or month first;
  - eight digits, `19900201`, `01021990`: read by the file's order.
  The two separators are alike: `-`, `/` or `.`. A time of day after `T` or a space is dropped with its zone, nothing
  is converted; what is no time of day (`99:99`) makes it no date.
  Years have four digits and lie from 1850 to 2200; there is no clock here to refuse a birth in the future.
  Anything else is `not_a_date`: the order of day and month is a setting, never a guess.
* `placeholder` when both names are in the published list.
* The canonical text is `GIVEN|FAMILY|YYYY-MM-DD`; a name holds letters only, so the bars are unambiguous.
"""

import re
import unicodedata
from datetime import date
from enum import Enum

from partners.identifiers.lists import PLACEHOLDER_NAMES
from partners.identifiers.reason import Invalid
from partners.identifiers.text import looks_hashed, trim

FIRST_YEAR = 1850
LAST_YEAR = 2200


class DateOrder(Enum):
    """The order of year, month and day in a file whose birth dates do not say it themselves."""

    YMD = "ymd"
    DMY = "dmy"
    MDY = "mdy"


_ZONE = r"(?: ?(?:[Zz]|[+-](?:0[0-9]|1[0-4])(?::?[0-5][0-9])?))?"
_CLOCK = r"(?:[01]?[0-9]|2[0-3]):[0-5][0-9](?::(?:[0-5][0-9]|60)(?:[.,][0-9]+)?)?"
TIME_OF_DAY = rf"(?:[T ]{_CLOCK}{_ZONE})?"  # behind a date: a time that there is, perhaps with its zone

_YEAR_FIRST = re.compile(rf"(?P<y>[0-9]{{4}})(?P<s>[-/.])(?P<m>[0-9]{{1,2}})(?P=s)(?P<d>[0-9]{{1,2}}){TIME_OF_DAY}")
_BY_ORDER = {
    DateOrder.YMD: (re.compile(rf"(?P<y>[0-9]{{4}})(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}}){TIME_OF_DAY}"),),
    DateOrder.DMY: (
        re.compile(rf"(?P<d>[0-9]{{1,2}})(?P<s>[-/.])(?P<m>[0-9]{{1,2}})(?P=s)(?P<y>[0-9]{{4}}){TIME_OF_DAY}"),
        re.compile(rf"(?P<d>[0-9]{{2}})(?P<m>[0-9]{{2}})(?P<y>[0-9]{{4}}){TIME_OF_DAY}"),
    ),
    DateOrder.MDY: (
        re.compile(rf"(?P<m>[0-9]{{1,2}})(?P<s>[-/.])(?P<d>[0-9]{{1,2}})(?P=s)(?P<y>[0-9]{{4}}){TIME_OF_DAY}"),
        re.compile(rf"(?P<m>[0-9]{{2}})(?P<d>[0-9]{{2}})(?P<y>[0-9]{{4}}){TIME_OF_DAY}"),
    ),
}


def person(given: str, family: str, birth_date: str, date_order: DateOrder) -> str | Invalid:
    """The canonical text of a person.

    >>> person("Anne-Marie", "O'Brien", "1/2/1990", DateOrder.DMY)
    'ANNEMARIE|OBRIEN|1990-02-01'
    """
    parts = (trim(given), trim(family), trim(birth_date))
    if not any(parts):
        return Invalid.EMPTY
    names = (_folded(parts[0]), _folded(parts[1]))
    if any(looks_hashed(text) for text in (*parts, *names)):
        return Invalid.LOOKS_HASHED
    if not all(names) or not parts[2]:
        return Invalid.MISSING_PART
    day = _iso_date(parts[2], date_order)
    if day is None:
        return Invalid.NOT_A_DATE
    if PLACEHOLDER_NAMES.issuperset(names):
        return Invalid.PLACEHOLDER
    return "|".join((*names, day))


def _folded(name: str) -> str:
    letters = (char for char in unicodedata.normalize("NFKD", name) if _is_letter(char))
    return "".join(letters).lower().upper()


def _is_letter(char: str) -> bool:
    return unicodedata.category(char)[0] == "L" and not "\u02b0" <= char <= "\u02ff"


def _iso_date(text: str, order: DateOrder) -> str | None:
    for spelling in (_YEAR_FIRST, *_BY_ORDER[order]):
        match = spelling.fullmatch(text)
        if match is None:
            continue
        year, month, day = int(match["y"]), int(match["m"]), int(match["d"])
        if not FIRST_YEAR <= year <= LAST_YEAR:
            return None
        try:
            return date(year, month, day).isoformat()
        except ValueError:  # no such day
            return None
    return None

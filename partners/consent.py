"""A customer file's consent columns -> a purpose mask and a last day per row.

Rules:
* Default deny: blank or unknown means no; a blank or unreadable expiry date means expired, not "for ever".
* A purpose is stated for every row or read from its own column, never both.
* The order of day and month is the file's setting, never a guess.
* What is read here is judged by `policies.consent`.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from partners.identifiers import DateOrder

YES = frozenset({"true", "t", "1", "yes", "y", "oui"})
NO = frozenset({"false", "f", "0", "no", "n", "non"})

_DATE = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})(?:[T ][0-9:.,Zz+ -]+)?")


@dataclass(frozen=True, slots=True)
class ConsentRule:
    """Where a file's consent comes from.

    `stated`: the mask of the purposes that every row has (see `policies.purpose`). `columns`: each consent column once,
    with the mask of the purposes that its yes stands for. `expires`: the column of the last day on which the consent
    holds; None where consent does not expire.
    """

    stated: int
    columns: tuple[tuple[str, int], ...]
    expires: str | None


def read_yes_no(text: str) -> bool | None:
    """Whether a cell says yes; None for blank or unknown text, which is to count as no."""
    answer = text.strip().casefold()
    if answer in YES:
        return True
    return False if answer in NO else None


@lru_cache(maxsize=16_384)  # a customer file has few different dates
def read_date(text: str, order: DateOrder) -> date | None:
    """The day of a cell: `2026-03-01` under every order, `01/03/2026` or `03/01/2026` by the file's; None otherwise.

    Separators are alike: `-`, `/` or `.`. A time of day is dropped with its zone; nothing is converted.
    """
    match = _DATE.fullmatch(text.strip())
    if match is None:
        return None
    first, middle, last = match[1], match[3], match[4]
    if len(first) == 4 and len(last) <= 2:
        year, month, day = first, middle, last
    elif order is DateOrder.DMY and len(last) == 4 and len(first) <= 2:
        year, month, day = last, middle, first
    elif order is DateOrder.MDY and len(last) == 4 and len(first) <= 2:
        year, month, day = last, first, middle
    else:
        return None
    try:
        return date(int(year), int(month), int(day))
    except ValueError:  # no such day
        return None

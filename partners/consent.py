"""A customer file's consent columns -> a purpose mask and a last day per row.

Rules:
* Default deny: blank or unknown means no; a blank or unreadable expiry date means expired, not "for ever".
* A cell is a plain yes or no, `GRANTED` or `DENIED` (as Google and Amazon write it), or a TC string (see `tcf`), which
  says yes or no for each purpose.
* A purpose is stated for every row or read from its own column, never both.
* The order of day and month is the file's setting, never a guess.
* What is read here is judged by `policies.consent`.
"""

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from partners import tcf
from partners.identifiers import DateOrder
from partners.identifiers.person import TIME_OF_DAY
from policies.purpose import Purpose

YES = frozenset({"true", "t", "1", "yes", "y", "granted", "opt-in", "oui", "vrai", "ja", "wahr", "si", "sí", "sì"})
NO = frozenset({"false", "f", "0", "no", "n", "denied", "opt-out", "non", "faux", "nein", "falsch"})

_DATE = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})" + TIME_OF_DAY)
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_DAY_FIRST = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|er|\.)?[ -]([^\W\d_]{3,9})\.?,?[ -]([0-9]{4})")
_MONTH_FIRST = re.compile(r"([^\W\d_]{3,9})\.? ([0-9]{1,2})(?:st|nd|rd|th)?,? ([0-9]{4})")
_MONTHS = {
    name: number
    for language in (
        "jan january|feb february|mar march|apr april|may|jun june|jul july|aug august|sep sept september|oct october"
        "|nov november|dec december",
        "janv janvier|févr fevr février fevrier|mars|avr avril|mai|juin|juil juillet|août aout|septembre|octobre"
        "|novembre|déc décembre decembre",
    )
    for number, names in enumerate(language.split("|"), start=1)
    for name in names.split()
}


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


def read_consent(text: str, purposes: int) -> int | None:
    """Which of the `purposes` (a mask) a cell consents to; None for blank or unknown text, which counts as none."""
    answer = read_yes_no(text)
    if answer is not None:
        return purposes if answer else 0
    consented = tcf.consented(text.strip())
    if consented is None:
        return None
    return purposes & sum(purpose.bit for purpose in Purpose if purpose.tcf in consented)


@lru_cache(maxsize=16_384)  # a customer file has few different dates
def read_date(text: str, order: DateOrder) -> date | None:
    """The day of a cell; None where it is none that can be read with certainty.

    `2026-03-01`, `20260301`, `1 March 2026`, `Mar 1, 2026` and `1er mars 2026` under every order; `01/03/2026` or
    `03/01/2026` by the file's. Separators are alike: `-`, `/` or `.`. Years have four digits. A time of day is dropped
    with its zone; nothing is converted. Anything else behind the date makes it none.
    """
    text = text.strip()
    match = _DATE.fullmatch(text)
    if match is None:
        return _written_out(text)
    first, middle, last = match[1], match[3], match[4]
    if len(first) == 4 and len(last) <= 2:
        year, month, day = first, middle, last
    elif order is DateOrder.DMY and len(last) == 4 and len(first) <= 2:
        year, month, day = last, middle, first
    elif order is DateOrder.MDY and len(last) == 4 and len(first) <= 2:
        year, month, day = last, first, middle
    else:
        return None
    return _day(year, int(month), day)


def _written_out(text: str) -> date | None:
    """A date whose parts tell their order by themselves."""
    if match := _COMPACT.fullmatch(text):
        return _day(match[1], int(match[2]), match[3])
    for pattern, day, month in ((_DAY_FIRST, 1, 2), (_MONTH_FIRST, 2, 1)):
        if match := pattern.fullmatch(text.casefold()):
            return _day(match[3], _MONTHS.get(match[month], 0), match[day])
    return None


def _day(year: str, month: int, day: str) -> date | None:
    try:
        return date(int(year), month, int(day))
    except ValueError:  # no such day
        return None

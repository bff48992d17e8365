"""The match key `phone`, a whole column at once.

Rules:
* Decided here: digits with the usual separators, in national or international form, as `phonenumbers` decides them; the
  comments name its functions. A test over every region's numbers, and broken ones, holds the two together.
* Every other value, what metadata leaves unclear, and everything near the published patterns stays open for `phone`.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa

from partners.identifiers.digit_patterns import END, Found, Table
from partners.identifiers.phone_metadata import (
    GENERAL,
    LEADING,
    MAX_DIGITS,
    UNCLEAR_ABROAD,
    UNCLEAR_TRUNK,
    Plan,
    country_codes,
    plan,
    plans,
)
from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Bytes, Counts, Decided, Flat, Mask, column, ends_of

MIN_DIGITS = 5
MAX_CHARACTERS = 60
_STRIDE = 2 * MAX_DIGITS  # one row of digits, and ends behind it
_SEPARATOR, _DIGIT, _PLUS, _OTHER = 0, 1, 2**8, 2**16  # as weights: a sum of them counts each kind
_WEIGHTS = np.full(256, _OTHER, np.int32)
_WEIGHTS[ord("0") : ord("9") + 1] = _DIGIT
_WEIGHTS[list(b" .-/()")] = _SEPARATOR
_WEIGHTS[ord("+")] = _PLUS
_ZERO = np.uint8(ord("0"))


class _Digits:
    """The digits of some rows, `_STRIDE` apart; the number of a row begins at `starts`, which moves as it is read."""

    def __init__(self, digits: Bytes, counts: Counts) -> None:
        self.digits = digits
        self.ends = np.arange(len(counts)) * _STRIDE + counts
        self.starts = self.ends - counts
        self.most = int(counts.max(initial=1))

    def left(self, rows: Counts, starts: Counts) -> Counts:
        return self.ends[rows] - starts

    def read(self, table: Table, starts: Counts) -> Found:
        return table.read(self.digits, starts, self.most)

    def begins(self, starts: Counts, prefix: str) -> Mask:
        found = np.ones(len(starts), np.bool_)
        for place, digit in enumerate(prefix):
            found &= self.digits[starts + place] == int(digit)
        return found


def phone_column(values: pa.StringArray, region: str | None) -> Decided:
    """What can be said of a column without asking the library."""
    flat = Flat.of(values)
    lengths = flat.lengths
    weights = _WEIGHTS[flat.data]
    is_digit = weights == _DIGIT
    sums = flat.sums(weights)
    counts, pluses = sums & 255, sums >> 8  # the form has no byte of another kind
    usual = (counts >= MIN_DIGITS) & (counts <= MAX_DIGITS) & (lengths <= MAX_CHARACTERS)
    plus = np.zeros(len(lengths), np.bool_)
    if len(flat.data):
        first, second, last = (
            flat.data[np.clip(place, 0, len(flat.data) - 1)]
            for place in (flat.starts[:-1], flat.starts[:-1] + 1, flat.starts[1:] - 1)
        )
        plus = (first == ord("+")) | ((first == ord("(")) & (second == ord("+")))
        usual &= pluses == plus
        usual &= _WEIGHTS[last] == _DIGIT
        usual[_round(flat, np.flatnonzero(usual & (last == _ZERO)))] = False  # 612345678.00, which may be a quantity
    rows = np.flatnonzero(usual)
    digits = _Digits(_spread(flat, is_digit, usual, counts), counts[rows])
    codes, decided = _read(digits, plus[rows], region)
    valid = decided & (codes > 0)
    invalid = decided & (codes == 0)
    blank = lengths == 0
    still_open = ~blank
    still_open[rows[decided]] = False
    reasons = {Invalid.EMPTY: np.flatnonzero(blank), Invalid.NOT_A_NUMBER: rows[invalid]}
    return Decided(_e164(digits, codes, np.flatnonzero(valid)), rows[valid], reasons, np.flatnonzero(still_open))


def _round(flat: Flat, rows: Counts) -> Counts:
    """Which of these rows, all of which end with a zero, may end with a quantity's point and zeros. After six
    digits or more, where it is not a single zero: `01.99.00.12.00` has a point three bytes before."""
    starts, places = flat.starts[rows], flat.starts[rows + 1] - 1
    found, one = [rows[:0]], True
    while len(rows):
        places = places - 1
        before = np.where(places >= starts, flat.data[places], 0)
        point = before == ord(".")
        if not one:
            point &= (places - 6 >= starts) & (_WEIGHTS[flat.data[places - 3]] == _DIGIT)
        found.append(rows[point])
        one = False
        further = before == _ZERO
        rows, starts, places = rows[further], starts[further], places[further]
    return np.concatenate(found)


def _spread(flat: Flat, is_digit: Mask, usual: Mask, counts: Counts) -> Bytes:
    """The digits of the usual rows, each row at a multiple of `_STRIDE`, with ends behind them."""
    taken = is_digit & np.repeat(usual, flat.lengths) if not usual.all() else is_digit
    found = flat.data[taken] - _ZERO
    counts = counts[usual]
    gaps = np.arange(len(counts)) * _STRIDE - (np.cumsum(counts) - counts)
    spread = np.full(len(counts) * _STRIDE + _STRIDE, END, np.uint8)
    spread[np.arange(len(found)) + np.repeat(gaps, counts)] = found
    return spread


def _read(digits: _Digits, plus: Mask, region: str | None) -> tuple[Counts, Mask]:
    """The country calling code of each row that holds a valid number, 0 for the others, and which rows are decided.

    Moves each row's start to its national number, as `phonenumbers.parse` finds it.
    """
    codes = np.zeros(len(plus), np.int64)
    decided = np.zeros(len(plus), np.bool_)
    home = plan(region) if region is not None else None
    international = plus.copy()
    if home is not None:
        rows = np.flatnonzero(~plus)
        international[rows], known = _abroad(digits, rows, home)
        rows = rows[known & ~international[rows]]
        _national(digits, rows, home, codes, decided)
    elif region is None:
        decided[~plus] = True  # a national number of no region is no number
    rows = np.flatnonzero(international)
    found = _country_codes(digits, rows)
    for code in np.unique(found[found > 0]).tolist():
        of_code = rows[found == code]
        regions = plans(code)
        if regions is None:
            continue
        # `parse` takes the default region's own metadata only where it is the main one of the code.
        unclear = _strip(digits, of_code, regions[0])
        _judge(digits, of_code[~unclear], code, regions, codes, decided)
    return codes, decided


def _abroad(digits: _Digits, rows: Counts, home: Plan) -> tuple[Mask, Mask]:
    """`_parse_prefix_as_idd`: which rows begin with the prefix for abroad, now skipped, and which are known."""
    starts = digits.starts[rows]
    known = np.ones(len(rows), np.bool_)
    if home.abroad_table.finds:
        known = digits.read(home.abroad_table, starts) & UNCLEAR_ABROAD == 0
    international = np.zeros(len(rows), np.bool_)
    for prefix in home.abroad:
        begins = digits.begins(starts, prefix)
        international |= begins & (digits.digits[starts + len(prefix)] != 0) & known
        digits.starts[rows[international & begins]] += len(prefix)
    return international, known


def _country_codes(digits: _Digits, rows: Counts) -> Counts:
    """`_extract_country_code`: the code at the start of each row, which is skipped; 0 where there is none."""
    starts = digits.starts[rows]
    found = np.zeros(len(rows), np.int64)
    value = np.zeros(len(rows), np.int64)
    for place in range(3):
        digit = digits.digits[starts + place].astype(np.int64)
        value = value * 10 + digit
        here = (found == 0) & (digit < END) & (digits.digits[starts] != 0)
        here[here] = country_codes()[value[here]]
        here &= digits.left(rows, starts) > place + 3  # short rests are left to the library
        found[here] = value[here]
        digits.starts[rows[here]] += place + 1
        if place < 2:
            value[found > 0] = 0
    return found


def _national(digits: _Digits, rows: Counts, home: Plan, codes: Counts, decided: Mask) -> None:
    """Rows in the national form, or with the country calling code and nothing before it."""
    regions = plans(home.country_code)
    if regions is None:
        return
    code = str(home.country_code)
    # `_maybe_extract_country_code`, where the number starts with the code of its own region.
    with_code = rows[digits.begins(digits.starts[rows], code) & (digits.left(rows, digits.starts[rows]) > len(code))]
    unclear = np.zeros(len(digits.starts), np.bool_)
    if len(with_code):
        whole = digits.starts[with_code]
        without, unclear[with_code] = _without_trunk(digits, with_code, whole + len(code), home)
        before, after = (_general(digits, home, starts) for starts in (whole, without))
        taken = (~before & after) | _is_too_long(digits.left(with_code, whole), home)
        digits.starts[with_code[taken]] = without[taken]
        # `parse` goes on with the metadata of the code's main region.
        taken_rows = with_code[taken]
        unclear[taken_rows] |= _strip(digits, taken_rows, regions[0])
        others = np.setdiff1d(rows, taken_rows, assume_unique=True)
    else:
        others = rows
    unclear[others] |= _strip(digits, others, home)
    _judge(digits, rows[~unclear[rows]], home.country_code, regions, codes, decided)


def _general(digits: _Digits, of: Plan, starts: Counts) -> Mask:
    found: Mask = digits.read(of.table, starts) & GENERAL != 0
    return found


def _is_too_long(left: Counts, of: Plan) -> Mask:
    # `_test_number_length` looks at the lengths of local numbers first; those are shorter.
    return left > of.too_long


def _strip(digits: _Digits, rows: Counts, of: Plan) -> Mask:
    """Skip the trunk prefix where `parse` does; which rows are unclear."""
    starts = digits.starts[rows]
    without, unclear = _without_trunk(digits, rows, starts, of)
    left = digits.left(rows, without)
    digits.starts[rows] = np.where(of.strips[left] | (without == starts), without, starts)
    return unclear


def _without_trunk(digits: _Digits, rows: Counts, starts: Counts, of: Plan) -> tuple[Counts, Mask]:
    """`_maybe_strip_national_prefix_carrier_code`: where the number begins without it, and which rows are unclear."""
    unclear = np.zeros(len(rows), np.bool_)
    if of.table.finds & UNCLEAR_TRUNK:
        unclear = digits.read(of.table, starts) & UNCLEAR_TRUNK != 0
    without = starts.copy()
    for trunk in of.trunks:
        here = np.flatnonzero(digits.begins(starts, trunk))
        without[here] += len(trunk)
        doubtful = here[~_general(digits, of, without[here])]
        kept = doubtful[_general(digits, of, starts[doubtful])]
        without[kept] = starts[kept]
    return without, unclear


def _judge(digits: _Digits, rows: Counts, code: int, regions: tuple[Plan, ...], codes: Counts, decided: Mask) -> None:
    """`is_valid_number`: the first region that claims a number says whether it is one."""
    starts = digits.starts[rows]
    left = digits.left(rows, starts)
    clear = (left >= 5) & ~_is_pattern(digits, digits.ends[rows])
    rows, starts, left = rows[clear], starts[clear], left[clear]
    decided[rows] = True
    for region in regions:
        found = digits.read(region.table, starts) & region.allowed[left]
        typed = (found & GENERAL != 0) & (found > (GENERAL | UNCLEAR_TRUNK | LEADING))
        claimed = found & LEADING != 0 if region.has_leading else typed
        codes[rows[typed if len(regions) == 1 else claimed & typed]] = code
        if len(regions) == 1:
            return
        rows, starts, left = rows[~claimed], starts[~claimed], left[~claimed]
        if not len(rows):
            return


def _is_pattern(digits: _Digits, ends: Counts) -> Mask:
    """Rows whose last digits are alike, or count up or down: they may be placeholders."""
    last = [digits.digits[ends - place].astype(np.int8) for place in (1, 2, 3, 4)]
    steps = [(later - earlier) % 10 for later, earlier in pairwise(last)]
    alike = (steps[0] == steps[1]) & (steps[1] == steps[2])
    found: Mask = alike & np.isin(steps[0], (0, 1, 9))
    return found


def _e164(digits: _Digits, codes: Counts, rows: Counts) -> pa.StringArray:
    starts, codes = digits.starts[rows], codes[rows]
    left = digits.left(rows, starts)
    code_digits = 1 + (codes >= 10) + (codes >= 100)
    lengths = 1 + code_digits + left
    ends = ends_of(lengths)
    data = np.empty(int(ends[-1]), np.uint8)
    data[ends[:-1]] = ord("+")
    for place in range(3):
        here = np.flatnonzero(code_digits > place)
        data[ends[here] + 1 + place] = codes[here] // 10 ** (code_digits[here] - 1 - place) % 10 + _ZERO
    source = np.arange(int(left.sum())) + np.repeat(starts - (np.cumsum(left) - left), left)
    target = np.arange(len(source)) + np.repeat(ends[1:] - left - (np.cumsum(left) - left), left)
    data[target] = digits.digits[source] + _ZERO
    return column(data, ends)

"""libphonenumber's metadata as tables over digits.

Rules:
* A `Plan` says what `phonenumbers` does with the digits of one region, as `phonenumbers.parse` and `is_valid_number`
  do it (version 9); where a pattern is more than a table can tell, it says `unclear` and the library is asked.
* A region that cannot be told at all has no plan.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
import phonenumbers
from numpy.typing import NDArray
from phonenumbers import PhoneMetadata

from partners.identifiers.digit_patterns import Found, NotSimple, Table, table

MAX_DIGITS = 17  # what libphonenumber reads as a national number

GENERAL, UNCLEAR_TRUNK, LEADING = 1, 2, 4
_FIRST_TYPE = 3
_TYPES = (
    "premium_rate", "toll_free", "shared_cost", "voip", "personal_number", "pager", "uan", "voicemail", "fixed_line",
    "mobile",
)  # fmt: skip
UNCLEAR_ABROAD = 1
NON_GEOGRAPHIC = "001"


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of one region.

    `trunks`: what may stand before national numbers, such as `0`. `table` reads national numbers (the bits above), and
    `allowed[n]` are the bits that count for n digits. `strips[n]`: whether a number that n digits are left of may lose
    its trunk. `too_long`: longer ones are too long. `abroad`: the digits before a number of another country, such as
    `00`; `abroad_table` says where others might.
    """

    country_code: int
    trunks: tuple[str, ...]
    table: Table
    allowed: Found
    strips: NDArray[np.bool_]
    too_long: int
    has_leading: bool
    abroad: tuple[str, ...]
    abroad_table: Table


@cache
def plan(region: str) -> Plan | None:
    """The numbers of a region, None where a table cannot tell."""
    metadata = PhoneMetadata.metadata_for_region(region, None)
    if metadata is None:
        return None
    try:
        return _plan(metadata)
    except NotSimple:
        return None


@cache
def plans(country_code: int) -> tuple[Plan, ...] | None:
    """The regions of a country calling code, in the order in which a number is looked for; None where unclear."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(country_code, ())
    found = [plan(region) for region in regions if region != NON_GEOGRAPHIC]
    if not found or len(found) != len(regions) or None in found:
        return None
    return tuple(each for each in found if each is not None)


@cache
def country_codes() -> NDArray[np.bool_]:
    """Which numbers of up to three digits are country calling codes; none is the beginning of another."""
    known = np.zeros(1000, np.bool_)
    known[[code for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE if code < 1000]] = True
    return known


def _plan(metadata: PhoneMetadata) -> Plan:
    general = metadata.general_desc
    if (
        general is None
        or not general.national_number_pattern
        or not general.possible_length
        or not metadata.country_code
    ):
        raise NotSimple
    allowed = np.zeros(MAX_DIGITS + 2, np.uint32)
    allowed[list(general.possible_length)] |= GENERAL
    allowed |= UNCLEAR_TRUNK | LEADING
    whole = {GENERAL: [general.national_number_pattern]}
    for place, name in enumerate(_TYPES, start=_FIRST_TYPE):
        kind = getattr(metadata, name)
        if kind is None or not kind.national_number_pattern:
            continue
        if name == "mobile" and metadata.same_mobile_and_fixed_line_pattern:
            continue
        whole[1 << place] = [kind.national_number_pattern]
        lengths = [length for length in kind.possible_length if 0 < length <= MAX_DIGITS]
        allowed[lengths if kind.possible_length else slice(None)] |= np.uint32(1 << place)
    trunks, others = _alternatives(metadata.national_prefix_for_parsing or "")
    ended = [each.removesuffix("$") for each in others if each.endswith("$")]
    whole[UNCLEAR_TRUNK] = ended
    beginning = {UNCLEAR_TRUNK: [each for each in others if not each.endswith("$")]}
    if metadata.leading_digits is not None:
        beginning[LEADING] = [metadata.leading_digits]
    abroad, unclear = _alternatives(metadata.international_prefix or "")
    possible = sorted(general.possible_length)
    strips = np.zeros(MAX_DIGITS + 2, np.bool_)
    strips[possible] = True
    strips[possible[-1] + 1 :] = True  # too long is no reason to keep the trunk
    strips[list(general.possible_length_local_only)] = False
    return Plan(
        country_code=metadata.country_code,
        trunks=trunks,
        table=table(whole, beginning),
        allowed=allowed,
        strips=strips,
        too_long=possible[-1],
        has_leading=metadata.leading_digits is not None,
        abroad=abroad,
        abroad_table=table({}, {UNCLEAR_ABROAD: unclear}),
    )


def _alternatives(pattern: str) -> tuple[tuple[str, ...], list[str]]:
    """The alternatives of a pattern that are digits only, and the others, which the order of a choice may concern."""
    if not pattern:
        return (), []
    found, depth = [""], 0
    for character in pattern:
        depth += (character in "([") - (character in ")]")
        if character == "|" and not depth:
            found.append("")
        else:
            found[-1] += character
    plain = tuple(each for each in found if each.isascii() and each.isdigit())
    if any(one != other and one.startswith(other) for one in plain for other in plain):
        raise NotSimple  # which of the two is taken depends on their order
    return plain, [each for each in found if each not in plain]

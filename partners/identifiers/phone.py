"""The match key `phone`: E.164 with the leading `+`, as libphonenumber reads it.

Rules, in this order:
* Trim; blank is `empty`; 32, 40 or 64 hex digits are `looks_hashed`.
* A number that a program has turned into a quantity (`3.36123E+10`, `612345678.0`, `612345678.00`) has lost or gained
  digits and is a `spreadsheet_number`, whatever the digits that are left. Several zeros count behind six digits or more
  that nothing divides: `01.99.00.12.00` is a number like any other.
* libphonenumber parses the value with the file's default region; only what its `is_valid_number` accepts is a number.
  Without a region only the international form with `+` can be read.
* `placeholder` by the pattern of the national number (see `lists`).

What is valid depends on libphonenumber's metadata, so its version travels in the manifest.
"""

import re

import phonenumbers

from partners.identifiers.lists import is_placeholder_number
from partners.identifiers.reason import Invalid
from partners.identifiers.text import looks_hashed, trim

_QUANTITY = re.compile(r"[0-9][.,]?[Ee][+-]?[0-9]|[0-9][.,]0\Z|[0-9]{6}[.,]0+\Z")


def phone(value: str, region: str | None) -> str | Invalid:
    """The canonical text of a phone number; `region` is two capital letters (ISO 3166) or None.

    >>> phone("01 99 00 12 34", "FR")
    '+33199001234'
    """
    number = trim(value)
    if not number:
        return Invalid.EMPTY
    if looks_hashed(number):
        return Invalid.LOOKS_HASHED
    if _QUANTITY.search(number):
        return Invalid.SPREADSHEET_NUMBER
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return Invalid.NOT_A_NUMBER
    if not phonenumbers.is_valid_number(parsed):
        return Invalid.NOT_A_NUMBER
    if is_placeholder_number(phonenumbers.national_significant_number(parsed)):
        return Invalid.PLACEHOLDER
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def phone_metadata_version() -> str:
    """The version of the phone metadata in use, such as `9.0.43`."""
    return phonenumbers.__version__


def is_region(region: str) -> bool:
    """Whether national numbers of this region can be read."""
    return region in phonenumbers.SUPPORTED_REGIONS

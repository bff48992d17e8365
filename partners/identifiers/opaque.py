"""The match keys `id` and `id.<name>`: an opaque id that the partners share, such as a loyalty card or a cookie.

Rules, in this order:
* Trim; blank is `empty`.
* What programs make of a number that they take for a quantity is a `spreadsheet_number`: `2.98764E+12` (or `e+12`, or
  `E12` as some write it) has lost digits, and many people would share it; `298764000000.0` is an id that no other file
  has. Without a plus there must be a point: `2E12` may well be an id.
* Otherwise untouched: case, inner spaces and leading zeros count. Partners who write one id in two ways must agree on
  one of them before they prepare their files.
* Text that cannot be written as UTF-8 (a lone surrogate, left by broken decoding) is `not_text`.
"""

import re

from partners.identifiers.reason import Invalid
from partners.identifiers.text import trim

SPREADSHEET = r"\A(?:[0-9](?:[.,][0-9]+)?[Ee]\+[0-9]{2}|[0-9][.,][0-9]+[Ee][0-9]{1,2}|[0-9]+[.,]0+)\z"
MARKS = (b"+", b".", b",")  # one of them stands in every value that `SPREADSHEET` fits
_SPREADSHEET = re.compile(SPREADSHEET.replace(r"\z", r"\Z"))


def opaque(value: str) -> str | Invalid:
    """The canonical text of an opaque id.

    >>> opaque(" 00042-a ")
    '00042-a'
    """
    shared_id = trim(value)
    if not shared_id:
        return Invalid.EMPTY
    try:
        shared_id.encode()
    except UnicodeEncodeError:
        return Invalid.NOT_TEXT
    return Invalid.SPREADSHEET_NUMBER if _SPREADSHEET.match(shared_id) else shared_id

"""Canonical JSON: one value, one spelling, so that signatures and hashes mean the same bytes everywhere.

Rules: keys sorted by code point, no insignificant white space, UTF-8 without escapes beyond what JSON demands, integers
only (a float has no single spelling), no duplicate keys. `loads` accepts nothing that `dumps` would not write.
"""

import json
from typing import Any, NoReturn


class NotCanonical(ValueError):
    """The bytes or the value have no canonical form; the message is safe to print."""


def dumps(value: object) -> bytes:
    """The canonical bytes of a JSON value made of None, bool, int, str, lists, tuples and dicts with text keys.

    Raises `NotCanonical`, also for what no JSON in UTF-8 can hold: half a character, or no end of nesting or digits.
    """
    try:
        _refuse_floats(value)
        return _ENCODER.encode(value).encode()
    except NotCanonical:
        raise
    except (ValueError, RecursionError):
        raise NotCanonical("a text is not Unicode, a number is too long, or the nesting is too deep") from None


def loads(data: bytes) -> Any:
    """The value of canonical bytes. Raises `NotCanonical` when they are not exactly what `dumps` writes."""
    try:
        value = _DECODER.decode(data.decode())
        # What was decoded holds no float; a key that was named twice is written once.
        same = _ENCODER.encode(value).encode() == data
    except NotCanonical:
        raise
    except (ValueError, RecursionError):
        raise NotCanonical("not JSON in UTF-8") from None
    if not same:
        raise NotCanonical("JSON, but not in canonical form: keys sorted, each once, no white space, UTF-8 unescaped")
    return value


def _refuse_floats(value: object) -> None:
    if type(value) is str or type(value) is int:  # most of what there is
        return
    if isinstance(value, float):
        raise NotCanonical("a float has no canonical form; write integers or text")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise NotCanonical("a key of an object must be text")
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def _no_float(_: str) -> NoReturn:
    raise NotCanonical("a float has no canonical form; write integers or text")


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder(parse_float=_no_float, parse_constant=_no_float)

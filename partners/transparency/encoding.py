"""The two small text forms that every log format shares: base64 and decimal numbers.

Both are strict: a value has exactly one spelling, and any other spelling is refused.
"""

import base64
import re

MAX_NUMBER = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def encode_base64(data: bytes) -> str:
    """Bytes as standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of canonical base64; ValueError for any other text (wrong alphabet, padding or unused bits)."""
    try:
        data = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("not base64") from None
    if encode_base64(data) != text:
        raise ValueError("base64 that is not canonical")
    return data


def decode_decimal(text: str) -> int:
    """The number of an ASCII decimal without leading zeroes, at most 2^63 - 1; ValueError for any other text."""
    if not _DECIMAL.fullmatch(text) or (number := int(text)) > MAX_NUMBER:
        raise ValueError("not a decimal number")
    return number

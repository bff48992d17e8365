"""What every match key does to text first.

Rules:
* The trimmed characters are listed here one by one, so that another language can trim the same ones.
"""

import re

TRIMMED = (
    "\t\n\v\f\r \u0085\u00a0\u1680"  # Unicode White_Space …
    "\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
    "\u200b\u200c\u200d\u200e\u200f"  # … and the invisible marks that copying and exporting leave behind
    "\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2066\u2067\u2068\u2069\ufeff"
)

_HASHED = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")


def trim(value: str) -> str:
    """`value` without the characters of `TRIMMED` at both ends."""
    return value.strip(TRIMMED)


def looks_hashed(value: str) -> bool:
    """Whether `value` has the shape of an MD5, SHA-1 or SHA-256 in hex: 32, 40 or 64 hex digits and nothing else."""
    return _HASHED.fullmatch(value) is not None

"""The match key `email`: an address as mail programs write it, folded by a named profile.

Rules, in this order:
* Trim; blank is `empty`; 32, 40 or 64 hex digits are `looks_hashed`.
* Unicode NFC, lower case (the full Unicode mapping, no locale), NFC again.
* Exactly one `@`. The local part is an RFC 5321 dot-string of 1 to 64 bytes, with the characters of RFC 6531 beyond
  ASCII: letters, marks, numbers, punctuation, symbols. No quoted strings, no comments, no dot at an end or after a dot.
* The domain becomes ASCII by IDNA 2008 after the UTS #46 mapping (non-transitional). It has at least two labels, and
  the last one has two characters or more and is not a number. The address has at most 254 bytes.
* The profile's rule. `uid2`: in gmail.com, and only there, everything from the first `+` and all dots are dropped from
  the local part; an address that is left with none is `not_an_address`. `plain`: nothing more.
* Then the published lists: `placeholder` by the whole address, `role_mailbox` by the local part before any `+`.
"""

import re
import unicodedata
from enum import Enum
from functools import lru_cache

import idna

from partners.identifiers.lists import PLACEHOLDER_ADDRESSES, ROLE_LOCAL_PARTS
from partners.identifiers.reason import Invalid
from partners.identifiers.text import looks_hashed, trim

MAX_LOCAL_BYTES = 64
MAX_ADDRESS_BYTES = 254
MAX_DOMAIN_CHARACTERS = 253

_ATOM = r"(?:[a-z0-9!#$%&'*+/=?^_`{|}~-]|[^\x00-\x7f])+"
_DOT_STRING = re.compile(rf"{_ATOM}(?:\.{_ATOM})*")


class EmailProfile(Enum):
    """Which addresses are taken for one mailbox; pinned in the agreement."""

    UID2 = "uid2"
    PLAIN = "plain"


def email(value: str, profile: EmailProfile) -> str | Invalid:
    """The canonical text of an e-mail address: lower case, its domain in ASCII.

    >>> email(" Jane.Doe+news@Gmail.com", EmailProfile.UID2)
    'janedoe@gmail.com'
    """
    address = trim(value)
    if not address:
        return Invalid.EMPTY
    if looks_hashed(address):
        return Invalid.LOOKS_HASHED
    local, _, domain = _lower(address).partition("@")
    if not _is_dot_string(local) or len(local.encode()) > MAX_LOCAL_BYTES:
        return Invalid.NOT_AN_ADDRESS
    encoded = ascii_domain(domain) if len(domain) <= MAX_DOMAIN_CHARACTERS else None
    if encoded is None or len(local.encode()) + 1 + len(encoded) > MAX_ADDRESS_BYTES:
        return Invalid.NOT_AN_ADDRESS
    if profile is EmailProfile.UID2 and encoded == "gmail.com":
        # Without its dots, a mark can meet a letter that it composes with.
        local = unicodedata.normalize("NFC", local.partition("+")[0].replace(".", ""))
        if not local:
            return Invalid.NOT_AN_ADDRESS
    canonical = f"{local}@{encoded}"
    if canonical in PLACEHOLDER_ADDRESSES:
        return Invalid.PLACEHOLDER
    if local.partition("+")[0] in ROLE_LOCAL_PARTS:
        return Invalid.ROLE_MAILBOX
    return canonical


def _lower(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).lower())


def _is_dot_string(local: str) -> bool:
    if _DOT_STRING.fullmatch(local) is None:
        return False
    return local.isascii() or all(char.isascii() or unicodedata.category(char)[0] in "LMNPS" for char in local)


@lru_cache(maxsize=65_536)  # a customer file has few domains, and IDNA is the slow part
def ascii_domain(domain: str) -> str | None:
    """The domain by IDNA, or None where it is no mail domain; a second `@` ends here too."""
    try:
        encoded = idna.encode(domain, uts46=True).decode("ascii")
    except UnicodeError:  # what idna raises, for every kind of refusal
        return None
    head, _, last = encoded.rpartition(".")
    return encoded if head and len(last) >= 2 and not last.isdigit() else None

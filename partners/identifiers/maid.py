"""The match key `maid`: a mobile advertising id (IDFA, AAID), which is a UUID.

Rules, in this order:
* Trim; blank is `empty`; 40 or 64 hex digits are `looks_hashed`. 32 hex digits are a UUID without its hyphens.
* A UUID as 8-4-4-4-12 hex digits or 32 of them, in any case, bare, in braces or after `urn:uuid:` (RFC 9562).
  The version and variant bits are not looked at.
* The all-zero id is `all_zero`; then the published list: `placeholder`.
* The canonical text is lower case with hyphens.
"""

import re

from partners.identifiers.lists import PLACEHOLDER_DEVICES
from partners.identifiers.reason import Invalid
from partners.identifiers.text import looks_hashed, trim

_HEX = r"([0-9a-f]{8})(-?)([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{4})\2([0-9a-f]{12})"
_BARE = re.compile(_HEX)
_ALL_ZERO = "00000000-0000-0000-0000-000000000000"


def maid(value: str) -> str | Invalid:
    """The canonical text of an advertising id.

    >>> maid("{6D92078A-8246-4BA4-AE5B-76104861E7DC}")
    '6d92078a-8246-4ba4-ae5b-76104861e7dc'
    """
    device = trim(value)
    if not device:
        return Invalid.EMPTY
    if looks_hashed(device) and len(device) > 32:
        return Invalid.LOOKS_HASHED
    match = _BARE.fullmatch(_unwrapped(device.lower()))
    if match is None:
        return Invalid.NOT_A_UUID
    first, _, *others = match.groups()
    canonical = "-".join([first, *others])
    if canonical == _ALL_ZERO:
        return Invalid.ALL_ZERO
    if canonical in PLACEHOLDER_DEVICES:
        return Invalid.PLACEHOLDER
    return canonical


def _unwrapped(device: str) -> str:
    if device.startswith("{") and device.endswith("}"):
        return device[1:-1]
    return device.removeprefix("urn:uuid:")

"""TC strings of the IAB Transparency and Consent Framework: which purposes a person consented to.

Rules:
* Version 2 only, and consents only: a legitimate interest is no consent. Anything else is unknown, which means no.
* Only the core segment is read, and of it the version and the purposes' bits. Vendors, and how old the string is, are
  for the platform that collected it.
Source: IAB Tech Lab, "Transparency and Consent String with Global Vendor & CMP List Formats v2.2", core string.
"""

import base64
import re

_VERSION_BITS = 6
_PURPOSES_AT = 152  # version, two times, platform, screen, language, vendor list, policy, two flags, special features
_PURPOSES = 24
_CORE = re.compile(r"[A-Za-z0-9_-]{30,2048}")


def consented(text: str) -> frozenset[int] | None:
    """The numbers of the purposes (1 to 24) with consent; None for what is no TC string of version 2."""
    core = text.partition(".")[0]
    if not _CORE.fullmatch(core):
        return None
    data = base64.urlsafe_b64decode(core + "A" * (-len(core) % 4))
    bits = int.from_bytes(data[: (_PURPOSES_AT + _PURPOSES) // 8], "big")
    if data[0] >> (8 - _VERSION_BITS) != 2:
        return None
    return frozenset(number for number in range(1, _PURPOSES + 1) if bits >> (_PURPOSES - number) & 1)

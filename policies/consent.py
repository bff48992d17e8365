"""Which rows take part in a question. The rule, written once; every engine must agree with it.

Rules: default deny. A row takes part when it consented to the question's purpose and its consent had not expired on
the day of the question. No expiry column declared means no expiry; with one, a blank date means expired.
A row that does not take part is absent before matching, as if it had never been uploaded.
"""

from dataclasses import dataclass
from datetime import date

from policies.purpose import Purpose


@dataclass(frozen=True, slots=True)
class Consent:
    """One row's consent: `purposes` as a mask (see `policies.purpose`), the last day it holds, None for no expiry."""

    purposes: int
    expires: date | None


def takes_part(consent: Consent, purpose: Purpose, day: date) -> bool:
    """Whether the row may be counted for `purpose` on `day` (UTC). A consent holds on its expiry day itself."""
    return bool(consent.purposes & purpose.bit) and (consent.expires is None or day <= consent.expires)

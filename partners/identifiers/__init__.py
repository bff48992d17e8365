"""Raw customer value -> canonical text, one module per match key.

Rules:
* Pure: no file, network or clock, and the same answer on every machine with the same phone metadata.
* Any text is accepted: the answer is canonical text or the `Invalid` reason, never an exception.
* Canonical text is never empty, can be written as UTF-8, and is its own canonical text.
* Canonical text is as sensitive as the raw value. It goes into `partners.protocol.token` and nowhere else.
"""

from dataclasses import dataclass

from partners.identifiers.email import EmailProfile, email
from partners.identifiers.maid import maid
from partners.identifiers.opaque import opaque
from partners.identifiers.person import DateOrder, person
from partners.identifiers.phone import is_region, phone, phone_metadata_version
from partners.identifiers.reason import Invalid
from policies.agreement import MATCH_KEY

__all__ = [
    "DateOrder",
    "EmailProfile",
    "Invalid",
    "Rules",
    "canonical",
    "columns_of",
    "email",
    "maid",
    "opaque",
    "person",
    "phone",
    "phone_metadata_version",
]


@dataclass(frozen=True, slots=True)
class Rules:
    """How one customer file is read.

    `email_profile` is the agreement's; `region` (two capital letters, ISO 3166) is the file's default for national
    phone numbers, None where it has none; `date_order` is that of the file's birth dates.
    Raises ValueError for a region that phone numbers do not know.
    """

    email_profile: EmailProfile
    region: str | None
    date_order: DateOrder

    def __post_init__(self) -> None:
        if self.region is not None and not is_region(self.region):
            raise ValueError("the region of phone numbers is unknown: write two capital letters, such as FR or GB")


def canonical(match_key: str, parts: tuple[str, ...], rules: Rules) -> str | Invalid:
    """The canonical text of one identifier, or why it has none.

    `parts` are the cells of the match key's columns, `columns_of(match_key)` of them: for `person` the given name, the
    family name and the birth date. Raises ValueError for an unknown match key or a wrong number of parts.
    """
    if len(parts) != columns_of(match_key):
        raise ValueError("this match key takes another number of columns: person takes three, every other key one")
    match match_key:
        case "email":
            return email(parts[0], rules.email_profile)
        case "phone":
            return phone(parts[0], rules.region)
        case "maid":
            return maid(parts[0])
        case "person":
            return person(parts[0], parts[1], parts[2], rules.date_order)
        case _:
            return opaque(parts[0])


def columns_of(match_key: str) -> int:
    """How many columns of a customer file a match key takes. Raises ValueError for an unknown match key."""
    if MATCH_KEY.fullmatch(match_key) is None:
        raise ValueError("unknown match key: write email, phone, maid, person, id, or id. and a name in small letters")
    return 3 if match_key == "person" else 1

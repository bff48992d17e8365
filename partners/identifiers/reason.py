"""Why a raw value gives no canonical text.

Rules:
* A refusal is a value, not an exception: dirty customer files are normal.
* A refusal never holds the value it refuses, so it may be counted, printed and published.
* The codes stand in quality reports and in the published vectors: they may be added to, never renamed.
"""

from enum import Enum


class Invalid(Enum):
    """The reason why a value is invalid; `value` is its stable code, `sentence` says it to a person."""

    EMPTY = "empty"
    LOOKS_HASHED = "looks_hashed"
    NOT_AN_ADDRESS = "not_an_address"
    NOT_A_NUMBER = "not_a_number"
    SPREADSHEET_NUMBER = "spreadsheet_number"
    NOT_A_UUID = "not_a_uuid"
    NOT_A_DATE = "not_a_date"
    NOT_TEXT = "not_text"
    MISSING_PART = "missing_part"
    ALL_ZERO = "all_zero"
    PLACEHOLDER = "placeholder"
    ROLE_MAILBOX = "role_mailbox"

    @property
    def sentence(self) -> str:
        """One plain sentence, safe to print."""
        return _SENTENCES[self]


_SENTENCES = {
    Invalid.EMPTY: "The value is blank.",
    Invalid.LOOKS_HASHED: "The value already looks hashed; give the plain identifier, it is hashed on this machine.",
    Invalid.NOT_AN_ADDRESS: "The value is not an e-mail address.",
    Invalid.NOT_A_NUMBER: "The value is not a valid phone number; a national number also needs the file's region.",
    Invalid.SPREADSHEET_NUMBER: "A program took the value for a quantity (1.23457E+12, 123456.0), which changed it.",
    Invalid.NOT_A_UUID: "The value is not an advertising id, which is written as a UUID.",
    Invalid.NOT_A_DATE: "The birth date is not a date of the years 1850 to 2200 in the file's stated order.",
    Invalid.NOT_TEXT: "The value holds broken text that cannot be written as UTF-8.",
    Invalid.MISSING_PART: "The given name, the family name or the birth date is missing.",
    Invalid.ALL_ZERO: "The advertising id is all zeros, which is what a device gives when tracking is switched off.",
    Invalid.PLACEHOLDER: "The value is a well-known placeholder, which stands for nobody.",
    Invalid.ROLE_MAILBOX: "The address is a mailbox that several people share.",
}

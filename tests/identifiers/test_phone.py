"""The match key `phone`: cases by hand, then its laws over example numbers of every region."""

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.identifiers import Invalid, phone, phone_metadata_version
from partners.identifiers.lists import is_placeholder_number
from partners.identifiers.text import TRIMMED

CANONICAL = "+33199001234"  # a number that the French regulator keeps for fiction


@pytest.mark.parametrize(
    "raw",
    [
        "01 99 00 12 34",
        "0199001234",
        "01.99.00.12.34",
        "01-99-00-12-34",
        "01/99/00/12/34",
        "(01) 99 00 12 34",
        "+33 1 99 00 12 34",
        "+33 (0)1 99 00 12 34",
        "(+33) 199001234",
        "0033199001234",
        "33199001234",
        "tel:+33-1-99-00-12-34",
        "01 99 00 12 34 ext. 5",
        "\u202a+33\u00a01\u00a099\u00a000\u00a012\u00a034\u202c",
        "＋３３１９９００１２３４",
        "٠١٩٩٠٠١٢٣٤",
        "'0199001234",
    ],
)
def test_spellings_of_one_number(raw: str) -> None:
    assert phone(raw, "FR") == CANONICAL


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("020 7946 0123", "GB", "+442079460123"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("1-202-555-0123", "US", "+12025550123"),
        ("0491 570 156", "AU", "+61491570156"),
        ("0176 0406 9001", "DE", "+4917604069001"),
        ("+33199001234", None, CANONICAL),
        ("+33199001234", "US", CANONICAL),
        ("06 12 34 56 78", "FR", "+33612345678"),
        ("06 698 12345", "IT", "+390669812345"),
    ],
)
def test_canonical(raw: str, region: str | None, expected: str) -> None:
    assert phone(raw, region) == expected


@pytest.mark.parametrize(
    ("raw", "region", "reason"),
    [
        ("", "FR", Invalid.EMPTY),
        ("\u00a0 ", "FR", Invalid.EMPTY),
        ("d41d8cd98f00b204e9800998ecf8427e", "FR", Invalid.LOOKS_HASHED),
        ("0" * 64, "FR", Invalid.LOOKS_HASHED),
        ("0199001234", None, Invalid.NOT_A_NUMBER),
        ("0033199001234", None, Invalid.NOT_A_NUMBER),
        ("3.36123E+10", "FR", Invalid.SPREADSHEET_NUMBER),
        ("3,36123E+10", "FR", Invalid.SPREADSHEET_NUMBER),
        ("3.361231E7", "DK", Invalid.SPREADSHEET_NUMBER),
        ("199001234.0", "FR", Invalid.SPREADSHEET_NUMBER),
        ("1590123456.0", "DE", Invalid.SPREADSHEET_NUMBER),
        ("199001234.00", "FR", Invalid.SPREADSHEET_NUMBER),
        ("199001234,000", "FR", Invalid.SPREADSHEET_NUMBER),
        ("0301234567.00", "DE", Invalid.SPREADSHEET_NUMBER),
        ("12345", "FR", Invalid.NOT_A_NUMBER),
        ("+999123456789", "FR", Invalid.NOT_A_NUMBER),
        ("01 99 00 12 34 / 01 99 00 12 35", "FR", Invalid.NOT_A_NUMBER),
        ("jane@orange.fr", "FR", Invalid.NOT_A_NUMBER),
        ("0000000000", "FR", Invalid.NOT_A_NUMBER),
        ("0600000000", "FR", Invalid.PLACEHOLDER),
        ("+33 6 00 00 00 00", None, Invalid.PLACEHOLDER),
        ("0666666666", "FR", Invalid.PLACEHOLDER),
        ("0611111111", "FR", Invalid.PLACEHOLDER),
        ("0123456789", "FR", Invalid.PLACEHOLDER),
        ("0987654321", "FR", Invalid.PLACEHOLDER),
        ("+1 234 567 8901", None, Invalid.PLACEHOLDER),
    ],
)
def test_refused(raw: str, region: str | None, reason: Invalid) -> None:
    assert phone(raw, region) is reason


def test_the_quantity_rule_is_needed() -> None:
    """Without it the library reads these as other people's numbers."""
    for quantity, region in (("3.361231E7", "DK"), ("1590123456.0", "DE"), ("0301234567.00", "DE")):
        assert phonenumbers.is_valid_number(phonenumbers.parse(quantity, region))


@pytest.mark.parametrize(
    ("raw", "region", "expected"),
    [
        ("01.99.00.12.00", "FR", "+33199001200"),
        ("06.12.34.00.00", "FR", "+33612340000"),
        ("2212.0000", "DK", "+4522120000"),
    ],
)
def test_zeros_behind_the_points_that_people_write(raw: str, region: str, expected: str) -> None:
    assert phone(raw, region) == expected


def test_patterns_of_placeholders() -> None:
    assert is_placeholder_number("600000000")
    assert is_placeholder_number("4567890123")
    assert is_placeholder_number("6543210987")
    assert not is_placeholder_number("600000001")
    assert not is_placeholder_number("612345678")
    assert not is_placeholder_number("135791357")


def test_metadata_version_is_the_installed_one() -> None:
    assert phone_metadata_version() == phonenumbers.__version__


EXAMPLES = {
    region: example
    for region in sorted(phonenumbers.SUPPORTED_REGIONS)
    if (example := phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE))
    and phonenumbers.is_valid_number(example)
    and not is_placeholder_number(phonenumbers.national_significant_number(example))
}


def test_every_region_reads_its_own_number_in_every_format() -> None:
    assert len(EXAMPLES) > 200
    for region, example in EXAMPLES.items():
        canonical = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
        for style in (
            phonenumbers.PhoneNumberFormat.E164,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.RFC3966,
        ):
            assert phone(phonenumbers.format_number(example, style), region) == canonical, (region, style)
        assert phone(canonical, None) == canonical
        assert phone(canonical, "FR") == canonical


@given(
    st.sampled_from(["FR", "GB", "DE", "IT", "ES", "NL", "BE"]),
    st.lists(st.sampled_from(["", " ", "-", ".", "\u00a0", "\u2011", "  "]), min_size=20, max_size=20),
    st.sampled_from(["+", "00"]),
    st.text(TRIMMED, max_size=3),
)
@settings(deadline=None)
def test_separators_and_prefix_do_not_count(region: str, separators: list[str], prefix: str, space: str) -> None:
    """These regions dial 00 for abroad."""
    example = EXAMPLES[region]
    canonical = phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)
    digits = str(example.country_code) + phonenumbers.national_significant_number(example)
    spelled = "".join(digit + separator for digit, separator in zip(digits, separators, strict=False))
    assert phone(space + prefix + spelled + space, region) == canonical

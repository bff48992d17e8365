"""Whole columns at once give what one value after the other gives: for every value tried, valid or not."""

import random

import phonenumbers
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from phonenumbers import PhoneMetadata

from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical
from partners.identifiers.columns import canonical_column
from partners.identifiers.email_column import email_column
from partners.identifiers.phone_column import phone_column

REGIONS = [*sorted(phonenumbers.SUPPORTED_REGIONS), None]


def rules(profile: EmailProfile = EmailProfile.UID2, region: str | None = None) -> Rules:
    return Rules(profile, region, DateOrder.YMD)


def check(match_key: str, values: list[str], how: Rules) -> None:
    found = canonical_column(match_key, (pa.array(values, pa.string()),), how)
    answers: list[str | Invalid | None] = found.texts.to_pylist()
    for reason, rows in found.invalid.items():
        for row in rows.tolist():
            assert answers[row] is None
            answers[row] = reason
    assert answers == [canonical(match_key, (value,), how) for value in values]


def examples(region: str | None) -> list[phonenumbers.PhoneNumber]:
    found = [phonenumbers.example_number_for_type(region, kind) for kind in range(11)] if region else []
    return [each for each in found if each] or [phonenumbers.parse("+33199001234"), phonenumbers.parse("+442079460123")]


EVERY_EXAMPLE = [example for region in REGIONS for example in examples(region)]
SEPARATORS = ["", "", "", " ", "-", ".", "/", " (", ") ", "  ", "\u00a0"]


def spelled(draw: random.Random, region: str | None) -> str:
    """A number of the region or another one: as it is, or a neighbour, under some prefix, with some separators."""
    example = draw.choice(examples(region)) if draw.random() < 0.7 else draw.choice(EVERY_EXAMPLE)
    digits = list(phonenumbers.national_significant_number(example))
    for _ in range(draw.choice([0, 0, 1, 2, 5])):
        digits[draw.randrange(len(digits))] = draw.choice("0123456789")
    if draw.random() < 0.2:
        digits = digits[: -draw.randint(1, 3)] if draw.random() < 0.5 else [*digits, draw.choice("0123456789")]
    metadata = PhoneMetadata.metadata_for_region(region, None) if region else None
    code = str(example.country_code)
    trunk = (metadata and metadata.national_prefix) or ""
    international = ["", "", f"+{code}", f"+{code}", f"00{code}", f"011{code}", "+", "00", "810"]
    odd = [code, f"+{code}0", f"{code}0", code + code, f"0{code}", "000", "180020"]
    prefix = draw.choice([*international, *odd, "0", "1", "8", trunk, trunk])
    text = prefix + "".join(digits)
    if draw.random() < 0.5:
        text = "".join(character + draw.choice(SEPARATORS) for character in text)
    text = (
        ("(" if draw.random() < 0.05 else "")
        + text
        + draw.choice([""] * 12 + ["x5", " ext 3", ".0", ".00", ".000", ",00", " ", "#", "/1"])
    )
    if draw.random() < 0.03:
        text = "".join(draw.choice("0123456789+ -().") for _ in range(draw.randint(0, 20)))
    return text


@pytest.mark.parametrize("region", REGIONS)
def test_phones_of_every_region(region: str | None) -> None:
    draw = random.Random(f"phones {region}")
    check("phone", [spelled(draw, region) for _ in range(60)], rules(region=region))


@given(st.sampled_from(REGIONS), st.lists(st.from_regex(r"\(?\+?[0-9 ().-]{0,22}", fullmatch=True), max_size=10))
@settings(max_examples=150, deadline=None)
def test_phones_that_are_made_up(region: str | None, values: list[str]) -> None:
    check("phone", values, rules(region=region))


def test_phones_that_end_with_zeros() -> None:
    values = ["199001234.0", "199001234.00", "199001234,00", "01.99.00.12.00", "0199001200", "000000", ".000000"]
    values += ["0" * 15, "1.00000", "0000.00000", "12345.00000", "123456.0000", "01 99 00 12.00", "+33199001.200"]
    for start in range(len(values)):
        check("phone", values[start:] + values[:start], rules(region="FR"))


def test_numbers_as_people_write_them_do_not_need_the_library() -> None:
    """Where this fails, prepare is right and slow."""
    formats = (
        phonenumbers.PhoneNumberFormat.E164,
        phonenumbers.PhoneNumberFormat.INTERNATIONAL,
        phonenumbers.PhoneNumberFormat.NATIONAL,
    )
    for region in ("FR", "GB", "DE", "IT", "ES", "NL", "BE", "US", "CA", "AU", "IN", "PL", "SE", "CH"):
        example = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        number = example.national_number // 1000 * 1000 + 274
        texts = [
            phonenumbers.format_number(
                phonenumbers.PhoneNumber(country_code=example.country_code, national_number=number), style
            )
            for style in formats
        ]
        assert len(phone_column(pa.array(texts), region).open) == 0, (region, texts)


LOCALS = [
    "a",
    "jane.doe",
    "j+x",
    "test",
    "info",
    "info+a",
    "no-reply",
    "x" * 64,
    "x" * 65,
    ".a",
    "a.",
    "a..b",
    "é",
    "A.B",
]
LOCALS += [
    "noemail",
    "no.email",
    "t.e.s.t+1",
    "+a",
    ".+a",
    "a+b+c",
    "",
    "jane doe",
    "o'b",
    "administrator",
    "a.b+c.d",
    "info+newsletter-2026",
    "+",
]
DOMAINS = ["gmail.com", "Gmail.com", "gmail.com.", "test.com", "orange.fr", "x.y", "a.bc", "localhost", "192.168.0.1"]
DOMAINS += ["xn--a.com", "xn--bcher-kva.de", "bücher.de", "-a.com", "a_b.com", "", "a..b", "mail.gmail.com"]
DOMAINS += ["b" * 63 + ".fr", "b" * 64 + ".fr", ".".join(["c" * 60] * 4) + ".fr", "ｇmail.com"]
ADDRESSES = st.builds(
    "{}{}{}".format, st.sampled_from(LOCALS), st.sampled_from(["@"] * 5 + ["", "@@", " @"]), st.sampled_from(DOMAINS)
)
VALUES = ADDRESSES | st.text("ab.@+ é-_G\u200b\n", max_size=12) | st.sampled_from(["", "a" * 32, "0" * 40, "J@x.fr\t"])


@given(st.lists(VALUES, max_size=30), st.sampled_from(EmailProfile))
@settings(max_examples=300, deadline=None)
def test_addresses(values: list[str], profile: EmailProfile) -> None:
    check("email", values, rules(profile))


def test_usual_addresses_do_not_need_the_slow_rule() -> None:
    values = pa.array([f"Jane.Doe{row}@{domain}" for row in range(50) for domain in ("Gmail.com", "orange.fr")])
    assert len(email_column(values, EmailProfile.UID2).open) == 0


@given(st.lists(st.text("a0 \u200b\u00a0é\n-", max_size=5), max_size=20))
def test_opaque_ids(values: list[str]) -> None:
    check("id.card", values, rules())


NUMBERS = st.from_regex(r"\A[0-9]{0,3}[.,]?[0-9]{0,3}(?:[Ee]\+?[0-9]{1,3})?[0. ]?\Z")
QUANTITIES = st.from_regex(r"\A[0-9][.,]?[0-9]{0,2}[Ee]\+?[0-9]{1,3}\Z")


@given(st.lists(NUMBERS, max_size=20) | st.lists(QUANTITIES, max_size=2))
def test_opaque_ids_that_look_like_numbers(values: list[str]) -> None:
    check("id", values, rules())


def test_slices_of_columns() -> None:
    column = pa.array(["x@x.fr", "Jane.Doe@gmail.com", "info@x.fr", "b@b.fr"]).slice(1, 2)
    assert canonical_column("email", (column,), rules()).texts.to_pylist() == ["janedoe@gmail.com", None]
    phones = pa.array(["0612345670", "06 12 34 56 74", "12", "0612345671"]).slice(1, 2)
    assert canonical_column("phone", (phones,), rules(region="FR")).texts.to_pylist() == ["+33612345674", None]
    assert canonical_column("id", (column,), rules()).texts.to_pylist() == column.to_pylist()


def test_text_that_cannot_be_written_is_read_one_by_one() -> None:
    found = canonical_column("id", (["a", "\ud800", ""],), rules())
    assert found.texts.to_pylist() == ["a", None, None]
    assert {reason: rows.tolist() for reason, rows in found.invalid.items()} == {
        Invalid.NOT_TEXT: [1],
        Invalid.EMPTY: [2],
    }

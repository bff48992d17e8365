"""The match key `person`: names, dates, then the laws."""

import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.identifiers import DateOrder, Invalid, person
from partners.identifiers.lists import PLACEHOLDER_NAMES
from partners.identifiers.person import FIRST_YEAR, LAST_YEAR

YMD, DMY, MDY = DateOrder.YMD, DateOrder.DMY, DateOrder.MDY
DAYS = st.dates(date(FIRST_YEAR, 1, 1), date(LAST_YEAR, 12, 31))
NAMES = st.text("abcdefghijklmnopqrstuvwxyzéèçñöåžőąșśïßØłΣσж", min_size=1, max_size=10)


@pytest.mark.parametrize(
    ("given_name", "family_name", "expected"),
    [
        ("Anne", "Dupont", "ANNE|DUPONT"),
        (" anne ", "DUPONT", "ANNE|DUPONT"),
        ("Anne-Marie", "O'Brien", "ANNEMARIE|OBRIEN"),
        ("Anne Marie", "O\u2019Brien", "ANNEMARIE|OBRIEN"),
        ("Anne Marie", "O\u02bcBrien", "ANNEMARIE|OBRIEN"),
        ("Zoë", "Muñoz", "ZOE|MUNOZ"),
        ("Zoe\u0308", "Mun\u0303oz", "ZOE|MUNOZ"),
        ("Jörg", "Groß", "JORG|GROSS"),
        ("JÖRG", "GRO\u1e9e", "JORG|GROSS"),
        ("Søren", "Wałęsa", "SØREN|WAŁESA"),
        ("Jean 2", "Martin (décédé)", "JEAN|MARTINDECEDE"),
        ("ﬁona", "Ｓｍｉｔｈ", "FIONA|SMITH"),
        ("İbrahim", "Yıldız", "IBRAHIM|YILDIZ"),
        ("Ἀνδρέας", "Παπᾶς", "ΑΝΔΡΕΑΣ|ΠΑΠΑΣ"),
        ("Пётр", "Ильич", "ПЕТР|ИЛЬИЧ"),
        ("佐々木", "ヒーロー", "佐々木|ヒーロー"),
        ("Jane|", "Doe|1990-02-01", "JANE|DOE"),
    ],
)
def test_names(given_name: str, family_name: str, expected: str) -> None:
    assert person(given_name, family_name, "1990-02-01", YMD) == f"{expected}|1990-02-01"


@pytest.mark.parametrize(
    ("raw", "order", "expected"),
    [
        ("19151111", YMD, "1915-11-11"),
        ("1990-02-01", YMD, "1990-02-01"),
        ("1990-02-01", DMY, "1990-02-01"),
        ("1990-02-01", MDY, "1990-02-01"),
        ("1990/2/1", DMY, "1990-02-01"),
        ("1990.02.01", MDY, "1990-02-01"),
        ("1/2/1990", DMY, "1990-02-01"),
        ("1/2/1990", MDY, "1990-01-02"),
        ("11.11.1915", DMY, "1915-11-11"),
        ("11-11-1915", MDY, "1915-11-11"),
        ("01021990", DMY, "1990-02-01"),
        ("01021990", MDY, "1990-01-02"),
        ("20011990", DMY, "1990-01-20"),
        ("1990-02-01T00:00:00", YMD, "1990-02-01"),
        ("1990-02-01 00:00:00", YMD, "1990-02-01"),
        ("1990-02-01T23:00:00.000Z", YMD, "1990-02-01"),
        ("1990-02-01 00:00:00+02:00", YMD, "1990-02-01"),
        ("1990-02-01 00:00:00+00", YMD, "1990-02-01"),
        ("1/2/1990 0:00", DMY, "1990-02-01"),
        (" 29/02/2000 ", DMY, "2000-02-29"),
        ("1850-01-01", YMD, "1850-01-01"),
        ("2200-12-31", YMD, "2200-12-31"),
    ],
)
def test_dates(raw: str, order: DateOrder, expected: str) -> None:
    assert person("Anne", "Dupont", raw, order) == f"ANNE|DUPONT|{expected}"


@pytest.mark.parametrize(
    ("raw", "order"),
    [
        ("1/2/1990", YMD),
        ("01.02.1990", YMD),
        ("31/12/1990", MDY),
        ("12/31/1990", DMY),
        ("31121990", YMD),
        ("19901231", DMY),
        ("19901231", MDY),
        ("1/2/90", DMY),
        ("90-02-01", YMD),
        ("1021990", DMY),
        ("32874", YMD),
        ("1900-02-29", YMD),
        ("1990-13-01", YMD),
        ("1990-00-10", YMD),
        ("0000-00-00", YMD),
        ("1849-12-31", YMD),
        ("2201-01-01", YMD),
        ("1990-02/01", YMD),
        ("1990 02 01", YMD),
        ("1 Feb 1990", DMY),
        ("1990-02-01T", YMD),
        ("1990-02-01 noon", YMD),
        ("1990-02-01 99:99", YMD),
        ("1990-02", YMD),
        ("١٩٩٠-٠٢-٠١", YMD),
        ("unknown", DMY),
    ],
)
def test_not_a_date(raw: str, order: DateOrder) -> None:
    assert person("Anne", "Dupont", raw, order) is Invalid.NOT_A_DATE


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        (("", " ", "\u00a0"), Invalid.EMPTY),
        (("", "Dupont", "1990-02-01"), Invalid.MISSING_PART),
        (("Anne", " ", "1990-02-01"), Invalid.MISSING_PART),
        (("Anne", "Dupont", ""), Invalid.MISSING_PART),
        (("-", "Dupont", "1990-02-01"), Invalid.MISSING_PART),
        (("Anne", "007", "1990-02-01"), Invalid.MISSING_PART),
        (("\u0301", "Dupont", "1990-02-01"), Invalid.MISSING_PART),
        (("f" * 32, "Dupont", "1990-02-01"), Invalid.LOOKS_HASHED),
        (("Anne", "0" * 40, "1990-02-01"), Invalid.LOOKS_HASHED),
        (("Anne", "Dupont", "A" * 64), Invalid.LOOKS_HASHED),
        (("", "", "A" * 64), Invalid.LOOKS_HASHED),
        (("fade-" * 8, "Dupont", "1990-02-01"), Invalid.LOOKS_HASHED),
        (("Test", "test", "1990-02-01"), Invalid.PLACEHOLDER),
        (("Test", "test", "1990-02-30"), Invalid.NOT_A_DATE),
    ],
)
def test_refused(parts: tuple[str, str, str], reason: Invalid) -> None:
    assert person(*parts, YMD) is reason


def test_every_entry_of_the_list_is_reached() -> None:
    assert {person(name, "TEST", "1990-02-01", YMD) for name in PLACEHOLDER_NAMES} == {Invalid.PLACEHOLDER}
    assert person("Test", "Null", "1990-02-01", YMD) is Invalid.PLACEHOLDER
    assert person("Jane", "Null", "1990-02-01", YMD) == "JANE|NULL|1990-02-01"


@given(DAYS, st.sampled_from("-/."), st.booleans())
def test_every_day_in_every_spelling(day: date, separator: str, padded: bool) -> None:
    width = 2 if padded else 1
    y, m, d = f"{day.year}", f"{day.month:0{width}d}", f"{day.day:0{width}d}"
    compact = {YMD: f"{day:%Y%m%d}", DMY: f"{day:%d%m%Y}", MDY: f"{day:%m%d%Y}"}
    written = {YMD: (y, m, d), DMY: (d, m, y), MDY: (m, d, y)}
    for order in DateOrder:
        for spelling in (compact[order], separator.join(written[order]), separator.join(written[YMD])):
            assert person("A", "B", spelling, order) == f"A|B|{day.isoformat()}"


@given(NAMES, NAMES)
def test_case_accents_and_punctuation_do_not_count(given_name: str, family_name: str) -> None:
    expected = person(given_name, family_name, "1990-02-01", YMD)
    for fold in (
        str.upper,
        str.lower,
        lambda name: unicodedata.normalize("NFD", name),
        lambda name: "".join(char for char in unicodedata.normalize("NFD", name) if not unicodedata.combining(char)),
        lambda name: "-".join(name),
        lambda name: " '" + "’ ".join(name) + ".",
        lambda name: "\u0300".join(name),
    ):
        assert person(fold(given_name), fold(family_name), "1990-02-01", YMD) == expected

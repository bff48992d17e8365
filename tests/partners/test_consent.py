from datetime import date

import pytest

from partners.consent import read_date, read_yes_no
from partners.identifiers import DateOrder

YMD, DMY, MDY = DateOrder.YMD, DateOrder.DMY, DateOrder.MDY


@pytest.mark.parametrize("text", ["true", "TRUE", "t", "1", "yes", "Y", "oui", "OUI", " yes ", "GRANTED", "vrai", "Ja"])
def test_yes(text: str) -> None:
    assert read_yes_no(text) is True


@pytest.mark.parametrize("text", ["false", "F", "0", "no", "N", "non", "Non", "DENIED", "FAUX"])
def test_no(text: str) -> None:
    assert read_yes_no(text) is False


@pytest.mark.parametrize("text", ["", " ", "2", "yes!", "null", "-1", "01", "on", "ouais"])
def test_anything_else_is_unknown(text: str) -> None:
    assert read_yes_no(text) is None


@pytest.mark.parametrize(
    ("text", "order", "day"),
    [
        ("2026-03-01", YMD, date(2026, 3, 1)),
        ("2026-03-01", DMY, date(2026, 3, 1)),
        ("2026/3/1", MDY, date(2026, 3, 1)),
        (" 2026.03.01 ", YMD, date(2026, 3, 1)),
        ("2026-03-01T23:59:59Z", YMD, date(2026, 3, 1)),
        ("2026-03-01 00:00:00.000000", YMD, date(2026, 3, 1)),
        ("2026-03-01T10:00:00+02:00", YMD, date(2026, 3, 1)),
        ("9999-12-31", YMD, date(9999, 12, 31)),
        ("01/03/2026", DMY, date(2026, 3, 1)),
        ("01/03/2026", MDY, date(2026, 1, 3)),
        ("1.3.2026 10:00", DMY, date(2026, 3, 1)),
        ("20260301", DMY, date(2026, 3, 1)),
        ("1 March 2026", YMD, date(2026, 3, 1)),
        ("01-Mar-2026", MDY, date(2026, 3, 1)),
        ("Mar 1, 2026", YMD, date(2026, 3, 1)),
        ("March 1st 2026", YMD, date(2026, 3, 1)),
        ("1er mars 2026", YMD, date(2026, 3, 1)),
        ("15 AOÛT 2026", YMD, date(2026, 8, 15)),
        ("3 févr. 2026", YMD, date(2026, 2, 3)),
        ("31 juin 2026", YMD, None),
        ("1 Marchember 2026", YMD, None),
        ("1 March 26", YMD, None),
        ("20261301", YMD, None),
        ("01/03/2026", YMD, None),
        ("31/12/2026", MDY, None),
        ("2026-02-30", YMD, None),
        ("2026-03/01", YMD, None),
        ("26-03-01", YMD, None),
        ("2026-03-2026", YMD, None),
        ("0000-01-01", YMD, None),
        ("2026-03-01 or later", YMD, None),
        ("2026-03-01 10:00:00+00", YMD, date(2026, 3, 1)),
        ("2026-03-01 10:00:00 +0200", YMD, date(2026, 3, 1)),
        ("2026-03-01 - 2025", YMD, None),
        ("2026-03-01 2027", YMD, None),
        ("2026-03-01 99:99", YMD, None),
        ("2026-03-01 24:00", YMD, None),
        ("2026-03-01 10:60", YMD, None),
        ("2026-03-01 10:00 -2025", YMD, None),
        ("2026-03-01 -", YMD, None),
        ("2026-03-01T", YMD, None),
        ("01/03/2026 02/03/2027", DMY, None),
        ("٢٠٢٦-٠٣-٠١", YMD, None),
        ("forever", YMD, None),
        ("", YMD, None),
    ],
)
def test_dates(text: str, order: DateOrder, day: date | None) -> None:
    assert read_date(text, order) == day

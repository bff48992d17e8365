"""The match keys `id` and `id.<name>`."""

import pytest

from partners.identifiers import Invalid, opaque


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("00042-a", "00042-a"),
        (" 00042-A\n", "00042-A"),
        ("\ufeff42", "42"),
        ("a  b", "a  b"),
        ("É", "É"),
        ("E\u0301", "E\u0301"),
        ("d41d8cd98f00b204e9800998ecf8427e", "d41d8cd98f00b204e9800998ecf8427e"),
        ("0", "0"),
    ],
)
def test_trimmed_and_otherwise_untouched(raw: str, expected: str) -> None:
    assert opaque(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"), [("", Invalid.EMPTY), ("\t\u00a0", Invalid.EMPTY), ("a\ud800", Invalid.NOT_TEXT)]
)
def test_refused(raw: str, reason: Invalid) -> None:
    assert opaque(raw) is reason

"""Tables over digits match what regular expressions match."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import SUPPORTED_REGIONS, PhoneMetadata

from partners.identifiers.digit_patterns import END, NotSimple, table
from partners.identifiers.phone_metadata import plan

PATTERNS = [
    r"[2-9]\d{9}|3\d{6}",
    r"(?:26[013-9]|59[1-35-9])\d{6}|(?:[13]\d|2[0-57-9])\d{7}",
    r"0(?:11|2(?:2(?:02?|[13])|3)?)?4{2,3}",
    r"(\d{2}){1,3}5?",
    r"[\d]0",
]


def bits(pattern: str, begins: bool, texts: list[str]) -> list[int]:
    digits = np.full(40 * len(texts), END, np.uint8)
    for row, text in enumerate(texts):
        digits[40 * row : 40 * row + len(text)] = list(map(int, text))
    made = table({} if begins else {8: [pattern]}, {8: [pattern]} if begins else {})
    return made.read(digits, np.arange(len(texts)) * 40, 20).tolist()


@given(st.sampled_from(PATTERNS), st.lists(st.text("0123456789", max_size=14), min_size=1, max_size=20), st.data())
def test_what_fits(pattern: str, texts: list[str], data: st.DataObject) -> None:
    texts.append(data.draw(st.from_regex(pattern, fullmatch=True, alphabet="0123456789")))
    assert bits(pattern, False, texts) == [8 * bool(re.fullmatch(pattern, text)) for text in texts]
    assert bits(pattern, True, texts) == [8 * bool(re.match(pattern, text)) for text in texts]


@pytest.mark.parametrize("pattern", ["a", "1*", "1+", r"\D", "(?!1)2", "1{2,}", "(1", "1)", "1??", "^1", "1$"])
def test_anything_else_is_refused(pattern: str) -> None:
    with pytest.raises(NotSimple):
        table({1: [pattern]}, {})


def test_every_region_has_a_table() -> None:
    """Where this fails, new metadata uses more than is read here: prepare is right and slow."""
    assert [
        region for region in SUPPORTED_REGIONS if PhoneMetadata.metadata_for_region(region) and not plan(region)
    ] == []

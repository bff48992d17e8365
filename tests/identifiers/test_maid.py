"""The match key `maid`."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.identifiers import Invalid, maid
from partners.identifiers.lists import PLACEHOLDER_DEVICES

CANONICAL = "6d92078a-8246-4ba4-ae5b-76104861e7dc"


@pytest.mark.parametrize(
    "raw",
    [
        CANONICAL,
        "6D92078A-8246-4BA4-AE5B-76104861E7DC",
        " 6d92078a-8246-4ba4-ae5b-76104861e7dc\n",
        "6d92078a82464ba4ae5b76104861e7dc",
        "{6D92078A-8246-4BA4-AE5B-76104861E7DC}",
        "urn:uuid:6d92078a-8246-4ba4-ae5b-76104861e7dc",
        "URN:UUID:6D92078A-8246-4BA4-AE5B-76104861E7DC",
    ],
)
def test_spellings_of_one_id(raw: str) -> None:
    assert maid(raw) == CANONICAL


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("", Invalid.EMPTY),
        (" ", Invalid.EMPTY),
        ("a" * 40, Invalid.LOOKS_HASHED),
        ("A" * 64, Invalid.LOOKS_HASHED),
        ("00000000-0000-0000-0000-000000000000", Invalid.ALL_ZERO),
        ("{00000000000000000000000000000000}", Invalid.ALL_ZERO),
        ("FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", Invalid.PLACEHOLDER),
        (CANONICAL[:-1], Invalid.NOT_A_UUID),
        (CANONICAL + "0", Invalid.NOT_A_UUID),
        (CANONICAL.replace("6", "g"), Invalid.NOT_A_UUID),
        ("6d92078a8246-4ba4-ae5b-76104861e7dc", Invalid.NOT_A_UUID),
        ("6d92-078a-8246-4ba4-ae5b-7610-4861-e7dc", Invalid.NOT_A_UUID),
        ("{" + CANONICAL, Invalid.NOT_A_UUID),
        (CANONICAL + "}", Invalid.NOT_A_UUID),
        ("idfa:" + CANONICAL, Invalid.NOT_A_UUID),
        ("٦d92078a-8246-4ba4-ae5b-76104861e7dc", Invalid.NOT_A_UUID),
    ],
)
def test_refused(raw: str, reason: Invalid) -> None:
    assert maid(raw) is reason


@given(st.uuids())
def test_any_uuid_in_any_spelling(device: UUID) -> None:
    expected: str | Invalid = str(device)
    if expected in PLACEHOLDER_DEVICES:
        expected = Invalid.PLACEHOLDER
    elif device.int == 0:
        expected = Invalid.ALL_ZERO
    for spelling in (str(device), str(device).upper(), device.hex, f"{{{device}}}", device.urn):
        assert maid(spelling) == expected

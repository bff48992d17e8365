"""What holds for every match key, on any text whatsoever."""

import unicodedata
from enum import Enum

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical, columns_of
from partners.identifiers.text import TRIMMED

MATCH_KEYS = ("email", "phone", "maid", "person", "id", "id.cookie")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=80)  # lone surrogates too
NEARLY = st.one_of(  # text that gets past the first checks
    st.builds("{}@{}".format, ANY_TEXT, ANY_TEXT),
    st.builds("{}@{}.com".format, st.text(max_size=12), st.text(max_size=12)),
    st.text("0123456789+-. ()/EextX;=", max_size=24),
    st.from_regex(r"[0-9a-fA-F{}-]{30,40}", fullmatch=True),
    st.from_regex(r"[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}.{0,9}", fullmatch=True),
    st.sampled_from(["1990-02-01", "jane@gmail.com", "Anne"]),
)
TEXT = ANY_TEXT | NEARLY
RULES = st.builds(
    Rules,
    st.sampled_from(EmailProfile),
    st.none() | st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)),
    st.sampled_from(DateOrder),
)


def rebuilt(match_key: str, text: str) -> tuple[str, ...]:
    return tuple(text.split("|")) if match_key == "person" else (text,)


@given(st.sampled_from(MATCH_KEYS), st.tuples(TEXT, TEXT, TEXT), RULES)
@settings(deadline=None, max_examples=300)
def test_any_text_gives_a_reason_or_its_own_canonical_text(
    match_key: str, cells: tuple[str, str, str], rules: Rules
) -> None:
    result = canonical(match_key, cells[: columns_of(match_key)], rules)
    if isinstance(result, Invalid):
        return
    assert result
    assert result.encode().decode() == result
    assert canonical(match_key, rebuilt(match_key, result), rules) == result


def test_every_character_in_a_name_and_an_address_settles_at_once() -> None:
    """Case mapping and normalisation have odd corners: try each code point in each."""
    rules = Rules(EmailProfile.UID2, None, DateOrder.YMD)
    kept = 0
    for code in range(0x20000):
        char = chr(code)
        if unicodedata.category(char) in ("Cn", "Co", "Lo"):
            continue
        for match_key, cells in (
            ("email", (f"a{char}.b@gmail.com",)),
            ("person", (f"a{char}b", "c", "1990-02-01")),
        ):
            result = canonical(match_key, cells, rules)
            if isinstance(result, str):
                kept += 1
                assert canonical(match_key, rebuilt(match_key, result), rules) == result, hex(code)
    assert kept > 10_000


@given(st.sampled_from(MATCH_KEYS), st.text(TRIMMED))
def test_blank_is_empty_for_every_match_key(match_key: str, blank: str) -> None:
    rules = Rules(EmailProfile.UID2, "FR", DateOrder.YMD)
    assert canonical(match_key, (blank,) * columns_of(match_key), rules) is Invalid.EMPTY


def test_the_settings_reach_their_match_key() -> None:
    uid2 = Rules(EmailProfile.UID2, "FR", DateOrder.DMY)
    plain = Rules(EmailProfile.PLAIN, "GB", DateOrder.MDY)
    assert canonical("email", ("j.doe@gmail.com",), uid2) == "jdoe@gmail.com"
    assert canonical("email", ("j.doe@gmail.com",), plain) == "j.doe@gmail.com"
    assert canonical("phone", ("0199001234",), uid2) == "+33199001234"
    assert canonical("phone", ("02079460123",), plain) == "+442079460123"
    assert canonical("person", ("A", "B", "1/2/1990"), uid2) == "A|B|1990-02-01"
    assert canonical("person", ("A", "B", "1/2/1990"), plain) == "A|B|1990-01-02"
    assert canonical("maid", ("6D92078A82464BA4AE5B76104861E7DC",), uid2) == "6d92078a-8246-4ba4-ae5b-76104861e7dc"
    assert canonical("id", (" A ",), uid2) == canonical("id.card", ("A",), uid2) == "A"


def test_columns() -> None:
    assert {key: columns_of(key) for key in MATCH_KEYS} == dict.fromkeys(MATCH_KEYS, 1) | {"person": 3}


@pytest.mark.parametrize("match_key", ["", "Email", "e-mail", "id.", "id.A", "id.a b", "ids", "person "])
def test_an_unknown_match_key_is_an_error(match_key: str) -> None:
    with pytest.raises(ValueError, match="unknown match key"):
        columns_of(match_key)


def test_a_wrong_number_of_parts_is_an_error_that_shows_nothing() -> None:
    rules = Rules(EmailProfile.UID2, "FR", DateOrder.YMD)
    for match_key, parts in (("email", ("jane", "doe")), ("person", ("jane",)), ("id", ())):
        with pytest.raises(ValueError, match="number of columns") as caught:
            canonical(match_key, parts, rules)
        assert "jane" not in str(caught.value)


@pytest.mark.parametrize("region", ["UK", "fr", "", "FRA", "ZZ", "001"])
def test_an_unknown_region_is_an_error(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        Rules(EmailProfile.UID2, region, DateOrder.YMD)


def test_reasons_are_plain_values_with_a_sentence_each() -> None:
    """Plain, not text: a reason can never be taken for canonical text."""
    assert Invalid.__bases__ == (Enum,)
    for reason in Invalid:
        assert not isinstance(reason, str)
        assert reason.value == reason.name.lower()
        assert reason.sentence.endswith(".")
        assert "\n" not in reason.sentence
    assert len({reason.sentence for reason in Invalid}) == len(Invalid)

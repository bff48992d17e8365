import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.hashing import tokens
from partners.protocol import token


@given(
    st.binary(min_size=32, max_size=32), st.lists(st.text(min_size=1, max_size=300).filter(lambda text: text.isascii()))
)
def test_many_tokens_are_those_of_the_protocol(key: bytes, canonicals: list[str]) -> None:
    found = tokens(key, [canonical.encode() for canonical in canonicals])
    assert [bytes(row) for row in found] == [token(key, canonical) for canonical in canonicals]


def test_a_key_has_its_length() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        tokens(bytes(31), [])

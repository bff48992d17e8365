"""Tokens, key checks and fingerprints: what separates them, what they are made of, what they refuse."""

import hashlib
import hmac
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners import protocol
from partners.protocol import PublicKeys, fingerprint, key_check, token, token_key

SECRET = bytes(range(32))
SECRETS = st.binary(min_size=32, max_size=32)
NAMES = st.text(min_size=1, max_size=20)
EPOCHS = st.integers(1, 10**6)
KEYS = st.builds(PublicKeys, SECRETS, SECRETS)


def by_hand(secret: bytes, fields: list[str], length: int) -> bytes:
    """HKDF from HMAC alone, as the specification writes it; one block of output is enough."""
    info = b"".join(len(field.encode()).to_bytes(2, "big") + field.encode() for field in fields)
    prk = hmac.new(bytes(32), secret, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\x01", hashlib.sha256).digest()[:length]


@given(SECRETS, NAMES, EPOCHS, NAMES, NAMES)
def test_the_specified_bytes(secret: bytes, collaboration: str, epoch: int, match_key: str, text: str) -> None:
    key = by_hand(secret, ["cleanroom/token", "1", collaboration, str(epoch), match_key], 32)
    assert token_key(secret, collaboration, epoch, match_key) == key
    assert token(key, text) == hmac.new(key, text.encode(), hashlib.sha256).digest()[:16]
    check = by_hand(secret, ["cleanroom/key-check", "1", collaboration, str(epoch)], 16)
    assert key_check(secret, collaboration, epoch) == check.hex()


@given(st.lists(st.tuples(SECRETS, NAMES, EPOCHS, NAMES), min_size=2, max_size=6, unique=True))
def test_different_inputs_give_different_keys(inputs: list[tuple[bytes, str, int, str]]) -> None:
    for one, other in combinations(inputs, 2):
        assert token_key(*one) != token_key(*other)
        assert (key_check(*one[:3]) == key_check(*other[:3])) == (one[:3] == other[:3])


def test_fields_cannot_be_cut_elsewhere() -> None:
    assert token_key(SECRET, "c1", 1, "id") != token_key(SECRET, "c", 11, "id")
    assert token_key(SECRET, "c", 1, "1id") != token_key(SECRET, "c", 11, "id")
    assert key_check(SECRET, "c1", 1) != key_check(SECRET, "c", 11)


@given(KEYS, KEYS)
def test_fingerprints_are_the_same_from_both_sides(a: PublicKeys, b: PublicKeys) -> None:
    digits = fingerprint(a, b)
    assert digits == fingerprint(b, a)
    groups = digits.split(" ")
    assert [len(group) for group in groups] == [5] * 12
    assert all(group.isdecimal() and group.isascii() for group in groups)


@given(KEYS, KEYS, st.integers(0, 63), st.integers(1, 255))
def test_any_byte_of_any_key_changes_the_fingerprint(a: PublicKeys, b: PublicKeys, place: int, flip: int) -> None:
    raw = bytearray(a.signing + a.sealing)
    raw[place] ^= flip
    assert fingerprint(PublicKeys(bytes(raw[:32]), bytes(raw[32:])), b) != fingerprint(a, b)


def test_a_fingerprint_by_hand() -> None:
    a, b = PublicKeys(b"\x11" * 32, b"\x22" * 32), PublicKeys(b"\x33" * 32, b"\x44" * 32)
    label = b"\x00\x15cleanroom/fingerprint" + b"\x00\x011"
    digest = hashlib.sha512(label + b"\x11" * 32 + b"\x22" * 32 + b"\x33" * 32 + b"\x44" * 32).hexdigest()
    groups = [f"{int(digest[start : start + 10], 16) % 100_000:05d}" for start in range(0, 120, 10)]
    assert fingerprint(b, a) == " ".join(groups)


@pytest.mark.parametrize("secret", [b"", b"x" * 31, b"x" * 33])
def test_a_secret_of_another_length_is_an_error(secret: bytes) -> None:
    with pytest.raises(ValueError, match="secret has 32 bytes") as caught:
        token_key(secret, "c", 1, "email")
    assert "xxx" not in str(caught.value)
    with pytest.raises(ValueError, match="secret has 32 bytes"):
        key_check(secret, "c", 1)


@pytest.mark.parametrize("epoch", [0, -1])
def test_epochs_count_from_one(epoch: int) -> None:
    with pytest.raises(ValueError, match="count from 1"):
        token_key(SECRET, "c", epoch, "email")
    with pytest.raises(ValueError, match="count from 1"):
        key_check(SECRET, "c", epoch)


@pytest.mark.parametrize("name", ["", "c" * 65_536])
def test_fields_are_neither_empty_nor_endless(name: str) -> None:
    with pytest.raises(ValueError, match="65,535 bytes"):
        token_key(SECRET, name, 1, "email")
    with pytest.raises(ValueError, match="65,535 bytes"):
        token_key(SECRET, "c", 1, name)
    with pytest.raises(ValueError, match="65,535 bytes"):
        key_check(SECRET, name, 1)


def test_a_token_needs_its_key_and_a_text() -> None:
    with pytest.raises(ValueError, match="key has 32 bytes") as caught:
        token(b"k" * 16, "janedoe@gmail.com")
    assert "jane" not in str(caught.value)
    with pytest.raises(ValueError, match="never empty"):
        token(b"k" * 32, "")


@pytest.mark.parametrize(("signing", "sealing"), [(31, 32), (32, 31), (33, 32), (0, 0)])
def test_public_keys_have_32_bytes(signing: int, sealing: int) -> None:
    with pytest.raises(ValueError, match="public key has 32 bytes"):
        PublicKeys(bytes(signing), bytes(sealing))


def test_the_numbers_of_version_1() -> None:
    assert (protocol.PROTOCOL_VERSION, protocol.TOKEN_BYTES, protocol.SECRET_BYTES) == (1, 16, 32)

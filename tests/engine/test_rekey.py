"""Re-keying is AES-256 block by block; its keys are private files that are made once."""

import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.engine import rekey
from cleanroom.engine.rekey import NoKey, Rekeyer

# FIPS 197, appendix C.3: AES-256.
KEY = bytes.fromhex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
PLAIN = bytes.fromhex("00112233445566778899aabbccddeeff")
CIPHER = bytes.fromhex("8ea2b7ca516745bfeafc49904b496089")


def test_it_is_aes_256() -> None:
    assert Rekeyer(KEY).tokens(PLAIN) == CIPHER


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=20), st.binary(min_size=32, max_size=32))
def test_each_token_by_itself_and_in_order(tokens: list[bytes], key: bytes) -> None:
    together = Rekeyer(key).tokens(b"".join(tokens))
    one_by_one = Rekeyer(key)
    assert together == b"".join(one_by_one.tokens(token) for token in tokens)
    assert len({together[i : i + 16] for i in range(0, len(together), 16)}) == len(set(tokens))


def test_a_key_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Rekeyer(bytes(16))


def test_a_key_is_private_stored_once_and_loaded_again(tmp_path: Path) -> None:
    key = rekey.create(tmp_path, "col-1", 1)
    assert rekey.load(tmp_path, "col-1", 1) == key
    assert len(key) == 32
    [path] = tmp_path.iterdir()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        rekey.create(tmp_path, "col-1", 1)
    assert rekey.load(tmp_path, "col-1", 1) == key
    assert rekey.create(tmp_path, "col-1", 2) != key
    assert rekey.create(tmp_path, "col-2", 1) != key


def test_nothing_half_written_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rekey.create(tmp_path, "col-1", 1)
    assert list(tmp_path.iterdir()) == []


def test_a_destroyed_key_is_gone(tmp_path: Path) -> None:
    rekey.create(tmp_path, "col-1", 1)
    rekey.destroy(tmp_path, "col-1", 1)
    rekey.destroy(tmp_path, "col-1", 1)
    with pytest.raises(NoKey):
        rekey.load(tmp_path, "col-1", 1)


@pytest.mark.parametrize("damage", ["short", "long", "readable"])
def test_an_unusable_key_is_refused(tmp_path: Path, damage: str) -> None:
    rekey.create(tmp_path, "col-1", 1)
    [path] = tmp_path.iterdir()
    if damage == "readable":
        path.chmod(0o640)
    else:
        path.write_bytes(bytes(31 if damage == "short" else 33))
    with pytest.raises(NoKey):
        rekey.load(tmp_path, "col-1", 1)


@pytest.mark.parametrize("collaboration", ["", "../col", "a.1", "a/b"])
def test_a_collaboration_is_no_path(tmp_path: Path, collaboration: str) -> None:
    with pytest.raises(ValueError, match="name"):
        rekey.create(tmp_path, collaboration, 1)

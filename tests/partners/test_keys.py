import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from partners import keys
from partners.keys import BadKeyFile
from tests.partners.world import FRESH, TASTY


def unasked() -> str:
    raise AssertionError("nobody is asked for a passphrase where there is none")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scrypt at a thousandth of its cost."""
    monkeypatch.setitem(keys.SCRYPT, "n", 2**7)


def test_stored_keys_come_back(tmp_path: Path) -> None:
    made = keys.create(tmp_path / "keys.json")
    assert keys.load(tmp_path / "keys.json", unasked).public == made.public
    assert (tmp_path / "keys.json").stat().st_mode & 0o777 == 0o600


def test_keys_are_never_overwritten(tmp_path: Path) -> None:
    made = keys.create(tmp_path / "keys.json")
    with pytest.raises(BadKeyFile, match=r"keys\.json exists already"):
        keys.create(tmp_path / "keys.json")
    assert keys.load(tmp_path / "keys.json", unasked).public == made.public


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_keys_that_others_can_reach_are_refused(tmp_path: Path, mode: int) -> None:
    keys.create(tmp_path / "keys.json")
    (tmp_path / "keys.json").chmod(mode)
    with pytest.raises(BadKeyFile, match="chmod 600"):
        keys.load(tmp_path / "keys.json", unasked)


def test_a_missing_key_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BadKeyFile, match="keygen"):
        keys.load(tmp_path / "keys.json", unasked)


@pytest.mark.parametrize(
    "damage",
    [
        lambda document: "{",
        lambda document: "[]",
        lambda document: "\x00",
        lambda document: json.dumps(document | {"version": 0}),
        lambda document: json.dumps(document | {"signing": "AAAA"}),
        lambda document: json.dumps(document | {"signing": 5}),
        lambda document: json.dumps({"version": 1, "signing": document["signing"]}),
    ],
)
def test_a_damaged_key_file_is_refused_without_its_keys(
    tmp_path: Path, damage: Callable[[dict[str, str]], str]
) -> None:
    path = tmp_path / "keys.json"
    keys.create(path)
    document = json.loads(path.read_bytes())
    path.write_text(damage(document))
    with pytest.raises(BadKeyFile, match="damaged") as refusal:
        keys.load(path, unasked)
    assert document["signing"] not in str(refusal.value)


def test_a_signature_holds_for_one_key_one_label_one_payload() -> None:
    signature = FRESH.sign("manifest/v1", b"payload")
    public = FRESH.public.signing
    assert keys.verify(public, "manifest/v1", b"payload", signature)
    assert not keys.verify(public, "agreement/v1", b"payload", signature)
    assert not keys.verify(public, "manifest/v1", b"payloae", signature)
    assert not keys.verify(TASTY.public.signing, "manifest/v1", b"payload", signature)
    assert not keys.verify(public, "manifest/v1", b"payload", signature[:-1])
    assert not keys.verify(b"no key", "manifest/v1", b"payload", signature)


def test_the_signed_bytes_are_the_label_and_the_payload() -> None:
    assert FRESH.sign("agreement/v1", b"{}") == FRESH.signing.sign(b"cleanroom/agreement/v1\n{}")


def test_the_name_of_a_key_is_pinned() -> None:
    assert keys.key_id(bytes(32)) == "66687aadf862bd77"


def test_nothing_prints_a_private_key() -> None:
    private = FRESH.signing.private_bytes_raw()
    assert private.hex() not in repr(FRESH)
    assert str(private) not in repr(FRESH)


@pytest.mark.usefixtures("quick")
def test_keys_under_a_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = keys.create(path, "correct horse battery")
    private = made.signing.private_bytes_raw(), made.sealing.private_bytes_raw()
    assert not any(base64.b64encode(each) in path.read_bytes() for each in private)
    assert keys.load(path, lambda: "correct horse battery").public == made.public
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(BadKeyFile, match=r"not the passphrase of keys\.json") as refusal:
        keys.load(path, lambda: "correct horse batters")
    assert "horse" not in str(refusal.value)


@pytest.mark.usefixtures("quick")
def test_the_same_keys_under_another_passphrase_and_under_none(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    made = keys.create(path, "the first passphrase")
    keys.protect(path, made, "the second passphrase")
    with pytest.raises(BadKeyFile, match="not the passphrase"):
        keys.load(path, lambda: "the first passphrase")
    assert keys.load(path, lambda: "the second passphrase").public == made.public
    keys.protect(path, made, None)
    assert keys.load(path, unasked).public == made.public


def test_keys_of_a_later_version_are_not_called_damaged(tmp_path: Path) -> None:
    path = tmp_path / "identity.json"
    keys.create(path)
    path.write_text(path.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(BadKeyFile, match="update cleanroom-partner"):
        keys.load(path, lambda: "")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("place", ["sealed", "salt", "n", "version"])
def test_damaged_keys_under_a_passphrase(tmp_path: Path, place: str) -> None:
    path = tmp_path / "keys.json"
    keys.create(path, "correct horse battery")
    document = json.loads(path.read_bytes())
    changed = {
        "sealed": {"sealed": "A" + document["sealed"][1:-4] + "AAA="},
        "salt": {"scrypt": document["scrypt"] | {"salt": "A" * 43 + "="}},
        "n": {"scrypt": document["scrypt"] | {"n": 2**40}},
        "version": {"version": 0},
    }[place]
    path.write_text(json.dumps(document | changed))
    with pytest.raises(BadKeyFile, match=r"damaged|not the passphrase"):
        keys.load(path, lambda: "correct horse battery")

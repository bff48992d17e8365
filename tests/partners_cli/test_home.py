"""The partner's folder: who can read it, and what it refuses."""

import os
import stat
from pathlib import Path

import pytest

from partners.home import BadHome, Grants, Home, PinnedRoom, Secret
from partners.keys import BadKeyFile
from partners.protocol import PublicKeys
from partners.terms_file import BadTermsFile
from partners.transparency.note import SigningKey
from policies.terms import MICRO, Mode

VKEY = SigningKey("room.example/audit-v1", bytes(32)).verifier
PINNED = PinnedRoom("https://room.example", "room.example/audit-v1", VKEY, "https://room.example/v1/token", "fresh")
OTHER = PublicKeys(bytes(32), b"\x01" * 32)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def filled(path: Path) -> Home:
    """A folder with every kind of file in it."""
    home = Home.open(path)
    home.create_identity()
    home.save_room(PINNED)
    home.confirm("tasty", OTHER)
    home.save_agreement("drive-1", b"{}")
    home.save_secret("drive-1", Secret(bytes(32), 1, "tasty"))
    home.accept_epoch("drive-1", 1)
    home.save_upload("drive-1", "ab" * 32, "u-1")
    home.save_grants(Grants(1, ({"serial": 2}, b"signed")))
    return home


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_folders_are_0700_and_files_0600_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        home = filled(tmp_path / "home")
    finally:
        os.umask(before)
    for path in (home.path, *home.path.rglob("*")):
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_everything_reads_back(tmp_path: Path) -> None:
    home = Home.open(filled(tmp_path / "home").path)
    assert home.room() == PINNED
    assert home.confirmed() == {"tasty": OTHER}
    assert home.agreement("drive-1") == b"{}"
    assert home.collaborations() == ("drive-1",)
    assert home.secret("drive-1", 1) == Secret(bytes(32), 1, "tasty")
    assert home.highest_epoch("drive-1") == 1
    assert home.pending_upload("drive-1", "ab" * 32) == "u-1"
    assert home.grants() == Grants(1, ({"serial": 2}, b"signed"))
    home.forget_upload("drive-1", "ab" * 32)
    assert home.pending_upload("drive-1", "ab" * 32) is None


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    with pytest.raises(BadHome, match="cleanroom-partner join"):
        home.room()
    with pytest.raises(BadKeyFile, match="cleanroom-partner keygen"):
        home.identity()
    assert home.confirmed() == {}
    assert home.agreement("drive-1") is None
    assert home.secret("drive-1", 1) is None
    assert home.highest_epoch("drive-1") == 0
    assert home.grants() == Grants()
    assert not home.path.exists(), "reading makes nothing"


def test_a_folder_that_others_can_enter_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o755)
    (tmp_path / "home").chmod(0o755)
    with pytest.raises(BadHome, match="chmod 700"):
        Home.open(tmp_path / "home")


@pytest.mark.parametrize("name", ["room.json", "confirmed.json", "grants.json"])
@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"tasty": {}}', b"\xff"])
def test_a_damaged_file_is_named_and_never_taken_for_empty(tmp_path: Path, name: str, content: bytes) -> None:
    home = filled(tmp_path / "home")
    (home.path / name).write_bytes(content)
    if (name, content) == ("confirmed.json", b"{}"):
        return  # an empty list of confirmed partners is one
    with pytest.raises(BadHome, match=name):
        (home.room(), home.confirmed(), home.grants())


def test_a_confirmation_holds_for_these_keys_only(tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    changed = PublicKeys(OTHER.signing, b"\x02" * 32)
    assert home.confirmed()["tasty"] != changed
    home.confirm("tasty", changed)
    assert home.confirmed() == {"tasty": changed}


def test_epochs_only_grow(tmp_path: Path) -> None:
    home = filled(tmp_path / "home")
    with pytest.raises(AssertionError):
        home.accept_epoch("drive-1", 1)


@pytest.mark.parametrize("identifier", ["../elsewhere", "a/b", "", ".", "a" * 65])
def test_an_id_never_leads_out_of_the_folder(tmp_path: Path, identifier: str) -> None:
    with pytest.raises(BadHome):
        Home.open(tmp_path / "home").save_agreement(identifier, b"{}")


def test_a_secret_does_not_show_in_its_repr() -> None:
    value = b"0123456789abcdef0123456789abcdef"
    assert "0123" not in repr(Secret(value, 1, "tasty"))


def test_own_terms_are_read_from_toml(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "home")
    assert home.terms().minimum_size is None
    home.create_identity()
    (home.path / "terms.toml").write_text('minimum_size = 75\nepsilon_total = 2.5\nmode = "private"\n')
    terms = home.terms()
    assert (terms.minimum_size, terms.epsilon_total, terms.mode) == (75, 5 * MICRO // 2, Mode.PRIVATE)
    (home.path / "terms.toml").write_text("minimum = 75\n")
    with pytest.raises(BadTermsFile, match=r"terms\.toml: `minimum` is not a term"):
        home.terms()

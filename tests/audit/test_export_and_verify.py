"""Exports: the same bytes each time, readable by ordinary tar, and nothing but the untouched one verifies."""

import io
import re
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.audit import archive, log
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.export import README_TEXT, export, member_names
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.verify import Verdict, verify
from partners.transparency.check import Outcome
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.entry import Body
from partners.transparency.note import SigningKey
from tests.audit.rooms import ORIGIN, START_MS, Room, make_room, nonce

Members = dict[str, bytes]


def everything(_: Body) -> bool:
    return True


def write_export(room: Room, out: Path, may_read: Callable[[Body], bool] = everything) -> Path:
    with room.connection() as connection:
        export(connection, room.log_dir, out, may_read, {})
    return out


def unpack(path: Path) -> Members:
    with path.open("rb") as file:
        return {name: archive.content(file, member) for name, member in archive.read(file).items()}


def pack(path: Path, members: Members) -> Path:
    with path.open("wb") as file:
        archive.write(file, [(name, io.BytesIO(data)) for name, data in sorted(members.items())])
    return path


def failed(verdict: Verdict) -> list[str]:
    assert (verdict.size, verdict.root, verdict.opened) == (None, None, None)
    return [check.name for check in verdict.checks if check.outcome is Outcome.FAILED]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    room = make_room(tmp_path_factory.mktemp("room"), 300)
    room.publish()
    return room


@pytest.fixture(scope="module")
def good(room: Room) -> Path:
    return write_export(room, room.folder / "good.tar")


def test_the_whole_log_verifies(room: Room, good: Path) -> None:
    verdict = verify(good, room.key)
    names = ["archive", "readme", "checkpoint", "members", "entries", "tiles", "root", "bodies"]
    names += ["documents", "rebuilt"]
    assert [(check.name, check.outcome) for check in verdict.checks] == [(name, Outcome.PASSED) for name in names]
    assert (verdict.ok, verdict.size, verdict.opened) == (True, 300, 300)


def test_ordinary_tar_reads_it(good: Path) -> None:
    with tarfile.open(good) as tar:
        members = tar.getmembers()
        assert [member.name for member in members] == sorted(member_names(300))
        for member in members:
            assert member.type == tarfile.REGTYPE
            assert (member.mode, member.uid, member.gid, member.mtime) == (0o644, 0, 0, 0)
            assert (member.uname, member.gname, member.linkname) == ("", "", "")
            file = tar.extractfile(member)
            assert file is not None
            assert file.read() == unpack(good)[member.name]


def test_it_is_what_tar_writes_without_owner_and_time(good: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in unpack(good).items():
            tar.addfile(tar_entry(name, size=len(data)), io.BytesIO(data))
    assert good.read_bytes() == out.getvalue()


def test_the_same_log_gives_the_same_bytes(room: Room, good: Path, tmp_path: Path) -> None:
    again = write_export(room, tmp_path / "again.tar")
    assert again.read_bytes() == good.read_bytes()
    assert stat.S_IMODE(again.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [again]


def test_a_role_gets_its_bodies_only(room: Room, tmp_path: Path) -> None:
    out = write_export(room, tmp_path / "role.tar", lambda body: body.actor == "key-1")
    verdict = verify(out, room.key)
    assert verdict.ok
    assert verdict.opened == 99
    assert b"key-2" not in out.read_bytes()
    nothing = write_export(room, tmp_path / "nothing.tar", lambda _: False)
    assert verify(nothing, room.key).opened == 0


def test_one_of_something_is_said_so(tmp_path: Path) -> None:
    room = make_room(tmp_path, 1)
    kept = room.publish()
    verdict = verify(write_export(room, tmp_path / "out.tar"), room.key, kept)
    assert verdict.ok
    told = {check.name: check.detail for check in verdict.checks}
    assert told["checkpoint"] == "signed by the given key, 1 entry"
    assert told["entries"] == "1 entry in canonical form, at its number"
    assert told["tiles"] == "1 tile, byte for byte what the entries give"
    assert told["bodies"].startswith("1 of 1 body opened")
    assert told["older"] == "the first entry is that of the checkpoint that you kept"
    for detail in told.values():
        assert not re.search(r"(?<!of )\b1 \w+s\b", detail), detail


def test_erased_nonces_stay_out(tmp_path: Path) -> None:
    room = make_room(tmp_path, 5)
    room.publish()
    with room.connection() as connection, connection:
        connection.execute("UPDATE log_entries SET nonce = NULL WHERE seq = 3")
    assert verify(write_export(room, tmp_path / "out.tar"), room.key).opened == 4


def test_only_the_published_log_is_exported(tmp_path: Path) -> None:
    room = make_room(tmp_path, 5)
    with pytest.raises(LogDamaged, match="nothing is published"):
        write_export(room, tmp_path / "out.tar")
    room.publish()
    room.grow(9)
    verdict = verify(write_export(room, tmp_path / "out.tar"), room.key)
    assert (verdict.ok, verdict.size, verdict.opened) == (True, 5, 5)


def test_a_failed_export_leaves_nothing(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 300)
    room.publish()
    out = tmp_path / "out"
    out.mkdir()
    (room.log_dir / "tile/0/000").unlink()
    with pytest.raises(LogDamaged, match="files of the published log are missing"):
        write_export(room, out / "log.tar")

    def interrupted(_: Body) -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_export(room, out / "log.tar", interrupted)
    assert list(out.iterdir()) == []


def test_an_older_checkpoint(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 1)
    kept = {}
    for size in (1, 7, 256, 300):
        room.grow(size)
        kept[size] = room.publish()
    out = write_export(room, tmp_path / "out.tar")
    for size in (1, 7, 256, 300):
        verdict = verify(out, room.key, kept[size])
        assert (verdict.ok, verdict.checks[-1].name) == (True, "older")
    room.grow(301)
    assert failed(verify(out, room.key, room.publish())) == ["older"]
    assert failed(verify(out, room.key, b"")) == ["older"]

    key = SigningKey.parse((room.keys / "log.key").read_text().strip())
    forked = Checkpoint(ORIGIN, 256, bytes(32)).text()
    assert failed(verify(out, room.key, key.sign(forked))) == ["older"]
    assert failed(verify(out, room.key, SigningKey(ORIGIN, bytes(32)).sign(forked))) == ["older"]


def test_another_key_fails(good: Path, room: Room) -> None:
    other = SigningKey(room.key.name, bytes(32)).verifier
    assert failed(verify(good, other)) == ["checkpoint"]


def change(name: str, position: int = 0) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        data = bytearray(members[name])
        data[position] ^= 1
        members[name] = bytes(data)

    return apply


def substitute(name: str, old: bytes, new: bytes) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        assert old in members[name]
        members[name] = members[name].replace(old, new, 1)

    return apply


def drop(name: str) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        del members[name]

    return apply


def add(name: str, data: bytes = b"") -> Callable[[Members], None]:
    return lambda members: members.update({name: data})


def lines(rearrange: Callable[[list[bytes]], list[bytes]]) -> Callable[[Members], None]:
    def apply(members: Members) -> None:
        members["bodies.jsonl"] = b"".join(rearrange(members["bodies.jsonl"].splitlines(keepends=True)))

    return apply


@pytest.mark.parametrize(
    ("tamper", "checks"),
    [
        (change("README"), ["readme", "rebuilt"]),
        (drop("README"), ["readme", "members"]),
        (add("README", b"x" * 100_000), ["readme", "rebuilt"]),
        (change("checkpoint"), ["checkpoint"]),
        (drop("checkpoint"), ["checkpoint"]),
        (add("checkpoint", b"x" * 2_000_000), ["checkpoint"]),
        (drop("bodies.jsonl"), ["members"]),
        (drop("tile/0/000"), ["members"]),
        (drop("tile/entries/001.p/44"), ["members"]),
        (drop("tile/1/000.p/1"), ["members"]),
        (add("tile/0/001.p/43", b"x"), ["members"]),
        (add("/etc/passwd"), ["members"]),
        (add("../x"), ["members"]),
        (change("tile/0/000", 8191), ["tiles", "rebuilt"]),
        (change("tile/0/001.p/44"), ["tiles", "rebuilt"]),
        (change("tile/1/000.p/1"), ["tiles", "rebuilt"]),
        (add("tile/0/000", b""), ["tiles", "rebuilt"]),
        (add("tile/0/000", b"x" * 8193), ["tiles", "rebuilt"]),
        (substitute("tile/entries/000", b'"seq":7,"time":1', b'"seq":7,"time":2'), ["tiles", "root", "rebuilt"]),
        (substitute("tile/entries/000", b'"seq":7,', b'"seq":8,'), ["entries"]),
        (substitute("tile/entries/000", b'"seq":7,', b'"req":7,'), ["entries"]),
        (change("tile/entries/000"), ["entries"]),
        (add("tile/entries/001.p/44", b""), ["entries"]),
        (add("tile/entries/001.p/44", b"\x00"), ["entries"]),
        (add("tile/entries/000", b"x" * 17_000_000), ["entries"]),
        (substitute("bodies.jsonl", b"drive", b"strip"), ["bodies"]),
        (lines(lambda rows: rows[1:2] + rows[:1] + rows[2:]), ["bodies"]),
        (lines(lambda rows: rows[:1] + rows), ["bodies"]),
        (lambda members: members.update({"bodies.jsonl": members["bodies.jsonl"][:-1]}), ["bodies"]),
        (lines(lambda rows: [*rows, b"\n"]), ["bodies"]),
        (lines(lambda rows: [*rows, b"[]\n"]), ["bodies"]),
        (lines(lambda rows: [*rows, b'{"body":"","nonce":"","seq":300}\n']), ["bodies"]),
        (lines(lambda rows: [rows[0].replace(b'"seq":0', b'"seq":0,"set":0'), *rows[1:]]), ["bodies"]),
        (lines(lambda rows: [rows[0].replace(b'"seq":0', b'"seq":false'), *rows[1:]]), ["bodies"]),
        (lines(lambda rows: [*rows, b"x" * 3_000_000 + b"\n"]), ["bodies"]),
    ],
)
def test_tampering_is_named(
    good: Path, room: Room, tmp_path: Path, tamper: Callable[[Members], None], checks: list[str]
) -> None:
    members = unpack(good)
    tamper(members)
    assert failed(verify(pack(tmp_path / "bad.tar", members), room.key)) == checks


@pytest.mark.parametrize("name", ["README", "checkpoint", "tile/entries/000", "tile/0/000"])
def test_giant_members_are_not_read(good: Path, room: Room, tmp_path: Path, name: str) -> None:
    members = unpack(good) | {name: bytes(17_000_000)}
    verdict = verify(pack(tmp_path / "bad.tar", members), room.key)
    assert "the file is larger than it can be" in [check.detail for check in verdict.checks]


def test_dropping_opened_bodies_shows_in_their_number(good: Path, room: Room, tmp_path: Path) -> None:
    members = unpack(good)
    lines(lambda rows: rows[:200] + rows[201:])(members)
    assert verify(pack(tmp_path / "fewer.tar", members), room.key).opened == 299


def test_a_log_cannot_be_passed_off_with_a_later_size(good: Path, room: Room, tmp_path: Path) -> None:
    members = unpack(good)
    key = SigningKey.parse((room.keys / "log.key").read_text().strip())
    text = members["checkpoint"].decode().split("\n\n")[0] + "\n"
    members["checkpoint"] = key.sign(text.replace("\n300\n", f"\n{2**62}\n"))
    assert failed(verify(pack(tmp_path / "bad.tar", members), room.key)) == ["members"]
    members["checkpoint"] = key.sign(text.replace("\n300\n", "\n0\n"))
    assert failed(verify(pack(tmp_path / "bad.tar", members), room.key)) == ["checkpoint"]


def test_a_second_genesis_is_refused(tmp_path: Path) -> None:
    room = make_room(tmp_path, 2)
    disguised = Event(cast(EventKind, SimpleNamespace(value="room:init")))
    with room.connection() as connection, connection:
        connection.execute("BEGIN")
        log.append(connection, disguised, START_MS, nonce(2))
    room.publish()
    assert failed(verify(write_export(room, tmp_path / "out.tar"), room.key)) == ["bodies"]


def hostile_tar(*entries: tuple[tarfile.TarInfo, bytes], style: int = tarfile.USTAR_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=style) as tar:
        for entry, data in entries:
            entry.size = entry.size or len(data)
            tar.addfile(entry, io.BytesIO(data) if data else None)
    return out.getvalue()


def tar_entry(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type = kind
    for field, value in fields.items():
        setattr(entry, field, value)
    return entry


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"not a tar",
        bytes(1024),
        bytes(10_240)[:-1],
        bytes(20_480),
        hostile_tar((tar_entry("link", tarfile.SYMTYPE, linkname="/etc/passwd"), b"")),
        hostile_tar((tar_entry("link", tarfile.LNKTYPE, linkname="README"), b"")),
        hostile_tar((tar_entry("folder", tarfile.DIRTYPE), b"")),
        hostile_tar((tar_entry("device", tarfile.CHRTYPE), b"")),
        hostile_tar((tar_entry("pipe", tarfile.FIFOTYPE), b"")),
        hostile_tar((tar_entry("sparse", tarfile.GNUTYPE_SPARSE), b"")),
        hostile_tar((tar_entry("giant", size=8**11 - 1), b"")),
        hostile_tar((tar_entry("giant", size=2**62), b""), style=tarfile.GNU_FORMAT),
        hostile_tar((tar_entry("x" * 300), b""), style=tarfile.GNU_FORMAT),
        hostile_tar((tar_entry("é" * 100), b""), style=tarfile.PAX_FORMAT),
        hostile_tar((tar_entry("README", mode=0o4755), b"x")),
        hostile_tar((tar_entry("README", uid=1), b"x")),
        hostile_tar((tar_entry("README", mtime=1), b"x")),
        hostile_tar((tar_entry("README", uname="root"), b"x")),
    ],
)
def test_hostile_archives_are_refused(room: Room, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "bad.tar").write_bytes(data)
    assert failed(verify(tmp_path / "bad.tar", room.key)) == ["archive"]


def test_an_empty_archive_fails(room: Room, tmp_path: Path) -> None:
    assert failed(verify(pack(tmp_path / "empty.tar", {}), room.key)) == ["readme", "checkpoint"]


@pytest.mark.parametrize("order", [["a", "a"], ["b", "a"], ["", "a"]])
def test_repeated_and_unsorted_members_are_refused(tmp_path: Path, order: list[str]) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(b"".join(hostile_tar((tar_entry(name), b"x"))[:1024] for name in order) + bytes(8192))
    with path.open("rb") as file, pytest.raises(archive.ArchiveError):
        archive.read(file)


def test_hidden_bytes_are_refused(good: Path, tmp_path: Path) -> None:
    data = good.read_bytes()
    size = len(README_TEXT.encode())
    padding = bytearray(data)
    padding[512 + size] = 1
    for bad in (bytes(padding), data + b"\0", data + bytes(10_240), data[:-1], data[:-10_240], data[:-1] + b"x"):
        (tmp_path / "bad.tar").write_bytes(bad)
        with (tmp_path / "bad.tar").open("rb") as file, pytest.raises(archive.ArchiveError):
            archive.read(file)


names = st.text(st.characters(codec="ascii", exclude_characters="\0"), min_size=1, max_size=100)


@given(st.dictionaries(names, st.binary(max_size=2000), max_size=6))
def test_archives_round_trip(members: Members) -> None:
    out = io.BytesIO()
    archive.write(out, [(name, io.BytesIO(data)) for name, data in sorted(members.items())])
    assert {name: archive.content(out, member) for name, member in archive.read(out).items()} == members

"""Publishing: right files for every growth, after every fault, by several processes, and never a rewound log."""

import multiprocessing
import os
import shutil
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.audit.export import member_names
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.signer import Signer, SignerRefused
from partners.transparency.checkpoint import open_checkpoint
from partners.transparency.merkle import leaf_hash, nodes_of, root
from partners.transparency.tiles import decode_bundle
from tests.audit.rooms import Room, make_room

NOT_TILES = {"README", "bodies.jsonl", "documents.jsonl", "verify.py"}


def rebuilt(room: Room) -> tuple[int, bytes]:
    """Size and root, from the published entries alone; and the hash tiles hold what they give."""
    files = room.files()
    checkpoint = open_checkpoint(files["checkpoint"], room.key)
    names = member_names(checkpoint.size) - NOT_TILES
    assert names <= files.keys()
    hashes = []
    for name in sorted(name for name in names if name.startswith("tile/entries/")):
        entries = [leaf_hash(entry) for entry in decode_bundle(files[name])]
        assert files[name.replace("/entries/", "/0/")] == b"".join(entries)
        hashes += entries
    assert len(hashes) == checkpoint.size
    assert root(len(hashes), nodes_of(hashes)) == checkpoint.root
    return checkpoint.size, checkpoint.root


def test_publishes_every_size(tmp_path: Path) -> None:
    room = make_room(tmp_path, 1)
    for size in (1, 2, 3, 255, 256, 257, 600):
        room.grow(size)
        note = room.publish()
        assert note == (room.log_dir / "checkpoint").read_bytes()
        assert rebuilt(room)[0] == size


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(1, 530), min_size=1, max_size=4).map(sorted))
def test_the_way_does_not_matter(tmp_path_factory: pytest.TempPathFactory, sizes: list[int]) -> None:
    room = make_room(tmp_path_factory.mktemp("room"), 1)
    for size in sizes:
        room.grow(size)
        room.publish()
    current = {name: data for name, data in room.files().items() if name in member_names(sizes[-1])}
    shutil.rmtree(room.log_dir)
    room.publish()
    assert room.files() == current


def test_a_partial_tile_stays_until_it_is_full(tmp_path: Path) -> None:
    room = make_room(tmp_path, 10)
    room.publish()
    room.grow(12)
    room.publish()
    assert {"tile/0/000.p/10", "tile/0/000.p/12", "tile/entries/000.p/10"} <= room.files().keys()
    room.grow(256)
    room.publish()
    assert room.files().keys() == {"checkpoint", "tile/0/000", "tile/1/000.p/1", "tile/entries/000"}


def test_nothing_new_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = make_room(tmp_path, 300)
    note = room.publish()
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("wrote a file"))
    assert room.publish() == note


def test_uncommitted_leaves_are_not_published(tmp_path: Path) -> None:
    room = make_room(tmp_path, 3)
    with room.connection() as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO log_entries (seq, entry, body) VALUES (3, x'00', x'00')")
        room.publish()
        assert rebuilt(room)[0] == 3


def test_an_empty_log_is_not_published(tmp_path: Path) -> None:
    room = make_room(tmp_path, 0)
    with pytest.raises(SignerRefused, match="shorter"):
        room.publish()
    assert room.files() == {}


class Cut(BaseException):
    """Not an Exception: like Ctrl-C, nothing may swallow it."""


@pytest.mark.parametrize("written", [False, True], ids=["not persisted", "persisted anyway"])
def test_any_cut_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: bool) -> None:
    start = make_room(tmp_path / "start", 250)
    start.publish()
    start.grow(600)
    whole = start.copy(tmp_path / "whole")
    expected_note, expected = whole.publish(), whole.files()
    replace = os.replace
    cuts = 0
    while True:
        room = start.copy(tmp_path / f"cut-{cuts}")
        left = cuts

        def faulty(source: Path, target: Path) -> None:
            nonlocal left
            if left == 0:
                if written:
                    replace(source, target)
                raise Cut
            left -= 1
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", faulty)
            try:
                room.publish()
                break
            except Cut:
                pass
        assert not [name for name in room.files() if name.endswith(".new")]
        # Until the checkpoint is in place the old one stands, and what was signed is what the next call publishes.
        old = open_checkpoint(room.files()["checkpoint"], room.key).size
        assert old in (250, 600)
        assert Signer(room.keys).last().size in (old, 600)
        assert room.publish() == expected_note
        assert room.files() == expected
        shutil.rmtree(room.folder)
        cuts += 1
    assert cuts == 8  # two full tiles and one partial with a bundle each, one tile above, checkpoint


def test_a_cut_while_partial_tiles_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = make_room(tmp_path, 250)
    room.publish()
    room.grow(600)

    def cut(_: Path) -> None:
        raise Cut

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", cut)
        with pytest.raises(Cut):
            room.publish()
    assert rebuilt(room)[0] == 250
    room.publish()
    assert room.files().keys() == member_names(600) - NOT_TILES


def test_what_a_killed_process_left_is_overwritten(tmp_path: Path) -> None:
    room = make_room(tmp_path, 5)
    room.publish()
    room.grow(300)
    for name in (".checkpoint.new", "tile/0/.000.new", "tile/0/000.p/.6.new"):
        (room.log_dir / name).write_bytes(b"half")
    room.publish()
    assert room.files().keys() == member_names(300) - NOT_TILES


@pytest.mark.parametrize("name", ["tile/0/000", "tile/entries/000", "tile/1/000.p/2", "tile/0/002.p/88", "checkpoint"])
def test_missing_or_changed_files_are_rebuilt(tmp_path: Path, name: str) -> None:
    room = make_room(tmp_path, 600)
    room.publish()
    expected = room.files()
    (room.log_dir / name).unlink()
    room.publish(whole=True)
    assert room.files() == expected
    (room.log_dir / name).write_bytes(b"other")
    room.publish(whole=True)
    assert room.files() == expected


def test_all_is_rebuilt_from_the_catalog(tmp_path: Path) -> None:
    room = make_room(tmp_path, 600)
    note, expected = room.publish(), room.files()
    shutil.rmtree(room.log_dir)
    assert room.publish() == note
    assert room.files() == expected


def test_a_restored_catalog_is_refused(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 300)
    backup = room.copy(tmp_path / "backup")
    room.grow(310)
    room.publish()
    expected = room.files()

    shutil.copy(backup.catalog, room.catalog)
    with pytest.raises(SignerRefused, match="was a backup restored"):
        room.publish()
    shutil.rmtree(room.log_dir)  # even when the published files are restored or lost, the signer remembers
    with pytest.raises(SignerRefused, match="was a backup restored"):
        room.publish()
    assert room.files() == {}

    room.grow(310)  # the same events: the same log
    room.publish()
    assert {name: room.files()[name] for name in ("checkpoint", "tile/0/000")} == {
        name: expected[name] for name in ("checkpoint", "tile/0/000")
    }


def test_a_forked_catalog_is_refused(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 10)
    room.publish()
    other = make_room(tmp_path / "other", 1)
    with other.connection() as connection, connection:
        connection.execute("ATTACH ? AS room", (str(room.catalog),))
        # Entry 4 differs, all others are the room's.
        connection.execute("DROP TRIGGER log_nodes_no_delete")
        connection.execute("DELETE FROM log_nodes")
        rows = connection.execute("SELECT seq, entry FROM room.log_entries ORDER BY seq").fetchall()
        hashes = [leaf_hash(b"changed" if seq == 4 else entry) for seq, entry in rows] + [leaf_hash(b"new")]
        node = nodes_of(hashes)
        connection.execute("INSERT OR IGNORE INTO log_entries SELECT * FROM room.log_entries")
        connection.execute("INSERT INTO log_entries (seq, entry, body) VALUES (10, ?, x'00')", (b"new",))
        for level in range(4):
            for number in range(len(hashes) >> level):
                connection.execute("INSERT INTO log_nodes VALUES (?, ?, ?)", (level, number, node(level, number)))
    shutil.copy(other.catalog, room.catalog)
    before = room.files()
    with pytest.raises(LogDamaged, match="does not continue"):
        room.publish()
    (room.log_dir / "checkpoint").unlink()
    with pytest.raises(SignerRefused, match="does not extend"):
        room.publish()
    assert room.files().items() <= before.items()


def test_a_changed_entry_is_not_published(tmp_path: Path) -> None:
    room = make_room(tmp_path, 10)
    with room.connection() as connection, connection:
        connection.execute("DROP TRIGGER log_entries_no_update")
        connection.execute("UPDATE log_entries SET entry = x'00' WHERE seq = 3")
    with pytest.raises(LogDamaged, match="changed"):
        room.publish()
    assert "checkpoint" not in room.files()


def _publish_until(folder: str, size: int, ready: Barrier) -> None:
    room = Room(Path(folder))
    room.publish()
    ready.wait()
    while open_checkpoint(room.publish(), room.key).size < size:
        pass


def test_several_processes_publish_one_log(tmp_path: Path) -> None:
    room = make_room(tmp_path, 240)
    with room.connection() as connection:
        connection.execute("PRAGMA journal_mode=WAL")
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(3)
    processes = [context.Process(target=_publish_until, args=(str(tmp_path), 290, ready)) for _ in range(2)]
    for process in processes:
        process.start()
    ready.wait(timeout=60)
    # As a serving room does, which always has the catalog open: whoever closes it last tidies up under a lock.
    with room.connection() as held:
        held.execute("SELECT 1 FROM log_entries").fetchone()
        for size in range(241, 291):
            room.grow(size)
            room.publish()
        for process in processes:
            process.join(timeout=60)
            assert process.exitcode == 0
    assert rebuilt(room)[0] == 290

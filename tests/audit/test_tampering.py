"""A log whose keeper rewrites it, every hash made anew: deleted, swapped, cut, rolled back, grafted onto a fork."""

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest

from cleanroom.audit import archive, log
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.export import BODIES, CHECKPOINT, member_names
from cleanroom.audit.verify import verify
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Entry
from partners.transparency.merkle import leaf_hash, nodes_of
from partners.transparency.tiles import decode_bundle, encode_bundle, tiles
from policies import canonical
from tests.audit.rooms import START_MS, Room, event, make_room, nonce
from tests.audit.test_export_and_verify import failed, pack, unpack, write_export

SIZE = 300
Entries = list[bytes]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Room:
    room = make_room(tmp_path_factory.mktemp("room"), SIZE)
    room.publish()
    return room


@pytest.fixture(scope="module")
def good(room: Room) -> Path:
    return write_export(room, room.folder / "good.tar")


def entries_of(path: Path) -> Entries:
    members = unpack(path)
    bundles = sorted(name for name in members if name.startswith("tile/entries/"))
    return [entry for name in bundles for entry in decode_bundle(members[name])]


def rewritten(path: Path, good: Path, entries: Entries, checkpoint: bytes | None = None) -> Path:
    """An export in which these entries are the log, as far as its keeper can make it: only the signature is as it was.

    Bodies are kept where they still fit.
    """
    members = unpack(good)
    node = nodes_of([leaf_hash(entry) for entry in entries])
    made = {name: data for name, data in members.items() if not name.startswith("tile/")}
    for tile in tiles(len(entries)):
        numbers = range(tile.first, tile.first + tile.width)
        made[tile.path] = b"".join(node(8 * tile.level, number) for number in numbers)
        if tile.level == 0:
            made[tile.entries_path] = encode_bundle(entries[tile.first : tile.first + tile.width])
    commits = {Entry.parse(entry).commit: seq for seq, entry in enumerate(entries)}
    lines = {}
    for old in range(SIZE):
        body = event(old).body()
        line = {"body": body.decode(), "nonce": encode_base64(nonce(old))}
        seq = commits.get(Entry.parse(entries_of_good(good)[old]).commit)
        if seq is not None:
            lines[seq] = canonical.dumps({**line, "seq": seq}) + b"\n"
    made[BODIES] = b"".join(lines[seq] for seq in sorted(lines))
    if checkpoint is not None:
        made[CHECKPOINT] = checkpoint
    return pack(path, made)


_GOOD: dict[Path, Entries] = {}


def entries_of_good(good: Path) -> Entries:
    return _GOOD.setdefault(good, entries_of(good))


def renumbered(entries: Entries) -> Entries:
    return [replace(Entry.parse(entry), seq=seq).encode() for seq, entry in enumerate(entries)]


def deleted(entries: Entries) -> Entries:
    return renumbered(entries[:100] + entries[101:])


def swapped(entries: Entries) -> Entries:
    return renumbered([*entries[:100], entries[101], entries[100], *entries[102:]])


def doubled(entries: Entries) -> Entries:
    return renumbered([*entries[:100], *entries[99:]])


def changed(entries: Entries) -> Entries:
    other = replace(Entry.parse(entries[100]), time_ms=START_MS).encode()
    return [*entries[:100], other, *entries[101:]]


def test_rewriting_nothing_passes(room: Room, good: Path, tmp_path: Path) -> None:
    same = rewritten(tmp_path / "same.tar", good, entries_of_good(good))
    assert same.read_bytes() == good.read_bytes()
    assert verify(same, room.key).ok


@pytest.mark.parametrize("way", [swapped, changed])
def test_another_log_of_the_same_size_has_another_root(
    room: Room, good: Path, tmp_path: Path, way: Callable[[Entries], Entries]
) -> None:
    assert failed(verify(rewritten(tmp_path / "bad.tar", good, way(entries_of_good(good))), room.key)) == ["root"]


@pytest.mark.parametrize("way", [deleted, doubled, lambda entries: entries[:-1], lambda entries: entries[:44]])
def test_another_size_has_other_files(
    room: Room, good: Path, tmp_path: Path, way: Callable[[Entries], Entries]
) -> None:
    assert failed(verify(rewritten(tmp_path / "bad.tar", good, way(entries_of_good(good))), room.key)) == ["members"]


def test_swapped_entries_that_keep_their_numbers(room: Room, good: Path, tmp_path: Path) -> None:
    entries = entries_of_good(good)
    crossed = [*entries[:100], entries[101], entries[100], *entries[102:]]
    path = rewritten(tmp_path / "bad.tar", good, crossed)
    assert "entries" in failed(verify(path, room.key))


def test_a_log_that_was_rolled_back_is_caught_by_a_checkpoint_that_was_kept(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 40)
    early = room.publish()
    rolled = write_export(room, tmp_path / "early.tar")
    room.grow(50)
    late = room.publish()
    assert verify(rolled, room.key, early).ok
    assert failed(verify(rolled, room.key, late)) == ["older"]


def test_a_fork_is_caught_by_a_checkpoint_of_the_other_branch(tmp_path: Path) -> None:
    room = make_room(tmp_path / "room", 40)
    common = room.publish()
    fork = room.copy(tmp_path / "fork")  # with the signer's state, which its keeper may copy
    room.grow(50)
    kept = room.publish()
    with fork.connection() as connection, connection:
        connection.execute("BEGIN")
        for seq in range(40, 60):
            log.append(connection, Event(EventKind.ROOM_START), START_MS + seq, nonce(1000 + seq))
    forked = fork.publish()
    shown = write_export(fork, tmp_path / "fork.tar")
    assert verify(shown, room.key, common).ok
    assert failed(verify(shown, room.key, kept)) == ["older"]

    honest = unpack(write_export(room, tmp_path / "honest.tar"))
    grafted = pack(tmp_path / "grafted.tar", {**honest, CHECKPOINT: forked})
    assert failed(verify(grafted, room.key)) == ["members"]
    tail = unpack(shown)
    assert {"tile/0/000.p/60", "tile/entries/000.p/60"} <= tail.keys()
    branch = decode_bundle(tail["tile/entries/000.p/60"])[:50]
    assert branch[:40] == decode_bundle(honest["tile/entries/000.p/50"])[:40]
    assert archive.read(BytesIO(grafted.read_bytes())).keys() == member_names(50)
    tiles_of_branch = {
        "tile/entries/000.p/50": encode_bundle(branch),
        "tile/0/000.p/50": b"".join(map(leaf_hash, branch)),
    }
    other = pack(tmp_path / "branch.tar", {**honest, **tiles_of_branch})
    assert failed(verify(other, room.key)) == ["root", "bodies"]

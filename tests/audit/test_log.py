"""The rows of the log: appended within the caller's transaction, never changed, with every root at hand."""

import sqlite3
from pathlib import Path

import pytest

from cleanroom.audit import log
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.log import LogDamaged
from partners.transparency.entry import Entry, EntryError, commitment
from partners.transparency.merkle import leaf_hash, nodes_of, root
from tests.audit.rooms import START_MS, event, make_room, nonce


def test_entries_and_roots(tmp_path: Path) -> None:
    room = make_room(tmp_path, 600)
    with room.connection() as connection:
        assert log.size(connection) == 600
        entries = log.entries(connection, 0, 600)
        expected = [
            Entry(seq, START_MS + seq, commitment(nonce(seq), event(seq).body())).encode() for seq in range(600)
        ]
        assert entries == expected
        memory, stored = nodes_of([leaf_hash(entry) for entry in entries]), log.node_reader(connection)
        for size in (*range(66), 255, 256, 257, 511, 512, 513, 600):
            assert root(size, stored) == root(size, memory)


def test_two_rows_of_hashes_a_leaf(tmp_path: Path) -> None:
    with make_room(tmp_path, 513).connection() as connection:
        (count,) = connection.execute("SELECT count(*) FROM log_nodes").fetchone()
    assert count == 2 * 512 - 1 + 1


def test_a_leaf_goes_with_its_transaction(tmp_path: Path) -> None:
    room = make_room(tmp_path, 3)
    with room.connection() as connection:
        connection.execute("BEGIN")
        assert log.append(connection, event(3), 1, nonce(3)) == 3
        assert log.append(connection, event(4), 1, nonce(4)) == 4
        connection.rollback()
        assert log.size(connection) == 3
        connection.execute("BEGIN")
        assert log.append(connection, event(3), 1, nonce(3)) == 3


def test_needs_an_open_transaction(tmp_path: Path) -> None:
    with make_room(tmp_path, 1).connection() as connection, pytest.raises(RuntimeError, match="open transaction"):
        log.append(connection, event(1), 1, nonce(1))


def test_the_first_event_is_the_genesis_and_no_other(tmp_path: Path) -> None:
    room = make_room(tmp_path, 0)
    with room.connection() as connection:
        connection.execute("BEGIN")
        with pytest.raises(ValueError, match="room:init"):
            log.append(connection, Event(EventKind.ROOM_START), 1, nonce(0))
        assert log.append(connection, Event(EventKind.ROOM_INIT), 1, nonce(0)) == 0
        with pytest.raises(ValueError, match="room:init"):
            log.append(connection, Event(EventKind.ROOM_INIT), 1, nonce(1))


def test_what_cannot_be_logged_leaves_nothing(tmp_path: Path) -> None:
    room = make_room(tmp_path, 1)
    with room.connection() as connection:
        connection.execute("BEGIN")
        with pytest.raises(EntryError):
            log.append(connection, Event(EventKind.ROOM_START, details={"cost": 0.5}), 1, nonce(1))
        with pytest.raises(EntryError):
            log.append(connection, Event(EventKind.ROOM_START), 1, b"short")
        connection.commit()
        assert log.size(connection) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM log_entries WHERE seq = 2",
        "UPDATE log_entries SET entry = x'00' WHERE seq = 2",
        "UPDATE log_entries SET body = x'00'",
        "UPDATE log_entries SET seq = 9 WHERE seq = 2",
        "DELETE FROM log_nodes",
        "UPDATE log_nodes SET hash = x'00'",
    ],
)
def test_rows_stay(tmp_path: Path, statement: str) -> None:
    with (
        make_room(tmp_path, 3).connection() as connection,
        pytest.raises(sqlite3.IntegrityError, match="append-only"),
    ):
        connection.execute(statement)


def test_a_nonce_may_be_erased(tmp_path: Path) -> None:
    with make_room(tmp_path, 3).connection() as connection:
        assert connection.execute("UPDATE log_entries SET nonce = NULL WHERE seq = 2").rowcount == 1


def test_damage_is_noticed(tmp_path: Path) -> None:
    with make_room(tmp_path, 5).connection() as connection:
        connection.executescript("DROP TRIGGER log_entries_no_update; DROP TRIGGER log_nodes_no_delete")
        connection.execute("UPDATE log_entries SET entry = x'00' WHERE seq = 3")
        assert len(log.entries(connection, 0, 3)) == 3
        with pytest.raises(LogDamaged, match="changed"):
            log.entries(connection, 0, 5)
        with pytest.raises(LogDamaged, match="missing"):
            log.hashes(connection, 0, 3, 3)
        connection.execute("DELETE FROM log_nodes WHERE level = 2")
        with pytest.raises(LogDamaged, match="missing"):
            root(5, log.node_reader(connection))

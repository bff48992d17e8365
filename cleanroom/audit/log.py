"""The log's rows in the room's catalog: entries with their bodies and nonces, and the hashes of complete subtrees.

`append` runs inside the caller's open transaction, so that a leaf commits together with what it records, or not at all.
Rows are never changed or deleted (triggers refuse it), except that a nonce may be erased, which ends the link between
an entry and its body. Every complete subtree's hash is stored when its last leaf is appended (two rows a leaf on
average), so that a root or a proof costs O(log n) look-ups.
"""

import sqlite3

from cleanroom.audit.events import Event, EventKind
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.merkle import Node, leaf_hash, node_hash

SCHEMA = """
CREATE TABLE log_entries (
    seq INTEGER PRIMARY KEY,
    entry BLOB NOT NULL,
    body BLOB NOT NULL,
    nonce BLOB
);
CREATE TABLE log_nodes (
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (level, number)
) WITHOUT ROWID;
CREATE TRIGGER log_entries_no_delete BEFORE DELETE ON log_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_entries_no_update BEFORE UPDATE OF seq, entry, body ON log_entries
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_nodes_no_delete BEFORE DELETE ON log_nodes
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
CREATE TRIGGER log_nodes_no_update BEFORE UPDATE ON log_nodes
    BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""


class LogDamaged(Exception):
    """The catalog's log does not agree with itself or with what was published; the message is safe to print."""


def append(connection: sqlite3.Connection, event: Event, now_ms: int, nonce: bytes) -> int:
    """Add one leaf and return its number from 0.

    `now_ms` is UTC in milliseconds since 1970, `nonce` 32 fresh random bytes. The first event, and no other, is
    `room:init`. Nothing is published: the caller commits and then calls the publisher.
    """
    if not connection.in_transaction:
        raise RuntimeError("append needs the caller's open transaction: the leaf commits with what it records")
    seq = size(connection)
    if (seq == 0) != (event.kind is EventKind.ROOM_INIT):
        raise ValueError("room:init is the first event of a log and no other")
    body = event.body()
    _add(connection, seq, Entry(seq, now_ms, commitment(nonce, body)).encode(), body, nonce)
    return seq


def take_over(connection: sqlite3.Connection, entry: bytes, body: bytes, nonce: bytes) -> None:
    """Adds, within the caller's transaction, a leaf that this log had before a restore. ValueError for another one."""
    found, seq = Entry.parse(entry), size(connection)
    if found.seq != seq or found.commit != commitment(nonce, body):
        raise ValueError("this leaf is not the next one of the log, or its body is another")
    _add(connection, seq, entry, body, nonce)


def _add(connection: sqlite3.Connection, seq: int, entry: bytes, body: bytes, nonce: bytes) -> None:
    connection.execute(
        "INSERT INTO log_entries (seq, entry, body, nonce) VALUES (?, ?, ?, ?)", (seq, entry, body, nonce)
    )
    node = node_reader(connection)
    level, number, digest = 0, seq, leaf_hash(entry)
    _insert_node(connection, level, number, digest)
    while number & 1:
        digest = node_hash(node(level, number - 1), digest)
        level, number = level + 1, number >> 1
        _insert_node(connection, level, number, digest)


def size(connection: sqlite3.Connection) -> int:
    """How many leaves the log has."""
    (count,) = connection.execute("SELECT coalesce(max(seq) + 1, 0) FROM log_entries").fetchone()
    return int(count)


def node_reader(connection: sqlite3.Connection) -> Node:
    """The tree as the `Node` function that roots and proofs are made from."""

    def node(level: int, number: int) -> bytes:
        return hashes(connection, level, number, 1)[0]

    return node


def hashes(connection: sqlite3.Connection, level: int, start: int, count: int) -> list[bytes]:
    """`count` consecutive hashes of complete subtrees of 2^level leaves, from number `start` on."""
    rows = connection.execute(
        "SELECT hash FROM log_nodes WHERE level = ? AND number >= ? AND number < ? ORDER BY number",
        (level, start, start + count),
    ).fetchall()
    if len(rows) != count:
        raise LogDamaged("hashes of the audit log are missing from the catalog; restore it from a backup")
    return [digest for (digest,) in rows]


def entries(connection: sqlite3.Connection, start: int, count: int) -> list[bytes]:
    """`count` consecutive entries from number `start` on, each checked against its leaf hash."""
    rows = connection.execute(
        "SELECT entry FROM log_entries WHERE seq >= ? AND seq < ? ORDER BY seq", (start, start + count)
    ).fetchall()
    found = [entry for (entry,) in rows]
    if list(map(leaf_hash, found)) != hashes(connection, 0, start, count):
        raise LogDamaged("entries of the audit log were changed in the catalog; restore it from a backup")
    return found


def newest(connection: sqlite3.Connection, kind: EventKind) -> Body | None:
    """The body of the newest event of a kind; None where there is none. It reads backwards until it finds one."""
    # Canonical JSON has no white space, and escapes a quotation mark within a text: this is the body's own event.
    written = f'"event":"{kind.value}"'.encode()
    row = connection.execute(
        "SELECT body FROM log_entries WHERE instr(body, ?) ORDER BY seq DESC LIMIT 1", (written,)
    ).fetchone()
    return Body.parse(row[0]) if row else None


def _insert_node(connection: sqlite3.Connection, level: int, number: int, digest: bytes) -> None:
    connection.execute("INSERT INTO log_nodes (level, number, hash) VALUES (?, ?, ?)", (level, number, digest))

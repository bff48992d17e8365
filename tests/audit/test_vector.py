"""The vector of the log's formats: a key from fixed bytes and 300 fixed entries give these very bytes.

Key and checkpoint are given with the formats' description; the tiles below are computed here from the entries alone.
"""

from hashlib import sha256
from pathlib import Path

from cleanroom.audit.signer import Signer
from cleanroom.audit.state import begin
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.merkle import EMPTY_ROOT, leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey
from partners.transparency.tiles import encode_bundle, tiles
from tests.audit.rooms import Room, make_room
from tests.audit.test_merkle import naive_root

KEY = SigningKey("room.example/audit-v1", bytes(range(32)))
VKEY = "room.example/audit-v1+2bca130e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
CHECKPOINT = """\
room.example/audit-v1
300
LExmXcfXTcQ0FVOLGJzrSk6Fu1ju36gM6diMJ1T0860=

— room.example/audit-v1 K8oTDuVlYEcCzCRzjQ2LR8hF46Ef/dbxSEmfk0mRGc2Yl+BRY8jOKcHV61RkoRrAmhu4vB/67eSXHD/hYvBWYhax/Qw=
"""
ENTRIES = [b'{"seq":%d,"type":"decision"}' % seq for seq in range(300)]


def test_key_and_checkpoint() -> None:
    assert str(KEY.verifier) == VKEY
    node = nodes_of([leaf_hash(entry) for entry in ENTRIES])
    assert KEY.sign(Checkpoint(KEY.name, 300, root(300, node)).text()).decode() == CHECKPOINT


def test_the_published_files(tmp_path: Path) -> None:
    room = vector_room(tmp_path)
    assert room.publish().decode() == CHECKPOINT
    leaves = [sha256(b"\x00" + entry).digest() for entry in ENTRIES]
    assert room.files() == {
        "checkpoint": CHECKPOINT.encode(),
        "tile/0/000": b"".join(leaves[:256]),
        "tile/0/001.p/44": b"".join(leaves[256:]),
        "tile/1/000.p/1": naive_root(leaves[:256]),
        "tile/entries/000": b"".join(len(entry).to_bytes(2, "big") + entry for entry in ENTRIES[:256]),
        "tile/entries/001.p/44": b"".join(len(entry).to_bytes(2, "big") + entry for entry in ENTRIES[256:]),
    }


def vector_room(folder: Path) -> Room:
    """A room with the vector's key and entries; the entries are not of the room's own form, so they go in as rows."""
    room = make_room(folder, 0)
    (room.keys / "log.key").write_text(f"{KEY.secret_text()}\n")
    begin(room.keys / "log.state", Checkpoint(KEY.name, 0, EMPTY_ROOT))
    assert Signer(room.keys).verifier == KEY.verifier
    node = nodes_of([leaf_hash(entry) for entry in ENTRIES])
    with room.connection() as connection, connection:
        rows = [(seq, entry, b"", None) for seq, entry in enumerate(ENTRIES)]
        connection.executemany("INSERT INTO log_entries VALUES (?, ?, ?, ?)", rows)
        for level in range(9):
            hashes = [(level, number, node(level, number)) for number in range(300 >> level)]
            connection.executemany("INSERT INTO log_nodes VALUES (?, ?, ?)", hashes)
    return room


# Another program's log: the test data of Tessera (github.com/transparency-dev/tessera, testdata/log, Apache-2.0), made
# again from what went into it: its published test key and fifteen words. Carried over are the last checkpoint and one
# SHA-256 over all checkpoints and tiles of theirs.
TESSERA_KEY = "PRIVATE+KEY+example.com/log/testdata+33d7b496+AeymY/SZAX0jZcJ8enZ5FY1Dz+wTML2yWSkK+9DSF3eg"
WORDS = b"one two three four five six seven eit nain ten ileven twelf threeten fourten fivten".split()
TESSERA_CHECKPOINT = """\
example.com/log/testdata
15
rKbDipCvhuX1GZ7g5BBe8sA6BbJ7ja/1nk427v383cs=

— example.com/log/testdata M9e0luh4jTG+UMBqOUo9/q+yAEvx1ilBEniMvjf1zfcBOhg+CKubMt53MvIt/uEWP6zdkdIQzd/fmwlM/dlPWF74ewI=
"""
TESSERA_SHA256 = "8fd35fb50013a5824c5b39a545a017c8009b789df68eb167e16258d971694f34"


def test_the_log_of_another_program() -> None:
    key = SigningKey.parse(TESSERA_KEY)
    node = nodes_of([leaf_hash(word) for word in WORDS])
    whole = sha256()
    for size in range(16):
        note = key.sign(Checkpoint(key.name, size, root(size, node)).text())
        assert open_checkpoint(note, key.verifier).size == size
        whole.update(note)
    for tile in (each for size in range(1, 16) for each in tiles(size)):
        whole.update(tile.path.encode() + b"".join(node(0, number) for number in range(tile.width)))
        whole.update(tile.entries_path.encode() + encode_bundle(WORDS[: tile.width]))
    assert note.decode() == TESSERA_CHECKPOINT
    assert whole.hexdigest() == TESSERA_SHA256

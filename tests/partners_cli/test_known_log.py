"""The log as a partner has seen it: receipts that hold, and logs that were exchanged or rewound."""

import re
from pathlib import Path

import pytest

from partners.known_log import About, KnownLog, LogRefused
from partners.receipts import Receipt
from partners.transparency.checkpoint import open_checkpoint
from partners.transparency.encoding import encode_base64
from partners.transparency.merkle import leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey, VerifierKey, split_note
from partners.transparency.succession import Succession
from tests.partners_cli.fake_room import ORIGIN, FakeRoom

ABOUT = About("decision", "drive-1", ("report", "r-1"))


@pytest.fixture
def known(fake: FakeRoom, tmp_path: Path) -> KnownLog:
    return known_log(fake, tmp_path)


def known_log(fake: FakeRoom, folder: Path, key: VerifierKey | None = None) -> KnownLog:
    return KnownLog(key or fake.signer.verifier, folder / "checkpoint", fake, lambda _: None)


def decided(fake: FakeRoom, report: str = "r-1", collaboration: str = "drive-1") -> Receipt:
    return Receipt.from_json(fake.receipt("decision:release", collaboration, {"report": report}))


def test_the_largest_checkpoint_is_kept(fake: FakeRoom, known: KnownLog, tmp_path: Path) -> None:
    assert known.last() is None
    early = decided(fake)
    known.check(early, ABOUT)
    known.check(decided(fake), ABOUT)
    last = known.last()
    assert last is not None
    assert last.size == 3
    known.check(early, ABOUT)
    assert known.last() == last
    again = known_log(fake, tmp_path)
    assert again.last() == last


@pytest.mark.parametrize(
    "about",
    [
        About("decision", "drive-1", ("report", "r-2")),
        About("decision", "drive-2", ("report", "r-1")),
        About("audience", "drive-1", ("report", "r-1")),
        About("decision", "drive-1", ("version", "r-1")),
    ],
)
def test_a_receipt_of_something_else_is_refused(fake: FakeRoom, known: KnownLog, about: About) -> None:
    receipt = decided(fake)
    with pytest.raises(LogRefused, match="something else"):
        known.check(receipt, about)
    assert known.last() is None


def test_a_receipt_under_another_key_is_refused(fake: FakeRoom, tmp_path: Path) -> None:
    other = known_log(fake, tmp_path, SigningKey(ORIGIN, bytes(32)).verifier)
    with pytest.raises(LogRefused, match="signature"):
        other.check(decided(fake), ABOUT)


def test_a_changed_body_is_refused(fake: FakeRoom, known: KnownLog) -> None:
    receipt = decided(fake)
    changed = Receipt(receipt.proof, receipt.entry, receipt.body.replace(b"r-1", b"r-2"), receipt.nonce)
    with pytest.raises(LogRefused, match="commitment"):
        known.check(changed, About("decision", "drive-1", ("report", "r-2")))


def test_a_log_that_shrank_is_refused_and_kept_as_evidence(fake: FakeRoom, known: KnownLog, tmp_path: Path) -> None:
    known.check(decided(fake), ABOUT)
    known.check(decided(fake), ABOUT)
    del fake.leaves[-1]
    with pytest.raises(LogRefused, match="another log than before"):
        known.refresh()
    assert (tmp_path / "fork" / "shown").read_bytes() == fake.checkpoint()
    assert (tmp_path / "fork" / "kept").read_bytes() == (tmp_path / "checkpoint").read_bytes()
    last = known.last()
    assert last is not None
    assert last.size == 3


def test_a_log_of_the_same_size_with_another_root_is_refused(fake: FakeRoom, known: KnownLog) -> None:
    known.check(decided(fake), ABOUT)
    fake.leaves[-1:] = []
    other = decided(fake, "r-other")
    with pytest.raises(LogRefused, match="another log"):
        known.check(other, About("decision", "drive-1", ("report", "r-other")))
    with pytest.raises(LogRefused, match="another log"):
        known.refresh()


def test_an_older_receipt_counts_only_while_the_room_shows_its_newest_log(fake: FakeRoom, known: KnownLog) -> None:
    early = decided(fake)
    known.check(decided(fake), ABOUT)
    known.check(early, ABOUT)
    del fake.leaves[-1]
    with pytest.raises(LogRefused, match="another log than before"):
        known.check(early, ABOUT)


def test_a_damaged_memory_is_not_taken_for_none(fake: FakeRoom, known: KnownLog, tmp_path: Path) -> None:
    known.check(decided(fake), ABOUT)
    (tmp_path / "checkpoint").write_bytes(b"x")
    with pytest.raises(LogRefused, match="damaged"):
        known.refresh()


def grown(fake: FakeRoom, size: int) -> None:
    while len(fake.leaves) < size:
        fake.leaves.append(b"entry %d" % len(fake.leaves))


@pytest.mark.parametrize(("seen", "now"), [(1, 2), (3, 255), (200, 256), (255, 600), (256, 257), (300, 66_000)])
def test_a_log_that_grew_is_proven_by_its_tiles(fake: FakeRoom, known: KnownLog, seen: int, now: int) -> None:
    grown(fake, seen)
    known.refresh()
    grown(fake, now)
    assert known.refresh().size == now


@pytest.mark.parametrize("now", [40, 300])
def test_a_longer_log_with_another_past_stops_everything(
    fake: FakeRoom, known: KnownLog, tmp_path: Path, now: int
) -> None:
    """Both checkpoints are signed and no entry is missing: only the proof tells. What it was told with is kept."""
    grown(fake, 30)
    known.refresh()
    fake.leaves[12] = b"another entry"
    grown(fake, now)
    for _ in range(2):
        with pytest.raises(LogRefused, match="another log than before"):
            known.refresh()
    with pytest.raises(LogRefused, match="another log than before"):
        known.check(decided(fake), ABOUT)
    fork = tmp_path / "fork"
    assert {path.stat().st_mode & 0o077 for path in fork.rglob("*") if path.is_file()} == {0}
    kept, shown = (open_checkpoint((fork / name).read_bytes(), known.key) for name in ("kept", "shown"))
    hashes = [
        data[at : at + 32]
        for path in sorted((fork / "tile" / "0").rglob("*"))
        if path.is_file()
        for data in [path.read_bytes()]
        for at in range(0, len(data), 32)
    ]
    assert root(kept.size, nodes_of(hashes[: kept.size])) != kept.root
    assert shown.size == now


def test_a_receipt_of_another_log_stops_everything(fake: FakeRoom, known: KnownLog) -> None:
    """The room shows everybody one log, and gives one partner a receipt from another."""
    honest = list(fake.leaves)
    receipt = decided(fake)
    fake.leaves = [*honest, b"something else", b"and more"]
    with pytest.raises(LogRefused, match="another log"):
        known.check(receipt, ABOUT)


def test_a_partial_tile_that_was_filled_meanwhile(
    fake: FakeRoom, known: KnownLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(fake, 20)
    known.refresh()
    grown(fake, 30)
    shown = fake.checkpoint()
    grown(fake, 256)
    real = fake.log_file
    monkeypatch.setattr(fake, "log_file", lambda name: shown if name == "checkpoint" else real(name))
    assert known.refresh().size == 30


@pytest.mark.parametrize("broken", [None, b"", bytes(32 * 30)], ids=["missing", "cut", "others"])
def test_broken_tiles_are_no_fork(
    fake: FakeRoom, known: KnownLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: bytes | None
) -> None:
    grown(fake, 20)
    known.refresh()
    grown(fake, 30)
    real = fake.log_file
    with monkeypatch.context() as patch:
        patch.setattr(fake, "log_file", lambda name: broken if name.startswith("tile/") else real(name))
        with pytest.raises(LogRefused, match="tell the operator"):
            known.refresh()
    assert not (tmp_path / "fork").exists()
    assert known.refresh().size == 30


NEXT = "room.example/audit-v2"


class Restored:
    """A room that lost entries in a restore: a log of 20 goes on as a new one from its first 10 entries."""

    def __init__(self, fake: FakeRoom, folder: Path, seen: int) -> None:
        self.fake, self.pinned = fake, list[VerifierKey]()
        self.known = KnownLog(fake.signer.verifier, folder / "checkpoint", fake, self.pinned.append)
        grown(fake, seen)
        self.known.refresh()
        grown(fake, 20)
        self.end = open_checkpoint(fake.checkpoint(), fake.signer.verifier)

    def begin(self, **changed: object) -> None:
        said = {"ended": ORIGIN, "size": self.end.size, "root": self.end.root, "origin": NEXT, "shared": 10} | changed
        self.fake.notes.append(self.fake.signer.sign(Succession(**said).text()))  # type: ignore[arg-type] # of a test
        self.fake.signer = SigningKey(NEXT, self.fake.signer.seed)
        self.fake.leaves[10:] = [b"restored", b"and on"]


@pytest.mark.parametrize("seen", [20, 10, 7])
def test_a_new_log_that_names_or_extends_what_was_seen_is_followed_once(
    fake: FakeRoom, tmp_path: Path, seen: int
) -> None:
    at = Restored(fake, tmp_path, seen)
    at.begin()
    assert at.known.refresh().origin == NEXT
    assert at.pinned == [at.known.key]
    assert at.known.key == fake.signer.verifier
    (line,) = at.known.news
    assert "lost a part of its log" in line
    at.known.refresh()
    assert len(at.known.news) == 1
    again = known_log(fake, tmp_path)
    again.refresh()
    assert again.news == []


def test_entries_that_were_seen_and_are_gone_take_a_person(fake: FakeRoom, tmp_path: Path) -> None:
    at = Restored(fake, tmp_path, 15)
    at.begin()
    with pytest.raises(LogRefused, match=re.escape(f"accept-log {encode_base64(at.end.root)}")):
        at.known.refresh()
    with pytest.raises(LogRefused, match="accept-log"):
        at.known.refresh(confirmed=bytes(32))
    assert at.pinned == []
    assert at.known.refresh(confirmed=at.end.root).origin == NEXT


@pytest.mark.parametrize(
    ("seen", "changed"),
    [(20, {"root": bytes(32)}), (20, {"size": 15}), (10, {"size": 9}), (15, {"shared": 16})],
    ids=["another root", "fewer entries than were signed", "fewer than were seen", "says that it has them"],
)
def test_a_new_log_that_denies_what_was_seen_is_a_fork(
    fake: FakeRoom, tmp_path: Path, seen: int, changed: dict[str, object]
) -> None:
    at = Restored(fake, tmp_path, seen)
    at.begin(**changed)
    for _ in range(2):
        with pytest.raises(LogRefused, match="another log than before"):
            at.known.refresh(confirmed=bytes(32))
    assert (tmp_path / "fork" / "kept").exists()


def test_a_new_log_with_another_past_is_a_fork(fake: FakeRoom, tmp_path: Path) -> None:
    at = Restored(fake, tmp_path, 7)
    at.begin()
    fake.leaves[3] = b"another entry"
    with pytest.raises(LogRefused, match="another log than before"):
        at.known.refresh()


def test_a_new_log_without_a_word_of_the_old_key_is_refused(fake: FakeRoom, tmp_path: Path) -> None:
    at = Restored(fake, tmp_path, 20)
    at.begin()
    stranger = SigningKey(ORIGIN, bytes(32))
    fake.notes = [stranger.sign(split_note(fake.notes[0])[0])]
    with pytest.raises(LogRefused, match="another log than the one that is pinned"):
        at.known.refresh()
    assert at.pinned == []


def test_two_new_logs_in_a_row(fake: FakeRoom, tmp_path: Path) -> None:
    at = Restored(fake, tmp_path, 20)
    at.begin()
    end = open_checkpoint(fake.checkpoint(), fake.signer.verifier)
    third = "room.example/audit-v3"
    fake.notes.append(fake.signer.sign(Succession(NEXT, end.size, end.root, third, 11).text()))
    fake.signer = SigningKey(third, fake.signer.seed)
    fake.leaves[11:] = [b"restored again"]
    assert at.known.refresh().origin == third


def test_a_checkpoint_from_a_backup_of_before_the_restore(fake: FakeRoom, tmp_path: Path) -> None:
    """The key is that of the new log already, the checkpoint that of the old one: it is followed once more."""
    at = Restored(fake, tmp_path, 20)
    at.begin()
    before = (tmp_path / "checkpoint").read_bytes()
    at.known.refresh()
    (tmp_path / "checkpoint").write_bytes(before)
    assert known_log(fake, tmp_path).refresh().origin == NEXT


def test_a_cut_between_keeping_and_pinning(fake: FakeRoom, tmp_path: Path) -> None:
    """The checkpoint is that of the new log already, the pinned key still of the old one: the next look pins it."""
    at = Restored(fake, tmp_path, 20)
    at.begin()
    old = at.known.key
    at.known.refresh()
    pinned: list[VerifierKey] = []
    again = KnownLog(old, tmp_path / "checkpoint", fake, pinned.append)
    assert again.refresh().origin == NEXT
    assert pinned == [at.known.key]


def test_tiles_that_agree_with_both_checkpoints_and_not_with_each_other_prove_nothing(
    fake: FakeRoom, known: KnownLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room shows the newer log's upper tile, and the older log's lower one: each root comes out."""
    grown(fake, 300)
    known.refresh()
    shown = [leaf_hash(leaf) for leaf in fake.leaves]
    fake.leaves[280] = b"another entry"
    grown(fake, 512)
    real = fake.log_file

    def mixed(name: str) -> bytes | None:
        data = real(name)
        if name == "tile/0/001" and data is not None:
            return b"".join(shown[256:300]) + data[32 * 44 :]
        return data

    monkeypatch.setattr(fake, "log_file", mixed)
    with pytest.raises(LogRefused, match="do not lead to its checkpoint"):
        known.refresh()
    assert not (tmp_path / "fork").exists()
    monkeypatch.setattr(fake, "log_file", real)
    with pytest.raises(LogRefused, match="another log than before"):
        known.refresh()

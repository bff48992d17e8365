"""The log as a partner has seen it: receipts that hold, and logs that were exchanged or rewound."""

from pathlib import Path

import pytest

from partners.known_log import About, KnownLog, LogRefused
from partners.receipts import Receipt
from partners.transparency.note import SigningKey
from tests.partners_cli.fake_room import ORIGIN, FakeRoom

ABOUT = About("decision", "drive-1", ("report", "r-1"))


@pytest.fixture
def known(fake: FakeRoom, tmp_path: Path) -> KnownLog:
    return KnownLog(fake.signer.verifier, tmp_path / "checkpoint", fake.checkpoint)


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
    again = KnownLog(fake.signer.verifier, tmp_path / "checkpoint", fake.checkpoint)
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
    other = KnownLog(SigningKey(ORIGIN, bytes(32)).verifier, tmp_path / "checkpoint", fake.checkpoint)
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
    assert (tmp_path / "checkpoint.refused").read_bytes() == fake.checkpoint()
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

"""The signer signs what extends what it signed, and nothing else."""

import stat
from contextlib import suppress
from pathlib import Path
from threading import Barrier, Event, Thread

import pytest

from cleanroom.audit.signer import Signer, SignerRefused, create
from cleanroom.audit.state import begin
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.merkle import Node, consistency_proof, leaf_hash, nodes_of, root
from tests.audit.rooms import ORIGIN

NODE = nodes_of([leaf_hash(b"%d" % number) for number in range(20)])
OTHER = nodes_of([leaf_hash(b"other %d" % number) for number in range(20)])


def test_signs_a_growing_log_and_remembers(tmp_path: Path) -> None:
    signer = create(tmp_path / "keys", ORIGIN)
    assert signer.last().size == 0
    old = 0
    for size in (1, 2, 7, 7, 20):
        note = Signer(tmp_path / "keys").sign(size, root(size, NODE), consistency_proof(old, size, NODE))
        checkpoint = open_checkpoint(note, signer.verifier)
        assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (ORIGIN, size, root(size, NODE))
        assert signer.last() == checkpoint
        old = size


@pytest.mark.parametrize(
    ("size", "digest", "proof", "why"),
    [
        (6, root(6, NODE), (), "shorter"),
        (0, root(0, NODE), (), "shorter"),
        (7, root(7, OTHER), (), "does not extend"),
        (9, root(9, NODE), (), "does not extend"),
        (9, root(9, OTHER), consistency_proof(7, 9, OTHER), "does not extend"),
        (9, root(9, NODE), consistency_proof(6, 9, NODE), "does not extend"),
        (9, root(9, OTHER), consistency_proof(7, 9, NODE), "does not extend"),
        (9, b"", consistency_proof(7, 9, NODE), "does not extend"),
    ],
)
def test_refuses(tmp_path: Path, size: int, digest: bytes, proof: tuple[bytes, ...], why: str) -> None:
    signer = create(tmp_path, ORIGIN)
    signer.sign(7, root(7, NODE), ())
    before = (tmp_path / "log.state").read_bytes()
    with pytest.raises(SignerRefused, match=why):
        signer.sign(size, digest, proof)
    assert (tmp_path / "log.state").read_bytes() == before


def sign_both(signer: Signer, forks: list[Node]) -> list[bytes]:
    """What is signed when each fork is handed in by a thread of its own at the same time."""
    barrier = Barrier(len(forks))
    signed: list[bytes] = []

    def sign(node: Node) -> None:
        barrier.wait()
        with suppress(SignerRefused):
            signed.append(signer.sign(8, root(8, node), consistency_proof(7, 8, node)))

    threads = [Thread(target=sign, args=(node,)) for node in forks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return signed


def test_of_two_forks_at_once_one_is_signed(tmp_path: Path) -> None:
    leaves = [leaf_hash(b"%d" % number) for number in range(7)]
    forks = [nodes_of([*leaves, leaf_hash(b"a")]), nodes_of([*leaves, leaf_hash(b"b")])]
    for number in range(5):
        signer = create(tmp_path / str(number), ORIGIN)
        signer.sign(7, root(7, NODE), ())
        (signed,) = sign_both(signer, forks)
        assert open_checkpoint(signed, signer.verifier) == signer.last()


def test_never_signs_an_empty_log(tmp_path: Path) -> None:
    with pytest.raises(SignerRefused, match="shorter"):
        create(tmp_path, ORIGIN).sign(0, root(0, NODE), ())


def test_files_are_private(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    create(folder, ORIGIN).sign(1, root(1, NODE), ())
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("log.key", "log.state"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    (folder / "log.key").chmod(0o640)
    with pytest.raises(SignerRefused, match="other users can read"):
        Signer(folder)


def test_keys_differ_and_stay(tmp_path: Path) -> None:
    first = create(tmp_path / "a", ORIGIN)
    assert first.verifier != create(tmp_path / "b", ORIGIN).verifier
    with pytest.raises(SignerRefused, match="already"):
        create(tmp_path / "a", ORIGIN)
    assert Signer(tmp_path / "a").verifier == first.verifier


def test_a_lost_or_damaged_file_is_not_replaced(tmp_path: Path) -> None:
    create(tmp_path, ORIGIN).sign(3, root(3, NODE), ())
    key, state = (tmp_path / "log.key").read_bytes(), (tmp_path / "log.state").read_bytes()
    signer = Signer(tmp_path)

    (tmp_path / "log.state").unlink()
    with pytest.raises(SignerRefused, match="state is missing"):
        signer.sign(4, root(4, NODE), consistency_proof(3, 4, NODE))
    both = state.replace(b"room", b"shop")
    for damaged in (b"", b"\xff", state[:-1], state + b"\0", both, bytes(len(state))):
        (tmp_path / "log.state").write_bytes(damaged)
        with pytest.raises(SignerRefused, match="state is damaged"):
            signer.last()
        with pytest.raises(SignerRefused, match="state is damaged"):
            signer.sign(4, root(4, NODE), consistency_proof(3, 4, NODE))
    begin(tmp_path / "log.state", Checkpoint("shop.example/audit-v1", 3, root(3, NODE)))
    with pytest.raises(SignerRefused, match="another log"):
        signer.last()

    (tmp_path / "log.state").write_bytes(state)
    for damaged in (b"", b"\xff", key[:-2], key.replace(b"room", b"shop")):
        (tmp_path / "log.key").write_bytes(damaged)
        with pytest.raises(SignerRefused, match="key is damaged"):
            Signer(tmp_path)
    (tmp_path / "log.key").unlink()
    with pytest.raises(SignerRefused, match="no log key"):
        Signer(tmp_path)
    with pytest.raises(SignerRefused, match="restore the key"):
        create(tmp_path, ORIGIN)


def test_creation_that_was_cut_off_starts_again(tmp_path: Path) -> None:
    create(tmp_path, ORIGIN)
    (tmp_path / "log.key").unlink()
    assert create(tmp_path, ORIGIN).last().size == 0


def test_a_step_that_was_cut_off_leaves_the_one_before(tmp_path: Path) -> None:
    """A place that is not whole is passed over, whichever it is and however far its writing came."""
    signer = create(tmp_path, ORIGIN)
    path = tmp_path / "log.state"
    before = path.read_bytes()
    for size in range(1, 8):
        signer.sign(size, root(size, NODE), consistency_proof(size - 1, size, NODE))
        after = path.read_bytes()
        assert len(after) == len(before)
        changed = [at for at in range(len(after)) if after[at] != before[at]]
        assert changed[-1] // 512 == changed[0] // 512, "one place is written at a time"
        for cut in (1, 16, 33, 100):
            end = changed[0] // 512 * 512 + cut
            path.write_bytes(after[:end] + before[end:])
            if path.read_bytes() not in (before, after):
                assert signer.last().size == size - 1
        path.write_bytes(after)
        assert signer.last().size == size
        before = after


def test_others_read_while_it_is_written(tmp_path: Path) -> None:
    signer = create(tmp_path, ORIGIN)
    done = Event()
    seen: list[int] = []

    def look() -> None:
        while not done.is_set():
            seen.append(signer.last().size)

    reader = Thread(target=look)
    reader.start()
    for size in range(1, 11):
        signer.sign(size, root(size, NODE), consistency_proof(size - 1, size, NODE))
    done.set()
    reader.join()
    assert seen == sorted(seen)

"""The room's audit log as this partner has seen it: one pinned key, and the largest checkpoint so far.

Rules:
* Every receipt is verified against the pinned key, and must be about the decision that it came with.
* The log only grows. At each contact the room's newest checkpoint must be proven, by the log's tiles, to extend the one
  kept; and each receipt's checkpoint to be a part of the newest one.
* A fork stops everything. Both checkpoints, which the room signed, and the tiles between them are kept as evidence in
  `fork/` beside the checkpoint; nothing goes on while that folder is there.
* Several commands of one folder may run at a time. Nothing is judged against a checkpoint that was kept after the room
  was asked, and nothing smaller is ever kept: looking again at what is kept and writing are one step under a lock.
* After a restore a room may begin a new log. It is followed where it names, signed by the old key, the very checkpoint
  kept, or extends it; where neither can be shown, only when a person names the root that other partners hold. Its
  checkpoint is kept before its key is pinned, so that a cut in between forgets nothing.
"""

import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from partners import files, receipts
from partners.failure import Failure
from partners.lock import held
from partners.receipts import Receipt, Verdict
from partners.transparency import tiles
from partners.transparency.checkpoint import Checkpoint, open_checkpoint, read_unverified
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body
from partners.transparency.merkle import HASH_SIZE, Node, consistency_proof, root, verify_consistency
from partners.transparency.note import NoteError, VerifierKey
from partners.transparency.proof import Proof
from partners.transparency.succession import Succession, open_succession
from partners.transparency.tiles import Tile
from partners.words import counted

EVIDENCE = "fork"
CHECKPOINT = "checkpoint"
_LOCK = ".log.lock"


class LogRefused(Failure):
    """The log that the room shows must not be relied on."""


class Source(Protocol):
    """Where the room's log comes from; nothing of it is verified."""

    def log_file(self, name: str) -> bytes | None:
        """A file of the published log; None where there is none of this name."""

    def successions(self) -> tuple[bytes, ...]:
        """Every succession of the room's logs, oldest first."""


@dataclass(frozen=True, slots=True)
class About:
    """What a receipt must be about: the subject of its event, its collaboration, and one of its details."""

    subject: str
    collaboration: str | None
    detail: tuple[str, object]


@dataclass(frozen=True, slots=True)
class _Shown:
    """A checkpoint, and the signed note that it came in."""

    checkpoint: Checkpoint
    message: bytes


class KnownLog:
    """The log under `key`; the checkpoint is kept in the file `kept`. `pin` is told the key of a log that was followed.

    `news`: lines that a person should read once.
    """

    def __init__(self, key: VerifierKey, kept: Path, source: Source, pin: Callable[[VerifierKey], None]) -> None:
        self.key = key
        self.news: list[str] = []
        self._kept = kept
        self._source = source
        self._pin = pin
        self._read: tuple[Checkpoint, Node, dict[str, bytes]] | None = None

    def last(self) -> Checkpoint | None:
        """The largest checkpoint seen so far. Raises `LogRefused` when its file was damaged."""
        shown = self._last()
        return shown.checkpoint if shown else None

    def refresh(self, confirmed: bytes | None = None) -> Checkpoint:
        """The room's newest checkpoint, proven to extend the one kept. Raises `LogRefused`.

        `confirmed`: the root of the last checkpoint of a log that ended, as a person knows it from other partners.
        """
        return self._refresh(confirmed).checkpoint

    def extension(self, old: int) -> tuple[bytes, tuple[bytes, ...]]:
        """The newest checkpoint's note, and the proof, unverified, that it begins with its first `old` leaves.

        Raises `LogRefused`, ValueError where the log is smaller.
        """
        shown = self._refresh(None)
        return shown.message, consistency_proof(old, shown.checkpoint.size, self._tree(shown.checkpoint))

    def check(self, receipt: Receipt, about: About) -> Verdict:
        """The verdict of a receipt that holds and is about `about`. Raises `LogRefused`."""
        self._go_on()
        verdict = receipts.check(receipt, self.key)
        if not verdict.ok:
            failed = next(each for each in verdict.checks if not each.passed)
            raise LogRefused(f"the room's receipt does not hold ({failed.name}: {failed.detail}); tell the operator")
        body = Body.parse(receipt.body)
        named = body.details.get(about.detail[0]) == about.detail[1]
        if body.event.partition(":")[0] != about.subject or body.collaboration != about.collaboration or not named:
            raise LogRefused("the room's receipt is about something else than its answer; tell the operator")
        stated = _opened(Proof.parse(receipt.proof).checkpoint.encode(), self.key)
        if stated.checkpoint != self.last():
            self._extends(stated, self._refresh(None))
        return verdict

    def _refresh(self, confirmed: bytes | None) -> _Shown:
        while (shown := self._look(confirmed)) is None:
            pass  # another command of this folder kept a newer checkpoint meanwhile, which is to be extended, too
        return shown

    def _look(self, confirmed: bytes | None) -> _Shown | None:
        """One look at the room's newest checkpoint. None where another command kept one meanwhile. Raises `LogRefused`.

        What is kept is read before the room is asked: what came later may be newer than its answer, and no fork.
        """
        self._go_on()
        last = self._last()
        message = self._file(CHECKPOINT)
        if message is None:
            raise LogRefused("the room shows no checkpoint of its log; tell the operator")
        key, chain = self.key, list[tuple[Succession, bytes]]()
        if _origin(message) != key.name or (last is not None and last.checkpoint.origin != key.name):
            key, chain = self._followed(last)
        shown = _opened(message, key)
        if last is not None and chain:
            first, note = chain[0]
            named = _Shown(Checkpoint(first.ended, first.size, first.root), note)
            self._continues(last, shown, named, first.shared, confirmed)
        elif last is not None and shown.checkpoint != last.checkpoint:
            self._extends(last, shown)
        with held(self._kept.with_name(_LOCK)):
            if self._last() != last:
                return None
            if last is None or chain or shown.checkpoint.size > last.checkpoint.size:
                files.write(self._kept, message, private=True)
            if key != self.key:
                self._pin(key)
        self.key = key
        if chain:
            first = chain[0][0]
            ended = counted(first.size, "entry", "entries")
            self.news.append(
                f"The room lost a part of its log in a restore and goes on with a new one, {key.name};"
                f" it is pinned now. The log before it ended with {ended}, of which the new one has"
                f" {first.shared}. Its key is {key}; ask the operator whether it is the same."
            )
        return shown

    def _followed(self, last: _Shown | None) -> tuple[VerifierKey, list[tuple[Succession, bytes]]]:
        """The key of the newest log, and the successions to it from the log of `last`. Raises `LogRefused`.

        The log of `last` may be newer than the pinned one, where another command followed it or one was cut off; or
        older, where the file came from a backup. Successions lead from one to the other, or it is none of the room's.
        """
        notes = self._source.successions()
        start = VerifierKey(last.checkpoint.origin, self.key.public) if last else self.key
        chain, pinned = _successions(notes, start), _successions(notes, self.key)
        key = VerifierKey(chain[-1][0].origin, start.public) if chain else start
        onward, behind = ({each.origin for each, _ in found} for found in (chain, pinned))
        reached = start == self.key or self.key.name in onward or start.name in behind
        if not reached or (key == self.key and not chain):
            raise LogRefused("the room's checkpoint belongs to another log than the one that is pinned; do not go on")
        return key, chain

    def _continues(self, last: _Shown, shown: _Shown, named: _Shown, shared: int, confirmed: bytes | None) -> None:
        """Returns where a new log may be followed, by the checkpoint kept and the last one that it names.

        `shared`: how many entries it says that it took over.
        """
        kept, end = last.checkpoint, named.checkpoint
        if kept == end:
            return
        if kept.size >= end.size:
            self._fork(last, named)
        if kept.size <= shown.checkpoint.size and self._has(kept, shown):
            return
        if kept.size <= shared:
            self._fork(last, shown)
        if confirmed is None or not hmac.compare_digest(confirmed, end.root):
            stated = encode_base64(end.root)
            raise LogRefused(
                "the room goes on with a new log after a restore, and entries that you saw are not in it; ask the other"
                f" partners for their last checkpoint, and if its root is {stated}, run"
                f" `cleanroom-partner accept-log {stated}`"
            )

    def _extends(self, older: _Shown, newer: _Shown) -> None:
        """Returns where `newer` is proven to begin with `older`; else the evidence is kept. Raises `LogRefused`."""
        if older.checkpoint.size > newer.checkpoint.size or not self._has(older.checkpoint, newer):
            self._fork(older, newer)

    def _has(self, older: Checkpoint, newer: _Shown) -> bool:
        """Whether the log of `newer` begins with `older`. Raises `LogRefused` where its tiles do not lead to it."""
        size, head = newer.checkpoint.size, newer.checkpoint.root
        if older.size == size:
            return older.root == head
        node = self._tree(newer.checkpoint)
        proof = consistency_proof(older.size, size, node)
        if verify_consistency(older.size, size, proof, older.root, head):
            return True
        if verify_consistency(older.size, size, proof, root(older.size, node), head):
            return False
        self._read = None
        raise LogRefused("the files of the room's log do not lead to its checkpoint; tell the operator")

    def _tree(self, checkpoint: Checkpoint) -> Node:
        """The tree of a checkpoint, read from the room's tiles; unverified."""
        if self._read is None or self._read[0] != checkpoint:
            fetched: dict[str, bytes] = {}
            node = tiles.reader(checkpoint.size, lambda tile: self._tile(tile, fetched))
            self._read = (checkpoint, node, fetched)
        return self._read[1]

    def _tile(self, tile: Tile, fetched: dict[str, bytes]) -> bytes:
        """The bytes of a tile; a partial one may have been filled meanwhile, and is the beginning of the full one."""
        data = self._file(tile.path)
        if data is None:
            data = self._file(Tile(tile.level, tile.index, tiles.WIDTH).path)
        if data is None:
            raise LogRefused("files of the room's log are missing; tell the operator")
        fetched[tile.path] = data[: tile.width * HASH_SIZE]
        if len(fetched[tile.path]) < tile.width * HASH_SIZE:
            self._read = None
            raise LogRefused("files of the room's log are cut off; tell the operator")
        return fetched[tile.path]

    def _fork(self, kept: _Shown, shown: _Shown) -> None:
        """Keeps the evidence, and stops. Raises `LogRefused`."""
        folder = self._kept.with_name(EVIDENCE)
        evidence = {"kept": kept.message, "shown": shown.message, **(self._read[2] if self._read else {})}
        with held(self._kept.with_name(_LOCK)):
            self._go_on()
            for name, data in evidence.items():
                path = folder / name
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                files.write(path, data, private=True)
        self._go_on()

    def _go_on(self) -> None:
        folder = self._kept.with_name(EVIDENCE)
        if folder.exists():
            raise LogRefused(
                "the room shows another log than before, so nothing goes on; the evidence is in"
                f" {folder.name} of the partner's folder: keep it, and tell the other partners"
            )

    def _last(self) -> _Shown | None:
        try:
            message = self._kept.read_bytes()
            # One of a newer log than the pinned one is what another command followed, or was cut off before pinning.
            key = VerifierKey(read_unverified(message).origin, self.key.public)
            return _Shown(open_checkpoint(message, key), message)
        except FileNotFoundError:
            return None
        except NoteError:
            raise LogRefused(f"{self._kept} is damaged; restore it from a backup before you go on") from None

    def _file(self, name: str) -> bytes | None:
        return self._source.log_file(name)


def _opened(message: bytes, key: VerifierKey) -> _Shown:
    try:
        return _Shown(open_checkpoint(message, key), message)
    except NoteError as problem:
        raise LogRefused(f"the room's checkpoint does not hold: {problem}") from None


def _successions(notes: Iterable[bytes], key: VerifierKey) -> list[tuple[Succession, bytes]]:
    """The successions, each with its note, that lead on from the log of a key."""
    chain = list[tuple[Succession, bytes]]()
    for note in notes:
        try:
            chain.append((open_succession(note, key), note))
        except NoteError:
            continue  # of a log before this one
        key = VerifierKey(chain[-1][0].origin, key.public)
    return chain


def _origin(message: bytes) -> str:
    try:
        return read_unverified(message).origin
    except NoteError as problem:
        raise LogRefused(f"the room's checkpoint does not hold: {problem}") from None

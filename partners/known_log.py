"""The room's audit log as this partner has seen it: one pinned key, and the largest checkpoint so far.

Rules:
* Every receipt is verified against the pinned key, and must be about the decision that it came with.
* The log only grows. A checkpoint that is smaller than the one kept, or as large with another root, is refused and kept
  beside it as evidence: both carry the room's signature.
* A receipt under an older checkpoint is allowed, once the room has shown that its newest one is not older.

That two checkpoints of different size belong to one log is not proved yet: it takes a consistency proof over the tiles.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from partners import files, receipts
from partners.failure import Failure
from partners.receipts import Receipt, Verdict
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.entry import Body
from partners.transparency.note import NoteError, VerifierKey
from partners.transparency.proof import Proof


class LogRefused(Failure):
    """The log that the room shows must not be relied on."""


@dataclass(frozen=True, slots=True)
class About:
    """What a receipt must be about: the subject of its event, its collaboration, and one of its details."""

    subject: str
    collaboration: str | None
    detail: tuple[str, object]


class KnownLog:
    """The log under `key`; the checkpoint is kept in the file `kept`. `newest` fetches the room's own."""

    def __init__(self, key: VerifierKey, kept: Path, newest: Callable[[], bytes]) -> None:
        self.key = key
        self._kept = kept
        self._newest = newest

    def last(self) -> Checkpoint | None:
        """The largest checkpoint seen so far. Raises `LogRefused` when its file was damaged."""
        try:
            return open_checkpoint(self._kept.read_bytes(), self.key)
        except FileNotFoundError:
            return None
        except NoteError:
            raise LogRefused(f"{self._kept} is damaged; restore it from a backup before you go on") from None

    def refresh(self) -> Checkpoint:
        """The room's newest checkpoint, checked against the one kept. Raises `LogRefused`."""
        message = self._newest()
        checkpoint = self._open(message)
        last = self.last()
        if last and (checkpoint.size < last.size or (checkpoint.size == last.size and checkpoint.root != last.root)):
            evidence = self._kept.with_name(f"{self._kept.name}.refused")
            files.write(evidence, message, private=True)
            raise LogRefused(
                f"the room shows another log than before; do not go on, keep {self._kept.name} and {evidence.name},"
                " and tell the other partners"
            )
        if last is None or checkpoint.size > last.size:
            files.write(self._kept, message, private=True)
        return checkpoint

    def check(self, receipt: Receipt, about: About) -> Verdict:
        """The verdict of a receipt that holds and is about `about`. Raises `LogRefused`."""
        verdict = receipts.check(receipt, self.key)
        if not verdict.ok:
            failed = next(each for each in verdict.checks if not each.passed)
            raise LogRefused(f"the room's receipt does not hold ({failed.name}: {failed.detail}); tell the operator")
        body = Body.parse(receipt.body)
        named = body.details.get(about.detail[0]) == about.detail[1]
        if body.event.partition(":")[0] != about.subject or body.collaboration != about.collaboration or not named:
            raise LogRefused("the room's receipt is about something else than its answer; tell the operator")
        self._keep(Proof.parse(receipt.proof).checkpoint.encode())
        return verdict

    def _keep(self, message: bytes) -> None:
        checkpoint, last = self._open(message), self.last()
        if last is None or checkpoint.size > last.size:
            files.write(self._kept, message, private=True)
        elif checkpoint != last:
            self.refresh()
            if checkpoint.size == last.size:
                raise LogRefused("the room's receipt stands in another log than before; tell the other partners")

    def _open(self, message: bytes) -> Checkpoint:
        try:
            return open_checkpoint(message, self.key)
        except NoteError as problem:
            raise LogRefused(f"the room's checkpoint does not hold: {problem}") from None

"""What this partner withdrew, reinstated and erased in one collaboration: one file a batch, in order.

    collaborations/ID/withdrawals/000001.waiting.json    a batch that has no answer yet
    collaborations/ID/withdrawals/000001.json            the same, with the room's acknowledgement

Rules: a batch is kept before it is sent, and its acknowledgement when it was answered; what waits is sent again. The
canonical texts stay, because tokens of a new secret can only be made from them: whoever rotates the secret hashes this
list again. The files are as sensitive as the customer file; they are 0600, and nothing is ever half-written.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from partners import fields, files
from partners.failure import Failure
from partners.fields import OddAnswer
from partners.withdrawal import Batch, SignedBatch

_NAME = re.compile(r"(\d{6,})(\.waiting)?\.json")
_WAITING = ".waiting.json"


class DamagedList(Failure):
    """A file of the list that cannot be read."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A batch that this partner made from `texts`. `acknowledgement` is the room's signed note, once it answered."""

    signed: SignedBatch
    texts: tuple[str, ...]
    acknowledgement: bytes | None = None

    def __repr__(self) -> str:
        return f"Kept({self.signed.batch.sha256()}, {len(self.texts)} texts)"

    def to_json(self) -> dict[str, Any]:
        note = None if self.acknowledgement is None else self.acknowledgement.decode()
        return {**self.signed.to_json(), "texts": self.texts, "acknowledgement": note}

    @classmethod
    def from_json(cls, found: Any) -> "Kept":
        """The inverse of `to_json`. Raises ValueError, KeyError, TypeError, `OddAnswer`."""
        signed = SignedBatch(Batch.from_json(found["batch"]), fields.signature(found))
        note = fields.optional_text(found, "acknowledgement")
        return cls(signed, tuple(map(str, found["texts"])), None if note is None else note.encode())


class Suppressions:
    """The list in one folder, made when the first batch is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, signed: SignedBatch, texts: tuple[str, ...]) -> tuple[Path, Kept]:
        """Keeps a batch that is about to be sent."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        last = max((number for number, _ in self._files()), default=0)
        path, kept = self._folder / f"{last + 1:06d}{_WAITING}", Kept(signed, texts)
        files.write_new(path, _written(kept), private=True)
        return path, kept

    def acknowledged(self, path: Path, kept: Kept, note: bytes) -> None:
        """Keeps the room's acknowledgement beside a batch."""
        done = path.with_name(f"{path.name.removesuffix(_WAITING).removesuffix('.json')}.json")
        files.write(done, _written(replace(kept, acknowledgement=note)), private=True)
        if path != done:
            path.unlink(missing_ok=True)

    def waiting(self) -> Iterator[tuple[Path, Kept]]:
        """The batches without an answer, in the order in which they were made. Raises `DamagedList`."""
        return ((path, _read(path)) for _, path in self._files() if path.name.endswith(_WAITING))

    def answered(self) -> Iterator[tuple[Path, Kept]]:
        """The batches that were answered, with their files, in the order in which they were made."""
        return ((path, _read(path)) for _, path in self._files() if not path.name.endswith(_WAITING))

    def __iter__(self) -> Iterator[Kept]:
        """Every batch that was answered, in the order in which they were made. Raises `DamagedList`."""
        return (kept for _, kept in self.answered())

    def _files(self) -> list[tuple[int, Path]]:
        paths = list(self._folder.iterdir()) if self._folder.is_dir() else []
        return sorted((int(found[1]), path) for path in paths if (found := _NAME.fullmatch(path.name)))


def _written(kept: Kept) -> bytes:
    return json.dumps(kept.to_json(), ensure_ascii=False).encode() + b"\n"


def _read(path: Path) -> Kept:
    try:
        return Kept.from_json(json.loads(path.read_bytes()))
    except (ValueError, KeyError, TypeError, OddAnswer):
        raise DamagedList(f"{path.name} of the withdrawals is damaged; bring it back from a backup") from None

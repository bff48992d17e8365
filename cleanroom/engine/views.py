"""Views: what questions read, worked out once from columns and links and kept as files that every process maps.

    views/<version>/<purpose>.<day or always>.<digest>.npy    who takes part: a bitmap, then the SHA-256 of it
    views/<version>/columns/measure.<name>.npy                each row's amount, clipped, 0 for none
    views/<version>--<other>/<digest>/matched.npy             whose partner takes part: a bitmap over `version`
    views/<version>--<other>/<digest>/attribute.<name>.npy    the partner's code for each row of `version`
    views/<version>--<other>/<digest>/measure.<name>.npy      the partner's amount, clipped, 0 for none

Rules: a view is named after everything that it depends on, so it is never stale, only missing. The first digest is that
of the withdrawn rows, `nobody` for none; the second of the bitmap of who takes part in `other` and of the order of the
keys, so that days and purposes on which the same people take part share a view. A view that is missing or damaged is
made by whoever needs it, under a lock on its folder, and shown whole. A folder holds at most `MOST`; the longest unused
go first. Where rows are erased, every view of their version goes after the columns were overwritten.
"""

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np

from cleanroom.engine import bits
from cleanroom.engine.bits import Words
from cleanroom.engine.columns import Array, Columns, Damaged, open_array, write_header
from cleanroom.engine.interface import Withdrawn
from cleanroom.engine.linking import Links
from cleanroom.engine.partners import Partners, amount_type, blocks_of_amounts, code_type, taking_part
from partners import files
from policies import canonical
from policies.agreement import Attribute, Measure
from policies.purpose import Purpose

Blocks = Callable[[], Iterable[Array]]

MOST = 8
DIGEST_WORDS = 4


@dataclass(frozen=True, slots=True)
class Presence:
    """The rows of a version that take part, the digest of them, and the view they were read from."""

    path: Path
    words: Words
    digest: str


def presence(folder: Path, audience: Columns, purpose: Purpose, day: date, withdrawn: Withdrawn | None) -> Presence:
    """Who takes part in a version; `folder` is the one of its views. Raises `Damaged`."""
    when = day.isoformat() if audience.meta.expires else "always"
    gone = withdrawn.digest if withdrawn else "nobody"
    count = bits.words_of(audience.meta.rows)

    def make() -> Iterator[Array]:
        words = taking_part(audience, purpose, day, withdrawn)
        yield words
        yield np.frombuffer(hashlib.sha256(words.data).digest(), np.uint64)

    path = folder / f"{purpose.value}.{when}.{gone}.npy"
    stored = _view(folder, path, np.uint64, count + DIGEST_WORDS, make)
    return Presence(path, stored[:count], stored[count:].tobytes().hex())


def own_amounts(folder: Path, audience: Columns, measure: Measure) -> Array:
    """Per row, the version's own amount in units, clipped to the bounds; 0 for none. Raises `Damaged`."""
    rows = audience.meta.rows
    make = partial(blocks_of_amounts, *audience.measure(measure.name), measure)
    return _view(folder, own_columns(folder) / f"measure.{measure.name}.npy", amount_type(measure), rows, make)


def own_columns(folder: Path) -> Path:
    """Where the views of a version's own columns are, the same for every purpose and day."""
    return folder / "columns"


class PairViews:
    """The views of an audience's rows onto their partners in another. `folder` is the one of the pair's views.

    `links`: by key, in the agreement's order. `present`: who takes part in the other audience.
    """

    def __init__(self, folder: Path, rows: int, links: Mapping[str, Links], present: Presence) -> None:
        self._pair, self._rows = folder, rows
        self._partners = Partners(rows, tuple(links.values()), present.words)
        name = hashlib.sha256(canonical.dumps([list(links), present.digest])).hexdigest()[:32]
        self.folder = folder / name

    def matched(self) -> Words:
        """The rows that have a partner. Raises `Damaged`, as everything here."""
        return self._open("matched", np.uint64, bits.words_of(self._rows), self._partners.matched)

    def codes(self, other: Columns, attribute: Attribute) -> Array:
        """Per row, the partner's code of the attribute; one past its domain for none."""
        make = partial(self._partners.codes, other.codes(attribute.name), attribute)
        return self._open(f"attribute.{attribute.name}", code_type(attribute), self._rows, make)

    def amounts(self, other: Columns, measure: Measure) -> Array:
        """Per row, the partner's amount in units, clipped to the bounds; 0 for none."""
        make = partial(self._partners.amounts, *other.measure(measure.name), measure)
        return self._open(f"measure.{measure.name}", amount_type(measure), self._rows, make)

    def _open(self, name: str, kind: type[np.generic], length: int, make: Blocks) -> Array:
        return _view(self._pair, self.folder / f"{name}.npy", kind, length, make)


def keep(folder: Path, wanted: Collection[Path]) -> None:
    """Removes every view of a folder but these. One that is needed after all is made again."""
    with _alone(folder):
        for path in set(folder.iterdir()) - set(wanted):
            _remove(path)


def _view(kept: Path, path: Path, kind: type[np.generic], length: int, make: Blocks) -> Array:
    """Maps a view, made first where it is missing or damaged. `kept`: the folder that is locked and kept small."""
    with contextlib.suppress(Damaged):
        return _used(kept, path, kind, length)
    try:
        with _alone(kept):
            with contextlib.suppress(Damaged):  # somebody else has made it in the meantime
                return _used(kept, path, kind, length)
            _make(kept, path, kind, length, make)
            return _used(kept, path, kind, length)
    except FileNotFoundError:
        raise Damaged("the folder of a view went away while it was made; ask again") from None


def _used(kept: Path, path: Path, kind: type[np.generic], length: int) -> Array:
    """Maps a view and notes that it is in use. Raises `Damaged`."""
    array = open_array(path, kind, (length,))
    with contextlib.suppress(FileNotFoundError):  # removed in the meantime; what is mapped stays readable
        os.utime(_entry(kept, path))
    return array


def _make(kept: Path, path: Path, kind: type[np.generic], length: int, make: Blocks) -> None:
    entry = _entry(kept, path)
    if not entry.exists():
        oldest_last = sorted(kept.iterdir(), key=lambda each: each.stat().st_mtime_ns, reverse=True)
        for each in oldest_last[MOST - 1 :]:
            _remove(each)
    if entry != path:
        entry.mkdir(mode=0o700, exist_ok=True)
    with files.replacing(path, private=True) as (temporary,), temporary.open("wb") as file:
        write_header(file, np.dtype(kind), (length,))
        for block in make():
            file.write(np.ascontiguousarray(block, kind).data)


def _entry(kept: Path, path: Path) -> Path:
    """What a view is kept or removed with: itself, or the folder that it shares with others."""
    return path if path.parent == kept else path.parent


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the lock of a folder of views, made if need be, against other threads and processes."""
    folder.mkdir(mode=0o700, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

"""Every usable row of a customer file, without repeated tokens and in random order, in bounded memory.

Rules:
* Within one audience a token stands in one row only (see `partners.duplicates`).
* Rows leave in random order, so that nothing tells the order of the customer file: each row goes to a random partition,
  and each partition is put in the order of 64 random bits for each row. That is the order of one long random number
  for each row, so every order of all rows is as likely as any other.
* Memory: what is held of rows (see `partners.spool`), one partition, a byte or so for each line, and the workers' blocks.
* Large CSV files are read in blocks by several processes. Small ones are not worth starting any.
"""

import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from partners.counting import Counts
from partners.duplicates import Left, repeats
from partners.mapping import Map
from partners.quality import Drop
from partners.reading import Source, read
from partners.reading.blocks import Block, Layout, blocks, layout
from partners.records import HAS, LINE, TOKEN_KIND, Records, has_kind, record_kind
from partners.rows import Plan
from partners.spool import Spool, partitions_for
from partners.workers import Here, Part, Workers, worker_count

WORKERS_FROM_BYTES = 8 * 1024 * 1024

Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Gathered:
    """The rows that stay, how many they are, and what was counted over the file."""

    rows: int
    counts: Counts
    _left: Left
    _spool: Spool

    def shuffled(self) -> Iterator[Records]:
        """The rows, once, in random order, in pieces."""
        for records in self._spool.take():
            records[HAS] = self._left.of(records[LINE])
            stay = records[records[HAS] != 0]
            yield stay[_random_order(len(stay))]


@contextmanager
def gathered(mapping: Map, plan: Plan, folder: Path, progress: Progress) -> Iterator[Gathered]:
    """The rows of the map's file, by a plan; `folder` takes what memory does not. Raises `BadFile` and OSError."""
    counts = Counts()
    left = Left(has_kind(len(plan.keys)), len(plan.keys))
    with ExitStack() as closing:
        partitions = partitions_for(_size(mapping.file))
        rows = closing.enter_context(Spool(folder, partitions, record_kind(plan)))
        tokens = [closing.enter_context(Spool(folder, partitions, TOKEN_KIND)) for _ in plan.keys]
        for part in _parts(mapping, plan, progress):
            counts.merge(part.counts)
            left.add(part.records[LINE], part.records[HAS])
            rows.add(part.records, _random_choices(len(part.records)))
            for bit, (key, spool) in enumerate(zip(plan.keys, tokens, strict=True)):
                _add_tokens(part.records, bit, key.key, spool)
        for bit, (key, spool) in enumerate(zip(plan.keys, tokens, strict=True)):
            with spool:
                dropped = 0
                for found in spool.take():
                    again = repeats(*(np.ascontiguousarray(found[name]) for name in ("high", "low", LINE)))
                    left.take(again, bit)
                    dropped += len(again)
            counts.add_many(dropped, "tokens_dropped", key.key)
        counts.add_rows(left.emptied(), "dropped", Drop.DUPLICATE.value)
        yield Gathered(left.kept(), counts, left, rows)


def row_groups(pieces: Iterable[Records], rows: int) -> Iterator[Records]:
    """The same rows in pieces of this many, the last one smaller."""
    waiting: list[Records] = []
    for piece in pieces:
        waiting.append(piece)
        if sum(map(len, waiting)) >= rows:
            together = np.concatenate(waiting)
            whole = len(together) - len(together) % rows
            yield from (together[start : start + rows] for start in range(0, whole, rows))
            waiting = [together[whole:].copy()]
    together = np.concatenate(waiting) if waiting else np.empty(0)
    if len(together):
        yield together


def _parts(mapping: Map, plan: Plan, progress: Progress) -> Iterator[Part]:
    """The file's rows converted, in the file's order."""
    source = Source(mapping.file, mapping.encoding, mapping.delimiter)
    size = _size(mapping.file)
    large = size >= WORKERS_FROM_BYTES
    form = layout(source, mapping.columns()) if large else None
    done = 0  # the last line of the rows that were given
    if form is not None:
        rows, end = 0, form.start
        with _crew(large, plan, form) as crew:
            for block, part in crew.answers(blocks(form)):
                if part is None or not isinstance(block, Block):
                    break
                yield part
                rows += part.counts.count("rows")
                done, end = block.next_line - 1, block.end
                progress(end, size)
        if rows and end >= size:
            return
    identifiers = frozenset(column for key in mapping.keys for column in key.columns)
    with _crew(large, plan, None) as crew:
        chunks = read(source, mapping.columns(), identifiers, progress)
        later = (rest for chunk in chunks if (rest := chunk.after(done)) is not None)
        yield from (part for _, part in crew.answers(later) if part is not None)


def _crew(large: bool, plan: Plan, form: Layout | None) -> Workers | Here:
    count = worker_count()
    return Workers(count, plan, form) if large and count > 1 else Here(plan, form)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # for the reader to explain
        return 0


def _add_tokens(records: Records, bit: int, key: str, spool: Spool) -> None:
    has = records[HAS] >> np.array(bit, records[HAS].dtype) & 1 != 0
    halves = records[key][has]
    found = np.empty(len(halves), TOKEN_KIND)
    found["high"], found["low"], found[LINE] = halves[:, 0], halves[:, 1], records[LINE][has]
    spool.add(found, halves[:, 1].astype(np.uint16))  # tokens are as good as random


def _random_choices(rows: int) -> NDArray[np.uint16]:
    return np.frombuffer(secrets.token_bytes(2 * rows), np.uint16)


def _random_order(rows: int) -> NDArray[np.int64]:
    """A permutation that nobody can foresee: the order of 64 random bits for each row."""
    return np.argsort(np.frombuffer(secrets.token_bytes(8 * rows), dtype=np.uint64))

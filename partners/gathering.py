"""Every usable row of a customer file, without repeated tokens and in random order, in bounded memory.

Rules:
* Within one audience a token stands in one row only (see `partners.duplicates`).
* Rows leave in random order, so that nothing tells the order of the customer file: each row goes to a random partition,
  and each partition is put in the order of 64 random bits for each row. That is the order of one long random number
  for each row, so every order of all rows is as likely as any other.
* Memory: what is held of rows (see `partners.spool`), a few partitions, a byte or so for each line, some blocks.
* The files of a folder are read one after the other. Large CSV files are read in blocks by several processes. Small
  ones are not worth starting any.
"""

import secrets
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from partners.counting import Counts
from partners.duplicates import Left, repeats
from partners.mapping import Map
from partners.quality import Drop
from partners.reading import NoRows, Source, files_of, none_has_rows, read
from partners.reading.blocks import Block, blocks, layout
from partners.reading.chunk import Chunk
from partners.records import HAS, LINE, TOKEN_KIND, Records, has_kind, record_kind
from partners.rows import Plan
from partners.spool import Spool, partitions_for
from partners.workers import Here, Job, Part, Workers, worker_count

WORKERS_FROM_BYTES = 8 * 1024 * 1024
THREADS = 2
UNPACKED = 10
Given = TypeVar("Given")
Made = TypeVar("Made")

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
        return ahead(self._shuffled, self._spool.take())

    def _shuffled(self, records: Records) -> Records:
        records[HAS] = self._left.of(records[LINE])
        stay = np.flatnonzero(records[HAS])
        return records.take(stay[_random_order(len(stay))])


def ahead(function: Callable[[Given], Made], items: Iterable[Given]) -> Iterator[Made]:
    """`map` in two threads that work ahead of who uses it; numpy and Arrow let them run side by side."""
    with ThreadPoolExecutor(THREADS) as threads:
        waiting: deque[Future[Made]] = deque()
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) > THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


@contextmanager
def gathered(mapping: Map, plan: Plan, folder: Path, progress: Progress) -> Iterator[Gathered]:
    """The rows of the map's file, by a plan; `folder` takes what memory does not. Raises `BadFile` and OSError."""
    counts = Counts()
    left = Left(has_kind(len(plan.keys)), len(plan.keys))
    with ExitStack() as closing:
        partitions = partitions_for(sum(map(_unpacked_size, _sources(mapping))))
        rows = closing.enter_context(Spool(folder, partitions, record_kind(plan)))
        tokens = [closing.enter_context(Spool(folder, partitions, TOKEN_KIND)) for _ in plan.keys]
        for part in _parts(mapping, plan, partitions, progress):
            counts.merge(part.counts)
            left.add(part.lines, part.has)
            rows.add(part.rows)
            for spool, more in zip(tokens, part.tokens, strict=True):
                spool.add(more)
        for bit, (key, spool) in enumerate(zip(plan.keys, tokens, strict=True)):
            dropped = 0
            with spool:
                for again in ahead(_repeats, spool.take()):
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


def _sources(mapping: Map) -> tuple[Source, ...]:
    return tuple(Source(path, mapping.encoding, mapping.delimiter) for path in files_of(mapping.file))


def _parts(mapping: Map, plan: Plan, partitions: int, progress: Progress) -> Iterator[Part]:
    """The rows of every file converted, in their order."""
    sources = _sources(mapping)
    whole = sum(_size(source.path) for source in sources)
    line = read_bytes = empty = 0
    for source in sources:

        def told(done: int, _: int, before: int = read_bytes) -> None:
            progress(before + done, whole)

        try:
            line = yield from _parts_of(source, mapping, plan, partitions, line, told)
        except NoRows:
            if source.path == mapping.file:
                raise
            empty += 1
        read_bytes += _size(source.path)
    if empty == len(sources):
        raise none_has_rows(mapping.file)


def _parts_of(
    source: Source, mapping: Map, plan: Plan, partitions: int, before: int, progress: Progress
) -> Generator[Part, None, int]:
    """The rows of one file converted, in its order; its last line. `before`: the lines of the files before it."""
    size = _size(source.path)
    large = _unpacked_size(source) >= WORKERS_FROM_BYTES
    form = layout(source, mapping.columns(), before) if large else None
    done = before  # the last line of the rows that were given
    if form is not None:
        rows, end = 0, form.start
        with _crew(large, Job(plan, form, partitions)) as crew:
            for block, part in crew.answers(blocks(form)):
                if part is None or not isinstance(block, Block):
                    break
                yield part
                rows += part.counts.count("rows")
                done, end = block.next_line - 1, block.end
                progress(end, size)
        if rows and end >= size:
            return done
    identifiers = frozenset(column for key in mapping.keys for column in key.columns)
    with _crew(large, Job(plan, None, partitions)) as crew:
        chunks = (chunk.moved(before) for chunk in read(source, mapping.columns(), identifiers, progress))
        later = (rest for chunk in chunks if (rest := chunk.after(done)) is not None)
        for chunk, part in crew.answers(later):
            if part is not None and isinstance(chunk, Chunk):
                yield part
                done = int(chunk.lines[-1])
    return done


def _crew(large: bool, job: Job) -> Workers | Here:
    count = worker_count()
    return Workers(count, job) if large and count > 1 else Here(job)


def _repeats(tokens: Records) -> NDArray[np.int64]:
    return repeats(*(np.ascontiguousarray(tokens[name]) for name in ("high", "low", LINE)))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # for the reader to explain
        return 0


def _unpacked_size(source: Source) -> int:
    """How large a file is once it is read; of a compressed one, a guess on the safe side."""
    return _size(source.path) * (UNPACKED if source.compressed else 1)


def _random_order(rows: int) -> NDArray[np.int64]:
    """A permutation that nobody can foresee: the order of 64 random bits for each row."""
    return np.argsort(np.frombuffer(secrets.token_bytes(8 * rows), dtype=np.uint64))

"""Several processes that convert the parts of one large customer file.

Rules:
* A worker is a fresh Python process that reads its work from a pipe: nothing is forked from a program with threads, no
  script is imported again, and the same happens on every system.
* Keys reach it through that pipe only, never through arguments or the environment.
* Answers come in the order of the tasks, so the result does not depend on the number of workers.
* No worker outlives its starter: it ignores Ctrl-C, which its starter handles by ending it, and ends by itself when the
  pipe closes, whatever became of the starter.
"""

import json
import os
import pickle
import secrets
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from queue import Queue
from threading import Thread
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from partners.counting import Counts
from partners.failure import Failure
from partners.reading.blocks import Block, Layout, read_block
from partners.reading.chunk import Chunk
from partners.records import HAS, pack, token_records
from partners.rows import Plan, convert
from partners.spool import Arranged, arranged

AHEAD = 2
MAX_WORKERS = 16
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from partners.workers import work; work()"

Task = Block | Chunk


@dataclass(frozen=True, slots=True)
class Job:
    """What every task of a file has in common. `layout` is None where there are no blocks."""

    plan: Plan
    layout: Layout | None
    partitions: int


@dataclass(frozen=True, slots=True)
class Part:
    """What became of a task: the line and the bits of each kept row, the rows in random partitions, their tokens by
    match key in partitions by the tokens themselves, and what was counted."""

    lines: NDArray[np.int64]
    has: NDArray[Any]
    rows: Arranged
    tokens: tuple[Arranged, ...]
    counts: Counts


def answer(task: Task, job: Job) -> Part | None:
    """Convert a part of a file; None for a block that cannot be read by itself."""
    chunk = task if isinstance(task, Chunk) else read_block(job.layout, task) if job.layout else None
    if chunk is None:
        return None
    converted = convert(chunk, job.plan)
    records = pack(converted, job.plan)
    random = np.frombuffer(secrets.token_bytes(2 * len(records)), np.uint16)
    return Part(
        converted.lines,
        records[HAS].copy(),
        arranged(records, random, job.partitions),
        tuple(
            arranged(found, found["low"].astype(np.uint16), job.partitions)  # a token is as good as random
            for found in token_records(converted, job.plan)
        ),
        converted.counts,
    )


class Here:
    """No workers: everything in this process."""

    def __init__(self, job: Job) -> None:
        self._job = job

    def answers(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Part | None]]:
        for task in tasks:
            yield task, answer(task, self._job)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass


class Workers:
    """A context manager that starts workers and ends them. `answers` is called once."""

    def __init__(self, count: int, job: Job) -> None:
        self._count, self._job = count, job
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        try:
            for _ in range(self._count):
                self._processes.append(
                    subprocess.Popen(
                        [sys.executable, "-c", _START, json.dumps(sys.path)],
                        stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE,
                        stderr=subprocess.DEVNULL,
                    )
                )
            for process in self._processes:
                _send(process, self._job)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def answers(self, tasks: Iterable[Task]) -> Iterator[tuple[Task, Part | None]]:
        """Each task with its answer, in order."""
        waiting: deque[tuple[Task, subprocess.Popen[bytes]]] = deque()
        for number, task in enumerate(tasks):
            process = self._processes[number % self._count]
            _send(process, task)
            waiting.append((task, process))
            if len(waiting) == AHEAD * self._count:
                yield _received(*waiting.popleft())
        while waiting:
            yield _received(*waiting.popleft())

    def _end(self) -> None:
        for process in self._processes:
            process.kill()
        for process in self._processes:
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):
                        pipe.close()
            process.wait()


def worker_count() -> int:
    """One worker for each processor that this process may use."""
    usable = os.cpu_count() or 1
    if sys.platform == "linux":
        usable = len(os.sched_getaffinity(0))
    return min(usable, MAX_WORKERS)


def _send(process: "subprocess.Popen[bytes]", value: object) -> None:
    assert process.stdin is not None
    try:
        pickle.dump(value, process.stdin, protocol=pickle.HIGHEST_PROTOCOL)
        process.stdin.flush()
    except OSError:  # a broken pipe; Windows calls it an invalid argument
        raise _Died from None


def _received(task: Task, process: "subprocess.Popen[bytes]") -> tuple[Task, Part | None]:
    assert process.stdout is not None
    try:
        return task, pickle.load(process.stdout)  # noqa: S301 (our own child wrote it)
    except (EOFError, pickle.UnpicklingError):
        raise _Died from None


class _Died(Failure):
    def __init__(self) -> None:
        super().__init__(
            "a worker process ended before its work; is there too little memory? close other programs, or "
            "run this on a larger machine"
        )


def work() -> None:
    """The whole life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pa.set_cpu_count(1)
    tasks, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what anything prints must not meet the answers
    done: Queue[Any] = Queue()  # never long: no more than `AHEAD` tasks are sent before an answer is taken
    Thread(target=_write, args=(answers, done), daemon=True).start()
    with suppress(EOFError, pickle.UnpicklingError):
        job = pickle.load(tasks)  # noqa: S301 (our starter wrote it)
        while True:
            done.put(answer(pickle.load(tasks), job))  # noqa: S301
    os._exit(0)


def _write(pipe: BinaryIO, done: "Queue[Any]") -> None:
    with suppress(OSError):
        while True:
            pickle.dump(done.get(), pipe, protocol=pickle.HIGHEST_PROTOCOL)
            pipe.flush()
    os._exit(1)

"""Rows in flight, in partitions: in memory while they are few, then in a file without a name.

Rules:
* Memory stays bounded: beyond `HELD_BYTES`, what is held goes to a temporary file in the given folder.
* That file is created private, and has no name from its first moment on Linux and from its second on other systems; the
  system frees it when the process ends, however it ends.
* Tokens may stand in it, raw values never.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray

HELD_BYTES = 32 * 1024 * 1024
PARTITION_BYTES = 16 * 1024 * 1024
MAX_PARTITIONS = 1024

Records = NDArray[Any]


def partitions_for(expected_bytes: int) -> int:
    """How many partitions, a power of two, to take for this many bytes in all."""
    wanted = 1
    while wanted * PARTITION_BYTES < expected_bytes and wanted < MAX_PARTITIONS:
        wanted *= 2
    return wanted


@dataclass(frozen=True, slots=True)
class Arranged:
    """Records by partition: those of partition i end at `ends[i]`, where those of the next begin."""

    records: Records
    ends: NDArray[np.int64]


def arranged(records: Records, choice: NDArray[np.uint16], partitions: int) -> Arranged:
    """Each record where the lowest bits of its choice say; within a partition, in the order given."""
    if partitions == 1:
        return Arranged(records, np.array([len(records)]))
    numbers = choice & np.uint16(partitions - 1)
    order = np.argsort(numbers, kind="stable")
    return Arranged(records.take(order), np.cumsum(np.bincount(numbers, minlength=partitions)))


@dataclass(slots=True)
class Spool:
    """Records of one numpy type, in a power of two of partitions. To be closed, or used as a context manager."""

    folder: Path
    partitions: int
    kind: np.dtype[Any]
    _held: list[list[Records]] = field(init=False)
    _written: list[list[tuple[int, int]]] = field(init=False)
    _held_bytes: int = 0
    _file: IO[bytes] | None = None
    _closing: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        self._held = [[] for _ in range(self.partitions)]
        self._written = [[] for _ in range(self.partitions)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.close()

    def add(self, more: Arranged) -> None:
        """More records. Within a partition the order of adding holds."""
        start = 0
        for held, end in zip(self._held, more.ends.tolist(), strict=True):
            if end > start:
                held.append(more.records[start:end])
            start = end
        self._held_bytes += more.records.nbytes
        if self._held_bytes > HELD_BYTES:
            self._flush()

    def take(self) -> Iterator[Records]:
        """Each partition once; it is forgotten then."""
        for held, written in zip(self._held, self._written, strict=True):
            parts = [self._read(place, count) for place, count in written] + held
            yield np.concatenate(parts) if parts else np.empty(0, self.kind)
            held.clear()

    def _flush(self) -> None:
        if self._file is None:
            file = tempfile.TemporaryFile(dir=self.folder, prefix=".prepare.")  # noqa: SIM115 (the stack closes it)
            self._file = self._closing.enter_context(file)
        for held, written in zip(self._held, self._written, strict=True):
            if held:
                records = np.concatenate(held)
                written.append((self._file.tell(), len(records)))
                self._file.write(records.data)
                held.clear()
        self._held_bytes = 0

    def _read(self, place: int, count: int) -> Records:
        assert self._file is not None
        self._file.seek(place)
        records = np.empty(count, self.kind)
        if self._file.readinto(records.data) != records.nbytes:  # type: ignore[attr-defined]  # typeshed's BinaryIO
            raise OSError("the temporary file was cut short")
        self._file.seek(0, 2)
        return records

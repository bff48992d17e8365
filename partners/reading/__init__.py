"""Reading a customer file: CSV or Parquet -> chunks of trimmed text, only the columns that are wanted.

Rules:
* Bounded memory: a chunk holds at most `CHUNK_ROWS` rows.
* Strict: what cannot be read with certainty stops the run with a line number. Guessing would shift one person's values
  onto another.
* A missing value and a blank one are the same: "".
* A folder stands for all the files in it, in the order of their names; their lines are counted on. Some of them may be
  without rows, as those that a cluster writes: not all.
* `BadFile` names columns and line numbers, never a value.
"""

import zlib
from collections.abc import Iterator
from pathlib import Path

from partners.reading.chunk import CHUNK_ROWS, COMPRESSED, BadFile, Chunk, NoRows, Progress, Source
from partners.reading.delimited import read_delimited
from partners.reading.parquet import read_parquet

__all__ = [
    "CHUNK_ROWS",
    "BadFile",
    "Chunk",
    "NoRows",
    "Progress",
    "Source",
    "files_of",
    "none_has_rows",
    "read",
    "read_all",
]

DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
PARQUET = frozenset({".parquet", ".pq"})


def files_of(path: Path) -> tuple[Path, ...]:
    """The files that a path stands for: itself, or those of a folder. Raises `BadFile` for a folder of other things."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise BadFile(f"{path.name} is neither a file nor a folder; save what it gives as a file")  # a pipe never ends
    if not path.is_dir():
        return (path,)
    found = sorted(each for each in path.iterdir() if not each.name.startswith((".", "_")))
    for each in found:
        if not each.is_file() or _suffix(each) not in DELIMITED | PARQUET:
            raise BadFile(f"{path.name}/{each.name} is neither CSV nor Parquet; keep only the audience's files there")
    if not found:
        raise BadFile(f"the folder {path.name} has no file in it")
    return tuple(found)


def _suffix(path: Path) -> str:
    """What kind of file its name says; of a compressed CSV file, that of the CSV file."""
    suffix = path.suffix.lower()
    if suffix in COMPRESSED and Path(path.stem).suffix.lower() in DELIMITED:
        return Path(path.stem).suffix.lower()
    return suffix


def read(source: Source, names: tuple[str, ...], identifiers: frozenset[str], progress: Progress) -> Iterator[Chunk]:
    """The rows of a file in order, with the columns `names`. Raises `BadFile`, at any row; `NoRows` where it has none.

    `identifiers` are the columns whose text must be exact: there, Parquet columns of floating-point numbers, of
    fractions and of times with a zone are refused. `progress` is called once for every chunk.
    """
    suffix = _suffix(source.path)
    file = source.path.name
    rows = 0
    try:
        if suffix in DELIMITED:
            chunks = read_delimited(source, names, progress)
        elif suffix in PARQUET:
            chunks = read_parquet(source.path, names, identifiers, progress)
        else:
            raise BadFile(
                f"{file} is neither .csv (or .tsv, .txt, also with .gz or .zst) nor .parquet; save it as one of them"
            )
        for chunk in chunks:
            rows += len(chunk.lines)
            yield chunk
    except (OSError, EOFError, zlib.error) as problem:
        reason = problem.strerror if isinstance(problem, OSError) else None
        raise BadFile(f"{file} cannot be read: {reason or 'the file is damaged'}") from None
    if not rows:
        raise NoRows(f"{file} has no rows below its header")


def read_all(
    path: Path,
    encoding: str,
    delimiter: str | None,
    names: tuple[str, ...],
    identifiers: frozenset[str],
    progress: Progress,
) -> Iterator[tuple[str, Chunk]]:
    """The rows of all the files that a path stands for, with the name of each file. Raises `BadFile`, at any row."""
    files = files_of(path)
    empty = 0
    for each in files:
        try:
            for chunk in read(Source(each, encoding, delimiter), names, identifiers, progress):
                yield each.name, chunk
        except NoRows:
            if each == path:
                raise
            empty += 1
    if empty == len(files):
        raise none_has_rows(path)


def none_has_rows(folder: Path) -> NoRows:
    return NoRows(f"the folder {folder.name} has no rows in any of its files")

"""Reading a customer file: CSV or Parquet -> chunks of trimmed text, only the columns that are wanted.

Rules:
* Bounded memory: a chunk holds at most `CHUNK_ROWS` rows.
* Strict: what cannot be read with certainty stops the run with a line number. Guessing would shift one person's values
  onto another.
* A missing value and a blank one are the same: "".
* `BadFile` names columns and line numbers, never a value.
"""

from collections.abc import Iterator

from partners.reading.chunk import CHUNK_ROWS, BadFile, Chunk, Progress, Source
from partners.reading.delimited import read_delimited
from partners.reading.parquet import read_parquet

__all__ = ["CHUNK_ROWS", "BadFile", "Chunk", "Progress", "Source", "read"]

DELIMITED = frozenset({".csv", ".tsv", ".tab", ".txt"})
PARQUET = frozenset({".parquet", ".pq"})


def read(source: Source, names: tuple[str, ...], identifiers: frozenset[str], progress: Progress) -> Iterator[Chunk]:
    """The rows of a file in order, with the columns `names`. Raises `BadFile`, at any row.

    `identifiers` are the columns whose text must be exact: there, a Parquet column of floating-point numbers is
    refused. `progress` is called once for every chunk.
    """
    suffix = source.path.suffix.lower()
    file = source.path.name
    rows = 0
    try:
        if suffix in DELIMITED:
            chunks = read_delimited(source, names, progress)
        elif suffix in PARQUET:
            chunks = read_parquet(source.path, names, identifiers, progress)
        else:
            raise BadFile(f"{file} is neither .csv (or .tsv, .txt) nor .parquet; save it as one of them")
        for chunk in chunks:
            rows += len(chunk.lines)
            yield chunk
    except OSError as problem:
        raise BadFile(f"{file} cannot be read: {problem.strerror or 'the file is damaged'}") from None
    if not rows:
        raise BadFile(f"{file} has no rows below its header")

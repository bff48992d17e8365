"""Every limit of intake, in one place. They guard the room against files that were made to hurt it.

Rules: a partner's honest file of ten million people stays far below each; a limit that is hit refuses the file and
nothing else. The operator may pass others to `check`.
"""

from dataclasses import dataclass

GIB = 2**30

# How long an upload may take from its announcement to its version, in seconds: two days.
UPLOAD_SECONDS = 48 * 3600
# Uploads of one partner that no check has decided yet, and the bytes announced for them: what it can fill of the disk.
MAX_UPLOADS = 32
MAX_UPLOADED_BYTES = 64 * GIB
# Silence of a client in the middle of its bytes; a connection that died without a word would hold the upload for ever.
SILENCE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one file, and of the child process that reads it."""

    # The file on disk. Ten million people on two keys, an attribute and a measure took 0.34 GiB.
    file_bytes: int = 16 * GIB
    # People. Rows are numbered with 31 bits in links; memory and time below are sized for this many.
    rows: int = 50_000_000
    # Columns of the file: tokens, attributes, measures, consent, expiry.
    columns: int = 256
    # Row groups. `prepare` writes groups of 131,072 rows: 382 of them for the most rows.
    row_groups: int = 10_000
    # The footer is parsed whole before anything is known about it.
    footer_bytes: int = 16 * 2**20
    # Rows that are held in memory at a time.
    batch_rows: int = 65_536
    # Address space of the child, shared libraries included: 16 bytes a row to look for repeated tokens, twice over for
    # sorting and mapping, and some slack for decoding. This is what stops a small file that unpacks to a huge one.
    memory_bytes: int = 4 * GIB
    # Processor time of the child. Ten million rows on two keys took two seconds.
    cpu_seconds: int = 600
    # Time until the child is killed, waiting for the disk included.
    wall_seconds: int = 1_800
    # Files of the child: its libraries while they load, the audience file, one or two per column.
    open_files: int = 1_024


LIMITS = Limits()

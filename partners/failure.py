"""The one kind of error that a person on the partner's side can act on.

Rules: the message is one line, says what is wrong and what to do, and is always safe to print: never an identifier, a
token or a key. Text that came from outside (the room, another partner) passes through `plain` first.
"""

import re
from pathlib import Path

MAX_TEXT = 500
_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]{16}(?:\.tmp)?|tmp[a-z0-9_]{8}")


class Failure(Exception):
    """The work failed for a reason outside the program."""


def plain(text: str, limit: int = MAX_TEXT) -> str:
    """Text of somebody else as one line that a terminal can show: no control characters, no more than `limit`."""
    line = " ".join(text.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def refused(error: OSError) -> str:
    """What the system refused, by the file without its folders; a temporary one has the name that it would get."""
    name = Path(error.filename).name if isinstance(error.filename, str | Path) else ""
    if temporary := _TEMPORARY.fullmatch(name):
        name = temporary[1] or ""
    about = f"{name}: " if name else ""
    return plain(f"{about}{error.strerror or 'the system refused'}; check the path, its rights and the free space")

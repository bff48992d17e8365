"""A checkpoint that somebody kept: is the log of an export what it was then, and more?

Rules: it is signed by the log's own key. Where it is of a log that ended by a restore, the log of the export says so
itself: under what size and root the other one ended, and how much of it is here. Both have the same public key. What
lies between is lost, and cannot be compared.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from typing import Any

from cleanroom.audit.events import EventKind
from cleanroom.audit.reading import Wrong
from partners.transparency.checkpoint import Checkpoint, open_checkpoint, read_unverified
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import Body
from partners.transparency.merkle import Node, root
from partners.transparency.note import VerifierKey
from partners.words import counted


@dataclass(frozen=True, slots=True)
class Ended:
    """A log that ended with the checkpoint `last`, by what entry `seq` says. The entries before that one are here."""

    last: Checkpoint
    seq: int


def ended(seq: int, body: Body) -> Ended | None:
    """What an entry says of a log that it ended, if it is of that kind. Raises `Wrong`."""
    if body.event != EventKind.ROOM_RESTORE or body.details.get("complete") is not False:
        return None
    details: Mapping[str, Any] = body.details
    try:
        last = Checkpoint(str(details["log"]), int(details["size"]), decode_base64(details["root"]))
        if int(details["had"]) + int(details["taken"]) == seq:
            return Ended(last, seq)
    except (KeyError, ValueError, TypeError):
        pass
    raise Wrong("an entry says of a restore what no restore is")


def check(message: bytes, key: VerifierKey, size: int, node: Node, endings: Iterable[Ended]) -> str:
    """What the kept checkpoint, a signed note, shows of a log of `size` entries. Raises `Wrong`, NoteError."""
    origin = read_unverified(message).origin
    if origin == key.name:
        kept = open_checkpoint(message, key)
        if kept.size > size:
            raise Wrong("the log is shorter than the checkpoint that you kept")
        _same(kept, node)
        first = "the first entry is that" if kept.size == 1 else f"the first {kept.size} entries are those"
        return f"{first} of the checkpoint that you kept"
    after = list(dropwhile(lambda each: each.last.origin != origin, endings))
    if not after:
        raise Wrong("the checkpoint that you kept is of another log, and this one does not say that it ended that one")
    kept, ending = open_checkpoint(message, VerifierKey(origin, key.public)), after[0]
    end = counted(ending.last.size, "entry", "entries")
    told = f"entry {ending.seq} says that the log of the checkpoint that you kept ended with {end}"
    shared = min(each.seq for each in after)
    if kept.size <= shared:
        _same(kept, node)
        return f"{told}; all that your checkpoint covers is here: {counted(kept.size, 'entry', 'entries')}"
    if (kept.size, kept.root) == (ending.last.size, ending.last.root):
        return f"{told}, which is your checkpoint; {counted(shared, 'is', 'are')} here, the others were lost"
    if kept.size >= ending.last.size:
        raise Wrong(f"{told}; your checkpoint says something else")
    here = counted(shared, "of them is", "of them are")
    raise Wrong(f"{told}; only {here} here, too few to compare with the {kept.size} of your checkpoint")


def _same(kept: Checkpoint, node: Node) -> None:
    if root(kept.size, node) != kept.root:
        raise Wrong("the log does not begin with what the checkpoint that you kept commits to")

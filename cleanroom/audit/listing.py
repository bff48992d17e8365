"""What the log says, a line an entry: for whoever may read its bodies, from the catalog or from an export.

Rules: an entry whose body was not opened to the reader, or whose nonce was erased, is listed with its number and time
alone. Filters see only what the reader sees. Who did it is told by the entry with which that key came. An export is
read as it is: `verify` says whether it holds.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from itertools import chain
from pathlib import Path

from cleanroom.audit import archive
from cleanroom.audit.archive import ArchiveError
from cleanroom.audit.documents import KEYS_BEGIN
from cleanroom.audit.events import EventKind
from cleanroom.audit.export import BODIES
from partners.transparency.entry import Body, Entry, EntryError
from partners.transparency.tiles import decode_bundle
from policies import canonical

_BUNDLES = "tile/entries/"


@dataclass(frozen=True, slots=True)
class Line:
    """An entry: its number, its time, and what happened; `body` None where the reader may not know.

    `by`: the partner whose key did it, else the key's id; None for the room itself.
    """

    seq: int
    time: datetime
    body: Body | None
    by: str | None = None

    @property
    def partner(self) -> str | None:
        """The partner that the entry is about; not every event is about one."""
        return _text(self.body, "partner")

    @property
    def decision(self) -> str | None:
        """`release`, `repeat` or `refuse`, for decisions of the gate."""
        return self.body.event.partition(":")[2] if self.body and self.body.event.startswith("decision:") else None

    @property
    def reason(self) -> str | None:
        return _text(self.body, "reason")


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None and 0 leave out nothing. `event` is a name or a pattern such as `decision:*`.

    `partner`: what it did, or what was about it. `since`, `until`: instants; the second is not in the list any more.
    """

    event: str | None = None
    collaboration: str | None = None
    partner: str | None = None
    decision: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def takes(self, line: Line) -> bool:
        """Whether an entry is listed."""
        if (self.since and line.time < self.since) or (self.until and line.time >= self.until):
            return False
        body = line.body
        about = (self.event, self.collaboration, self.partner, self.decision, self.reason)
        if body is None:
            return not any(about)
        return (
            (self.event is None or fnmatchcase(body.event, self.event))
            and self.collaboration in (None, body.collaboration)
            and self.partner in (None, line.partner, line.by)
            and self.decision in (None, line.decision)
            and self.reason in (None, line.reason)
        )


def of_catalog(connection: sqlite3.Connection) -> Iterator[Line]:
    """Every entry of a room's log, in order."""
    rows = connection.execute("SELECT entry, body, nonce FROM log_entries ORDER BY seq")
    return _named((entry, Body.parse(body) if nonce is not None else None) for entry, body, nonce in rows)


def of_export(path: Path) -> Iterator[Line]:
    """Every entry of an export, in order. Raises `ArchiveError`, `EntryError`."""
    with path.open("rb") as file:
        members = archive.read(file)
        if BODIES not in members:
            raise ArchiveError("this archive is no export of a log")
        bodies: dict[int, Body] = {}
        for text in archive.content(file, members[BODIES]).splitlines():
            try:
                found = canonical.loads(text)
                bodies[int(found["seq"])] = Body.parse(found["body"].encode())
            except (ValueError, KeyError, TypeError, AttributeError) as problem:
                raise EntryError("a line of bodies cannot be read; run `cleanroom audit verify`") from problem
        bundles = sorted(name for name in members if name.startswith(_BUNDLES))
        entries = chain.from_iterable(decode_bundle(archive.content(file, members[name])) for name in bundles)
        yield from _named((entry, bodies.get(number)) for number, entry in enumerate(entries))


def _named(entries: Iterable[tuple[bytes, Body | None]]) -> Iterator[Line]:
    names: dict[str, str] = {}
    for entry, body in entries:
        parsed = Entry.parse(entry)
        name, key = _text(body, "partner"), _text(body, "key")
        if body and name and body.event in KEYS_BEGIN:
            began = body.actor if body.event == EventKind.PARTNER_JOIN else key
            names |= {began: name} if began else {}
        by = names.get(body.actor, body.actor) if body and body.actor else None
        try:
            time = datetime.fromtimestamp(parsed.time_ms / 1000, UTC)
        except (ValueError, OverflowError, OSError) as problem:
            raise EntryError("an entry's time is no date; run `cleanroom audit verify`") from problem
        yield Line(parsed.seq, time, body, by)


def _text(body: Body | None, name: str) -> str | None:
    found = body.details.get(name) if body else None
    return found if isinstance(found, str) else None

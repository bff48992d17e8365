"""`cleanroom recover`: a room that was restored from an older backup goes on, and forgets no charge.

Rules.
* What was signed last says what is missing: the signer's state, the published checkpoint, checkpoints that partners
  kept. The signer's state lies apart from catalog and backup, and is never set back.
* Where every missing entry is found with its body, in the newer catalog or an export of it, the log goes on as it was:
  entries are taken over as they are, their debits and grants are booked again, and what they ended ends again.
* Where any is missing, nothing is done, unless a new log is asked for: that cannot be undone. The new log takes over
  every entry that is there, and names what was signed last, in a note with the old key. Every owner's allowance then
  counts as spent until it signs a grant.
* The catalog changes in one transaction; the signer follows. Cut off anywhere, it is run again.
"""

import fcntl
import secrets
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanroom import __version__, changes
from cleanroom.audit import log, signer, verify
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.publisher import CHECKPOINT
from cleanroom.audit.remains import Leaf, is_catalog, leaves
from cleanroom.audit.signer import Signer, SignerRefused
from cleanroom.catalog import appointments, collaborations, keys, recovery, versions
from cleanroom.catalog import catalog as catalogs
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.versions import Version
from cleanroom.room import Clock, Room, utc_now
from cleanroom.settings import Settings
from cleanroom.setup import open_room
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body
from partners.transparency.merkle import root
from partners.transparency.note import NoteError, VerifierKey
from partners.transparency.succession import open_succession
from partners.words import counted
from policies.terms import MICRO


class RecoveryFailed(Exception):
    """Nothing was changed; the message says what to do and is safe to print."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done. `had`: the entries of the backup; `taken`: those taken over; `signed`: what was signed last.

    `complete`: nothing is missing, the log goes on; else `vkey` is that of the new log. `debits`: micro-ε per owner.
    `lost`: events of the entries taken over whose effects are not here, by name. `retired`: audiences that ended.
    """

    had: int
    taken: int
    signed: int
    complete: bool
    vkey: str
    debits: Mapping[str, int]
    lost: Mapping[str, int]
    retired: tuple[str, ...]


def recover(
    settings: Settings,
    source: Path | None,
    checkpoints: Sequence[bytes],
    clock: Clock = utc_now,
    *,
    new_log: bool = False,
) -> Recovered | None:
    """Recovers a restored room that is stopped; None where nothing is missing. Raises `RecoveryFailed`, SignerRefused.

    `source`: what is left of the newer catalog, or an export of it. `checkpoints`: signed, as partners kept them.
    `new_log`: whether a new log may begin where entries stay missing.
    """
    if not settings.catalog.is_file():
        raise RecoveryFailed("there is no catalog in the data folder; put the backup there first")
    with _stopped(settings.data / "jobs.lock"):
        catalogs.migrate(settings.catalog)
        room = open_room(settings, clock)
        made = _settle(room, source, checkpoints, new_log) if room.origin == room.signer.verifier.name else None
        with room.catalog() as catalog:
            origin = catalog.room_name()
            notes = recovery.successions(catalog)
        if origin != room.signer.verifier.name:  # also where an earlier run was cut off after its transaction
            _continues(notes, origin, room.signer.verifier)
            _end_published(settings, room.signer)
            signer.succeed(settings.keys, origin)
    open_room(settings, clock).publish(whole=True)
    return made


def _settle(room: Room, source: Path | None, checkpoints: Sequence[bytes], new_log: bool) -> Recovered | None:
    """The catalog's part; None where nothing is missing."""
    signed, doubt = _signed(room, checkpoints)
    with room.catalog() as catalog:
        node = log.node_reader(catalog.connection)
        if not doubt and log.size(catalog.connection) >= signed.size and root(signed.size, node) == signed.root:
            return None
        with catalog.transaction() as connection:
            taken = _taken_over(room, catalog, connection, source)
            complete = not doubt and log.size(connection) >= signed.size
            if not complete and not new_log:
                raise RecoveryFailed(_lacking(log.size(connection), signed, doubt))
            return _recovered(room, connection, taken, signed, complete)


def _continues(notes: Sequence[bytes], origin: str, ended: VerifierKey) -> None:
    """Returns where the catalog's newest succession ends the signer's log in favour of `origin`.

    A backup from before an earlier recovery names no such thing: to follow it, the key would sign an ended log again.
    """
    try:
        if notes and open_succession(notes[-1], ended).origin == origin:
            return
    except NoteError:
        pass
    raise RecoveryFailed(
        "this backup is from before the last recovery, and does not know the log that began then; put a newer one there"
    )


def told(made: Recovered) -> Iterator[str]:
    """What the operator and the partners must know, a line each."""
    signed, taken = (counted(count, "was", "were") for count in (made.signed, made.taken))
    yield f"The backup has {counted(made.had, 'entry', 'entries')} of the log; {signed} signed. {taken} taken over."
    for owner, micro in sorted(made.debits.items()):
        yield f"Charged again: {micro / MICRO:g} ε of {owner}."
    if made.complete:
        yield "Nothing of the log is missing: it goes on as it was, with the same key."
    else:
        yield f"Entries are missing. A new log begins; give its key to every partner and auditor: {made.vkey}"
        yield "What was spent is not known any more: nothing of any owner is left until it signs a grant."
        yield "Make a backup as soon as it serves: with one from before this, the room could not be recovered again."
        yield "Tell the partners to run `cleanroom-partner status`: their clients follow the new log, or say why not."
    if made.retired:
        yield f"Ended, because something changed about them: {', '.join(made.retired)}. Their owners upload again."
    if made.lost:
        events = ", ".join(f"{count} {event}" for event, count in sorted(made.lost.items()))
        yield f"Not in the backup, to be done again by whoever did it: {events}."
    yield "Withdrawals and erasures since the backup are lost here: people who withdrew would be counted again."
    yield "Have every partner run `cleanroom-partner status` before anybody asks: it sends what it withdrew again."


def _lacking(size: int, signed: Checkpoint, doubt: str | None) -> str:
    """Why the log cannot go on as it was, with `size` entries here, and what to do."""
    last = signed.size - 1
    lost = f"the signed entry {size} is missing" if size == last else f"the signed entries {size} to {last} are missing"
    if size > last:
        lost = "every entry that the known checkpoints cover is here"
    better = "With --from FILE, a newer catalog or export that has them, the log goes on."
    if doubt:
        lost += f"; {doubt}, so nobody knows whether others are missing"
        better = "The newer the --from and --checkpoint that you have, the more is kept."
    return (
        f"{lost}; nothing was done. {better} With --new-log a new log begins, for good: nothing of any owner's"
        " allowance is left then until it signs a grant"
    )


def _taken_over(room: Room, catalog: Catalog, connection: sqlite3.Connection, source: Path | None) -> "_Effects":
    """Takes over the entries of the source that the catalog lacks; what they did."""
    effects = _Effects(room, catalog, connection)
    for leaf in _newer(connection, source, room.signer.verifier):
        effects.take(log.size(connection), Body.parse(leaf.body))
        log.take_over(connection, leaf.entry, leaf.body, leaf.nonce)
    if source is not None and log.size(connection) == effects.had:
        raise RecoveryFailed("--from has no entry that this backup lacks; give the newer catalog or export, or none")
    return effects


def _recovered(
    room: Room, connection: sqlite3.Connection, effects: "_Effects", signed: Checkpoint, complete: bool
) -> Recovered:
    had, size = effects.had, log.size(connection)
    if complete and root(signed.size, log.node_reader(connection)) != signed.root:
        raise RecoveryFailed("the newer entries are not those that were signed; give another file, or none")
    details: dict[str, object] = {
        "complete": complete,
        "had": had,
        "log": signed.origin,
        "root": encode_base64(signed.root),
        "size": signed.size,
        "software": __version__,
        "taken": size - had,
    }
    vkey = room.signer.verifier
    if not complete:
        vkey = VerifierKey(signer.next_origin(signed.origin), vkey.public)
        recovery.succeed(connection, vkey.name, room.signer.succession(signed, vkey.name, size))
    _record(room, connection, Event(EventKind.ROOM_RESTORE, details=details))
    if not complete:
        for owner, (micro, serial) in recovery.forfeit(connection).items():
            forfeited = {"partner": owner, "spent": micro, "serial": serial}
            _record(room, connection, Event(EventKind.BUDGET_FORFEIT, details=forfeited))
    effects.end()
    retired = tuple(str(version.ref) for version in effects.ending.values())
    return Recovered(
        had, size - had, signed.size, complete, str(vkey), dict(effects.debits), dict(effects.lost), retired
    )


class _Effects:
    """What entries did that the backup does not know, done again as far as a body can say it.

    Whatever could make the room count people whom it must not count any more ends: a version that was retired or
    replaced; the audiences of a partner that left, or tightened its terms; all of a collaboration whose agreement
    changed. Their owners upload again, under what holds then.
    """

    def __init__(self, room: Room, catalog: Catalog, connection: sqlite3.Connection) -> None:
        self._room, self._catalog, self._connection = room, catalog, connection
        self._published = versions.all_published(catalog)
        self.had = log.size(connection)
        self._closing: set[str] = set()
        self.ending: dict[str, Version] = {}
        self.debits: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()

    def take(self, leaf: int, body: Body) -> None:
        """Books what an entry cost or granted; notes what ends by it."""
        details: Mapping[str, Any] = body.details
        match body.event.partition(":"):
            case ("decision", _, _):
                for owner, cost in details.get("cost", {}).items():
                    if cost["micro"]:
                        recovery.carry_debit(self._connection, leaf, owner, body.collaboration, cost["micro"])
                        self.debits[owner] += cost["micro"]
            case ("budget", _, "grant"):
                recovery.carry_grant(self._connection, leaf, details["partner"], details["serial"], details["micro"])
            case ("key", _, "revoke"):
                keys.end(self._connection, details["partner"], details["key"], self._room.now)
            case ("key", _, "replace"):
                for key in keys.every(self._catalog, details["partner"]):
                    if key.id != details["key"]:
                        keys.end(self._connection, details["partner"], key.id, self._room.now)
            case ("auditor", _, "dismiss"):
                stamp, collaboration = self._room.stamp(), str(body.collaboration)
                appointments.end(self._connection, details["partner"], collaboration, stamp)
            case ("collaboration", _, "close"):
                self._closing.add(str(body.collaboration))
                self._end(body, lambda version: True)
            case ("agreement", _, "open"):
                self._end(body, lambda version: True)
            case ("agreement", _, "tighten") | ("collaboration", _, "leave"):
                self._end(body, lambda version: version.owner == details["partner"])
            case ("audience", _, "retire"):
                self._end(body, lambda version: version.id == details["version"])
            case ("audience", _, "publish"):
                self._end(body, lambda version: version.id in details["retired"])
        if body.event not in _DONE and body.event.partition(":")[0] not in _WITHOUT_LOSS:
            self.lost[body.event] += 1

    def end(self) -> None:
        """Ends what ended, each with an entry of its own."""
        for version in self.ending.values():
            event = Event(EventKind.AUDIENCE_RETIRE, version.collaboration, None, changes.named(version))
            versions.retire(self._connection, version.id, _record(self._room, self._connection, event))
        for identifier in sorted(self._closing):
            if collaborations.get(self._catalog, identifier) is not None:
                collaborations.close(self._connection, identifier)

    def _end(self, body: Body, ends: Callable[[Version], bool]) -> None:
        for version in self._published:
            if version.collaboration == body.collaboration and ends(version):
                self.ending[version.id] = version


_DONE = {EventKind.KEY_REVOKE, EventKind.AUDITOR_DISMISS, EventKind.COLLABORATION_CLOSE}
_WITHOUT_LOSS = {"decision", "budget", "room", "clock", "consent"}
"""Events, and subjects of events, that nobody has to do again: what they did is here, or was done by nobody."""


def _newer(connection: sqlite3.Connection, source: Path | None, key: VerifierKey) -> Iterator[Leaf]:
    """The leaves of the newer log that the catalog has not. Raises `RecoveryFailed` where they do not continue it."""
    if source is None:
        return
    if not source.is_file():
        raise RecoveryFailed("--from is a file: what is left of the newer catalog.sqlite, or an export of it")
    if not is_catalog(source) and not verify.verify(source, key).ok:
        raise RecoveryFailed("the export does not hold; `cleanroom audit verify` says why. Give another file, or none")
    had = log.size(connection)
    entries = connection.execute("SELECT entry FROM log_entries ORDER BY seq")
    for seq, leaf in enumerate(leaves(source)):
        if seq >= had:
            yield leaf
        elif entries.fetchone()[0] != leaf.entry:
            raise RecoveryFailed("the newer log does not begin with this backup; it is another room's, or was changed")


def _signed(room: Room, checkpoints: Sequence[bytes]) -> tuple[Checkpoint, str | None]:
    """The largest checkpoint that is known to be signed, and why it may not be the last one; None where it is."""
    key, doubt, found = room.signer.verifier, None, list[Checkpoint]()
    try:
        found.append(room.signer.last())
    except SignerRefused:
        doubt = "the signer's state is gone"
    try:
        found.extend(open_checkpoint(message, key) for message in checkpoints)
    except NoteError as problem:
        raise RecoveryFailed(f"a checkpoint does not hold: {problem}") from None
    if not found:
        raise RecoveryFailed(
            "the signer's state is gone, so nothing here says what was signed last; ask every partner for the file"
            " `checkpoint` of its folder, and name each with --checkpoint"
        )
    placed = room.settings.log / CHECKPOINT
    if placed.is_file():
        with suppress(NoteError):  # a damaged one says nothing of what was signed
            found.append(open_checkpoint(placed.read_bytes(), key))
    last = max(found, key=lambda each: each.size)
    if any(each.size == last.size and each.root != last.root for each in found):
        raise RecoveryFailed("two checkpoints of the same size differ: this key has signed two logs; tell the partners")
    if doubt is None and last != found[0]:
        doubt = "the signer's state is older than a checkpoint"
    return last, doubt


def _record(room: Room, connection: sqlite3.Connection, event: Event) -> int:
    """As `Room.record`, while the signer is ahead of the log."""
    return log.append(connection, event, int(room.clock().timestamp() * 1000), secrets.token_bytes(32))


def _end_published(settings: Settings, ended: Signer) -> None:
    """Puts the published files of a log that ended aside: they are evidence, and no part of the new one."""
    aside = settings.data / f"log-{ended.verifier.name.rpartition('/')[2]}"
    if settings.log.exists() and not aside.exists():
        settings.log.rename(aside)


@contextmanager
def _stopped(lock: Path) -> Iterator[None]:
    """Holds the worker's lock. Raises `RecoveryFailed` while the room serves."""
    with lock.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecoveryFailed("the room serves; stop it first") from None
        yield

"""Background work: each received version is checked, published, and recorded. `python -m cleanroom.jobs` is the worker.

It also works ahead for questions, overwrites erased rows, and commits to each day's withdrawals when the day has ended.

Rules: the catalog is the queue and the truth. One worker at a time holds the lock. A version whose work was cut off
starts again; nothing is visible before the transaction that says `published`, together with its leaf. The uploaded
file, which still has the partners' tokens, is removed once it is decided.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from cleanroom import changes, epochs, logs, retention, setup, withdrawals
from cleanroom.audit.events import EventKind
from cleanroom.catalog import collaborations, keys, versions
from cleanroom.catalog import epochs as waits
from cleanroom.catalog import withdrawals as withdrawn
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.catalog.versions import State, Version
from cleanroom.clockwatch import ClockWatch, record_jump
from cleanroom.commitments import commit_days
from cleanroom.engine.columns import Damaged
from cleanroom.engine.interface import Absent, NotPublished, Staged
from cleanroom.engine.rekey import NoKey
from cleanroom.erasure import erase_waiting
from cleanroom.intake import incoming
from cleanroom.intake.check import Accepted, Expected, check
from cleanroom.intake.rejection import Rejected, Rejection
from cleanroom.readiness import WORKER_LOCK
from cleanroom.rekeying import rekey_key
from cleanroom.room import Room
from cleanroom.serving import watch_serve
from cleanroom.settings import read
from partners.manifest import Manifest, SignedManifest
from policies import agreement as agreements
from policies.agreement import Agreement
from policies.question import AudienceRef

IDLE_SECONDS = 0.2
SWEEP_SECONDS = 60.0
NOBODY: Absent = {}


def work(room: Room, stopping: threading.Event) -> None:
    """Works until `stopping` is set."""
    with _alone(room.settings.data / WORKER_LOCK), room.catalog() as catalog:
        versions.unfinished(catalog)
        _tidy(room, catalog)
        swept, prepared = float("-inf"), None
        watch = ClockWatch(room.clock, time.monotonic)
        while not stopping.is_set():
            if by := watch.jumped():
                record_jump(room, catalog, by)
            commit_days(room, catalog)
            if prepared != (now := (room.today, withdrawn.latest(catalog))):
                prepared = now
                _prepare_all(room, catalog)
            if time.monotonic() - swept >= SWEEP_SECONDS:
                _sweep(room, catalog)
                swept = time.monotonic()
            epochs.move_and_destroy(room, catalog)
            remove_retired(room, catalog)
            if erase_waiting(room, catalog):
                prepared = None
            if not run_next(room, catalog):
                stopping.wait(IDLE_SECONDS)


def run_next(room: Room, catalog: Catalog) -> bool:
    """Does the work on the version that has waited longest; False when none waits."""
    version = versions.waiting(catalog)
    if version is None:
        return False
    with catalog.transaction() as connection:
        versions.move(connection, version.id, State.CHECKING)
    collaboration = _collaboration(catalog, version)
    outcome = _check(room, catalog, version, collaboration)
    try:
        rejected = (
            outcome if isinstance(outcome, Rejected) else _publish(room, catalog, version, outcome, collaboration)
        )
    except Damaged as problem:  # of a stored audience: other collaborations must not wait for its repair
        rejected = Rejected(Rejection.ROOM_DATA, str(problem))
    if rejected:
        _refuse(room, catalog, version, rejected)
        room.engine.retire(version.id)
    _clear(room, version)
    room.publish()
    return True


def retire(room: Room, catalog: Catalog, version: Version, actor: str | None = None) -> None:
    """Ends a published version; the worker removes its files. `actor`: the owner's key id, None for the room."""
    with catalog.transaction() as connection:
        if version.id not in {each.id for each in versions.all_published(catalog)}:
            return  # retired meanwhile
        changes.end(room, connection, version, actor)
    room.publish()


def remove_retired(room: Room, catalog: Catalog) -> None:
    """Removes the files of retired versions, links included."""
    for version in versions.removable(catalog):
        room.engine.retire(version.id)
        with catalog.transaction() as connection:
            versions.removed(connection, version.id)
            withdrawn.forget_gone(connection, version.id)


def _check(room: Room, catalog: Catalog, version: Version, collaboration: Collaboration) -> Accepted | Rejected:
    """What intake says of the version, against the collaboration as it stood when the check began."""
    if rejected := _outdated(collaboration, version, collaboration.signed):
        return rejected
    agreement = collaboration.signed
    party = agreement.party(version.owner)
    maker = collaborations.secret_maker(catalog, collaboration.id, version.epoch)
    file = room.settings.incoming / (version.upload or "")
    if party is None or maker is None:
        return Rejected(Rejection.WRONG_SECRET, "no partner has made this epoch's secret yet")
    if not file.is_file():
        return Rejected(Rejection.SIZE_MISMATCH, "the upload is gone")
    signed = SignedManifest(Manifest.from_json(json.loads(version.manifest)), version.signature)
    if waits.lacks_withdrawals(catalog, collaboration.id, version.owner, version.epoch):
        return Rejected(Rejection.WITHDRAWALS)
    signers = keys.owner_keys(catalog, version.owner, room.now)
    expected = Expected(agreement, version.ref, signers, version.epoch, maker[1], room.today)
    try:
        key = rekey_key(room, catalog, version.collaboration, version.epoch)
    except NoKey as problem:
        return Rejected(Rejection.ROOM_KEY, str(problem))
    return check(file, signed, expected, key, _staging(room, version))


def _outdated(now: Collaboration, version: Version, checked: Agreement) -> Rejected | None:
    """Why a version that was checked against `checked` does not fit the collaboration as it stands now."""
    if now.state != "open" or version.owner in now.left:
        return Rejected(Rejection.ENDED)
    if now.signed.audience(version.ref) is None or version.ref in agreements.useless(checked, now.signed):
        return Rejected(Rejection.COLUMNS_MISMATCH, "the agreement was amended")
    if version.epoch not in now.epochs:
        return Rejected(Rejection.WRONG_EPOCH, f"the current epoch is {now.epoch}")
    return None


def _publish(
    room: Room, catalog: Catalog, version: Version, accepted: Accepted, checked: Collaboration
) -> Rejected | None:
    """Publishes an accepted version; None, or what changed while it was checked."""
    published = versions.published(catalog, version.collaboration, version.epoch)
    against = tuple(sorted(other for ref, other in published.items() if ref != version.ref))
    room.engine.publish(Staged(version.id, accepted.folder, against), partial(_tell, catalog, version))
    visible = {**published, version.ref: version.id}
    while not _commit_publication(room, catalog, version, visible, checked):
        # Somebody withdrew meanwhile, or the collaboration changed.
        if rejected := _outdated(_collaboration(catalog, version), version, checked.signed):
            return rejected
    remove_retired(room, catalog)
    return None


def _commit_publication(
    room: Room, catalog: Catalog, version: Version, published: Mapping[AudienceRef, str], checked: Collaboration
) -> bool:
    """Makes a version visible without the rows that are withdrawn; False where something changed in between."""
    serial, change = withdrawals.publishing(room, catalog, version)
    try:
        _prepare(room, catalog, checked, published, withdrawals.in_memory(change.gone))
    except NotPublished:  # what was withdrawn of another version changed before it was read
        return False
    with catalog.transaction() as connection:
        if withdrawals.serial(catalog, version) != serial:
            return False
        if _outdated(_collaboration(catalog, version), version, checked.signed):
            return False
        withdrawals.keep(catalog, withdrawals.holder_of(version), change)
        retired = versions.retire_older(connection, version)
        prepared, expires = retention.days(version.manifest)
        details = {
            **changes.named(version),
            "retired": retired,
            "prepared": prepared.isoformat(),
            "expires": expires.isoformat() if expires else None,
        }
        leaf = room.record(connection, EventKind.AUDIENCE_PUBLISH, version.collaboration, None, details)
        versions.move(connection, version.id, State.PUBLISHED, progress=100, leaf=leaf)
        versions.forget_upload(connection, version.upload or "")
    return True


def _tell(catalog: Catalog, version: Version, percent: int) -> None:
    """Stores how far a publication is, for the API; all of it is only said with the version's state."""
    with catalog.transaction() as connection:
        versions.move(connection, version.id, State.CHECKING, progress=min(percent, 99))


def _prepare(
    room: Room,
    catalog: Catalog,
    collaboration: Collaboration,
    published: Mapping[AudienceRef, str],
    more: Absent = NOBODY,
) -> None:
    """Lets the engine work ahead for today's questions of a collaboration, `published` being its versions.

    `more`: rows that are absent from now on, besides those that are stored.
    """
    absent = {**withdrawals.absent(catalog, collaboration.id), **more}
    room.engine.prepare(collaboration.agreement, published, room.today, absent)


def _prepare_all(room: Room, catalog: Catalog) -> None:
    """The same for every collaboration, when a day begins: consents end with days."""
    for version in {each.collaboration: each for each in versions.all_published(catalog)}.values():
        with contextlib.suppress(Damaged, NotPublished):  # who asks about it is told
            published = versions.published(catalog, version.collaboration)
            _prepare(room, catalog, _collaboration(catalog, version), published)


def _refuse(room: Room, catalog: Catalog, version: Version, rejected: Rejected) -> None:
    reason = rejected.reason.value
    detail = f"{rejected.advice} ({rejected.detail})" if rejected.detail else rejected.advice
    with catalog.transaction() as connection:
        details = {**changes.named(version), "reason": reason}
        leaf = room.record(connection, EventKind.AUDIENCE_REFUSE, version.collaboration, None, details)
        versions.move(connection, version.id, State.REFUSED, reason=reason, detail=detail, leaf=leaf)
        versions.forget_upload(connection, version.upload or "")


def _tidy(room: Room, catalog: Catalog) -> None:
    """Does what a crash may have left undone after a decision was committed."""
    for version in versions.decided(catalog):
        _clear(room, version)


def _sweep(room: Room, catalog: Catalog) -> None:
    """Removes the uploads whose time has passed, and retires the versions whose retention has ended."""
    for version in versions.all_published(catalog):
        if retention.ended(version, _collaboration(catalog, version).agreement, room.today):
            retire(room, catalog, version)
    for upload in versions.expired_uploads(catalog, room.now):
        if incoming.remove(room.settings.incoming / upload):
            with catalog.transaction() as connection:
                versions.forget_upload(connection, upload)


def _clear(room: Room, version: Version) -> None:
    """Removes the uploaded file of a decided version, and columns that the engine had taken over before a crash."""
    if version.upload is not None:
        (room.settings.incoming / version.upload).unlink(missing_ok=True)
    shutil.rmtree(_staging(room, version), ignore_errors=True)


def _collaboration(catalog: Catalog, version: Version) -> Collaboration:
    found = collaborations.get(catalog, version.collaboration)
    assert found is not None, "a version belongs to a collaboration"
    return found


def _staging(room: Room, version: Version) -> Path:
    return room.settings.incoming / f"{version.id}.staged"


@contextlib.contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Holds the worker's lock; waits for a worker that is still ending."""
    with lock.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def main() -> None:
    """The worker process: ends on SIGTERM, or with its parent."""
    sys.excepthook = logs.excepthook
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    signal.signal(signal.SIGINT, lambda *_: stopping.set())
    # Work that is cut off starts again, so a parent's end need not be waited for politely.
    watch_serve(lambda: os.kill(os.getpid(), signal.SIGKILL))
    work(setup.open_room(read()), stopping)


if __name__ == "__main__":
    main()
    sys.exit(0)

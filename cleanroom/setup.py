"""Making a room and opening one.

Rules: `init` makes the data folder, the catalog with its genesis leaf, and the log key in the keys folder, or nothing.
The keys never lie inside the data folder. `open_room` refuses a room whose parts are missing.
"""

import re
import shutil
from contextlib import closing
from pathlib import Path

from cleanroom import clockwatch
from cleanroom.audit import log, signer
from cleanroom.audit.events import EventKind
from cleanroom.audit.signer import Signer
from cleanroom.catalog import catalog
from cleanroom.catalog.catalog import Schema
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.room import Clock, Room, utc_now
from cleanroom.settings import Settings

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?")


class SetupFailed(Exception):
    """The room cannot be made or opened; the message says what to do and is safe to print."""


def init(settings: Settings, name: str, clock: Clock = utc_now) -> Room:
    """A new room called `name`, such as `room.example`. Raises `SetupFailed`, leaving nothing behind."""
    if not NAME.fullmatch(name):
        raise SetupFailed("a room's name is like a host name: lower-case letters, digits, dots and hyphens")
    for folder in (settings.data, settings.keys):
        if folder.exists() and any(folder.iterdir()):
            raise SetupFailed(f"the folder {folder.name} is not empty; choose another one")
    origin = f"{name}/audit-v1"
    try:
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        settings.data.chmod(0o700)  # a folder that was there, empty, may be open to others
        signer.create(settings.keys, origin)
        room = Room(settings, origin, Signer(settings.keys), EmbeddedEngine(settings.data), clock)
        catalog.create(settings.catalog, origin, room.stamp())
        with closing(room.catalog()) as opened, opened.transaction() as connection:
            room.record(connection, EventKind.ROOM_INIT, None, None, {"origin": origin, **room.running()})
        room.publish()
    except BaseException:
        _remove(settings.data)
        _remove(settings.keys)
        raise
    return room


def open_room(settings: Settings, clock: Clock = utc_now, *, older: bool = False) -> Room:
    """The room of these settings. Raises `SetupFailed` where there is none, `SignerRefused` without its key.

    `older`: also where the catalog was made by an older version and not brought up to date yet.
    """
    if not settings.catalog.is_file():
        raise SetupFailed("there is no room in the data folder; make one with `cleanroom init`")
    with closing(catalog.Catalog(settings.catalog)) as opened:
        _check(catalog.schema(opened), older=older)
        origin = opened.room_name()
    return Room(settings, origin, Signer(settings.keys), EmbeddedEngine(settings.data), clock)


def open_serving(settings: Settings, clock: Clock = utc_now) -> Room:
    """Opens a room for a process that answers. What it allows is in the log: a start is recorded where it is not.

    `cleanroom serve` has recorded its own; another server, such as `gunicorn wsgi:app`, records none.
    """
    room = open_room(settings, clock)
    with closing(room.catalog()) as opened:
        last = (log.newest(opened.connection, kind) for kind in (EventKind.ROOM_START, EventKind.ROOM_INIT))
        begun = next((body for body in last if body), None)
    assert begun is not None, "a log begins with its room"
    if begun.details["allowance"] != settings.allowance:
        room.note(EventKind.ROOM_START)
    return room


def start(settings: Settings) -> Room:
    """Opens a room for service: brings its tables up to date, mends the published log, records the start.

    A clock that stands before the log's last entry is recorded too.
    """
    room = open_room(settings, older=True)
    catalog.migrate(settings.catalog)
    signer.upgrade(settings.keys)
    settings.incoming.mkdir(mode=0o700, exist_ok=True)
    room.publish(whole=True)
    with room.catalog() as opened:
        if by := clockwatch.behind_log(room, opened):
            clockwatch.record_jump(room, opened, by)
    room.note(EventKind.ROOM_START)
    return room


def _check(found: Schema, *, older: bool) -> None:
    if found.newer:
        raise SetupFailed("a later version of cleanroom has served this room; install that version, or a later one")
    if found.pending and not older:
        raise SetupFailed(
            "the catalog was made by an older version; `cleanroom backup`, then `cleanroom serve`, which brings it up"
            " to date"
        )


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)

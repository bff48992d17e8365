"""What a request works with: the room, and one connection to its catalog, closed when the request ends."""

from typing import cast

from flask import Flask, current_app, g

from cleanroom.catalog.catalog import Catalog
from cleanroom.pace import Pace
from cleanroom.room import Room


def bind(app: Flask, room: Room) -> None:
    """Gives an app its room."""
    app.extensions["cleanroom"] = room
    app.extensions["cleanroom-pace"] = Pace(room.settings.pace, room.settings.limits)
    app.teardown_appcontext(_close)


def room() -> Room:
    return cast(Room, current_app.extensions["cleanroom"])


def pace() -> Pace:
    return cast(Pace, current_app.extensions["cleanroom-pace"])


def catalog() -> Catalog:
    """The connection of this request."""
    if "catalog" not in g:
        g.catalog = room().catalog()
    return cast(Catalog, g.catalog)


def _close(_: BaseException | None) -> None:
    opened: Catalog | None = g.pop("catalog", None)
    if opened is not None:
        opened.close()

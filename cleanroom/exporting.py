"""Exports of the log for a role: everything, or what concerns some collaborations.

Rules: a reader of some collaborations is opened their bodies, and of the others only what those rest on: the room's own
events, and who joined with which keys, of the parties. Grants and forfeits stay closed, because they tell of an owner's
budget everywhere; consent commitments are opened, because they tell nothing. What is not known is closed.
"""

from collections.abc import Callable, Collection
from pathlib import Path

from cleanroom.audit import export
from cleanroom.audit.events import EventKind
from cleanroom.catalog import documents
from cleanroom.catalog.catalog import Catalog
from cleanroom.room import Room
from partners.transparency.entry import Body

_SHARED = ("room:", "clock:", "partner:", "key:", "consent:")


def write(room: Room, catalog: Catalog, out: Path, only: Collection[str] | None = None) -> None:
    """Publishes the log and writes its export to `out`; `only` these collaborations, by id, if named."""
    room.publish()
    may_read = readable(catalog, only) if only is not None else _everything
    export.export(catalog.connection, room.settings.log, out, may_read, documents.every(catalog))


def readable(catalog: Catalog, only: Collection[str]) -> Callable[[Body], bool]:
    """Which bodies a reader of these collaborations may read."""
    rows = catalog.all("select collaboration, partner from parties")
    parties = {row["partner"] for row in rows if row["collaboration"] in only}

    def may_read(body: Body) -> bool:
        if body.event == EventKind.KEY_CONSENT:  # its signer may be a partner of another collaboration
            return False
        if body.collaboration is not None:
            return body.collaboration in only
        about = body.details.get("partner")
        return body.event.startswith(_SHARED) and (about is None or about in parties)

    return may_read


def _everything(_: Body) -> bool:
    return True

"""The room-held keys under which tokens are stored: when one is made, and that a lost one is never replaced."""

import contextlib

from cleanroom.catalog import versions, withdrawals
from cleanroom.catalog.catalog import Catalog
from cleanroom.engine import rekey
from cleanroom.room import Room


def rekey_key(room: Room, catalog: Catalog, collaboration: str, epoch: int) -> bytes:
    """The key of a collaboration and epoch, made with the first tokens. Raises `rekey.NoKey`.

    Once something is stored under it, another key would silently match nobody: a lost one is never replaced.
    """
    place = (room.settings.keys, collaboration, epoch)
    used = versions.stored(catalog, collaboration, epoch) or withdrawals.any_entry(catalog, collaboration, epoch)
    if not used:
        with contextlib.suppress(FileExistsError):
            return rekey.create(*place)
    return rekey.load(*place)

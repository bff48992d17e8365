"""Where each collaboration stands, as the room tells it, and what this partner can do next."""

from dataclasses import dataclass

from partners.home import Home
from partners.room.answers import Collaboration, CollaborationState
from partners.room.client import Room


@dataclass(frozen=True, slots=True)
class Status:
    """One collaboration. `signed` are partners; `published` and `missing` are audiences; `next` is a sentence."""

    id: str
    state: CollaborationState
    signed: tuple[str, ...]
    published: tuple[str, ...]
    missing: tuple[str, ...]
    next: str


def status(home: Home, room: Room) -> tuple[Status, ...]:
    """Every collaboration of this partner. The log's newest checkpoint is checked on the way."""
    room.log.refresh()
    return tuple(_status(home, each) for each in room.collaborations())


def _status(home: Home, collaboration: Collaboration) -> Status:
    return Status(
        collaboration.id,
        collaboration.state,
        tuple(name for name, _ in collaboration.signatures),
        tuple(str(ref) for ref, version in collaboration.audiences if version is not None),
        tuple(str(ref) for ref, version in collaboration.audiences if version is None),
        _next(home, collaboration),
    )


def _next(home: Home, collaboration: Collaboration) -> str:
    me, identifier = home.room().partner, collaboration.id
    if collaboration.state is CollaborationState.CLOSED:
        return "nothing: it is closed"
    if me not in dict(collaboration.signatures):
        return f"read `explain {identifier}`, then `agree {identifier}`"
    if collaboration.state is CollaborationState.PROPOSED:
        return "wait until every partner has signed"
    if home.highest_epoch(identifier) < collaboration.epoch:
        made = collaboration.key_check is not None
        return f"`compare` keys, then `secret {'accept' if made else 'make'} {identifier}`"
    unpublished = [ref for ref, version in collaboration.audiences if version is None]
    if any(ref.owner == me for ref in unpublished):
        return "`prepare` your map, then `upload`"
    if unpublished:
        return f"wait for the audience of {', '.join(dict.fromkeys(ref.owner for ref in unpublished))}"
    return "`ask` for a report"

"""A collaboration as a person names it: its id, or its name where that can mean only one.

Rules: an id goes before a name. What is closed has given its name free. The one that is open goes before those that are
only proposed, but not where something is signed or ended: that has to be what was meant, so the id is asked for.
"""

from partners.failure import Failure
from partners.home import Home
from partners.room.client import Room
from partners.room.collaborations import Collaboration, CollaborationState
from policies.agreement import Agreement


class UnknownCollaboration(Failure):
    """A name that means none, or several, of this partner's collaborations."""


def find(room: Room, text: str) -> Collaboration:
    """The collaboration that is meant, to ask about or to work in. Raises `UnknownCollaboration`."""
    named = _named(room, text)
    return _only([each for each in named if each.state is CollaborationState.OPEN] or named, named)


def find_only(room: Room, text: str) -> Collaboration:
    """The collaboration that is meant, to sign it or to end it. Raises `UnknownCollaboration`."""
    named = _named(room, text)
    return _only(named, named)


def proposed_before(home: Home, room: Room, proposed: Agreement) -> tuple[Collaboration, ...]:
    """Older proposals of the same name that this partner signed and that still wait: the new one ends none of them."""
    me = home.room().partner
    return tuple(
        each
        for each in room.collaborations()
        if (each.name, each.state) == (proposed.name, CollaborationState.PROPOSED)
        and each.id != proposed.id
        and me in dict(each.signatures)
    )


def _named(room: Room, text: str) -> list[Collaboration]:
    everyone = room.collaborations()
    named = [each for each in everyone if each.id == text] or [each for each in everyone if each.name == text]
    return [each for each in named if each.state is not CollaborationState.CLOSED] or named


def _only(meant: list[Collaboration], named: list[Collaboration]) -> Collaboration:
    if len(meant) == 1:
        return meant[0]
    if not named:
        raise UnknownCollaboration("you have no such collaboration; `cleanroom-partner status` lists yours")
    several = "; ".join(map(_told, named))
    proposed = any(each.state is CollaborationState.PROPOSED for each in named)
    away = ". `cleanroom-partner leave ID` takes an older proposal away" if proposed else ""
    raise UnknownCollaboration(f"several collaborations have this name; give the id: {several}{away}")


def _told(collaboration: Collaboration) -> str:
    signed = ", ".join(name for name, _ in collaboration.signatures)
    return f"{collaboration.id}, {collaboration.state.value}, signed by {signed or 'nobody'}"

"""Tightening one's own terms, and leaving: what a partner does alone.

Rules: what the room answers counts with its receipt. Amendments that were signed here and are looser than what was
tightened since are not accepted any more, whatever the room says.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from partners import notices
from partners.failure import Failure
from partners.home import Home
from partners.notices import Leaving, Tightening
from partners.room.client import Room
from partners.room.collaborations import Collaboration, CollaborationState
from partners.steps.agreements import Standing, own_serial, parsed, read
from partners.steps.naming import find_only
from policies import terms, tightening
from policies.question import AudienceRef
from policies.terms import Terms


class NotTighter(Failure):
    """Terms that cannot be set alone."""


class NothingToLeave(Failure):
    """A collaboration that was closed already."""


@dataclass(frozen=True, slots=True)
class Left:
    """A collaboration that was left: the audiences that ended, and the partners who go on; none where it `closed`."""

    collaboration: str
    ended: tuple[AudienceRef, ...]
    closed: bool
    staying: tuple[str, ...]


def alone(home: Home, standing: Standing, stated: Terms) -> Terms:
    """This partner's own terms with those `stated`, where it can set them without the others. Raises `NotTighter`."""
    party = standing.in_force.party(home.room().partner)
    assert party is not None, "`read` found this partner in the agreement"
    own = terms.from_json({**terms.to_json(party.terms), **terms.to_json(stated)})
    if why := tightening.refused(own, party.terms, standing.in_force.terms):
        raise NotTighter(why)
    return own


def tighten(home: Home, room: Room, text: str, stated: Terms, now: datetime) -> Standing:
    """Adds to this partner's own terms, for all, at once. Raises `NotTighter`."""
    standing, me = read(home, room, text), home.room().partner
    own = alone(home, standing, stated)
    serial = own_serial(home, standing.collaboration) + 1
    agreement = standing.collaboration.agreement_sha256
    notice = Tightening(standing.agreement.id, me, agreement, serial, own, _written(now))
    for document in home.amendments(standing.agreement.id):
        amended = parsed(document).party(me)
        if amended is None or terms.looser(amended.terms, own):
            home.forget_amendment(standing.agreement.id, document)
    room.tighten(notice, notices.sign(home.identity(), notice))
    home.save_tightened(standing.agreement.id, agreement, serial)
    return read(home, room, standing.agreement.id)


def to_leave(home: Home, room: Room, text: str) -> Collaboration:
    """The collaboration that would be left. Raises `NothingToLeave` where others, or the operator, have closed it."""
    collaboration = find_only(room, text)
    if collaboration.state is CollaborationState.CLOSED and home.room().partner not in collaboration.left:
        home.end(collaboration.id)
        raise NothingToLeave(f"{collaboration.id} is closed already; there is nothing to leave")
    return collaboration


def leave(home: Home, room: Room, collaboration: Collaboration, now: datetime) -> Left:
    """Ends this partner's part in a collaboration. Harmless to repeat."""
    me = home.room().partner
    names = [party.name for party in parsed(room.agreement(collaboration.id)).parties]
    leaving = Leaving(collaboration.id, me, _written(now))
    room.leave(leaving, notices.sign(home.identity(), leaving))
    home.end(collaboration.id)
    closed = room.collaboration(collaboration.id).state is CollaborationState.CLOSED
    return Left(
        collaboration.id,
        tuple(ref for ref, version in collaboration.audiences if ref.owner == me and version is not None),
        closed,
        () if closed else tuple(name for name in names if name not in (me, *collaboration.left)),
    )


def _written(now: datetime) -> str:
    return now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

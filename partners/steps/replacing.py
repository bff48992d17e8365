"""Coming back after every owner key was lost: the others compare and consent, then this partner takes up its work.

Rules: who consents compared the new keys on another channel, and holds the keys that go to those that it knew. Who
comes back compared keys with everybody who consented; their signatures say which keys were its own, so that it can take
over the agreements that those signed.
"""

from dataclasses import dataclass

from partners.home import Home
from partners.key_change import Role, vouched
from partners.protocol import PublicKeys, fingerprint
from partners.room.answers import Asked
from partners.room.client import Room
from partners.room.collaborations import CollaborationState
from partners.steps import agreements
from partners.steps.joining import NotConfirmed
from partners.steps.keys import KeysRefused


@dataclass(frozen=True, slots=True)
class Wish:
    """New keys that a partner asks consent for, the 60 digits to compare, and the keys of it that this folder knew."""

    asked: Asked
    digits: str
    known: tuple[PublicKeys, ...]


@dataclass(frozen=True, slots=True)
class Back:
    """The agreements that were taken over, by id; they name the lost keys until they are amended."""

    collaborations: tuple[str, ...]


def wish(home: Home, room: Room, partner: str) -> Wish:
    """What a partner asks this one to consent to. Raises `KeysRefused`."""
    asked = next((each for each in room.replacements() if each.replacement.partner == partner), None)
    if asked is None or partner == home.room().partner:
        raise KeysRefused(f"no new keys of {partner} wait for your consent")
    replacement, known = asked.replacement, _known(home, partner)
    if not {replacement.previous, *vouched(replacement.previous, asked.rotations)} & {*known}:
        raise KeysRefused(f"the room names other keys of {partner} than those you knew; do not go on, ask the operator")
    return Wish(asked, fingerprint(home.identity().public, replacement.keys), known)


def consent(home: Home, room: Room, wished: Wish) -> Asked:
    """Consents, after the user compared the digits: from now on the new keys are the compared ones."""
    replacement = wished.asked.replacement
    former = tuple(each for each in wished.known if each != replacement.keys)  # known, where this is done again
    home.confirm(replacement.partner, replacement.keys, former)
    return room.consent(replacement.id, replacement.sign(home.identity()))


def own(home: Home, room: Room) -> Asked | None:
    """The request for the keys of this folder."""
    mine = home.identity().public
    return next((each for each in room.replacements() if each.replacement.keys == mine), None)


def resume(home: Home, room: Room) -> Back:
    """Takes up the work with keys that everybody consented to. Raises `KeysRefused`, `NotConfirmed`."""
    asked = own(home, room)
    if asked is None:
        raise KeysRefused("no new keys of this folder were asked for; run `cleanroom-partner join URL CODE`")
    if not asked.made:
        raise KeysRefused(f"wait: {', '.join(asked.missing)} must consent first; compare keys with them meanwhile")
    confirmed = home.confirmed()
    for name, signature in asked.consents:
        if name not in confirmed:
            raise NotConfirmed(f"compare keys with {name} first: run `cleanroom-partner compare {name}`")
        signers = (confirmed[name], *home.former_of(name))
        if not any(asked.replacement.consented(each.signing, signature) for each in signers):
            raise KeysRefused(f"{name} has not consented to these keys, whatever the room says; tell the operator")
    previous = asked.replacement.previous
    home.came_back((previous, *vouched(previous, asked.rotations)) if asked.consents else ())
    return Back(tuple(_taken_over(home, room)))


def requested(home: Home, room: Room) -> tuple[Asked, ...]:
    """New keys of others that wait for this partner's consent, and new ones of its own that somebody else asked for."""
    if home.room().role is not Role.OWNER:
        return ()
    me, mine = home.room().partner, home.identity().public
    return tuple(
        each
        for each in room.replacements()
        if not each.made
        and (each.replacement.keys != mine if each.replacement.partner == me else me not in dict(each.consents))
    )


def _taken_over(home: Home, room: Room) -> list[str]:
    me, taken = home.room().partner, []
    for each in room.collaborations():
        if each.state is CollaborationState.OPEN and me not in each.left:
            if home.agreement(each.id) is None:
                agreements.take_over(home, room, each.id)
            taken.append(each.id)
    return taken


def _known(home: Home, partner: str) -> tuple[PublicKeys, ...]:
    """The keys of a partner that were compared, and those that agreements which were signed here name."""
    compared = home.confirmed().get(partner)
    found = [*([compared] if compared else []), *home.former_of(partner)]
    for identifier in home.collaborations():
        document = home.agreement(identifier)
        party = agreements.parsed(document).party(partner) if document else None
        if party is not None:
            found.append(PublicKeys(party.signing_key, party.sealing_key))
    return tuple(dict.fromkeys(found))

"""Where each collaboration stands, as the room tells it, and what this partner can do next."""

import hashlib
from dataclasses import dataclass, replace

from partners.home import Home
from partners.room.answers import Collaboration, CollaborationState, Rotating
from partners.room.client import Room
from partners.steps import agreements, withdrawals


@dataclass(frozen=True, slots=True)
class Status:
    """One collaboration. `signed` are partners; `published` and `missing` are audiences; `next` is a sentence.

    `sent_again`: batches of withdrawals that the room had lost, and has again now.
    """

    id: str
    state: CollaborationState
    signed: tuple[str, ...]
    published: tuple[str, ...]
    missing: tuple[str, ...]
    next: str
    sent_again: int = 0


def status(home: Home, room: Room) -> tuple[Status, ...]:
    """Every collaboration of this partner. The log's newest checkpoint is checked on the way, and amendments that came
    in force are taken over. Raises `AgreementRefused`.
    """
    room.log.refresh()
    everyone = room.collaborations()
    for each in everyone:
        kept = home.agreement(each.id)
        amended = kept is not None and hashlib.sha256(kept).hexdigest() != each.agreement_sha256
        if amended and home.room().partner not in each.left:
            agreements.read(home, room, each.id)
    return tuple(replace(_status(home, each), sent_again=withdrawals.send_again(home, room, each)) for each in everyone)


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
    if me in collaboration.left:
        return "nothing: you have left it"
    if collaboration.amendment and me not in dict(collaboration.amendment.signatures):
        return f"read `explain {identifier} --changes`, then `agree {identifier}`"
    if me not in dict(collaboration.signatures):
        return f"read `explain {identifier}`, then `agree {identifier}`"
    if collaboration.state is CollaborationState.PROPOSED:
        return "wait until every partner has signed"
    if home.highest_epoch(identifier) < collaboration.epoch:
        made = collaboration.key_check is not None
        return f"`compare` keys, then `secret {'accept' if made else 'make'} {identifier}`"
    if rotating := collaboration.rotating:
        return _rotating(home, collaboration, rotating)
    home.forget_secrets(identifier, collaboration.epoch)
    unpublished = [ref for ref, version in collaboration.audiences if version is None]
    if any(ref.owner == me for ref in unpublished):
        return "`prepare` your map, then `upload`"
    if unpublished:
        return f"wait for the audience of {', '.join(dict.fromkeys(ref.owner for ref in unpublished))}"
    return "`ask` for a report"


def _rotating(home: Home, collaboration: Collaboration, rotating: Rotating) -> str:
    """What is next while the secret is rotated: the old one answers until everybody has moved."""
    me, rotation = home.room().partner, rotating.rotation
    if home.highest_epoch(collaboration.id) < rotation.epoch:
        return f"a new secret by {rotation.partner}: `secret accept {collaboration.id}`, by {rotation.deadline}"
    behind = [ref for ref, version in collaboration.audiences if version is not None and ref not in rotating.ready]
    if any(ref.owner == me for ref in behind):
        return f"`prepare` and `upload` anew under the new secret, by {rotation.deadline}"
    owners = ", ".join(dict.fromkeys(ref.owner for ref in behind))
    return f"wait for {owners} to upload under the new secret, until {rotation.deadline} at the latest"

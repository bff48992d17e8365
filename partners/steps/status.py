"""Where each collaboration stands, as the room tells it: what this key can do next, and what the others still have to.

Rules: what is said to a marketer is what a marketer may do; for the rest it waits for its partner's owner key. A folder
whose key still waits for the others' consent sees no collaboration.
"""

from dataclasses import dataclass, replace
from http import HTTPStatus

from partners.home import Home
from partners.key_change import Role
from partners.protocol import PublicKeys
from partners.room.client import Room
from partners.room.collaborations import Auditor, Collaboration, CollaborationState, Rotating
from partners.room.connection import RoomRefused
from partners.steps import agreements, replacing, withdrawals
from partners.steps.agreements import AgreementRefused
from policies.question import AudienceRef


@dataclass(frozen=True, slots=True)
class Status:
    """One collaboration. `signed` are partners; `published` and `missing` are audiences; `next` is a sentence.

    `sent_again`: batches of withdrawals that the room had lost, and has again now.
    `others`: what other partners still have to do, a sentence each.
    """

    id: str
    state: CollaborationState
    signed: tuple[str, ...]
    published: tuple[str, ...]
    missing: tuple[str, ...]
    next: str
    others: tuple[str, ...]
    auditors: tuple[Auditor, ...]
    sent_again: int = 0


def status(home: Home, room: Room) -> tuple[Status, ...]:
    """Every collaboration of this partner. The log's newest checkpoint is checked on the way, and amendments that came
    in force are taken over. One that cannot be is told in its collaboration, and stops nothing else.
    """
    room.log.refresh()
    if home.room().role is Role.WAITING:
        return ()
    everyone = room.collaborations()
    found = [_status(home, room, each) for each in everyone]
    if home.room().role is not Role.OWNER:
        return tuple(found)
    again = (withdrawals.send_again(home, room, each) for each in everyone)
    return tuple(replace(told, sent_again=count) for told, count in zip(found, again, strict=True))


def notices(home: Home, room: Room) -> tuple[str, ...]:
    """What waits beside the collaborations: keys of this folder that wait, new keys that ask for this consent or are to
    be compared, a grant that is wanted after a restore of the room.
    """
    me = home.room().partner
    if home.room().role is Role.WAITING:
        asked = replacing.own(home, room)
        if asked is None:
            return ("these keys were ended before everybody consented; ask the operator for another code",)
        if asked.made:
            return ("everybody has consented: run `cleanroom-partner key resume`",)
        return tuple(f"{name} must compare keys with you and run `key consent {me}`" for name in asked.missing)
    found = replacing.requested(home, room)
    asking = tuple(
        f"new keys ask to be yours: was it nobody of {me}? Then `key revoke {each.replacement.id}`"
        if each.replacement.partner == me
        else f"{each.replacement.partner} lost its keys: call it, then `key consent {each.replacement.partner}`"
        for each in found
    )
    return (*asking, *_other_keys(home, room), *_forfeited(home, room))


def _other_keys(home: Home, room: Room) -> tuple[str, ...]:
    """Who has other keys than those that were compared, after a rotation for instance."""
    changed = []
    for name, compared in sorted(home.confirmed().items()):
        try:
            known = room.keys_of(name)
        except RoomRefused as refused:
            if refused.problem.status != HTTPStatus.NOT_FOUND:
                raise
            continue  # its keys all ended: there is nothing to compare
        if known != compared:
            changed.append(f"{name} has other keys than you compared: call it, then `compare {name}`")
    return tuple(changed)


def _forfeited(home: Home, room: Room) -> tuple[str, ...]:
    """What to do where a restore of the room ended this partner's allowance, and it has granted nothing since."""
    role = home.room().role
    if role is Role.AUDITOR:
        return ()
    ledger = room.ledger()
    private = not ledger.collaborations or any(not line.unbounded for line in ledger.collaborations)
    if not ledger.forfeited or not private:
        return ()
    who = "sign another one with" if role is Role.OWNER else f"an owner key of {ledger.partner} signs another one with"
    return (
        "the room lost entries of its log at a restore, and every allowance ended with them; nothing of yours is left,"
        f" and private reports about your people are refused: {who} `grant EPSILON`",
    )


def following(home: Home, room: Room, collaboration: Collaboration) -> str:
    """What is next in a collaboration for the key of this folder."""
    said = {Role.OWNER: _next, Role.AUDITOR: _for_auditor}.get(home.room().role, _for_marketer)
    return said(home, room, collaboration)


def _status(home: Home, room: Room, collaboration: Collaboration) -> Status:
    try:
        agreements.follow(home, room, collaboration)
        what = following(home, room, collaboration)
        others = () if home.room().role is Role.AUDITOR else _others(home, room, collaboration)
    except AgreementRefused as problem:
        what, others = str(problem), ()
    if collaboration.state is CollaborationState.CLOSED:
        home.end(collaboration.id)
    return Status(
        collaboration.id,
        collaboration.state,
        tuple(name for name, _ in collaboration.signatures),
        tuple(str(ref) for ref, version in collaboration.audiences if version is not None),
        tuple(str(ref) for ref in _unpublished(collaboration)),
        what,
        others,
        collaboration.auditors,
    )


def _next(home: Home, room: Room, collaboration: Collaboration) -> str:
    me, identifier = home.room().partner, collaboration.id
    if over := _over(home, collaboration):
        return over
    if collaboration.amendment and me not in dict(collaboration.amendment.signatures):
        return f"read `explain {identifier} --changes`, then `agree {identifier}`"
    if me not in dict(collaboration.signatures):
        return f"read `explain {identifier}`, then `agree {identifier}`"
    if collaboration.state is CollaborationState.PROPOSED:
        return "wait until every partner has signed"
    if home.highest_epoch(identifier) < collaboration.epoch:
        return _secret(home, collaboration)
    if rotating := collaboration.rotating:
        return _rotating(home, collaboration, rotating)
    home.forget_secrets(identifier, collaboration.epoch)
    if any(ref.owner == me for ref in _unpublished(collaboration)):
        return "`prepare` your map, then `upload`"
    return _renewing(home, collaboration) or _asking(home, room, collaboration)


def _for_marketer(home: Home, room: Room, collaboration: Collaboration) -> str:
    me = home.room().partner
    if over := _over(home, collaboration):
        return over
    if me not in dict(collaboration.signatures):
        return f"read `explain {collaboration.id}`; an owner key of {me} signs it"
    if collaboration.state is CollaborationState.PROPOSED:
        return "wait until every partner has signed"
    if any(ref.owner == me for ref in _unpublished(collaboration)):
        return f"wait: an owner key of {me} uploads its audience"
    return _asking(home, room, collaboration)


def _for_auditor(_: Home, __: Room, ___: Collaboration) -> str:
    return "`audit export FILE`, then verify it"


def _over(home: Home, collaboration: Collaboration) -> str | None:
    if collaboration.state is CollaborationState.CLOSED:
        return "nothing: it is closed"
    return "nothing: you have left it" if home.room().partner in collaboration.left else None


def _asking(home: Home, room: Room, collaboration: Collaboration) -> str:
    agreement = agreements.parsed(home.agreement(collaboration.id) or room.agreement(collaboration.id))
    if agreements.in_force(agreement, collaboration).terms.admit_nothing:
        amend = "`amend`" if home.room().role is Role.OWNER else f"an owner key of {home.room().partner} can `amend`"
        change = "wait until everybody has signed the amendment" if collaboration.amendment else amend
        return f"nothing can be asked under the terms in force: {change}"
    owners = _owners(_unpublished(collaboration))
    return f"wait for the audience of {owners}" if owners else "`ask` for a report"


def _secret(home: Home, collaboration: Collaboration) -> str:
    """What is next for who has not the secret of the epoch in force."""
    me, identifier = home.room().partner, collaboration.id
    if renewing := _renewing(home, collaboration):
        return renewing
    if home.former() and home.highest_epoch(identifier) == 0:
        return f"`secret accept {identifier}`, after another partner ran `secret send {identifier} {me}`"
    made = collaboration.key_check is not None
    found = f"`secret accept {identifier}`" if made else f"one of you runs `secret make {identifier}`"
    if uncompared := _uncompared(home, collaboration):
        return f"{' and '.join(f'`compare {name}`' for name in uncompared)}, then {found}"
    return found


def _renewing(home: Home, collaboration: Collaboration) -> str | None:
    """What is next where the agreement names keys of this partner that went."""
    kept = home.agreement(collaboration.id)
    party = agreements.parsed(kept).party(home.room().partner) if kept else None
    if party is None or party.signing_key == home.identity().public.signing:
        return None
    if collaboration.amendment:
        return "wait until everybody has signed the amendment"
    return f"`amend {collaboration.id} --keys`: it names keys of yours that went"


def _uncompared(home: Home, collaboration: Collaboration) -> list[str]:
    """The partners whose keys, as the agreement names them, this folder's user has still to compare."""
    me, confirmed, document = home.room().partner, home.confirmed(), home.agreement(collaboration.id)
    return [
        party.name
        for party in (agreements.parsed(document).parties if document else ())
        if party.name not in (me, *collaboration.left)
        and PublicKeys(party.signing_key, party.sealing_key)
        not in (confirmed.get(party.name), *home.former_of(party.name))
    ]


def _rotating(home: Home, collaboration: Collaboration, rotating: Rotating) -> str:
    """What is next while the secret is rotated: the old one answers until everybody has moved."""
    me, rotation = home.room().partner, rotating.rotation
    if home.highest_epoch(collaboration.id) < rotation.epoch:
        return f"a new secret by {rotation.partner}: `secret accept {collaboration.id}`, by {rotation.deadline}"
    behind = _behind(collaboration, rotating)
    if any(ref.owner == me for ref in behind):
        return f"`prepare` and `upload` anew under the new secret, by {rotation.deadline}"
    return f"wait for {_owners(behind)} to upload under the new secret, until {rotation.deadline} at the latest"


def _others(home: Home, room: Room, collaboration: Collaboration) -> tuple[str, ...]:
    """What each other partner still has to do."""
    me, amendment, rotating = home.room().partner, collaboration.amendment, collaboration.rotating
    if _over(home, collaboration):
        return ()
    found = []
    if amendment or collaboration.state is CollaborationState.PROPOSED:
        document = home.agreement(collaboration.id) or room.agreement(collaboration.id)
        names = [party.name for party in agreements.parsed(document).parties if party.name not in collaboration.left]
        signed = dict(amendment.signatures if amendment else collaboration.signatures)
        what = f"amendment {amendment.number}" if amendment else "the agreement"
        found += [f"{name}: `agree` to {what}" for name in names if name not in signed and name != me]
    if collaboration.state is CollaborationState.OPEN:
        waiting = [ref for ref in _unpublished(collaboration) if ref.owner not in (me, *collaboration.left)]
        found += [f"{ref.owner}: `upload` {ref.name}" for ref in waiting]
    if rotating:
        behind = [ref for ref in _behind(collaboration, rotating) if ref.owner != me]
        by = rotating.rotation.deadline
        found += [f"{ref.owner}: `upload` {ref.name} under the new secret by {by}" for ref in behind]
    return tuple(found)


def _unpublished(collaboration: Collaboration) -> list[AudienceRef]:
    return [ref for ref, version in collaboration.audiences if version is None]


def _behind(collaboration: Collaboration, rotating: Rotating) -> list[AudienceRef]:
    """The published audiences that have no version under the new secret."""
    return [ref for ref, version in collaboration.audiences if version is not None and ref not in rotating.ready]


def _owners(refs: list[AudienceRef]) -> str:
    return ", ".join(dict.fromkeys(ref.owner for ref in refs))

"""The collaboration's secret: made by one partner, sealed for each other one.

Rules: nothing is sealed or opened before the user compared keys with the other side. An epoch's secret is accepted
once; epochs only grow. Making can be repeated after a cut: the same secret is then sealed again for those who lack it.
A rotation is signed by who began it. Whoever takes a new secret sends its list of withdrawals again under it, before
anything is prepared with it.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from partners import notices
from partners.envelopes import SignedEnvelope, open_envelope, seal
from partners.failure import Failure
from partners.home import Home, Secret
from partners.notices import Rotation
from partners.protocol import SECRET_BYTES, PublicKeys, key_check
from partners.room.client import Room
from partners.room.collaborations import CollaborationState, Rotating
from partners.room.connection import RoomRefused
from partners.steps.agreements import Standing, check_confirmed, read
from partners.steps.withdrawals import renew


class SecretRefused(Failure):
    """A secret that is not made, or not accepted."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """A secret that now counts: of which collaboration and epoch, from whom."""

    collaboration: str
    epoch: int
    maker: str


def make(home: Home, room: Room, text: str) -> Accepted:
    """Makes the secret of a collaboration's epoch and sends it, sealed, to every other partner."""
    standing = _signed_here(home, read(home, room, text))
    collaboration, me = standing.collaboration, home.room().partner
    recipients = {party.name: check_confirmed(home, party) for party in standing.others(me)}
    if collaboration.epoch <= home.highest_epoch(collaboration.id):
        raise SecretRefused(f"epoch {collaboration.epoch} has its secret already; go on with `prepare`")
    secret = home.secret(collaboration.id, collaboration.epoch)
    if secret is None or secret.maker != me:
        secret = Secret(secrets.token_bytes(SECRET_BYTES), collaboration.epoch, me)
    check = key_check(secret.value, collaboration.id, collaboration.epoch)
    if collaboration.key_check not in (None, check):
        raise SecretRefused("another partner has made this epoch's secret; run `cleanroom-partner secret accept`")
    home.save_secret(collaboration.id, secret)
    _send_all(home, room, collaboration.id, secret, recipients)
    home.accept_epoch(collaboration.id, collaboration.epoch)
    return Accepted(collaboration.id, collaboration.epoch, me)


def rotate(home: Home, room: Room, text: str, now: datetime, days: int) -> Accepted:
    """Begins a new epoch with a new secret, which the others have to take and upload under within `days`.

    Repeated after a cut, it goes on with the same secret. Raises `SecretRefused`, `NotConfirmed`.
    """
    standing = _signed_here(home, read(home, room, text))
    collaboration, me = standing.collaboration, home.room().partner
    staying = [party for party in standing.others(me) if party.name not in collaboration.left]
    recipients = {party.name: check_confirmed(home, party) for party in staying}
    if collaboration.rotating is None:
        epoch = collaboration.epoch + 1
        if collaboration.key_check is None or home.highest_epoch(collaboration.id) != collaboration.epoch:
            raise SecretRefused(f"take the secret of epoch {collaboration.epoch} first: `secret make` or `accept`")
        secret = Secret(secrets.token_bytes(SECRET_BYTES), epoch, me)
        home.save_secret(collaboration.id, secret)
        check = key_check(secret.value, collaboration.id, epoch)
        deadline = (now.astimezone(UTC).date() + timedelta(days=days)).isoformat()
        created = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        notice = Rotation(collaboration.id, me, epoch, check, deadline, created)
        room.rotate(notice, notices.sign(home.identity(), notice))
    else:
        secret = _begun(home, standing, collaboration.rotating)
    _send_all(home, room, collaboration.id, secret, recipients)
    if home.highest_epoch(collaboration.id) < secret.epoch:
        renew(home, room, standing.agreement, secret, now)
        home.accept_epoch(collaboration.id, secret.epoch)
    return Accepted(collaboration.id, secret.epoch, me)


def _begun(home: Home, standing: Standing, rotating: Rotating) -> Secret:
    """The secret of a rotation that this partner has begun already. Raises `SecretRefused`."""
    identifier, rotation = standing.collaboration.id, rotating.rotation
    if rotation.partner != home.room().partner:
        raise SecretRefused(f"{rotation.partner} has begun a new epoch; run `cleanroom-partner secret accept`")
    secret = home.secret(identifier, rotation.epoch)
    if secret is None or key_check(secret.value, identifier, rotation.epoch) != rotation.key_check:
        raise SecretRefused(f"the secret that you began is not in this folder; on {rotation.deadline} begin another")
    return secret


def send(home: Home, room: Room, text: str, partner: str) -> Accepted:
    """Seals the newest secret of this folder again, for a partner that lost its keys. Raises `SecretRefused`."""
    standing = _signed_here(home, read(home, room, text))
    identifier, me = standing.collaboration.id, home.room().partner
    party = next((each for each in standing.others(me) if each.name == partner), None)
    secret = home.secret(identifier, home.highest_epoch(identifier))
    if party is None or secret is None:
        raise SecretRefused("name another partner of the agreement, and take its secret yourself first")
    _send_all(home, room, identifier, secret, {partner: check_confirmed(home, party)})
    return Accepted(identifier, secret.epoch, secret.maker)


def accept(home: Home, room: Room, text: str | None = None, now: datetime | None = None) -> tuple[Accepted, ...]:
    """Opens the newest secret of one collaboration, or of each that was signed here, where there is a new one.

    Raises `NotConfirmed`, `EnvelopeRefused`, `SecretRefused`.
    """
    now, me, kept = now or datetime.now(UTC), home.room().partner, home.collaborations()
    going = (each for each in room.collaborations() if each.id in kept and me not in each.left)
    named = (text,) if text is not None else [each.id for each in going if each.state is CollaborationState.OPEN]
    opened = [_accept_newest(home, room, _signed_here(home, read(home, room, name)), now) for name in named]
    return tuple(each for each in opened if each is not None)


def _accept_newest(home: Home, room: Room, standing: Standing, now: datetime) -> Accepted | None:
    identifier, highest = standing.collaboration.id, home.highest_epoch(standing.collaboration.id)
    waiting = [
        signed
        for signed in room.envelopes(identifier)
        if signed.envelope.collaboration == identifier and signed.envelope.epoch > highest
    ]
    if not waiting:
        return None
    newest = max(waiting, key=lambda signed: signed.envelope.epoch)
    envelope = newest.envelope
    if any(each != newest and each.envelope.epoch == envelope.epoch for each in waiting):
        raise SecretRefused("two partners made a secret for the same epoch; agree on one of them and rotate")
    me = home.room().partner
    sender = next((party for party in standing.others(me) if party.name == envelope.sender), None)
    if sender is None:
        raise SecretRefused("the sealed secret comes from somebody outside the agreement; tell the operator")
    value = open_envelope(home.identity(), newest, check_confirmed(home, sender), me)
    known = _known(home, standing, envelope.epoch)
    if known is not None and not hmac.compare_digest(known, envelope.key_check):
        raise SecretRefused("the room compares audiences with another secret than the one it relays; tell the operator")
    secret = Secret(value, envelope.epoch, envelope.sender)
    home.save_secret(identifier, secret)
    renew(home, room, standing.agreement, secret, now)
    home.accept_epoch(identifier, envelope.epoch)
    return Accepted(identifier, envelope.epoch, envelope.sender)


def _known(home: Home, standing: Standing, epoch: int) -> str | None:
    """The key check that the room has for an epoch, in a rotation signed by who began it."""
    rotating = standing.collaboration.rotating
    if rotating is None or rotating.rotation.epoch != epoch:
        return standing.collaboration.key_check if epoch == standing.collaboration.epoch else None
    rotation = rotating.rotation
    party = standing.agreement.party(rotation.partner)
    signers = [] if party is None else [party.signing_key, *(each.signing for each in home.former_of(party.name))]
    if rotation.collaboration != standing.collaboration.id or not any(
        notices.verify(signer, rotation, rotating.signature) for signer in signers
    ):
        raise SecretRefused("the room shows a new epoch that nobody signed; tell the operator")
    return rotation.key_check


def _send_all(home: Home, room: Room, identifier: str, secret: Secret, recipients: Mapping[str, PublicKeys]) -> None:
    me = home.room().partner
    for name, keys in recipients.items():
        _send(room, seal(home.identity(), secret.value, identifier, secret.epoch, me, name, keys))


def _send(room: Room, signed: SignedEnvelope) -> None:
    """Sends an envelope; one that the room has already, with the same secret inside, is as good."""
    try:
        room.send_envelope(signed)
    except RoomRefused as refused:
        found = room.collaboration(signed.envelope.collaboration)
        known = {found.key_check, found.rotating.rotation.key_check if found.rotating else None}
        if refused.problem.status != HTTPStatus.CONFLICT or signed.envelope.key_check not in known:
            raise


def _signed_here(home: Home, standing: Standing) -> Standing:
    if home.agreement(standing.collaboration.id) is None:
        raise SecretRefused(
            f"you have not signed this agreement; run `cleanroom-partner agree {standing.agreement.id}`"
        )
    return standing

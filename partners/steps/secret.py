"""The collaboration's secret: made by one partner, sealed for each other one.

Rules: nothing is sealed or opened before the user compared keys with the other side. An epoch's secret is accepted
once; epochs only grow. Making can be repeated after a cut: the same secret is then sealed again for those who lack it.
"""

import hmac
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from partners.envelopes import SignedEnvelope, open_envelope, seal
from partners.failure import Failure
from partners.home import Home, Secret
from partners.protocol import SECRET_BYTES, key_check
from partners.room.client import Room
from partners.room.connection import RoomRefused
from partners.steps.agreements import Standing, check_confirmed, read


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
    identity = home.identity()
    for name, keys in recipients.items():
        signed = seal(identity, secret.value, collaboration.id, collaboration.epoch, me, name, keys)
        _send(room, signed)
    home.accept_epoch(collaboration.id, collaboration.epoch)
    return Accepted(collaboration.id, collaboration.epoch, me)


def accept(home: Home, room: Room, text: str | None = None) -> tuple[Accepted, ...]:
    """Opens the newest secret of one collaboration, or of each that was signed here, where there is a new one.

    Raises `NotConfirmed`, `EnvelopeRefused`, `SecretRefused`.
    """
    named = (text,) if text is not None else home.collaborations()
    opened = (_accept_newest(home, room, _signed_here(home, read(home, room, name))) for name in named)
    return tuple(each for each in opened if each is not None)


def _accept_newest(home: Home, room: Room, standing: Standing) -> Accepted | None:
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
    known = standing.collaboration.key_check
    same_epoch = envelope.epoch == standing.collaboration.epoch
    if same_epoch and known is not None and not hmac.compare_digest(known, envelope.key_check):
        raise SecretRefused("the room compares audiences with another secret than the one it relays; tell the operator")
    home.save_secret(identifier, Secret(value, envelope.epoch, envelope.sender))
    home.accept_epoch(identifier, envelope.epoch)
    return Accepted(identifier, envelope.epoch, envelope.sender)


def _send(room: Room, signed: SignedEnvelope) -> None:
    """Sends an envelope; one that the room has already, with the same secret inside, is as good."""
    try:
        room.send_envelope(signed)
    except RoomRefused as refused:
        known = room.collaboration(signed.envelope.collaboration).key_check
        if refused.problem.status != HTTPStatus.CONFLICT or known != signed.envelope.key_check:
            raise


def _signed_here(home: Home, standing: Standing) -> Standing:
    if home.agreement(standing.collaboration.id) is None:
        raise SecretRefused(
            f"you have not signed this agreement; run `cleanroom-partner agree {standing.agreement.id}`"
        )
    return standing

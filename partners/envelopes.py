"""The collaboration's secret on its way from the partner that made it to another one.

Rules:
* Sealed with HPKE (RFC 9180, base mode: X25519, HKDF-SHA256, ChaCha20-Poly1305) to one recipient, for one collaboration
  and epoch: the `info` names them all, so a sealed secret opens nowhere else.
* Base mode authenticates nobody. What counts is the sender's Ed25519 signature over the whole envelope, and it is
  checked before anything is opened.
* The room relays envelopes and can open none.
* A wire form: fields may be added only with a new `version`; tests pin the bytes.
"""

import hmac
import re
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from partners import protocol
from partners.keys import Identity, verify
from partners.protocol import KEY_CHECK_BYTES, PROTOCOL_VERSION, SECRET_BYTES, PublicKeys
from partners.transparency.encoding import decode_base64, encode_base64
from policies import canonical
from policies.question import NAME

VERSION = 1
SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)
SEALED_BYTES = 32 + SECRET_BYTES + 16
"""The encapsulated key, the secret, the tag."""
MAX_EPOCH = 2**31 - 1
_KEY_CHECK = re.compile(f"[0-9a-f]{{{2 * KEY_CHECK_BYTES}}}")
_FIELDS = {"version", "collaboration", "epoch", "sender", "recipient", "key_check", "sealed"}


class BadEnvelope(ValueError):
    """JSON that is no envelope; the message is safe to print."""


class EnvelopeRefused(ValueError):
    """An envelope that must not be used; the message says why and is safe to print."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A sealed secret: for which collaboration (its id) and epoch, from whom to whom (partners' names).

    `key_check` is the reference value that every manifest of this epoch must carry; `sealed` has 80 bytes.
    """

    collaboration: str
    epoch: int
    sender: str
    recipient: str
    key_check: str
    sealed: bytes

    def canonical(self) -> bytes:
        """The bytes that the sender signs, under the label `envelope/v1`."""
        return canonical.dumps(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "collaboration": self.collaboration,
            "epoch": self.epoch,
            "sender": self.sender,
            "recipient": self.recipient,
            "key_check": self.key_check,
            "sealed": encode_base64(self.sealed),
        }

    @classmethod
    def from_json(cls, value: Any) -> "Envelope":
        """The inverse of `to_json`. Raises `BadEnvelope`."""
        if not isinstance(value, dict) or value.keys() != _FIELDS or value["version"] != VERSION:
            raise BadEnvelope(f"an envelope of version {VERSION} has exactly: {', '.join(sorted(_FIELDS))}")
        names = [value[field] for field in ("collaboration", "sender", "recipient")]
        if not all(isinstance(name, str) and NAME.fullmatch(name) for name in names):
            raise BadEnvelope("an envelope names its collaboration, sender and recipient")
        if type(value["epoch"]) is not int or not 1 <= value["epoch"] <= MAX_EPOCH:
            raise BadEnvelope("the epoch of an envelope is a whole number from 1")
        if not isinstance(value["key_check"], str) or not _KEY_CHECK.fullmatch(value["key_check"]):
            raise BadEnvelope(f"the key check of an envelope is {2 * KEY_CHECK_BYTES} hex digits")
        sealed = _bytes(value["sealed"], SEALED_BYTES)
        return cls(names[0], value["epoch"], names[1], names[2], value["key_check"], sealed)


@dataclass(frozen=True, slots=True)
class SignedEnvelope:
    """An envelope and its sender's 64-byte signature. Nothing is verified yet."""

    envelope: Envelope
    signature: bytes

    def to_json(self) -> dict[str, Any]:
        return {"envelope": self.envelope.to_json(), "signature": encode_base64(self.signature)}

    @classmethod
    def from_json(cls, value: Any) -> "SignedEnvelope":
        """The inverse of `to_json`. Raises `BadEnvelope`."""
        if not isinstance(value, dict) or value.keys() != {"envelope", "signature"}:
            raise BadEnvelope("a signed envelope has exactly: envelope, signature")
        return cls(Envelope.from_json(value["envelope"]), _bytes(value["signature"], 64))


def seal(
    identity: Identity,
    secret: bytes,
    collaboration: str,
    epoch: int,
    sender: str,
    recipient: str,
    recipient_keys: PublicKeys,
) -> SignedEnvelope:
    """The 32-byte `secret` of a collaboration and epoch, sealed for one recipient and signed by the sender."""
    sealed = SUITE.encrypt(
        secret,
        X25519PublicKey.from_public_bytes(recipient_keys.sealing),
        info=_info(collaboration, sender, recipient, epoch),
    )
    check = protocol.key_check(secret, collaboration, epoch)
    envelope = Envelope(collaboration, epoch, sender, recipient, check, sealed)
    return SignedEnvelope(envelope, identity.sign("envelope/v1", envelope.canonical()))


def open_envelope(identity: Identity, signed: SignedEnvelope, sender_keys: PublicKeys, me: str) -> bytes:
    """The secret of an envelope for partner `me`. Raises `EnvelopeRefused`.

    `sender_keys` are those that the user compared with the sender named in the envelope. The caller compares
    collaboration and epoch with what it expects: an old epoch opens like any other.
    """
    envelope = signed.envelope
    if not verify(sender_keys.signing, "envelope/v1", envelope.canonical(), signed.signature):
        raise EnvelopeRefused("the envelope is not signed with the sender's key; compare the 60 digits again")
    if envelope.recipient != me:
        raise EnvelopeRefused("the envelope is for another partner")
    try:
        secret = SUITE.decrypt(
            envelope.sealed,
            identity.sealing,
            info=_info(envelope.collaboration, envelope.sender, envelope.recipient, envelope.epoch),
        )
    except InvalidTag:
        raise EnvelopeRefused("the envelope is damaged or sealed for another key; ask for a new one") from None
    if len(secret) != SECRET_BYTES:
        raise EnvelopeRefused("the envelope holds something else than a secret; ask for a new one")
    check = protocol.key_check(secret, envelope.collaboration, envelope.epoch)
    if not hmac.compare_digest(check, envelope.key_check):
        raise EnvelopeRefused("the key check of the envelope is that of another secret; ask for a new one")
    return secret


def _info(collaboration: str, sender: str, recipient: str, epoch: int) -> bytes:
    """The context that HPKE binds."""
    fields = ("cleanroom/secret", str(PROTOCOL_VERSION), collaboration, sender, recipient, str(epoch))
    return protocol.length_prefixed(*fields)


def _bytes(value: Any, length: int) -> bytes:
    try:
        data = decode_base64(value)
    except (ValueError, TypeError):
        raise BadEnvelope("a field of the envelope is not base64") from None
    if len(data) != length:
        raise BadEnvelope("a field of the envelope has a wrong length")
    return data

"""What the room has of documents that this partner signed: grants, and manifests with their versions. Pure.

Nothing here is verified but that a manifest has the hash that the room says.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partners import fields
from partners.fields import OddAnswer
from partners.manifest import BadManifest, SignedManifest
from partners.room.answers import Version, version


@dataclass(frozen=True, slots=True)
class SignedGrant:
    """A grant as an owner signed it, in the words of the document; 64 bytes of signature."""

    grant: Mapping[str, Any]
    signature: bytes


def signed_grants(value: object) -> tuple[SignedGrant, ...]:
    """Those of a ledger, in their order. Raises `OddAnswer`."""
    found = fields.items(fields.table(value, "ledger"), "signed_grants")
    listed = [fields.table(each, "signed_grants") for each in found]
    return tuple(SignedGrant(fields.table(each.get("grant"), "grant"), fields.signature(each)) for each in listed)


def signed_version(value: object) -> tuple[Version, SignedManifest]:
    """A version of a list, with its manifest. Raises `OddAnswer`."""
    found = fields.table(value, "version")
    try:
        signed = SignedManifest.from_json({name: found.get(name) for name in ("manifest", "signature")})
    except BadManifest:
        raise OddAnswer("manifest, signature") from None
    if hashlib.sha256(signed.manifest.canonical()).hexdigest() != fields.text(found, "manifest_sha256"):
        raise OddAnswer("manifest_sha256")
    return version(found), signed

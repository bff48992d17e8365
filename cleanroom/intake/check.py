"""Checks an upload against its manifest, and the manifest against the agreement. The parent's side of intake.

Rules: signature first, then whose it is, then the three mistakes that would silently match nobody (protocol, e-mail
profile, secret), each told apart; only then the file: length, hash, and its contents in a child process. A refusal
leaves no columns behind. The service gets a value for every file; exceptions mean that the room itself is broken.
"""

import hashlib
import hmac
import shutil
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from cleanroom.engine.columns import Columns, Damaged, write_meta
from cleanroom.intake import sandbox
from cleanroom.intake.limits import LIMITS, Limits
from cleanroom.intake.rejection import Rejected, Rejection
from cleanroom.intake.translate import meta_of
from partners import manifest as manifests
from partners.audience import schema
from partners.manifest import Manifest, SignedManifest
from partners.words import counted
from policies.agreement import Agreement
from policies.question import AudienceRef


@dataclass(frozen=True, slots=True)
class Expected:
    """What an upload has to fit: the audience it is for, and the collaboration as it stands.

    `signing_keys`: the owner's Ed25519 keys, 32 bytes each. `key_check`: the reference that the maker of the secret
    signed. `day`: today, UTC.
    """

    agreement: Agreement
    audience: AudienceRef
    signing_keys: tuple[bytes, ...]
    epoch: int
    key_check: str
    day: date


@dataclass(frozen=True, slots=True)
class Accepted:
    """An upload that an engine can publish: its columns are in `folder`."""

    rows: int
    folder: Path


def check(
    file: Path, signed: SignedManifest, expected: Expected, rekey_key: bytes, folder: Path, limits: Limits = LIMITS
) -> Accepted | Rejected:
    """Checks an upload whole, and writes its columns into `folder`, which is made anew and gone after a refusal."""
    manifest = signed.manifest
    refused = check_manifest(signed, expected, limits) or _check_bytes(file, manifest)
    if refused:
        return refused
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    accepted = False
    try:
        outcome = _translate(file, manifest, rekey_key, folder, limits)
        accepted = isinstance(outcome, Accepted)
        return outcome
    finally:
        if not accepted:
            shutil.rmtree(folder)


def check_manifest(signed: SignedManifest, expected: Expected, limits: Limits = LIMITS) -> Rejected | None:
    """None when the manifest is the owner's, fits the agreement and promises a file that the room takes."""
    manifest, agreement = signed.manifest, expected.agreement
    if not any(manifests.verify(signed, key) for key in expected.signing_keys):
        return Rejected(Rejection.BAD_SIGNATURE)
    named = (manifest.collaboration, AudienceRef(manifest.partner, manifest.audience))
    if named != (agreement.id, expected.audience):
        return Rejected(Rejection.WRONG_AUDIENCE, f"this is {expected.audience} of {agreement.id}")
    if manifest.protocol != agreement.protocol:
        return Rejected(
            Rejection.WRONG_PROTOCOL, f"the file has protocol {manifest.protocol}, the agreement {agreement.protocol}"
        )
    if manifest.email_profile != agreement.email_profile:
        return Rejected(Rejection.WRONG_PROFILE, f"the agreement says {agreement.email_profile}")
    if manifest.epoch != expected.epoch:
        return Rejected(Rejection.WRONG_EPOCH, f"the file has epoch {manifest.epoch}, the current is {expected.epoch}")
    if not hmac.compare_digest(manifest.key_check, expected.key_check):
        return Rejected(Rejection.WRONG_SECRET)
    # Retention counts from this day, so none may lie ahead; a day more, because the partner's clock may be ahead.
    if date.fromisoformat(manifest.created[:10]) > expected.day + timedelta(days=1):
        return Rejected(Rejection.CREATED_LATER, f"it says {manifest.created}, and today is {expected.day}")
    if manifest.expires is not None and date.fromisoformat(manifest.expires) <= expected.day:
        return Rejected(Rejection.EXPIRED_MANIFEST, f"it expired on {manifest.expires}")
    if manifest.expires is None or date.fromisoformat(manifest.expires) > expected.day + timedelta(
        days=agreement.terms.retention_days + 1
    ):
        days = counted(agreement.terms.retention_days, "day", "days")
        return Rejected(Rejection.RETENTION, f"the agreement keeps a version {days}")
    return _check_columns(manifest, expected) or _check_size(manifest, limits)


def _check_columns(manifest: Manifest, expected: Expected) -> Rejected | None:
    """None when the manifest's columns are exactly the agreement's."""
    agreed = expected.agreement.audience(expected.audience)
    assert agreed is not None, "the room offers uploads for audiences of the agreement only"
    for what, said, right in (
        ("match keys", manifest.keys, agreed.keys),
        ("attributes, with their code-lists,", manifest.attributes, agreed.attributes),
        ("measures, with their bounds,", manifest.measures, agreed.measures),
    ):
        if said != right:
            return Rejected(Rejection.COLUMNS_MISMATCH, f"the {what} are not the agreement's, or in another order")
    return None


def _check_size(manifest: Manifest, limits: Limits) -> Rejected | None:
    for what, said, most in (
        ("bytes", manifest.bytes, limits.file_bytes),
        ("rows", manifest.rows, limits.rows),
        ("columns", len(schema(manifest)), limits.columns),
    ):
        if said > most:
            return Rejected(Rejection.TOO_LARGE, f"this room takes at most {most} {what}")
    return None


def _check_bytes(file: Path, manifest: Manifest) -> Rejected | None:
    """None when the file is, byte for byte, the one that was signed."""
    size = file.stat().st_size
    if size != manifest.bytes:
        return Rejected(Rejection.SIZE_MISMATCH, f"the upload has {size} bytes, the manifest says {manifest.bytes}")
    with file.open("rb") as opened:
        if hashlib.file_digest(opened, "sha256").hexdigest() != manifest.sha256:
            return Rejected(Rejection.HASH_MISMATCH)
    return None


def _translate(file: Path, manifest: Manifest, key: bytes, folder: Path, limits: Limits) -> Accepted | Rejected:
    """Has the child write the columns, then opens them as an engine will."""
    outcome = sandbox.run(file, manifest, key, folder, limits)
    if isinstance(outcome, Rejected):
        return outcome
    meta = meta_of(manifest)
    try:
        Columns(folder, meta).check()
    except Damaged:
        return Rejected(Rejection.HOSTILE_OR_BROKEN_FILE, "its columns were not written whole")
    if outcome != manifest.rows:
        return Rejected(Rejection.ROWS_MISMATCH)
    write_meta(folder, meta)
    return Accepted(outcome, folder)

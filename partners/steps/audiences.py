"""From a customer file to a published version: preparing at home, then handing the audience over.

Rules: preparing needs no network, and uses the agreement and the secret as they were signed and accepted here. Only
one's own signed manifest, under an agreement that every partner signed, is sent. Withdrawals that `prepare` found go
first, so nobody is visible in between. An upload goes on where it stopped, in
this run or a later one; the same audience twice is one version.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from partners import manifest as manifests
from partners.audience import audience_file, manifest_file
from partners.failure import Failure
from partners.home import Home
from partners.lost import listed
from partners.manifest import Manifest, SignedManifest
from partners.mapping import Map
from partners.prepare import NotAgreed, Prepared
from partners.prepare import prepare as prepare_file
from partners.room.answers import Version, VersionState
from partners.room.client import Room
from partners.steps.agreements import parsed, read
from partners.steps.naming import find
from partners.steps.withdrawals import deliver
from policies.agreement import Agreement
from policies.question import AudienceRef

HASHING, UPLOADING, CHECKING = "reading", "uploading", "checked by the room"
Progress = Callable[[str, int, int], None]
"""Told a step (those of `partners.prepare`; `HASHING` and `UPLOADING` in bytes, `CHECKING` in percent), what is done of
it, and the whole of it."""
_PIECE_BYTES = 1024 * 1024


class UploadRefused(Failure):
    """An audience that is not sent, or that the room did not publish."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A published version of an audience, and the rows that it has. `known`: the room had it already.

    `waits`: it is under the secret of a rotation, and nobody sees it before every partner has moved.
    """

    manifest: Manifest
    version: Version
    known: bool
    waits: bool


def prepare(
    home: Home, mapping: Map, out: Path, now: datetime, progress: Progress, collaboration: str | None = None
) -> Prepared:
    """Prepares an audience under an agreement that was signed here, with its newest accepted secret.

    `collaboration` is its id or its name; without it, the one agreement that has the map's audience. Raises
    `NotAgreed`, `reading.BadFile`.
    """
    agreement = _required(home, mapping, collaboration)
    epoch = home.highest_epoch(agreement.id)
    secret = home.secret(agreement.id, epoch)
    if secret is None:
        raise NotAgreed("there is no secret yet; run `cleanroom-partner secret accept`, or `secret make` if nobody did")
    out.mkdir(parents=True, exist_ok=True)
    before = [home.secret(agreement.id, each) for each in range(1, epoch)]
    made = prepare_file(
        mapping,
        agreement,
        epoch,
        secret.value,
        home.identity(),
        out,
        former=[each.signing for each in home.former()],
        former_secrets={each.epoch: each.value for each in before if each},
        now=now,
        progress=progress,
    )
    return replace(made, suppressed=listed(made.audience_path, home.suppressions(agreement.id), made.manifest.manifest))


def with_lists(home: Home, mapping: Map, collaboration: str | None = None) -> Map:
    """The map with the code-lists of the agreement that was signed here, where one has its audience.

    Raises `NotAgreed` where several have, or where `collaboration` is named and has not.
    """
    found = _required if collaboration else _agreed
    agreement = found(home, mapping, collaboration)
    agreed = agreement.audience(AudienceRef(mapping.name, mapping.audience)) if agreement else None
    signed = {each.name: each.values for each in agreed.attributes} if agreed else {}
    return replace(
        mapping,
        attributes=tuple(replace(each, values=signed.get(each.name, each.values)) for each in mapping.attributes),
    )


def upload(home: Home, room: Room, path: Path, progress: Progress) -> Uploaded:
    """Uploads what `prepare` wrote, by the path of either file of it, and waits until the room has published it."""
    signed, file = prepared_files(path)
    manifest, me = signed.manifest, home.room().partner
    if manifest.partner != me or not manifests.verify(signed, home.identity().public.signing):
        raise UploadRefused("this audience was not prepared with your keys; run `prepare` again")
    standing = read(home, room, manifest.collaboration)
    if standing.missing:
        raise UploadRefused(f"not every partner has signed: wait for {', '.join(standing.missing)}")
    deliver(home, room, manifest.collaboration, file.parent, manifest.audience)
    sha256 = hashlib.sha256(manifest.canonical()).hexdigest()
    version = room.version_of(manifest.collaboration, manifest.audience, sha256)
    known = version is not None and version.state is not VersionState.REFUSED
    if version is None or not known:
        version = _send(home, room, signed, file, progress)
    version = room.settled_version(
        manifest.collaboration, manifest.audience, version.id, lambda percent: progress(CHECKING, percent, 100)
    )
    if version.state is VersionState.RETIRED:
        raise UploadRefused("the room had this very file, and has retired it; run `prepare` again, then upload")
    if version.state is VersionState.REFUSED:
        why = version.problem.detail if version.problem else "it gave no reason; run `prepare` again, then upload"
        raise UploadRefused(f"the room refused the audience: {why.rstrip('.')}")
    return Uploaded(manifest, version, known, manifest.epoch > find(room, manifest.collaboration).epoch)


def _required(home: Home, mapping: Map, text: str | None) -> Agreement:
    """The one agreement that the map is prepared for. Raises `NotAgreed`."""
    found = _agreed(home, mapping, text)
    if found is None:
        ref = AudienceRef(mapping.name, mapping.audience)
        raise NotAgreed(f"no agreement that you signed has the audience {ref}; run `agree` first, or change the map")
    return found


def _agreed(home: Home, mapping: Map, text: str | None) -> Agreement | None:
    documents = (home.agreement(identifier) for identifier in home.collaborations())
    signed = [parsed(document) for document in documents if document is not None]
    ref = AudienceRef(mapping.name, mapping.audience)
    fitting = [
        agreement for agreement in signed if agreement.audience(ref) and text in (None, agreement.id, agreement.name)
    ]
    if len(fitting) > 1:  # what is over does not stand in the way
        fitting = [agreement for agreement in fitting if agreement.id in home.running()]
    if len(fitting) > 1:  # one without a secret may be open all the same: only the room knows, and it is not asked here
        ids = ", ".join(agreement.id for agreement in fitting)
        raise NotAgreed(
            f"several agreements have the audience {ref}; give the id of one with --collab: {ids};"
            " `cleanroom-partner status` says which are open"
        )
    return fitting[0] if fitting else None


def prepared_files(path: Path) -> tuple[SignedManifest, Path]:
    """The manifest and the audience file that belong together, from the path of either."""
    folder, audience, kind = path.parent, *path.name.partition(".")[::2]
    if kind not in ("manifest.json", "audience.parquet"):
        raise UploadRefused("give the .manifest.json or the .audience.parquet that `prepare` wrote")
    if not path.is_file():
        raise UploadRefused(f"there is no {path.name} at this path; give the one that `prepare` printed")
    manifest, file = manifest_file(folder, audience), audience_file(folder, audience)
    for each in (manifest, file):
        if not each.is_file():
            raise UploadRefused(f"{each.name} is missing beside it; run `prepare` again")
    return manifests.read_manifest(manifest), file


def _send(home: Home, room: Room, signed: SignedManifest, file: Path, progress: Progress) -> Version:
    manifest = signed.manifest
    if file.stat().st_size != manifest.bytes or _sha256(file, progress) != manifest.sha256:
        raise UploadRefused(f"{file.name} is not the file that its manifest describes; run `prepare` again")
    upload = home.pending_upload(manifest.collaboration, manifest.sha256)
    if upload is None or room.uploaded(upload, manifest.bytes) is None:
        upload = room.begin_upload(manifest.bytes)
        home.save_upload(manifest.collaboration, manifest.sha256, upload)
    room.upload(upload, file, lambda done, whole: progress(UPLOADING, done, whole))
    version = room.create_version(signed, upload)
    home.forget_upload(manifest.collaboration, manifest.sha256)
    return version


def _sha256(file: Path, progress: Progress) -> str:
    digest, done, whole = hashlib.sha256(), 0, file.stat().st_size
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            digest.update(piece)
            done += len(piece)
            progress(HASHING, done, whole)
    return digest.hexdigest()

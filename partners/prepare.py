"""Customer file -> audience file, signed manifest and quality report, on the partner's own machine.

Rules:
* The map is held to the signed agreement before anything is read: same keys, attributes, code-lists and bounds.
* Memory is bounded, whatever the size of the file (see `partners.gathering`).
* The three files appear together, the manifest last. After any error or Ctrl-C none is there.
* Who stood in the folder's earlier audience file and has no consent any more becomes a withdrawal that travels with the
  upload (see `partners.lost`). It is written before the earlier file is replaced: nothing on the way can lose it.
* A file of hashes, of unreadable consent, or without a single usable row is refused as a whole: each means a wrong
  column or setting, and would give a silent overlap of zero.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import MappingProxyType

from partners import audience, files, lost, manifest, protocol
from partners.audience import ROW_GROUP_ROWS
from partners.counting import Counts, summarise
from partners.gathering import Gathered, ahead, gathered, row_groups
from partners.identifiers import EmailProfile, Invalid, phone_metadata_version
from partners.keys import Identity
from partners.manifest import Manifest, SignedManifest
from partners.mapping import Map
from partners.quality import Drop, Flaw, Quality
from partners.reading import BadFile
from partners.records import unpack
from partners.rows import OTHERWISE, KeyPlan, Plan
from policies import canonical
from policies.agreement import Agreement, Audience
from policies.question import AudienceRef

Progress = Callable[[str, int, int], None]
"""Called with a step (`READING`, `COMPARING` in bytes, `WRITING` in rows), what is done of it and the whole of it."""

READING, WRITING, COMPARING = "reading", "writing", "who lost consent"


class NotAgreed(ValueError):
    """A map, key or epoch that does not fit the signed agreement; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` has written, and what it says.

    `withdrawals`: tokens that wait to be withdrawn with the upload. `suppressed`: rows that stand on the owner's
    withdrawal list.
    """

    manifest: SignedManifest
    audience_path: Path
    manifest_path: Path
    quality_path: Path
    quality: Quality
    withdrawals: int = 0
    suppressed: int = 0


def prepare(
    mapping: Map,
    agreement: Agreement,
    epoch: int,
    secret: bytes,
    identity: Identity,
    out_dir: Path,
    *,
    former: Collection[bytes] = (),
    former_secrets: Mapping[int, bytes] = MappingProxyType({}),
    now: datetime,
    previous: str | None = None,
    progress: Progress = lambda step, done, total: None,
) -> Prepared:
    """Prepare one version of one audience in the existing folder `out_dir`.

    `secret` is the collaboration's of this epoch, `former_secrets` those of epochs before; `former` are the owner's
    signing keys that were rotated away, `previous` the id of the version that this one follows, `now` an aware time, by
    whose UTC day consent is judged. Raises `NotAgreed`, `BadFile`, and OSError while writing.
    """
    now = now.astimezone(UTC)
    agreed = _agreed(mapping, agreement, {identity.public.signing, *former})
    draft = Manifest(
        collaboration=agreement.id,
        partner=mapping.name,
        audience=mapping.audience,
        epoch=epoch,
        previous=previous,
        sha256="",
        bytes=0,
        rows=0,
        keys=agreed.keys,
        attributes=agreed.attributes,
        measures=agreed.measures,
        expires_column=mapping.consent.expires is not None,
        protocol=protocol.PROTOCOL_VERSION,
        email_profile=agreement.email_profile,
        key_check=protocol.key_check(secret, agreement.id, epoch),
        phone_metadata=phone_metadata_version(),
        created=now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        expires=(now.date() + timedelta(days=agreement.terms.retention_days)).isoformat(),
    )
    plan = _plan(mapping, draft, secret, now)
    with gathered(mapping, plan, out_dir, partial(progress, READING)) as found:
        quality = summarise(found.counts, found.rows, draft, mapping.consent)
        _refuse_wrong_columns(mapping, quality, found.counts)
        if not quality.rows_kept:
            reasons = ", ".join(f"{tally.count} {tally.code}" for tally in quality.dropped if tally.count)
            raise BadFile(f"{mapping.file.name}: none of its {quality.rows_read} rows can be used: {reasons}")
        names = audience.audience_file, audience.quality_file, audience.manifest_file
        paths = tuple(name(out_dir, draft.audience) for name in names)
        earlier = lost.standing(out_dir, draft, {**former_secrets, epoch: secret})
        waiting = lost.waiting(out_dir, draft, plan)
        with files.replacing(*paths, private=True) as (audience_path, quality_path, manifest_path):
            _write(found, plan, draft, audience_path, partial(progress, WRITING))
            signed = _signed(audience_path, replace(draft, rows=found.rows), identity)
            quality_path.write_bytes(json.dumps(quality.to_json(), indent=2).encode() + b"\n")
            manifest_path.write_bytes(canonical.dumps(signed.to_json()) + b"\n")
            withdrawals = 0
            dropped = {Drop(tally.code): tally.count for tally in quality.dropped}
            if waiting or (earlier and dropped[Drop.NO_CONSENT] + dropped[Drop.EXPIRED]):
                told = partial(progress, COMPARING)
                gone = lost.lost(mapping, plan, earlier, audience_path, waiting, told)
                withdrawals = lost.keep(out_dir, draft, identity, gone, now)
    return Prepared(signed, paths[0], paths[2], paths[1], quality, withdrawals)


def _agreed(mapping: Map, agreement: Agreement, own: Collection[bytes]) -> Audience:
    """What the agreement says about the map's audience. Raises `NotAgreed` where the map or the keys differ from it."""
    ref = AudienceRef(mapping.name, mapping.audience)
    party, agreed = agreement.party(mapping.name), agreement.audience(ref)
    if agreement.protocol != protocol.PROTOCOL_VERSION:
        raise NotAgreed(
            f"the agreement is of protocol {agreement.protocol}, this program of {protocol.PROTOCOL_VERSION}"
        )
    if party is None or agreed is None:
        raise NotAgreed(f"the agreement has no audience {ref}; correct `name` or `audience` in the map")
    if party.signing_key not in own:
        raise NotAgreed(f"the agreement names other keys for {party.name} than those in this home")
    _same_names("match key", (item.key for item in mapping.keys), agreed.keys)
    _same_names("attribute", (item.name for item in mapping.attributes), (item.name for item in agreed.attributes))
    _same_names("measure", (item.measure.name for item in mapping.measures), (item.name for item in agreed.measures))
    for attribute in mapping.attributes:
        signed = agreed.attribute(attribute.name)
        if signed and attribute.values is not None and set(attribute.values) != set(signed.values):
            raise NotAgreed(f"attribute {attribute.name}: the code-list of the map is not the signed one; take it out")
    for item in mapping.measures:
        if item.measure != agreed.measure(item.measure.name):
            raise NotAgreed(f"measure {item.measure.name}: bounds or decimals of the map are not the signed ones")
    return agreed


def _same_names(kind: str, mapped: Iterable[str], agreed: Iterable[str]) -> None:
    ours, theirs = set(mapped), set(agreed)
    if missing := sorted(theirs - ours):
        raise NotAgreed(f"the map lacks the {kind} {missing[0]} that the agreement has; name its column")
    if unknown := sorted(ours - theirs):
        raise NotAgreed(f"the map has a {kind} {unknown[0]} that the agreement has not; take it out")


def _plan(mapping: Map, draft: Manifest, secret: bytes, now: datetime) -> Plan:
    key_columns = {item.key: item.columns for item in mapping.keys}
    attribute_columns = {item.name: item.column for item in mapping.attributes}
    measure_columns = {item.measure.name: item.column for item in mapping.measures}
    return Plan(
        keys=tuple(
            KeyPlan(key, key_columns[key], protocol.token_key(secret, draft.collaboration, draft.epoch, key))
            for key in draft.keys
        ),
        attributes=tuple((item, attribute_columns[item.name]) for item in draft.attributes),
        measures=tuple((item, measure_columns[item.name]) for item in draft.measures),
        consent=mapping.consent,
        rules=mapping.rules(EmailProfile(draft.email_profile)),
        decimal=mapping.decimal,
        today=now.date(),
        schema=audience.schema(draft),
    )


_DECIMALS = {".": "point", ",": "comma"}


def _refuse_wrong_columns(mapping: Map, quality: Quality, counts: Counts) -> None:
    """Raises `BadFile` where most of a column is what no partner means to upload."""
    columns = {item.key: ", ".join(item.columns) for item in mapping.keys}
    for key in quality.keys:
        hashed = sum(tally.count for tally in key.invalid if tally.code == Invalid.LOOKS_HASHED.value)
        if 2 * hashed > key.filled:
            raise BadFile(
                f"{mapping.file.name}: column {columns[key.key]} holds hashes instead of {key.key}; "
                "give the raw column: prepare hashes it here, and nothing else leaves this machine"
            )
        spoilt = sum(tally.count for tally in key.invalid if tally.code == Invalid.SPREADSHEET_NUMBER.value)
        if 2 * spoilt > key.filled:
            raise BadFile(
                f"{mapping.file.name}: column {columns[key.key]} went through a spreadsheet or a table of floating-"
                "point numbers, which made quantities such as 1.23457E+12 or 123456.0 of it; export it again, as text"
            )
    measures = {measured.name: measured for measured in quality.measures}
    for item in mapping.measures:
        measured = measures[item.measure.name]
        missing, strange = (measured.count(flaw) for flaw in (Flaw.MISSING, Flaw.NOT_A_NUMBER))
        if 2 * strange > quality.rows_read - missing:
            other = "," if mapping.decimal == "." else "."
            if 2 * counts.count(OTHERWISE, item.measure.name) > strange:
                hint = f'if it is a {_DECIMALS[other]}, write decimal = "{other}" in the map'
            else:
                hint = "take out what is no number, such as currency signs, units or text"
            raise BadFile(
                f"{mapping.file.name}: most values of column {item.column} are no numbers with a decimal "
                f"{_DECIMALS[mapping.decimal]}; {hint}"
            )
    for column in quality.consent:
        missing, unreadable = (column.count(flaw) for flaw in (Flaw.MISSING, Flaw.UNREADABLE))
        if 2 * unreadable > quality.rows_read - missing:
            wanted = "true/false, 1/0 or yes/no"
            if column.name == mapping.consent.expires:
                wanted = f"dates such as 2026-12-31, or in the order {mapping.date_order.value} (`date_order`)"
            raise BadFile(f"{mapping.file.name}: most values of the consent column {column.name} are not {wanted}")


def _write(found: Gathered, plan: Plan, draft: Manifest, path: Path, progress: Callable[[int, int], None]) -> None:
    done = 0
    with audience.writer(path, draft) as writer:
        for rows in ahead(partial(unpack, plan=plan), row_groups(found.shuffled(), ROW_GROUP_ROWS)):
            writer.write_batch(rows)
            done += rows.num_rows
            progress(done, found.rows)


def _signed(path: Path, draft: Manifest, identity: Identity) -> SignedManifest:
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return manifest.sign(identity, replace(draft, sha256=sha256, bytes=path.stat().st_size))

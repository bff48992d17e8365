"""What the room has about this partner, as files in a new folder; every receipt is verified.

    ledger.json, checkpoint                          the budget; the log's newest signed checkpoint
    grants.json                                      every grant, as it was signed
    keys.json                                        its keys, ended ones too, and each change of them, as it was signed
    replacements.json                                lost keys of its own and of others: who consented, as signed
    collaborations/ID/collaboration.json             state, epoch, who signed, who left
    collaborations/ID/agreement-HASH.json            the agreement in force, and each that a report was made under
    collaborations/ID/versions/ID.json               versions of its audiences: state, signed manifest, receipt
    collaborations/ID/reports/ID.json                every report, with its figures and its receipt
    collaborations/ID/withdrawals/NUMBER.json        every batch that was sent from here, and its acknowledgement

A colleague's key that is no owner's gets what it may read: no versions, no replacements. Withdrawals that another
machine of this partner sent are in that machine's folder only: the room has their tokens, re-keyed.

Rules: the folder appears whole or not at all, for its owner only (0700, files 0600). Identifiers of withdrawn people
stay in the partner's folder and are no part of it.
"""

import json
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from partners import files
from partners.failure import Failure
from partners.home import Home
from partners.key_change import Role
from partners.room.answers import Asked, OwnKeys
from partners.room.client import Room
from partners.room.collaborations import Collaboration
from partners.transparency.encoding import encode_base64
from policies.agreement import from_json


class CannotExport(Failure):
    """A folder that is there already."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    collaborations: int
    agreements: int
    reports: int
    batches: int
    versions: int


def export(home: Home, room: Room, out: Path) -> Exported:
    """Writes the new folder `out`. Raises `CannotExport` where it exists."""
    if out.exists():
        raise CannotExport(f"{out.name} exists already; name a new folder")
    hidden = out.with_name(f".{out.name}.{secrets.token_hex(8)}")
    hidden.mkdir(mode=0o700, parents=True)
    try:
        _write(hidden / "ledger.json", asdict(room.ledger()))
        grants = [{"grant": each.grant, "signature": encode_base64(each.signature)} for each in room.signed_grants()]
        _write(hidden / "grants.json", {"grants": grants})
        own = room.own_keys()
        _write(hidden / "keys.json", _keys(own))
        if own.role is Role.OWNER:
            _write(hidden / "replacements.json", {"replacements": [_replacement(each) for each in room.replacements()]})
        counts = [_collaboration(home, room, each, own, hidden) for each in room.collaborations()]
        room.log.refresh()
        files.write(hidden / "checkpoint", home.checkpoint.read_bytes(), private=True)
        hidden.rename(out)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Exported(len(counts), *(sum(each[place] for each in counts) for place in range(4)))


def _collaboration(home: Home, room: Room, found: Collaboration, own: OwnKeys, into: Path) -> tuple[int, int, int, int]:
    """Writes one collaboration; how many agreements, reports, batches and versions."""
    folder = into / "collaborations" / found.id
    for each in (folder.parent, folder, folder / "versions", folder / "reports", folder / "withdrawals"):
        each.mkdir(mode=0o700, exist_ok=True)
    told = {
        "id": found.id,
        "name": found.name,
        "state": found.state.value,
        "epoch": found.epoch,
        "agreement_sha256": found.agreement_sha256,
        "signatures": {name: encode_base64(signature) for name, signature in found.signatures},
        "tightened": [
            {"tightening": each.to_json(), "signature": encode_base64(signature)} for each, signature in found.tightened
        ],
        "left": list(found.left),
    }
    _write(folder / "collaboration.json", told)
    agreements = {found.agreement_sha256}
    summaries = room.reports(found.id)
    for summary in summaries:
        document = room.report(str(summary.id)).document
        agreements |= {json.loads(document).get("agreement_sha256") or found.agreement_sha256}
        files.write(folder / "reports" / f"{summary.id}.json", document.encode(), private=True)
    audiences: set[str] = set()
    for sha256 in agreements:
        written = room.older_agreement(found.id, sha256)
        files.write(folder / f"agreement-{sha256}.json", written, private=True)
        agreed = from_json(json.loads(written)).audiences
        audiences |= {each.ref.name for each in agreed if each.ref.owner == own.partner}
    versions = 0
    for audience in sorted(audiences) if own.role is Role.OWNER else ():
        for version, signed in room.versions(found.id, audience):
            receipt = None if version.receipt is None else version.receipt.to_json()
            body = {"id": version.id, "state": version.state.value, **signed.to_json(), "receipt": receipt}
            _write(folder / "versions" / f"{version.id}.json", body)
            versions += 1
    kept = list(home.suppressions(found.id))
    for number, batch in enumerate(kept, start=1):
        note = batch.acknowledgement
        sent = {**batch.signed.to_json(), "acknowledgement": None if note is None else note.decode()}
        _write(folder / "withdrawals" / f"{number:06d}.json", sent)
    return len(agreements), len(summaries), len(kept), versions


def _keys(own: OwnKeys) -> dict[str, Any]:
    listed = [
        {
            "id": each.id,
            "role": each.role.value,
            "signing_key": encode_base64(each.signing),
            "sealing_key": None if each.sealing is None else encode_base64(each.sealing),
            "counts": each.counts,
            "ends": each.ends,
        }
        for each in own.keys
    ]
    return {"partner": own.partner, "keys": listed, "changes": [each.to_json() for each in own.changes]}


def _replacement(asked: Asked) -> dict[str, Any]:
    return {
        "replacement": asked.replacement.to_json(),
        "consents": {name: encode_base64(signature) for name, signature in asked.consents},
        "waiting": list(asked.missing),
        "made": asked.made,
    }


def _write(path: Path, value: Mapping[str, Any]) -> None:
    files.write(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n", private=True)

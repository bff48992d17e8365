"""Everything that the room has about this partner, as files in a new folder, each verified as far as it can be.

    ledger.json, checkpoint                          the budget; the log's newest signed checkpoint
    collaborations/ID/collaboration.json             state, epoch, who signed, who left
    collaborations/ID/agreement-HASH.json            the agreement in force, and each that a report was made under
    collaborations/ID/reports/ID.json                every report, with its figures and its receipt
    collaborations/ID/withdrawals/NUMBER.json        every batch that was sent from here, and its acknowledgement

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
from partners.room.client import Room
from partners.room.collaborations import Collaboration
from partners.transparency.encoding import encode_base64


class CannotExport(Failure):
    """A folder that is there already."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    collaborations: int
    agreements: int
    reports: int
    batches: int


def export(home: Home, room: Room, out: Path) -> Exported:
    """Writes the new folder `out`. Raises `CannotExport` where it exists."""
    if out.exists():
        raise CannotExport(f"{out.name} exists already; name a new folder")
    hidden = out.with_name(f".{out.name}.{secrets.token_hex(8)}")
    hidden.mkdir(mode=0o700, parents=True)
    try:
        _write(hidden / "ledger.json", asdict(room.ledger()))
        counts = [_collaboration(home, room, each, hidden) for each in room.collaborations()]
        room.log.refresh()
        files.write(hidden / "checkpoint", home.checkpoint.read_bytes(), private=True)
        hidden.rename(out)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return Exported(len(counts), *(sum(each[place] for each in counts) for place in range(3)))


def _collaboration(home: Home, room: Room, found: Collaboration, into: Path) -> tuple[int, int, int]:
    """Writes one collaboration; how many agreements, reports and batches."""
    folder = into / "collaborations" / found.id
    for each in (folder.parent, folder, folder / "reports", folder / "withdrawals"):
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
    for sha256 in agreements:
        written = room.older_agreement(found.id, sha256)
        files.write(folder / f"agreement-{sha256}.json", written, private=True)
    kept = list(home.suppressions(found.id))
    for number, batch in enumerate(kept, start=1):
        note = batch.acknowledgement
        body = {**batch.signed.to_json(), "acknowledgement": None if note is None else note.decode()}
        _write(folder / "withdrawals" / f"{number:06d}.json", body)
    return len(agreements), len(summaries), len(kept)


def _write(path: Path, value: Mapping[str, Any]) -> None:
    files.write(path, json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n", private=True)

"""What a rehearsal found: the JSON that `--json` writes (`docs/rehearsal.md`), and the same for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from partners.quality import Quality
from partners.reports import Report
from partners.room.answers import Ledger
from partners.transparency.encoding import encode_base64


@dataclass(frozen=True, slots=True)
class Audit:
    """The log at the end: its size in leaves, its root, its key, and whether its export verified offline."""

    size: int
    root: bytes
    vkey: str
    verified: bool


@dataclass(frozen=True, slots=True)
class Results:
    """Everything that a rehearsal gives. `seconds` per step; `receipts` is how many were verified offline."""

    collaboration: str
    qualities: tuple[Quality, ...]
    reports: tuple[Report, ...]
    ledgers: tuple[Ledger, ...]
    seconds: Mapping[str, float]
    audit: Audit
    receipts: int

    def to_json(self) -> dict[str, Any]:
        """The JSON value; its schema is a test's, `tests/rehearsal/results.schema.json`."""
        return {
            "collaboration": self.collaboration,
            "partners": [quality.to_json() for quality in self.qualities],
            "reports": [_report(report) for report in self.reports],
            "seconds": {step: round(seconds, 3) for step, seconds in self.seconds.items()},
            "audit": {
                "size": self.audit.size,
                "root": encode_base64(self.audit.root),
                "vkey": self.audit.vkey,
                "verified": self.audit.verified,
            },
        }


def _report(report: Report) -> dict[str, Any]:
    """The report as the room answered it."""
    document: dict[str, Any] = json.loads(report.document)
    return document

"""Which days a version's manifest names for its retention, and whether they are over by `policies.retention`.

Rules: the gate holds to it at once, whatever the worker is doing; the worker removes the files.
"""

import json
from datetime import date
from functools import lru_cache

from cleanroom.catalog.versions import Version
from partners.manifest import Manifest
from policies import retention
from policies.agreement import Agreement


def ended(version: Version, agreement: Agreement, today: date) -> bool:
    """Whether a version of an audience of this agreement may not be asked about any more, today in UTC."""
    return retention.ended(*days(version.manifest), agreement.terms.retention_days, today)


@lru_cache(maxsize=1024)  # asked for each audience at every question
def days(manifest: bytes) -> tuple[date, date | None]:
    """The day that a version was prepared on, and the one from which its manifest says that it is over."""
    found = Manifest.from_json(json.loads(manifest))
    return date.fromisoformat(found.created[:10]), date.fromisoformat(found.expires) if found.expires else None

"""When a version has been kept for as long as was agreed.

Rules: the terms in force now count, which may be shorter than those it was prepared under; so does the day that its
manifest names. The gate holds to it at once, whatever the worker is doing; the worker removes the files.
"""

import json
from datetime import date, timedelta
from functools import lru_cache

from cleanroom.catalog.versions import Version
from partners.manifest import Manifest
from policies.agreement import Agreement


def ended(version: Version, agreement: Agreement, today: date) -> bool:
    """Whether a version of an audience of this agreement may not be asked about any more, today in UTC."""
    prepared, expires = _days(version.manifest)
    ends = prepared + timedelta(days=agreement.terms.retention_days)
    return today >= (ends if expires is None else min(ends, expires))


@lru_cache(maxsize=1024)  # asked for each audience at every question
def _days(manifest: bytes) -> tuple[date, date | None]:
    """The day that a version was prepared on, and the one from which its manifest says that it is over."""
    found = Manifest.from_json(json.loads(manifest))
    return date.fromisoformat(found.created[:10]), date.fromisoformat(found.expires) if found.expires else None

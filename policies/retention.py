"""When a version has been kept for as long as was agreed.

Rules: the terms in force count, which may be shorter than those that the version was prepared under; so does the day
that its manifest names. From that day on nothing is asked of it, whatever became of its files.
"""

from datetime import date, timedelta


def ended(prepared: date, expires: date | None, retention_days: int, day: date) -> bool:
    """Whether a version may not be asked about on a day. `day` in UTC; `expires` None: its manifest names no day."""
    ends = prepared + timedelta(days=retention_days)
    return day >= (ends if expires is None else min(ends, expires))

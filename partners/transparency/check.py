"""The outcome of one named check, shared by everything that verifies: receipts and whole exports of the log."""

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """`SKIPPED` means that an earlier check failed and left nothing to check; it counts as not passed."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, its outcome, and one line that says what was found or is wrong."""

    name: str
    outcome: Outcome
    detail: str

    @property
    def passed(self) -> bool:
        return self.outcome is Outcome.PASSED

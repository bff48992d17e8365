"""A decision of the gate is a value: `Release`, `Refuse`; within a release a figure is shown or withheld.

Rules: a refusal comes from public facts only (agreement, purpose, roles, budget), never from data. Withheld figures
have one code and one shape, whatever the cause. Reason codes are stable: reports, the log and the docs use them.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from typing import Any

from policies.cells import Value


class Reason(Enum):
    """Why a question was refused. The value is the code; `RULES` says what it means and what would pass."""

    NOT_OPEN = "agreement_not_open"
    CLOSED = "collaboration_closed"
    LEFT = "partner_left"
    KIND = "kind_not_agreed"
    PURPOSE = "purpose_not_agreed"
    AUDIENCE = "audience_not_agreed"
    COLUMN = "column_not_agreed"
    OWN_MEASURE = "own_measure"
    UNMATCHED_SUM = "sum_without_match"
    NO_COMMON_KEY = "no_common_key"
    TOO_MANY_CELLS = "too_many_cells"
    NOT_PUBLISHED = "audience_not_published"
    HALF_ROTATED = "half_rotated"
    BUDGET = "budget_spent"


RULES: dict[Reason, str] = {
    Reason.NOT_OPEN: "The agreement is open once every partner has signed it. Sign it, or wait for the others.",
    Reason.CLOSED: "The collaboration is closed. Its reports can still be read; for new ones, sign a new agreement.",
    Reason.LEFT: "A partner who has left neither asks nor is asked about. Ask about audiences of those who stay.",
    Reason.KIND: "This kind of report is not in everybody's terms. Ask for a kind that the agreement lists.",
    Reason.PURPOSE: "This purpose is not in everybody's terms. Ask with a purpose that the agreement lists.",
    Reason.AUDIENCE: "The question names an audience that is not in the agreement. Ask about audiences that it lists.",
    Reason.COLUMN: "The question names a column, or a value of one, that is not in everybody's terms. Ask about"
    " columns and values that the agreement lists.",
    Reason.OWN_MEASURE: "A requester cannot sum a measure that it supplied itself: chosen amounts spell out who is in."
    " Let another partner ask.",
    Reason.UNMATCHED_SUM: "In threshold mode a sum over another audience's measure needs `where` to demand the match:"
    " people without the amount would hide how few have one. Add the match to `where`.",
    Reason.NO_COMMON_KEY: "Two audiences of the question have no match key in common, so nobody could be matched."
    " Ask about audiences that share one.",
    Reason.TOO_MANY_CELLS: "The table would have too many cells. Ask by fewer attributes.",
    Reason.NOT_PUBLISHED: "An audience of the question has no published version yet. Upload it, or wait for its owner.",
    Reason.HALF_ROTATED: "An audience of the question exists under the new secret only, and others under the old one."
    " Wait for those who are missing to upload under the new one, or for the deadline.",
    Reason.BUDGET: "The report would cost an owner more than what is left of its budget. Where the agreement's part is"
    " spent, an amendment gives more; where its allowance over all agreements is spent, the owner can grant more.",
}


@dataclass(frozen=True, slots=True)
class Refuse:
    """The answer to a question that the rules do not admit. `about` is what it concerns: a partner or a column."""

    reason: Reason
    about: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a release. `value` in people, or in the measure's own unit; None when withheld, as is `margin95`.

    `at_least`: the total leaves out what was withheld, so the true figure may be larger (threshold mode).
    """

    by: tuple[tuple[str, Value], ...]
    measure: str
    value: Decimal | None
    margin95: Decimal | None
    at_least: bool = False

    @property
    def withheld(self) -> bool:
        return self.value is None


@dataclass(frozen=True, slots=True)
class Release:
    """What left the room for one question: its cells and every total over them."""

    figures: tuple[Figure, ...]


def to_json(release: Release) -> list[Any]:
    """A release as it is stored and committed to: decimals as text, so that nothing is lost."""
    return [
        [
            [list(pair) for pair in figure.by],
            figure.measure,
            None if figure.value is None else str(figure.value),
            None if figure.margin95 is None else str(figure.margin95),
            figure.at_least,
        ]
        for figure in release.figures
    ]


def from_json(stored: list[Any]) -> Release:
    """The inverse of `to_json`."""
    return Release(
        tuple(
            Figure(tuple((name, value) for name, value in by), measure, _decimal(value), _decimal(margin), at_least)
            for by, measure, value, margin, at_least in stored
        )
    )


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

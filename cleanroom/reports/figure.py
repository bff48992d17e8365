"""A figure of a report, and its JSON form (`docs/reports.md`)."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policies.decision import Figure
from policies.question import AudienceRef, Where, where_to_json


@dataclass(frozen=True, slots=True)
class ReportFigure:
    """A released figure with what it is about: whom it counts, and where."""

    counted: AudienceRef
    where: Where | None
    figure: Figure

    def to_json(self) -> dict[str, Any]:
        """The JSON form. Numbers are written as integers where they are whole."""
        figure = self.figure
        return {
            "counted": str(self.counted),
            "where": where_to_json(self.where),
            "by": dict(figure.by),
            "measure": figure.measure,
            "value": number(figure.value),
            "margin95": number(figure.margin95),
            "withheld": figure.withheld,
            "at_least": figure.at_least,
        }


def number(value: Decimal | None) -> int | float | None:
    """A decimal as a JSON number: this is the only place where a figure becomes a float."""
    if value is None:
        return None
    return int(value) if value == value.to_integral_value() else float(value)

"""A report as it came from the room or from a rehearsal: frozen values, read strictly. Pure.

A figure is `{"counted", "where", "by", "measure", "value", "margin95", "withheld", "at_least"}`. A rehearsal's report
has neither an id nor a collaboration.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from partners import fields
from partners.fields import OddAnswer
from partners.receipts import Receipt, ReceiptError
from policies.cells import Value
from policies.question import AudienceRef, BadQuestion, Where, where_from_json
from policies.terms import Kind, Mode


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. `measure` is `people`, `match_rate` (in percent), `sum:<column>` or `mean:<column>`.

    `value` and `margin95` are None where the figure is withheld. `at_least`: the true figure may be larger.
    """

    counted: AudienceRef
    where: Where | None
    by: tuple[tuple[str, Value], ...]
    measure: str
    value: Decimal | None
    margin95: Decimal | None
    at_least: bool

    @property
    def withheld(self) -> bool:
        return self.value is None


@dataclass(frozen=True, slots=True)
class Report:
    """A report. `cost` in ε per owner; `reason` is the code of a refusal; `document` is its JSON text as received."""

    id: str | None
    collaboration: str | None
    kind: Kind
    asked_by: str
    mode: Mode
    date: str
    released: bool
    reason: str | None
    explanation: str | None
    figures: tuple[Figure, ...]
    cost: tuple[tuple[str, Decimal], ...]
    free: bool
    receipt: Receipt | None
    document: str


def read_report(value: object) -> Report:
    """The report of its JSON value; a summary without figures has none. Raises `OddAnswer`."""
    found = fields.table(value, "report")
    try:
        kind, mode = Kind(fields.text(found, "kind")), Mode(fields.text(found, "mode"))
    except ValueError:
        raise OddAnswer("kind, mode") from None
    status = fields.text(found, "status")
    if status not in ("released", "refused"):
        raise OddAnswer("status")
    return Report(
        id=fields.optional_text(found, "id"),
        collaboration=fields.optional_text(found, "collaboration"),
        kind=kind,
        asked_by=fields.identifier(found, "asked_by"),
        mode=mode,
        date=fields.text(found, "date"),
        released=status == "released",
        reason=fields.optional_text(found, "reason"),
        explanation=fields.optional_text(found, "explanation"),
        figures=tuple(_figure(item) for item in fields.items({"figures": [], **found}, "figures")),
        cost=tuple((owner, _number(micro, "cost")) for owner, micro in fields.table(found.get("cost"), "cost").items()),
        free=fields.boolean({"free": False, **found}, "free"),
        receipt=_receipt(found.get("receipt")),
        document=json.dumps(value, ensure_ascii=False, indent=2) + "\n",
    )


def _figure(value: object) -> Figure:
    found = fields.table(value, "figures")
    try:
        counted = AudienceRef.parse(found.get("counted"))
        where = where_from_json(found.get("where"))
    except BadQuestion:
        raise OddAnswer("counted, where") from None
    withheld = fields.boolean(found, "withheld")
    number = None if withheld else _number(found.get("value"), "value")
    margin = None if withheld else _number(found.get("margin95"), "margin95")
    return Figure(
        counted,
        where,
        tuple((name, _value(item)) for name, item in fields.table(found.get("by"), "by").items()),
        fields.text(found, "measure"),
        number,
        margin,
        fields.boolean(found, "at_least"),
    )


def _value(value: Any) -> Value:
    if value is not None and not isinstance(value, str | bool):
        raise OddAnswer("by")
    return value


def _number(value: Any, name: str) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise OddAnswer(name)
    number = Decimal(str(value))
    if not number.is_finite():
        raise OddAnswer(name)
    return number


def _receipt(value: Any) -> Receipt | None:
    """The receipt where it is one; a rehearsal may keep it in another form."""
    if not isinstance(value, Mapping):
        return None
    try:
        return Receipt.from_json(value)
    except ReceiptError:
        raise OddAnswer("receipt") from None

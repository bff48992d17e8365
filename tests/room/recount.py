"""Figures counted again from the customers themselves, row by row: what a report has to say, noise aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from partners.reports import Figure
from policies.question import where_to_json
from tests.room.stage import Brand, Customer

KEYS = ("email", "id.card")


@dataclass(frozen=True, slots=True)
class People:
    """The customers of every audience who take part in a question of one purpose on one day."""

    customers: Mapping[str, Sequence[Customer]]
    brands: Mapping[str, Brand]
    rows: Mapping[tuple[str, str], Mapping[str, Customer]]

    @classmethod
    def taking_part(cls, customers: Mapping[Brand, Sequence[Customer]], purpose: str, day: date) -> "People":
        kept = {
            brand.ref: [each for each in rows if getattr(each, purpose) and day <= each.until]
            for brand, rows in customers.items()
        }
        rows = {
            (audience, key): {_identifier(key, each): each for each in listed if _identifier(key, each)}
            for audience, listed in kept.items()
            for key in KEYS
        }
        return cls(kept, {brand.ref: brand for brand in customers}, rows)

    def expected(self, figure: Figure) -> Decimal | None:
        """The exact figure; None for a mean or a rate of nobody."""
        counted, where = str(figure.counted), where_to_json(figure.where)
        every = self.customers[counted]
        kept = [each for each in every if where is None or self._holds(where, counted, each)]
        kept = [each for each in kept if all(self._value(name, counted, each) == value for name, value in figure.by)]
        kind, _, column = figure.measure.partition(":")
        if kind == "people":
            return Decimal(len(kept))
        if kind == "match_rate":
            return Decimal(100 * len(kept)) / len(every) if every else None
        total = sum((self._amount(column, counted, each) for each in kept), Decimal(0))
        if kind == "mean":
            return total / len(kept) if kept else None
        return total

    def _partner(self, audience: str, counted: str, person: Customer) -> Customer | None:
        """The row of another audience that is the same person, by the first key that finds one."""
        if audience == counted:
            return person
        for key in KEYS:
            if key in self.brands[audience].keys and key in self.brands[counted].keys:
                found = self.rows[audience, key].get(_identifier(key, person))
                if found is not None:
                    return found
        return None

    def _holds(self, where: Any, counted: str, person: Customer) -> bool:
        ((kind, term),) = where.items()
        if kind == "matched":
            return self._partner(term, counted, person) is not None
        if kind == "is":
            return self._value(term[0], counted, person) in term[1]
        if kind == "not":
            return not self._holds(term, counted, person)
        holds = [self._holds(each, counted, person) for each in term]
        return all(holds) if kind == "all" else any(holds)

    def _value(self, name: str, counted: str, person: Customer) -> str | bool | None:
        if name.startswith("matched:"):
            return self._partner(name.removeprefix("matched:"), counted, person) is not None
        audience, _, _ = name.partition(".")
        row = self._partner(audience, counted, person)
        if row is None:
            return None
        attribute = self.brands[audience].attribute
        assert attribute is not None
        return row.attribute if row.attribute in attribute[1] else "other" if row.attribute else "unknown"

    def _amount(self, column: str, counted: str, person: Customer) -> Decimal:
        audience, _, _ = column.partition(".")
        row, measure = self._partner(audience, counted, person), self.brands[audience].measure
        assert measure is not None
        if row is None or row.measure is None:
            return Decimal(0)
        return Decimal(min(max(row.measure, measure[1]), measure[2]))


def _identifier(key: str, person: Customer) -> str:
    return person.email if key == "email" else person.card

"""The map: which column of a customer file is what. `MAP.toml`, and the `[[partner]]` table of a rehearsal.

Rules:
* Every name in the table is known or refused: a misspelt setting never passes for a setting left out.
* Consent is stated or the map is refused: default deny.
* A map says nothing that the agreement does not; `partners.prepare` holds the one to the other.
* Messages name the field, never a value of the customer file.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from partners.consent import ConsentRule
from partners.identifiers import DateOrder, EmailProfile, Rules, columns_of
from partners.terms_file import BadTermsFile, read_toml
from policies.agreement import MATCH_KEY, MAX_BOUND, MAX_VALUES, Measure
from policies.purpose import Purpose, mask
from policies.question import NAME

DEFAULT_DECIMALS = 2
MAX_DECIMALS = 6
MAX_DIGITS = 20
MAX_VALUE_CHARACTERS = 128
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PURPOSES = ", ".join(purpose.value for purpose in Purpose)


class BadMap(ValueError):
    """A map that cannot be used; the message names the field and is safe to print."""


@dataclass(frozen=True, slots=True)
class KeyColumns:
    """A match key and its columns: three for `person`, one for every other key."""

    key: str
    columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttributeColumn:
    """An attribute, its column, and its code-list; None where the map leaves the code-list open."""

    name: str
    column: str
    values: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class MeasureColumn:
    """A measure with its bounds in units of 10^-decimals, and its column."""

    measure: Measure
    column: str


@dataclass(frozen=True, slots=True)
class Map:
    """One partner's customer file and what its columns are.

    `file` is absolute or relative to the working directory; a folder stands for all the files in it. `region` is the
    default of national phone numbers. `delimiter` None: found from the header line. `decimal`: what stands before the
    decimals of a number, `.` or `,`.
    """

    name: str
    audience: str
    file: Path
    region: str | None
    date_order: DateOrder
    encoding: str
    delimiter: str | None
    decimal: str
    keys: tuple[KeyColumns, ...]
    attributes: tuple[AttributeColumn, ...]
    measures: tuple[MeasureColumn, ...]
    consent: ConsentRule

    def rules(self, profile: EmailProfile) -> Rules:
        """How identifiers of this file are read."""
        return Rules(profile, self.region, self.date_order)

    def columns(self) -> tuple[str, ...]:
        """Every column that is read, each once."""
        named = [column for key in self.keys for column in key.columns]
        named += [item.column for item in self.attributes]
        named += [item.column for item in self.measures]
        named += [column for column, _ in self.consent.columns]
        named += [self.consent.expires] if self.consent.expires else []
        return tuple(dict.fromkeys(named))


_FIELDS = {field.name for field in fields(Map)} | {"terms"}  # the caller reads the terms


def load(path: Path) -> Map:
    """The map of a TOML file; its `file` is relative to the folder of the map. Raises `BadMap`."""
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise BadMap(f"there is no file {path.name} here") from None
    except BadTermsFile as problem:
        raise BadMap(str(problem)) from None
    return parse(table, path.parent)


def parse(table: Mapping[str, Any], folder: Path) -> Map:
    """The map of a table that TOML gave; its `file` is relative to `folder`. Raises `BadMap`."""
    for field in table:
        if field not in _FIELDS:
            raise BadMap(f"`{field}` is not a setting of a map; the settings are {', '.join(sorted(_FIELDS))}")
    read = Map(
        name=_name(_required(table, "name"), "name"),
        audience=_name(_required(table, "audience"), "audience"),
        file=folder / _path(_required(table, "file"), "file"),
        region=_text(table["region"], "region") if "region" in table else None,
        date_order=_date_order(table.get("date_order", DateOrder.YMD.value)),
        encoding=_encoding(table.get("encoding", "utf-8")),
        delimiter=_delimiter(table["delimiter"]) if "delimiter" in table else None,
        decimal=_decimal(table.get("decimal", ".")),
        keys=_keys(_required(table, "keys")),
        attributes=tuple(_attribute(*item) for item in _table(table.get("attributes", {}), "attributes").items()),
        measures=tuple(_measure(*item) for item in _table(table.get("measures", {}), "measures").items()),
        consent=_consent(table.get("consent", {})),
    )
    names = [item.name for item in read.attributes] + [item.measure.name for item in read.measures]
    for name in names:
        if names.count(name) > 1:
            raise BadMap(f"`{name}` is both an attribute and a measure; give one of them another name")
    try:
        read.rules(EmailProfile.PLAIN)
    except ValueError as problem:
        raise BadMap(f"region: {problem}") from None
    return read


def _keys(value: Any) -> tuple[KeyColumns, ...]:
    keys = []
    for key, columns in _table(value, "keys").items():
        if isinstance(columns, Mapping):
            raise BadMap(f'keys.{key}: write a named key in quotes, such as "{key}.{next(iter(columns), "card")}"')
        if not MATCH_KEY.fullmatch(key):
            raise BadMap(f"keys.{key} is not a match key; they are email, phone, maid, person, id and id.<name>")
        listed = columns if isinstance(columns, list) else [columns]
        if len(listed) != columns_of(key):
            wanted = "three columns: given name, family name, birth date" if key == "person" else "one column"
            raise BadMap(f"keys.{key} takes {wanted}")
        keys.append(KeyColumns(key, tuple(_text(column, f"keys.{key}") for column in listed)))
    if not keys:
        raise BadMap("keys names no column; give at least one, such as email")
    return tuple(keys)


def _attribute(name: str, value: Any) -> AttributeColumn:
    field = f"attributes.{_name(name, 'attributes')}"
    if not isinstance(value, Mapping):
        return AttributeColumn(name, _text(value, field), None)
    _only(value, field, "column", "values")
    values = value.get("values")
    if values is None:
        return AttributeColumn(name, _text(_required(value, "column", field), field), None)
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise BadMap(f"{field}.values is a list of texts")
    listed = tuple(item.strip() for item in values)
    if not 1 <= len(listed) <= MAX_VALUES or len(set(listed)) != len(listed):
        raise BadMap(f"{field}.values has 1 to {MAX_VALUES} values, each once")
    if not all(1 <= len(item) <= MAX_VALUE_CHARACTERS for item in listed):
        raise BadMap(f"{field}.values holds a value that is blank or longer than {MAX_VALUE_CHARACTERS} characters")
    return AttributeColumn(name, _text(_required(value, "column", field), field), listed)


def _measure(name: str, value: Any) -> MeasureColumn:
    field = f"measures.{_name(name, 'measures')}"
    if not isinstance(value, Mapping):
        raise BadMap(f'{field} needs bounds, such as {{ column = "spend", lower = 0, upper = 500 }}')
    _only(value, field, "column", "lower", "upper", "decimals")
    decimals = value.get("decimals", DEFAULT_DECIMALS)
    if type(decimals) is not int or not 0 <= decimals <= MAX_DECIMALS:
        raise BadMap(f"{field}.decimals is a whole number from 0 to {MAX_DECIMALS}")
    lower, upper = (_units(_required(value, end, field), decimals, f"{field}.{end}") for end in ("lower", "upper"))
    measure = Measure(name, lower, upper, decimals)
    if lower > upper or not 0 < measure.weight <= MAX_BOUND:
        raise BadMap(f"{field} needs lower ≤ upper, not both 0, at most 10^10 units of 10^-{decimals}")
    return MeasureColumn(measure, _text(_required(value, "column", field), field))


def _units(value: Any, decimals: int, field: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadMap(f"{field} is a number")
    exact = Decimal(str(value))
    if not exact.is_finite() or abs(exact.adjusted()) > MAX_DIGITS:
        raise BadMap(f"{field} is not a number that a bound can be")
    units = exact.scaleb(decimals)
    if units != units.to_integral_value():
        raise BadMap(f"{field} has more than the {decimals} decimals of this measure; round it, or raise `decimals`")
    return int(units)


def _consent(value: Any) -> ConsentRule:
    table = _table(value, "consent")
    _only(table, "consent", "purposes", "expires", *(purpose.value for purpose in Purpose))
    columns: dict[str, int] = {}  # one column may stand for several purposes
    for purpose in Purpose:
        if purpose.value in table:
            column = _text(table[purpose.value], f"consent.{purpose.value}")
            columns[column] = columns.get(column, 0) | purpose.bit
    listed = table.get("purposes", [])
    try:
        stated = frozenset(map(Purpose, listed))
    except (ValueError, TypeError):
        raise BadMap(f"consent.purposes is a list of {_PURPOSES}") from None
    if not stated and not columns:
        raise BadMap(
            "consent names no purpose, and what is not stated is denied: under [consent] write "
            'purposes = ["insights"] where every row consented, or a column each, such as insights = "ok_insights"'
        )
    for purpose in Purpose:
        if purpose in stated and purpose.value in table:
            raise BadMap(f"consent states {purpose.value} twice: in `purposes` and by a column; keep one of them")
    expires = _text(table["expires"], "consent.expires") if "expires" in table else None
    return ConsentRule(mask(stated), tuple(columns.items()), expires)


def _required(table: Mapping[str, Any], field: str, within: str = "") -> Any:
    if field not in table:
        raise BadMap(f"`{within}.{field}` is missing" if within else f"`{field}` is missing from the map")
    return table[field]


def _only(table: Mapping[str, Any], within: str, *fields: str) -> None:
    for field in table:
        if field not in fields:
            raise BadMap(f"{within}.{field} is not a setting of a map; {within} has {', '.join(fields)}")


def _table(value: Any, field: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadMap(f"{field} is a table: write [{field}] and its settings below")
    return value


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise BadMap(f"{field} is a text that is not blank")
    return value.strip()


def _path(value: Any, field: str) -> str:
    """A path whose backslashes TOML did not take for a tab or a line end."""
    text = _text(value, field)
    if _CONTROL.search(text):
        raise BadMap(
            f"{field} holds a tab or a line end; in a path write / or put it in single quotes: 'C:\\temp\\x.csv'"
        )
    return text


def _name(value: Any, field: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadMap(f"{field}: a name has 1 to 64 letters, digits, - and _, and begins with a letter or a digit")
    return value


def _date_order(value: Any) -> DateOrder:
    try:
        return DateOrder(value)
    except ValueError:
        raise BadMap(f"date_order is one of {', '.join(order.value for order in DateOrder)}") from None


def _encoding(value: Any) -> str:
    try:
        "".encode(_text(value, "encoding"))
    except (LookupError, ValueError):
        raise BadMap("encoding is not one that is known; write utf-8, windows-1252, utf-16 or another") from None
    return str(value).strip()


def _decimal(value: Any) -> str:
    if value not in (".", ","):
        raise BadMap('decimal is "." or ",": what stands before the decimals of a number')
    return str(value)


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n \0':
        raise BadMap("delimiter is one character, such as ; or a tab, and no space, quote or line end")
    return value

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from partners import mapping
from partners.consent import ConsentRule
from partners.identifiers import DateOrder
from partners.mapping import AttributeColumn, BadMap, KeyColumns, Map, MeasureColumn
from policies.agreement import Measure
from tests.partners.world import TABLE, mapped

MAP = """
name = "fresh"
audience = "drive"
file = "data/fresh.csv"
region = "FR"
date_order = "dmy"
encoding = "windows-1252"
delimiter = ";"
decimal = ","
[keys]
email = " email "
person = ["given", "family", "born"]
"id.card" = "card"
[attributes]
tier = "loyalty_tier"
region = { column = "region", values = ["nord", " sud "] }
[measures]
spend = { column = "spend_eur", lower = 0, upper = 0.3 }
visits = { column = "visits", lower = -1, upper = 30, decimals = 0 }
[consent]
purposes = ["activation"]
measurement = "ok"
insights = "ok"
modelling = "model"
expires = "until"
[terms]
minimum_size = 100
"""


def test_every_setting_is_read(tmp_path: Path) -> None:
    (tmp_path / "MAP.toml").write_text(MAP)
    assert mapping.load(tmp_path / "MAP.toml") == Map(
        name="fresh",
        audience="drive",
        file=tmp_path / "data/fresh.csv",
        region="FR",
        date_order=DateOrder.DMY,
        encoding="windows-1252",
        delimiter=";",
        decimal=",",
        keys=(
            KeyColumns("email", ("email",)),
            KeyColumns("person", ("given", "family", "born")),
            KeyColumns("id.card", ("card",)),
        ),
        attributes=(
            AttributeColumn("tier", "loyalty_tier", None),
            AttributeColumn("region", "region", ("nord", "sud")),
        ),
        measures=(
            MeasureColumn(Measure("spend", 0, 30, 2), "spend_eur"),
            MeasureColumn(Measure("visits", -1, 30, 0), "visits"),
        ),
        consent=ConsentRule(8, (("ok", 3), ("model", 4)), "until"),
    )


def test_the_least_map(tmp_path: Path) -> None:
    table = {
        "name": "fresh",
        "audience": "drive",
        "file": "f.csv",
        "keys": {"email": "e"},
        "consent": {"insights": "ok"},
    }
    least = mapping.parse(table, tmp_path)
    assert (least.region, least.date_order, least.encoding, least.delimiter) == (None, DateOrder.YMD, "utf-8", None)
    assert least.columns() == ("e", "ok")


def test_a_column_is_read_once(tmp_path: Path) -> None:
    both = mapped(tmp_path, keys={"email": "id", "id": "id"}, consent={"insights": "ok", "expires": "until"})
    assert both.columns() == ("id", "tier", "spend", "ok", "until")


@pytest.mark.parametrize("value", [0.29, Decimal("0.29"), Decimal("0.290")])
def test_bounds_are_exact_units(tmp_path: Path, value: object) -> None:
    measures = mapped(tmp_path, measures={"m": {"column": "c", "lower": 0, "upper": value}}).measures
    assert measures[0].measure.upper == 29


def _measure(**changes: Any) -> dict[str, Any]:
    return {"measures": {"m": {"column": "c", "lower": 0, "upper": 5} | changes}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"extra": 1}, "`extra` is not a setting"),
        ({"name": "a b"}, "name: a name has"),
        ({"audience": 5}, "audience: a name has"),
        ({"file": " "}, "file is a text"),
        ({"region": "XX"}, "region: the region of phone numbers is unknown"),
        ({"date_order": "dym"}, "date_order is one of ymd, dmy, mdy"),
        ({"date_order": ["ymd"]}, "date_order is one of"),
        ({"encoding": "klingon"}, "encoding is not one"),
        ({"encoding": "base64"}, "encoding is not one"),
        ({"delimiter": "::"}, "delimiter is one character"),
        ({"delimiter": '"'}, "delimiter is one character"),
        ({"keys": {}}, "keys names no column"),
        ({"keys": "email"}, "keys is a table"),
        ({"keys": {"mail": "email"}}, "keys.mail is not a match key"),
        ({"keys": {"id": {"card": "c"}}}, 'in quotes, such as "id.card"'),
        ({"keys": {"person": "name"}}, "keys.person takes three columns"),
        ({"keys": {"email": ["a", "b"]}}, "keys.email takes one column"),
        ({"keys": {"email": 5}}, "keys.email is a text"),
        ({"attributes": {"a b": "c"}}, "attributes: a name has"),
        ({"attributes": {"a": {"values": ["x"]}}}, "`attributes.a.column` is missing"),
        ({"attributes": {"a": {"column": "c", "value": ["x"]}}}, "attributes.a.value is not a setting"),
        ({"attributes": {"a": {"column": "c", "values": []}}}, "attributes.a.values has 1 to 1000"),
        ({"attributes": {"a": {"column": "c", "values": ["x", " x"]}}}, "attributes.a.values has 1 to 1000"),
        ({"attributes": {"a": {"column": "c", "values": [" "]}}}, "blank or longer"),
        ({"attributes": {"a": {"column": "c", "values": ["x" * 129]}}}, "blank or longer"),
        ({"attributes": {"a": {"column": "c", "values": [1]}}}, "attributes.a.values is a list of texts"),
        ({"attributes": {"spend": "c"}}, "`spend` is both an attribute and a measure"),
        ({"measures": {"m": "c"}}, "measures.m needs bounds"),
        ({"measures": {"m": {"column": "c", "lower": 0}}}, "`measures.m.upper` is missing"),
        (_measure(upper="5"), "measures.m.upper is a number"),
        (_measure(upper=True), "measures.m.upper is a number"),
        (_measure(upper=0.005), "measures.m.upper has more than the 2 decimals"),
        (_measure(upper=float("inf")), "measures.m.upper is not a number"),
        (_measure(upper=Decimal("1e999999")), "measures.m.upper is not a number"),
        (_measure(lower=6), "measures.m needs lower ≤ upper"),
        (_measure(upper=0), "not both 0"),
        (_measure(upper=10**11), r"at most 10\^10"),
        (_measure(decimals=7), "measures.m.decimals"),
        (_measure(step=1), "measures.m.step is not a setting"),
        ({"consent": {}}, "what is not stated is denied"),
        ({"consent": {"purposes": []}}, "what is not stated is denied"),
        ({"consent": {"expires": "until"}}, "what is not stated is denied"),
        ({"consent": {"purposes": ["ads"]}}, "consent.purposes is a list of insights, measurement"),
        ({"consent": {"purposes": 5}}, "consent.purposes is a list"),
        ({"consent": {"insight": "ok"}}, "consent.insight is not a setting"),
        ({"consent": {"purposes": ["insights"], "insights": "ok"}}, "states insights twice"),
        ({"consent": {"insights": True}}, "consent.insights is a text"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadMap, match=message) as refusal:
        mapped(tmp_path, **changes)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("field", ["name", "audience", "file", "keys"])
def test_what_is_needed_is_named(tmp_path: Path, field: str) -> None:
    with pytest.raises(BadMap, match=f"`{field}` is missing"):
        mapping.parse({name: value for name, value in TABLE.items() if name != field}, tmp_path)


def test_a_map_without_consent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadMap, match="denied"):
        mapping.parse({name: value for name, value in TABLE.items() if name != "consent"}, tmp_path)


def test_a_file_that_is_no_map(tmp_path: Path) -> None:
    for data, words in (
        (b"name = ", "is not TOML: .*at end of document"),
        (b"name = 'x'\n[keys", "is not TOML: .*at end of document"),
        (b"name = 'x'\nkeys = ?\n", "is not TOML: .*at line 2, .*; correct it there"),
        (
            b'name = "x"\nfile = "C:\\exports\\fresh.csv"\n',
            r"is not TOML: .*at line 2, column \d+\); in a path write / or .*single quotes",
        ),
        (b"\xff", "is not a text file in UTF-8"),
        ("name = 'x'".encode("utf-16"), "is not a text file in UTF-8"),
    ):
        (tmp_path / "MAP.toml").write_bytes(data)
        with pytest.raises(BadMap, match=rf"^MAP\.toml {words}"):
            mapping.load(tmp_path / "MAP.toml")
    with pytest.raises(BadMap, match="no file"):
        mapping.load(tmp_path / "nowhere.toml")


def test_a_map_as_windows_editors_write_it(tmp_path: Path) -> None:
    """A mark before the text, lines that end in two characters."""
    text = 'name = "fresh"\r\naudience = "drive"\r\nfile = \'C:\\exports\\new.csv\'\r\n'
    text += 'keys = { email = "mail" }\r\nconsent = { purposes = ["insights"] }\r\n'
    (tmp_path / "MAP.toml").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert mapping.load(tmp_path / "MAP.toml").file.name == r"C:\exports\new.csv"  # on Windows: new.csv
    (tmp_path / "MAP.toml").write_text(text.replace("'C:\\exports\\", '"C:\\temp\\').replace("csv'", 'csv"'))
    with pytest.raises(BadMap, match="file holds a tab or a line end; in a path write /") as refusal:
        mapping.load(tmp_path / "MAP.toml")
    assert str(refusal.value).isprintable()

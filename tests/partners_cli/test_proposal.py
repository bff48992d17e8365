"""AGREEMENT.toml: what it means, and what each mistake says."""

import json
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners import draft
from partners.failure import Failure
from partners.mapping import parse
from partners.proposal import measure_from_table, read_proposal
from partners.protocol import PublicKeys
from partners.terms_file import BadTermsFile, read_toml
from policies import agreement as agreements
from policies.agreement import MAX_BOUND, Agreement, Attribute, Measure
from policies.purpose import Purpose
from policies.question import AudienceRef
from policies.terms import DEFAULTS, Kind, Mode, Terms
from tests.partners_cli.conftest import AGREEMENT, agreement_table

FLOOR = Terms(minimum_size=10)
WHOLE = """
[collaboration]
name = "drive-2026"
match_keys = ["email", "id.card"]
email_profile = "plain"
mode = "threshold"
minimum_size = 60
rounding = 5
epsilon_per_report = 0.125
epsilon_total = 2
purposes = ["insights"]
kinds = ["overlap"]
retention_days = 30
[[partner]]
name = "fresh"
[[partner]]
name = "tasty"
[[audience]]
owner = "fresh"
name = "drive"
keys = ["email"]
[audience.attributes]
tier = ["gold", "silver"]
[audience.measures]
visits = { lower = 0, upper = 30, decimals = 0 }
balance = { lower = -12.5, upper = 1e3, decimals = 1 }
"""


def keys_of(name: str) -> PublicKeys:
    return PublicKeys(name.encode().ljust(32, b"."), name.encode().rjust(32, b"."))


def proposed(text: str) -> Agreement:
    return read_proposal(agreement_table(text), FLOOR, keys_of)


def test_a_whole_file() -> None:
    read = proposed(WHOLE)
    assert read.id.startswith("drive-2026-")
    assert len(read.id) == len("drive-2026-") + 8
    assert (read.name, read.match_keys, read.email_profile) == ("drive-2026", ("email", "id.card"), "plain")
    assert read.floor == FLOOR
    assert read.base == Terms(
        minimum_size=60,
        rounding=5,
        epsilon_per_report=125_000,
        epsilon_total=2_000_000,
        mode=Mode.THRESHOLD,
        purposes=frozenset({Purpose.INSIGHTS}),
        kinds=frozenset({Kind.OVERLAP}),
        retention_days=30,
    )
    audience = read.audience(AudienceRef("fresh", "drive"))
    assert audience is not None
    assert audience.attributes == (Attribute("tier", ("gold", "silver")),)
    assert audience.measures == (Measure("visits", 0, 30, 0), Measure("balance", -125, 10_000, 1))
    party = read.party("tasty")
    assert party is not None
    assert PublicKeys(party.signing_key, party.sealing_key) == keys_of("tasty")


def test_what_is_left_open_comes_from_the_defaults() -> None:
    read = proposed(AGREEMENT)
    assert read.base == DEFAULTS
    assert read.email_profile == "uid2"
    assert read.terms.minimum_size == 100
    audience = read.audience(AudienceRef("fresh", "drive"))
    assert audience is not None
    assert audience.measures == (Measure("spend", 0, 49_999, 2),)


def test_two_proposals_have_two_ids() -> None:
    assert proposed(AGREEMENT).id != proposed(AGREEMENT).id


BAD = {
    "no collaboration": ("[collaboration]", "[collab]", "agreement file has `collab`"),
    "an unknown entry": (
        'name = "drive-2026"',
        'name = "drive-2026"\ncolour = "red"',
        r"\[collaboration\] has `colour`",
    ),
    "no name": ('name = "drive-2026"\n', "", r"\[collaboration\] name"),
    "a name with a space": ('"drive-2026"', '"drive 2026"', r"\[collaboration\] name"),
    "a name that is too long": ('"drive-2026"', f'"{"a" * 56}"', "shorten it"),
    "no match keys": ('["email", "id.card"]', "[]", "match_keys"),
    "match keys as text": ('["email", "id.card"]', '"email"', "list of texts"),
    "an unknown match key": ('["email", "id.card"]', '["email", "shoe"]', "a match key is"),
    "an unknown profile": ('"plain"', '"gmail"', "email_profile is one of"),
    "a profile of the wrong kind": ('"plain"', "7", "email_profile is text"),
    "an unknown mode": ('"threshold"', '"open"', "mode does not have a value"),
    "a size of nothing": ("minimum_size = 60", "minimum_size = 0", "minimum_size is 1 to"),
    "a size as a decimal": ("minimum_size = 60", "minimum_size = 60.5", "minimum_size does not"),
    "an ε of nothing": ("= 0.125", "= 0", "more than 0"),
    "an ε with too many decimals": ("= 0.125", "= 0.1234567", "six decimals"),
    "an ε that is no number": ("= 0.125", '= "a lot"', "an ε is a number"),
    "an ε that is a truth": ("= 0.125", "= true", "an ε is a number"),
    "an unknown purpose": ('["insights"]', '["fun"]', "purposes does not"),
    "an unknown kind": ('["overlap"]', '["list"]', "kinds does not"),
    "one partner": ('[[partner]]\nname = "tasty"\n', "", "2 to 16 partners"),
    "a partner twice": ('name = "tasty"', 'name = "fresh"', "each named once"),
    "partners as a table": (
        '[[partner]]\nname = "fresh"\n[[partner]]\nname = "tasty"\n',
        "[partner]\nname = 1\n",
        "at least one",
    ),
    "a partner's unknown entry": ('name = "tasty"', 'name = "tasty"\nfile = "x.csv"', r"\[\[partner\]\] has `file`"),
    "a partner's unknown term": ('name = "tasty"', 'name = "tasty"\nterms = { size = 5 }', "terms of tasty: `size`"),
    "terms that are no table": ('name = "tasty"', 'name = "tasty"\nterms = 5', "terms of tasty"),
    "an audience of nobody": ('owner = "fresh"', 'owner = "bland"', "not a partner"),
    "an audience's unknown entry": ('owner = "fresh"', 'owner = "fresh"\nrows = 5', r"\[\[audience\]\] has `rows`"),
    "a key that is not agreed": ('keys = ["email"]', 'keys = ["phone"]', "some of the agreement's match_keys"),
    "no keys": ('keys = ["email"]', "keys = []", "some of the agreement's match_keys"),
    "an empty code-list": ('["gold", "silver"]', "[]", "1 to 1000 values"),
    "a value twice": ('["gold", "silver"]', '["gold", "gold"]', "each once"),
    "a value with space around": ('["gold", "silver"]', '["gold "]', "without space around"),
    "values that are numbers": ('["gold", "silver"]', "[1, 2]", "list of texts"),
    "an attribute's odd name": ("tier =", '"tier one" =', "an attribute of fresh/drive"),
    "a column twice": ("visits =", "tier =", "same name"),
    "a bound missing": ("lower = 0, upper = 30", "upper = 30", "visits: lower is a number"),
    "a bound as text": ("lower = 0, upper = 30", 'lower = "0", upper = 30', "visits: lower is a number"),
    "a bound with too many decimals": ("upper = 30, decimals = 0", "upper = 30.5, decimals = 0", "more decimals"),
    "bounds the wrong way round": ("lower = 0, upper = 30", "lower = 30, upper = 0", "lower ≤ upper"),
    "bounds of nothing": ("lower = 0, upper = 30", "lower = 0, upper = 0", "not both 0"),
    "a bound beyond measure": ("upper = 30", "upper = 1e15", "too large"),
    "a bound that is infinite": ("upper = 30", "upper = inf", "too large"),
    "a bound that is no number": ("upper = 30", "upper = nan", "too large"),
    "odd decimals": ("decimals = 0", "decimals = 7", "0 to 6"),
    "a measure's unknown entry": ("decimals = 0", "column = 'x'", "fresh/drive.visits has `column`"),
    "a measure that is no table": (
        "visits = { lower = 0, upper = 30, decimals = 0 }",
        "visits = 30",
        "visits is missing",
    ),
}


@pytest.mark.parametrize("mistake", BAD)
def test_each_mistake_is_one_line_that_says_where(mistake: str) -> None:
    old, new, words = BAD[mistake]
    assert old in WHOLE
    with pytest.raises(Failure, match=words) as refused:
        proposed(WHOLE.replace(old, new, 1))
    assert "\n" not in str(refused.value)


@given(st.integers(-MAX_BOUND, MAX_BOUND), st.integers(0, 6))
def test_bounds_are_exact_in_both_directions(units: int, decimals: int) -> None:
    written = Decimal(units).scaleb(-decimals)
    bounds = {"lower": min(written, Decimal(0)), "upper": max(written, Decimal(1)), "decimals": decimals}
    read = measure_from_table("spend", bounds, "fresh/drive.spend")
    assert units in (read.lower, read.upper) or abs(units) < 10**decimals


def test_a_bound_that_no_float_can_hold_is_exact() -> None:
    table = tomllib.loads("spend = { lower = 0.1, upper = 9007199254.740993, decimals = 6 }", parse_float=Decimal)
    assert measure_from_table("spend", table["spend"], "here") == Measure("spend", 100_000, 9_007_199_254_740_993, 6)


def test_a_file_that_is_no_toml_says_where(tmp_path: Path) -> None:
    path = tmp_path / "agreement.toml"
    path.write_text("[collaboration\n")
    with pytest.raises(BadTermsFile, match=r"agreement\.toml is not TOML: .*line 1"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadTermsFile, match="UTF-8"):
        read_toml(path)


def test_a_draft_is_an_audience_of_an_agreement() -> None:
    table = {
        "name": "fresh",
        "audience": "drive",
        "file": "fresh.csv",
        "keys": {"email": "e-mail", "id.card": "card"},
        "attributes": {"tier": {"column": "t", "values": ['say "gold"', "ta\\b", "Ünïq €"]}},
        "measures": {"balance": {"column": "b", "lower": Decimal("-12.5"), "upper": 1000, "decimals": 1}},
        "consent": {"purposes": ["insights"]},
    }
    head, _, _ = WHOLE.partition("[[audience]]")
    read = proposed(head + draft.draft_audience(parse(table, Path())))
    audience = read.audience(AudienceRef("fresh", "drive"))
    assert audience is not None
    assert audience.keys == ("email", "id.card")
    assert audience.attributes == (Attribute("tier", ('say "gold"', "ta\\b", "Ünïq €")),)
    assert audience.measures == (Measure("balance", -125, 10_000, 1),)


def test_a_proposal_survives_the_wire() -> None:
    read = proposed(WHOLE)
    assert agreements.from_json(json.loads(read.canonical())) == read

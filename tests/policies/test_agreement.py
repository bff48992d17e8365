"""The agreement: its exact bytes, what it says, and that nothing malformed gets in."""

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from policies import canonical
from policies.agreement import Agreement, Attribute, Audience, BadAgreement, Measure, Party, from_json, to_json
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef
from policies.terms import DEFAULTS, Kind, Mode, Terms
from tests.policies.strategies import IDENTIFIER, A, D, E, broken, is_safe, junk, parsed

# One small document, as its partners sign it. Never edited: a change of form is a new version and a new file.
SIGNED = Path(__file__).with_name("data") / "agreement-v1.json"
SHA256 = "4faa4b6746992d5e9cad53b1ed5971c3bd367e03476f6f7ee33dc658abdf0269"
DOCUMENT: dict[str, Any] = json.loads(SIGNED.read_bytes())

AGREEMENT = Agreement(
    id="spring-1a2b3c4d",
    name="spring",
    protocol=1,
    match_keys=("email", "phone", "id.card"),
    email_profile="uid2",
    parties=(
        Party("ada", bytes(range(32)), bytes(range(32, 64)), Terms()),
        Party("bea", b"\xff" * 32, b"\xfe" * 32, Terms(minimum_size=100, columns=frozenset({"bea/main.tier"}))),
    ),
    audiences=(
        Audience(A, ("email", "phone"), (Attribute("city", ("Zürich", "other")),), ()),
        Audience(D, ("phone", "id.card"), (Attribute("tier", ("gold",)),), (Measure("spend", -500, 50_000, 2),)),
    ),
    base=replace(DEFAULTS, mode=Mode.THRESHOLD, kinds=frozenset({Kind.OVERLAP})),
    floor=Terms(epsilon_total=1_000_000),
)


def test_the_bytes_are_pinned() -> None:
    assert AGREEMENT.canonical() == SIGNED.read_bytes()
    assert AGREEMENT.sha256() == SHA256


def test_the_signed_bytes_read_back() -> None:
    assert from_json(canonical.loads(SIGNED.read_bytes())) == AGREEMENT


def test_terms_in_force_are_the_strictest_of_base_floor_and_partners() -> None:
    force = AGREEMENT.terms
    assert force.minimum_size == 100  # bea
    assert force.columns == frozenset({"bea/main.tier"})
    assert force.epsilon_total == 1_000_000  # the floor
    assert force.mode is Mode.THRESHOLD  # the base
    assert force.kinds == frozenset({Kind.OVERLAP})
    private = replace(AGREEMENT, floor=Terms(mode=Mode.PRIVATE))
    assert private.terms.mode is Mode.PRIVATE


def test_common_keys_come_in_the_order_of_the_agreement() -> None:
    assert AGREEMENT.common_keys(A, D) == AGREEMENT.common_keys(D, A) == ("phone",)
    assert AGREEMENT.common_keys(D, D) == ("phone", "id.card")
    assert AGREEMENT.common_keys(A, E) == ()
    turned = replace(AGREEMENT, match_keys=("phone", "email", "id.card"))
    assert turned.common_keys(A, A) == ("phone", "email")


def test_what_it_names_is_found_and_nothing_else() -> None:
    tier, spend = ColumnRef(D, "tier"), ColumnRef(D, "spend")
    assert AGREEMENT.attribute(tier) == Attribute("tier", ("gold",))
    assert AGREEMENT.measure(spend) == Measure("spend", -500, 50_000, 2)
    assert [AGREEMENT.attribute(each) for each in (spend, ColumnRef(A, "tier"), ColumnRef(E, "tier"))] == [None] * 3
    assert [AGREEMENT.measure(each) for each in (tier, ColumnRef(A, "spend"), ColumnRef(E, "spend"))] == [None] * 3
    assert [AGREEMENT.party(name) for name in ("bea", "cid")] == [AGREEMENT.parties[1], None]
    assert AGREEMENT.audience(AudienceRef("bea", "more")) is None


@pytest.mark.parametrize(
    ("values", "domain"),
    [
        (("gold",), ("gold", "other", "unknown")),
        (("unknown", "gold"), ("unknown", "gold", "other")),
        (("other", "unknown"), ("other", "unknown")),
    ],
)
def test_a_domain_always_has_other_and_unknown(values: tuple[str, ...], domain: tuple[str, ...]) -> None:
    assert Attribute("tier", values).domain == domain


@pytest.mark.parametrize(("lower", "upper", "weight"), [(0, 7, 7), (-9, -2, 9), (-5, 10, 10), (-10, 5, 10)])
def test_the_weight_of_a_measure_is_its_largest_absolute_bound(lower: int, upper: int, weight: int) -> None:
    assert Measure("spend", lower, upper, 0).weight == weight


DELETE = object()
PARTY, TIER, SPEND = ("partners", 0), ("audiences", 1, "attributes", 0), ("audiences", 1, "measures", 0)


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        *((place, DELETE, "") for place in [(name,) for name in DOCUMENT]),
        *(((*PARTY, name), DELETE, "") for name in DOCUMENT["partners"][0]),
        *((("audiences", 1, name), DELETE, "") for name in DOCUMENT["audiences"][1]),
        *(((*TIER, name), DELETE, "") for name in ("name", "values")),
        *(((*SPEND, name), DELETE, "") for name in ("name", "lower", "upper", "decimals")),
        *(((*place, "note"), 1, "") for place in [(), PARTY, ("audiences", 0), TIER, SPEND, ("terms",)]),
        (("version",), 2, "version 1"),
        (("version",), True, "one form"),
        (("version",), 1.0, "float"),
        (("id",), "", "a name"),
        (("id",), "spring/1", "a name"),
        (("name",), IDENTIFIER, "a name"),
        (("name",), "a" * 65, "a name"),
        (("protocol",), "1", "whole number"),
        (("protocol",), True, "whole number"),
        (("match_keys",), [], "match_keys"),
        (("match_keys",), ["email", "email", "phone", "id.card"], "match_keys"),
        (("match_keys",), "id", "match key"),
        (("match_keys",), {"email": 1, "phone": 1, "id.card": 1}, "one form"),
        (("match_keys", 0), "e-mail", "match key"),
        (("match_keys", 0), "id.CARD", "match key"),
        (("email_profile",), "gmail", "email_profile"),
        (("email_profile",), ["uid2"], "email_profile"),
        (("partners",), DOCUMENT["partners"][:1], "2 to 16 partners"),
        (("partners",), DOCUMENT["partners"] * 2, "2 to 16 partners"),
        (("partners", 1, "name"), "cid", "not a partner"),
        (("partners", 0, "signing_key"), "AAAA", "32 bytes"),
        (("partners", 0, "signing_key"), "?" * 44, ""),
        (("partners", 0, "signing_key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=", "one form"),  # spare bits
        (("partners", 0, "sealing_key"), None, ""),
        (("partners", 0, "terms"), None, "terms are an object"),
        (("partners", 0, "terms"), {"minimum_size": 0}, "minimum_size"),
        (("audiences",), [], "1 to 16 audiences"),
        (("audiences",), [DOCUMENT["audiences"][0]] * 2, "1 to 16 audiences"),
        (("audiences", 0, "audience"), "main", "owner/name"),
        (("audiences", 0, "audience"), "cid/main", "not a partner"),
        (("audiences", 0, "keys"), [], "keys"),
        (("audiences", 0, "keys"), ["maid"], "keys"),
        (("audiences", 0, "keys"), ["email", "email"], "keys"),
        (("audiences", 0, "attributes"), {}, "one form"),
        (("audiences", 0, "measures"), "", "one form"),
        ((*TIER, "name"), "spend", "same name"),
        ((*TIER, "values"), [], "code-list"),
        ((*TIER, "values"), ["gold", "gold"], "code-list"),
        ((*TIER, "values"), [str(number) for number in range(1_001)], "code-list"),
        ((*TIER, "values"), "gold", "one form"),
        ((*TIER, "values", 0), "", "code-list"),
        ((*TIER, "values", 0), " gold", "code-list"),
        *(((*TIER, "values", 0), f"go{mark}ld", "one line") for mark in "\n\t\x1b\x85\u2028\u2029"),
        ((*TIER, "values", 0), "g" * 129, "code-list"),
        ((*TIER, "values", 0), "\ud800", "Unicode"),
        ((*TIER, "values", 0), 1, "code-list"),
        ((*SPEND, "lower"), 50_001, "lower ≤ upper"),
        ((*SPEND, "upper"), 10**10 + 1, "10^10"),
        ((*SPEND, "lower"), -(10**10) - 1, "10^10"),
        ((*SPEND, "upper"), 500.0, "whole number"),
        ((*SPEND, "decimals"), 7, "decimals"),
        ((*SPEND, "decimals"), -1, "decimals"),
        (("audiences", 1, "measures"), [{"name": "spend", "lower": 0, "upper": 0, "decimals": 0}], "both 0"),
        (("terms", "mode"), DELETE, "nobody states mode"),
        (("terms", "purposes"), ["measurement", "insights"], "one form"),
        (("terms", "purposes"), ["insights", "insights"], "one form"),
        (("floor",), [], "terms are an object"),
        (("floor",), {IDENTIFIER: 1}, "unknown term"),
    ],
)
def test_each_malformed_field_is_refused(place: tuple[Any, ...], value: Any, says: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    *path, last = place
    parent: Any = document
    for step in path:
        parent = parent[step]
    if value is DELETE:
        del parent[last]
    else:
        parent[last] = value
    with pytest.raises(BadAgreement) as problem:
        from_json(document)
    assert says in str(problem.value)
    assert is_safe(str(problem.value))


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(broken(DOCUMENT))
def test_a_broken_document_is_refused_or_is_in_the_form_that_is_signed(value: Any) -> None:
    if agreement := parsed(from_json, value, BadAgreement):
        assert canonical.dumps(value) == agreement.canonical()
        assert agreement.terms.minimum_size >= 1


@given(junk() | st.sampled_from([sorted(DOCUMENT), set(DOCUMENT), "".join(DOCUMENT)]))
def test_junk_is_no_agreement(value: Any) -> None:
    with pytest.raises(BadAgreement):
        from_json(value)


def test_nesting_without_end_is_refused() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    for place in ("id", "match_keys", "audiences", "terms"):
        with pytest.raises(BadAgreement):
            from_json({**DOCUMENT, place: deep})


def test_every_purpose_and_kind_can_be_agreed() -> None:
    everything = replace(AGREEMENT, base=replace(DEFAULTS, purposes=frozenset(Purpose), kinds=frozenset(Kind)))
    assert from_json(to_json(everything)) == everything


def test_an_amendment_is_a_form_of_its_own() -> None:
    amendment = replace(AGREEMENT, number=2, previous=AGREEMENT.sha256())
    written = to_json(amendment)
    assert (written["version"], written["number"], written["previous"]) == (2, 2, SHA256)
    assert amendment.canonical() == SIGNED.with_name("agreement-v2.json").read_bytes()
    assert from_json(written) == amendment
    assert "number" not in to_json(AGREEMENT)
    for change in (
        {"number": 0},
        {"number": 1},
        {"number": 2.0},
        {"previous": None},
        {"previous": "x"},
        {"version": 1},
    ):
        with pytest.raises(BadAgreement):
            from_json({**written, **change})
    with pytest.raises(BadAgreement):
        from_json({**to_json(AGREEMENT), "number": 2})

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners import audience, manifest
from partners.manifest import BadManifest, Manifest, SignedManifest
from policies import canonical
from policies.agreement import Attribute, Measure
from tests.partners.world import FRESH, TASTY

MANIFEST = Manifest(
    collaboration="c-1",
    partner="fresh",
    audience="drive",
    epoch=1,
    previous=None,
    sha256="0" * 64,
    bytes=1234,
    rows=56,
    keys=("email", "id.card"),
    attributes=(Attribute("tier", ("gold", "é")),),
    measures=(Measure("spend", 0, 50_000, 2),),
    expires_column=True,
    protocol=1,
    email_profile="uid2",
    key_check="ab" * 16,
    phone_metadata="9.0.43",
    created="2026-03-01T09:30:00Z",
    expires="2027-03-01",
)
SIGNED = manifest.sign(FRESH, MANIFEST)


def test_the_signed_bytes_are_pinned() -> None:
    assert MANIFEST.canonical().decode() == (
        '{"attributes":[{"name":"tier","values":["gold","é"]}],"audience":"drive","bytes":1234,"collaboration":"c-1",'
        '"created":"2026-03-01T09:30:00Z","email_profile":"uid2","epoch":1,"expires":"2027-03-01","expires_column":true,'
        f'"key_check":"{"ab" * 16}","keys":["email","id.card"],'
        '"measures":[{"decimals":2,"lower":0,"name":"spend","upper":50000}],'
        '"partner":"fresh","phone_metadata":"9.0.43","previous":null,"protocol":1,"rows":56,'
        f'"sha256":"{"0" * 64}","version":1}}'
    )


def test_json_and_back() -> None:
    assert Manifest.from_json(MANIFEST.to_json()) == MANIFEST
    assert SignedManifest.from_json(json.loads(json.dumps(SIGNED.to_json()))) == SIGNED


def test_only_its_owner_signs_it() -> None:
    assert manifest.verify(SIGNED, FRESH.public.signing)
    assert not manifest.verify(SIGNED, TASTY.public.signing)
    assert not manifest.verify(replace(SIGNED, manifest=replace(MANIFEST, rows=57)), FRESH.public.signing)


BAD: list[tuple[str, list[object]]] = [
    ("version", [2, None]),
    ("collaboration", ["", "a/b", None, 5]),
    ("partner", ["a b"]),
    ("audience", ["../x"]),
    ("epoch", [0, -1, True, "1", 1.0, 2**63]),
    ("previous", ["", 5]),
    ("sha256", ["0" * 63, "A" * 64, None]),
    ("bytes", [0, "1"]),
    ("rows", [0, -5]),
    ("keys", [[], ["email", "email"], ["mail"], "email", [5]]),
    (
        "attributes",
        [
            {},
            [{"name": "tier", "values": []}],
            [{"name": "tier", "values": ["a", "a"]}],
            [{"name": "tier", "values": [" a"]}],
            [{"name": "tier", "values": ["a" * 129]}],
            [{"name": "tier"}],
            [{"name": "a b", "values": ["a"]}],
            [{"name": "spend", "values": ["a"]}],
            [5],
        ],
    ),
    (
        "measures",
        [
            [{"name": "spend", "lower": 2, "upper": 1, "decimals": 2}],
            [{"name": "spend", "lower": 0, "upper": 10**13, "decimals": 2}],
            [{"name": "spend", "lower": 0, "upper": 1.5, "decimals": 2}],
            [{"name": "spend", "lower": 0, "upper": 1, "decimals": 7}],
            [{"name": "spend", "lower": 0, "upper": 1}],
        ],
    ),
    ("expires_column", [1, "yes", None]),
    ("protocol", [0, "1"]),
    ("email_profile", ["", "a b", 5]),
    ("key_check", ["ab" * 15, 5]),
    ("phone_metadata", ["", "x" * 129]),
    ("created", ["2026-03-01", "2026-3-1T09:30:00Z", "2026-03-01T09:30:00+00:00", 5]),
    ("expires", ["2026-02-30", "20260301", "", 5]),
]


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD for value in values])
def test_a_wrong_field_is_refused(field: str, value: object) -> None:
    with pytest.raises(BadManifest):
        Manifest.from_json(MANIFEST.to_json() | {field: value})


def test_every_field_is_needed_and_no_other_is_known() -> None:
    whole = MANIFEST.to_json()
    for field in whole:
        with pytest.raises(BadManifest, match="exactly"):
            Manifest.from_json({name: value for name, value in whole.items() if name != field})
    with pytest.raises(BadManifest, match="exactly"):
        Manifest.from_json(whole | {"more": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(st.sampled_from(sorted(MANIFEST.to_json())), JSON)
def test_any_other_value_is_read_or_refused_cleanly(field: str, value: object) -> None:
    try:
        read = Manifest.from_json(MANIFEST.to_json() | {field: value})
    except BadManifest:
        return
    assert Manifest.from_json(read.to_json()) == read


@given(JSON)
def test_any_other_signed_manifest_is_refused_cleanly(value: object) -> None:
    for whole in (value, SIGNED.to_json() | {"signature": value}, SIGNED.to_json() | {"manifest": value}):
        with pytest.raises(BadManifest):
            SignedManifest.from_json(whole)


def test_a_manifest_file_is_read_strictly(tmp_path: Path) -> None:
    path = tmp_path / "drive.manifest.json"
    good = canonical.dumps(SIGNED.to_json())
    path.write_bytes(good + b"\n")
    assert manifest.read_manifest(path) == SIGNED
    for bad in (b"", b"{}", good[:-1], good + b" ", b"\xff", good.replace(b'"rows"', b'"rows":1,"rows"')):
        path.write_bytes(bad)
        with pytest.raises(BadManifest):
            manifest.read_manifest(path)


def test_the_columns_follow_the_manifest() -> None:
    assert [(field.name, str(field.type), field.nullable) for field in audience.schema(MANIFEST)] == [
        ("token.email", "fixed_size_binary[16]", True),
        ("token.id.card", "fixed_size_binary[16]", True),
        ("attribute.tier", "dictionary<values=string, indices=int32, ordered=0>", False),
        ("measure.spend", "int64", True),
        ("consent", "uint8", False),
        ("expires", "date32[day]", False),
    ]
    assert "expires" not in audience.schema(replace(MANIFEST, expires_column=False)).names

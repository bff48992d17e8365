import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from partners import audience, manifest, rows
from partners.consent import ConsentRule
from partners.identifiers import DateOrder, EmailProfile, Rules
from partners.reading import Chunk
from policies.agreement import Attribute, Measure
from tests.partners.world import NOW

MANIFEST = manifest.Manifest(
    *("c", "p", "a", 1, None, "", 0, 0, (), (Attribute("t", ("x",)),), (Measure("m", 0, 9, 0),)),
    *(False, 1, "uid2", "", "", "", None),
)


@pytest.mark.parametrize(
    ("text", "decimals", "units"),
    [
        ("0.5", 0, 0),
        ("1.5", 0, 2),
        ("-2.5", 0, -2),
        ("0.500000000000000000000000000001", 0, 1),
        ("123456789012345678901234567890", 6, 123456789012345678901234567890 * 10**6),
        ("1.", 2, 100),
        ("1e-99", 2, 0),
        ("1e99", 0, 10**99),
        ("1e999999999", 0, None),
        ("1_000", 0, None),
        ("1 000", 0, None),
        (".", 0, None),
        ("+", 0, None),
        ("٣", 0, None),
        ("Infinity", 0, None),
        ("0x10", 0, None),
    ],
)
def test_numbers(text: str, decimals: int, units: int | None) -> None:
    assert rows.to_units(text, decimals) == units


@given(st.decimals(-(10**9), 10**9, places=4))
def test_rounding_is_exact(value: Any) -> None:
    assert rows.to_units(str(value), 2) == round(value * 100)


def plan(consent: ConsentRule) -> rows.Plan:
    return rows.Plan(
        keys=(rows.KeyPlan("email", ("e",), bytes(32)),),
        attributes=((Attribute("t", ("x",)), "t"),),
        measures=((Measure("m", 0, 9, 0), "m"),),
        consent=consent,
        rules=Rules(EmailProfile.UID2, None, DateOrder.YMD),
        decimal=".",
        today=NOW.date(),
        schema=audience.schema(replace(MANIFEST, keys=("email",))),
    )


CHUNK = Chunk([2, 3], ("e", "t", "m"), (["a@example.fr", "b"], ["x", "y"], ["1", "11"]))
EVERYBODY = ConsentRule(3, (), None)


def test_a_chunk_converts_in_another_process_alike() -> None:
    here = rows.convert(CHUNK, plan(EVERYBODY))
    there = pickle.loads(pickle.dumps(rows.convert(*pickle.loads(pickle.dumps((CHUNK, plan(EVERYBODY)))))))
    assert here.batch.equals(there.batch)
    assert here.lines.tolist() == there.lines.tolist() == [2]
    assert here.counts.tally("dropped", "no_identifier") == there.counts.tally("dropped", "no_identifier")


def test_a_plan_does_not_print_its_keys() -> None:
    assert str(bytes(32)) not in repr(plan(EVERYBODY))
    assert bytes(32).hex() not in repr(plan(EVERYBODY))


def test_a_row_without_consent_is_never_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[bytes] = []

    def tokens(key: bytes, canonicals: list[bytes]) -> NDArray[np.uint8]:
        hashed.extend(canonicals)
        return np.zeros((len(canonicals), 16), np.uint8)

    monkeypatch.setattr(rows, "tokens", tokens)
    chunk = Chunk(
        [2, 3, 4],
        ("e", "t", "m", "ok", "until"),
        (
            ["no@x.fr", "old@x.fr", "yes@x.fr"],
            ["x"] * 3,
            ["1"] * 3,
            ["no", "yes", "yes"],
            ["2099-01-01", "2001-01-01", "2099-01-01"],
        ),
    )
    consent = plan(ConsentRule(0, (("ok", 1),), "until"))
    converted = rows.convert(chunk, replace(consent, schema=audience.schema(WITH_EXPIRY)))
    assert hashed == [b"yes@x.fr"]
    assert converted.lines.tolist() == [4]
    assert converted.counts.count("valid", "email") == 3


WITH_EXPIRY = replace(MANIFEST, keys=("email",), expires_column=True)

"""The primitives that `partners.protocol` is made of give the values of their RFCs."""

import json
from pathlib import Path

import pytest

from partners.protocol import hkdf, hmac_sha256

VECTORS = json.loads(Path(__file__).with_name("rfc_vectors.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", VECTORS["hmac_sha256"], ids=lambda case: f"RFC4231-{case['case']}")
def test_hmac_sha256(case: dict[str, str]) -> None:
    expected = bytes.fromhex(case["mac"])
    mac = hmac_sha256(bytes.fromhex(case["key"]), bytes.fromhex(case["message"]))
    assert mac[: len(expected)] == expected


@pytest.mark.parametrize("case", VECTORS["hkdf_sha256"], ids=lambda case: f"RFC5869-{case['case']}")
def test_hkdf_sha256(case: dict[str, str]) -> None:
    secret, salt, info = (bytes.fromhex(case[name]) for name in ("ikm", "salt", "info"))
    assert hkdf(secret, salt, info, int(case["length"])).hex() == case["okm"]


def test_no_case_is_missing() -> None:
    assert [case["case"] for case in VECTORS["hmac_sha256"]] == [1, 2, 3, 4, 5, 6, 7]
    assert [case["case"] for case in VECTORS["hkdf_sha256"]] == [1, 2, 3]

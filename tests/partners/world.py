"""A small collaboration for the tests of the partner's side: two partners, one of whom prepares a file."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from partners import mapping, prepare
from partners.keys import Identity
from partners.mapping import Map
from partners.prepare import Prepared
from policies.agreement import Agreement, Attribute, Audience, Measure, Party
from policies.question import AudienceRef
from policies.terms import DEFAULTS, Terms

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
SECRET = bytes(range(32))


def identity(seed: int) -> Identity:
    """Keys that are the same in every run, and good for nothing else."""
    return Identity(
        Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32),
        X25519PrivateKey.from_private_bytes(bytes([seed]) * 32),
    )


FRESH, TASTY = identity(1), identity(2)

TABLE: dict[str, Any] = {
    "name": "fresh",
    "audience": "drive",
    "file": "fresh.csv",
    "region": "FR",
    "keys": {"email": "email", "phone": "mobile"},
    "attributes": {"tier": "tier"},
    "measures": {"spend": {"column": "spend", "lower": 0, "upper": 500}},
    "consent": {"purposes": ["insights", "measurement"]},
}
HEADER = ("email", "mobile", "tier", "spend")
AUDIENCE = Audience(
    AudienceRef("fresh", "drive"),
    ("email", "phone"),
    (Attribute("tier", ("gold", "silver")),),
    (Measure("spend", 0, 50_000, 2),),
)
AGREEMENT = Agreement(
    id="c-1",
    name="drive-2026",
    protocol=1,
    match_keys=("email", "phone"),
    email_profile="uid2",
    parties=(
        Party("fresh", FRESH.public.signing, FRESH.public.sealing, Terms()),
        Party("tasty", TASTY.public.signing, TASTY.public.sealing, Terms()),
    ),
    audiences=(AUDIENCE,),
    base=DEFAULTS,
    floor=Terms(),
)


def agree(audience: Audience) -> Agreement:
    """The agreement with another audience of fresh."""
    return replace(
        AGREEMENT, audiences=(audience,), match_keys=tuple(dict.fromkeys(("email", "phone", *audience.keys)))
    )


def write_csv(path: Path, rows: Iterable[Iterable[str]], header: Iterable[str] = HEADER) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


def mapped(folder: Path, **changes: Any) -> Map:
    """The map of `TABLE`, with some of its settings replaced."""
    return mapping.parse(TABLE | changes, folder)


def run(
    folder: Path,
    rows: Iterable[Iterable[str]],
    header: Iterable[str] = HEADER,
    agreement: Agreement = AGREEMENT,
    table: Mapping[str, Any] | None = None,
    secret: bytes = SECRET,
) -> Prepared:
    """Prepare `fresh.csv` of these rows into the folder `out`."""
    write_csv(folder / "fresh.csv", rows, header)
    out = folder / "out"
    out.mkdir(exist_ok=True)
    return prepare.prepare(mapped(folder, **(table or {})), agreement, 1, secret, FRESH, out, now=NOW)


def written(prepared: Prepared) -> list[dict[str, Any]]:
    """The rows of the audience file."""
    rows: list[dict[str, Any]] = pq.read_table(prepared.audience_path).to_pylist()
    return rows

"""Uploads for tests of intake: an agreement, a file that fits it, and its signed manifest."""

import hashlib
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from cleanroom.intake.check import Expected
from partners import keys, manifest
from partners.audience import schema
from partners.manifest import Manifest, SignedManifest
from policies.agreement import Attribute, Audience, Measure
from policies.question import AudienceRef
from tests import worlds
from tests.worlds import DAY, Row

IDENTITY = keys.generate()
REKEY_KEY = bytes(range(32))
REF = AudienceRef("ada", "main")
EXPIRES = (DAY + timedelta(30)).isoformat()
AUDIENCE = Audience(
    REF, ("email", "phone"), (Attribute("colour", ("red", "green")),), (Measure("spend", -100, 10_000, 2),)
)
OTHER = Audience(AudienceRef("bea", "main"), ("email",), (), ())
EXPECTED = Expected(
    worlds.agreement((AUDIENCE, OTHER), ("email", "phone")), REF, (IDENTITY.public.signing,), 1, "ab" * 16, DAY
)


def row(number: int, **changes: Any) -> Row:
    """A row that may be uploaded; each number has tokens of its own."""
    good = Row(
        {"email": worlds.token("email", number), "phone": worlds.token("phone", number)},
        {"colour": ("red", "green", "other", "unknown")[number % 4]},
        {"spend": number % 100},
        1 + number % 15,
        date(2027, 1, 1),
    )
    return replace(good, **changes)


ROWS = tuple(row(number) for number in range(20))


def table(rows: tuple[Row, ...] = ROWS) -> pa.Table:
    return worlds.audience_table(AUDIENCE, rows)


def write(path: Path, data: pa.Table, **options: Any) -> Path:
    pq.write_table(data, path, compression="zstd", write_statistics=False, **options)
    return path


def manifest_of(path: Path, rows: int, **changes: Any) -> Manifest:
    """The manifest that `prepare` would write for this file."""
    data = path.read_bytes()
    honest = Manifest(
        collaboration=EXPECTED.agreement.id,
        partner=REF.owner,
        audience=REF.name,
        epoch=1,
        previous=None,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        rows=rows,
        keys=AUDIENCE.keys,
        attributes=AUDIENCE.attributes,
        measures=AUDIENCE.measures,
        expires_column=True,
        protocol=1,
        email_profile="uid2",
        key_check=EXPECTED.key_check,
        phone_metadata="9.0.0",
        created="2026-03-01T09:30:00Z",
        expires=EXPIRES,
    )
    return replace(honest, **changes)


def signed(path: Path, rows: int = len(ROWS), **changes: Any) -> SignedManifest:
    return manifest.sign(IDENTITY, manifest_of(path, rows, **changes))


def in_the_order_of_the_protocol(data: pa.Table) -> bool:
    return bool(data.schema.equals(schema(manifest_of(Path(__file__), 1))))

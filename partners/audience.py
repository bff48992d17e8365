"""The audience file: what leaves the partner's machine. Parquet, zstd, one row per person, in random order.

Rules:
* Columns, in this order:
  - `token.<match key>`: 16 bytes, null where the person has no such token;
  - `attribute.<name>`: text of the agreement's code-list, or `other`, or `unknown`; a dictionary;
  - `measure.<name>`: a whole number in units of 10^-decimals within the bounds, null where missing;
  - `consent`: the mask of `policies.purpose`, 1 to 15;
  - `expires`: the last day on which the consent holds; there only where the manifest says so.
* There is nothing else in the file: no index, no metadata of anybody's own.
* Beside it stand `<audience>.manifest.json` (see `partners.manifest`) and `<audience>.quality.json`.
"""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from partners.manifest import BadManifest, Manifest, SignedManifest, read_manifest, sign, verify
from partners.protocol import TOKEN_BYTES

__all__ = [
    "BadManifest",
    "Manifest",
    "SignedManifest",
    "read_manifest",
    "schema",
    "sign",
    "verify",
    "writer",
]

ROW_GROUP_ROWS = 2**17
CONSENT, EXPIRES = "consent", "expires"
TOKEN = pa.binary(TOKEN_BYTES)
CODE = pa.dictionary(pa.int32(), pa.string())


def token_column(match_key: str) -> str:
    return f"token.{match_key}"


def attribute_column(name: str) -> str:
    return f"attribute.{name}"


def measure_column(name: str) -> str:
    return f"measure.{name}"


def audience_file(folder: Path, audience: str) -> Path:
    return folder / f"{audience}.audience.parquet"


def manifest_file(folder: Path, audience: str) -> Path:
    return folder / f"{audience}.manifest.json"


def quality_file(folder: Path, audience: str) -> Path:
    return folder / f"{audience}.quality.json"


def schema(manifest: Manifest) -> pa.Schema:
    """The exact columns of the audience file that a manifest describes."""
    fields = [pa.field(token_column(key), TOKEN) for key in manifest.keys]
    fields += [pa.field(attribute_column(item.name), CODE, nullable=False) for item in manifest.attributes]
    fields += [pa.field(measure_column(item.name), pa.int64()) for item in manifest.measures]
    fields += [pa.field(CONSENT, pa.uint8(), nullable=False)]
    fields += [pa.field(EXPIRES, pa.date32(), nullable=False)] if manifest.expires_column else []
    return pa.schema(fields)


def writer(path: Path, manifest: Manifest) -> pq.ParquetWriter:
    """A writer of an audience file: a context manager whose `write_batch` adds one row group."""
    return pq.ParquetWriter(
        path,
        schema(manifest),
        compression="zstd",
        use_dictionary=[attribute_column(item.name) for item in manifest.attributes],
        write_statistics=False,
    )

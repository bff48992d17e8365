"""Counting one's own audience for `partners.simulate`, from what `prepare` wrote or from the customer file of a map.

Rules: no room, no agreement, nothing sent. A map is prepared as `prepare` would, with a secret that is thrown away,
into a folder that is removed. Only attributes and consent are read back, batch by batch.
"""

import secrets
import tempfile
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from partners import keys, mapping
from partners.audience import CONSENT, EXPIRES, attribute_column, audience_file
from partners.domains import read_domains
from partners.manifest import Manifest
from partners.mapping import Map
from partners.prepare import prepare
from partners.protocol import PROTOCOL_VERSION
from partners.reading import BadFile
from partners.simulate import Counts, Simulation, columns, simulate
from partners.steps.audiences import prepared_files
from policies.agreement import Agreement, Attribute, Audience, Party
from policies.purpose import Purpose
from policies.question import AudienceRef
from policies.terms import DEFAULTS, Terms

Progress = Callable[[str, int, int], None]


def simulated(
    path: Path, purpose: Purpose, matched: int, terms: Terms, now: datetime, progress: Progress
) -> Simulation:
    """What `terms` would show of the audience of a MAP.toml, a manifest or an audience file. Raises as `prepare`."""
    if path.suffix == ".toml":
        with tempfile.TemporaryDirectory(prefix="cleanroom-simulate-") as folder:
            mapped = read_domains(mapping.load(path), lambda done, whole: progress("reading values", done, whole))
            manifest = _prepared(mapped, Path(folder), now, progress)
            return _simulated(manifest, audience_file(Path(folder), mapped.audience), purpose, matched, terms, now)
    signed, file = prepared_files(path)
    return _simulated(signed.manifest, file, purpose, matched, terms, now)


def _simulated(
    manifest: Manifest, file: Path, purpose: Purpose, matched: int, terms: Terms, now: datetime
) -> Simulation:
    ref = AudienceRef(manifest.partner, manifest.audience)
    audience = Audience(ref, manifest.keys, manifest.attributes, ())
    return simulate(audience, _counted(audience, file, purpose, now.astimezone(UTC).date()), matched, terms)


def _prepared(mapped: Map, folder: Path, now: datetime, progress: Progress) -> Manifest:
    identity = keys.generate()
    audience = Audience(
        AudienceRef(mapped.name, mapped.audience),
        tuple(key.key for key in mapped.keys),
        tuple(Attribute(item.name, item.values or ()) for item in mapped.attributes),
        tuple(item.measure for item in mapped.measures),
    )
    public = identity.public
    party = Party(mapped.name, public.signing, public.sealing, Terms())
    agreement = Agreement(
        "simulation", "simulation", PROTOCOL_VERSION, audience.keys, "uid2", (party,), (audience,), DEFAULTS, Terms()
    )
    secret = secrets.token_bytes(32)
    return prepare(mapped, agreement, 1, secret, identity, folder, now=now, progress=progress).manifest.manifest


def _counted(audience: Audience, file: Path, purpose: Purpose, day: date) -> dict[tuple[str, ...], Counts]:
    """The people who take part, by what `columns` lists."""
    wanted = columns(audience)
    found: dict[tuple[str, ...], Counter[tuple[str, ...]]] = {by: Counter() for by in wanted}
    try:
        with pq.ParquetFile(file) as opened:
            expiring = EXPIRES in opened.schema_arrow.names
            read = [CONSENT, *([EXPIRES] if expiring else []), *(attribute_column(a.name) for a in audience.attributes)]
            for batch in opened.iter_batches(columns=read):
                _count(batch, audience, purpose, day if expiring else None, found)
    except (pa.ArrowException, OSError):
        raise BadFile(f"{file.name} cannot be read; run `prepare` again") from None
    return dict(found)


def _count(
    batch: pa.RecordBatch,
    audience: Audience,
    purpose: Purpose,
    day: date | None,
    found: dict[tuple[str, ...], Counter[tuple[str, ...]]],
) -> None:
    takes_part = (batch.column(CONSENT).to_numpy(zero_copy_only=False) & purpose.bit) != 0
    if day is not None:
        takes_part &= batch.column(EXPIRES).to_numpy(zero_copy_only=False) >= np.datetime64(day, "D")
    codes: dict[str, np.ndarray] = {}
    names: dict[str, list[str]] = {}
    for attribute in audience.attributes:
        column = batch.column(attribute_column(attribute.name))
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        codes[attribute.name] = encoded.indices.to_numpy(zero_copy_only=False)[takes_part].astype(np.int64)
        names[attribute.name] = encoded.dictionary.to_pylist()
    for by, counter in found.items():
        places = np.zeros(int(takes_part.sum()), np.int64)
        for name in by:
            places = places * len(names[name]) + codes[name]
        for place, count in zip(*np.unique(places, return_counts=True), strict=True):
            values, left = [], int(place)
            for name in reversed(by):
                left, code = divmod(left, len(names[name]))
                values.append(names[name][code])
            counter[tuple(reversed(values))] += int(count)

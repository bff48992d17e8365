"""Rows of an audience file as records of fixed size, to be put aside and shuffled.

Rules:
* A record is a row of the audience's schema and the line that it comes from; nothing is lost on the way there and back.
* A token that is taken from a row is zeroed before it reaches the audience file.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from partners.audience import CONSENT, EXPIRES, attribute_column, measure_column, token_column
from partners.protocol import TOKEN_BYTES
from partners.rows import Converted, Plan, code_array, token_array

LINE, HAS, CODES, UNITS, MISSING = "line", "has", "codes", "units", "missing"
TOKEN_KIND = np.dtype([("high", np.uint64), ("low", np.uint64), (LINE, np.int64)])

Records = NDArray[Any]


def has_kind(keys: int) -> np.dtype[Any]:
    """The smallest whole number with a bit for each key and one more."""
    return np.dtype(next(kind for kind in (np.uint8, np.uint16, np.uint32, np.uint64) if keys < 8 * kind().itemsize))


def record_kind(plan: Plan) -> np.dtype[Any]:
    """The type of the records of a plan. `has` has a bit for each match key that a row has a token of."""
    fields: list[tuple[Any, ...]] = [(LINE, np.int64), (HAS, has_kind(len(plan.keys)))]
    fields += [(key.key, np.uint64, (2,)) for key in plan.keys]
    fields += [(CODES, np.uint16, (len(plan.attributes),)), (UNITS, np.int64, (len(plan.measures),))]
    fields += [(MISSING, np.bool_, (len(plan.measures),)), (CONSENT, np.uint8)]
    fields += [(EXPIRES, np.int32)] if plan.consent.expires else []
    return np.dtype(fields)


def pack(converted: Converted, plan: Plan) -> Records:
    """The records of some converted rows."""
    batch = converted.batch
    records = np.zeros(batch.num_rows, record_kind(plan))
    records[LINE] = converted.lines
    for bit, key in enumerate(plan.keys):
        column = batch.column(token_column(key.key))
        _, data = column.buffers()
        records[key.key] = np.frombuffer(data, np.uint64, 2 * len(column), TOKEN_BYTES * column.offset).reshape(-1, 2)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        records[HAS] |= valid.astype(records[HAS].dtype) << np.array(bit, records[HAS].dtype)
    for place, (attribute, _) in enumerate(plan.attributes):
        records[CODES][:, place] = batch.column(attribute_column(attribute.name)).indices.to_numpy()
    for place, (measure, _) in enumerate(plan.measures):
        column = batch.column(measure_column(measure.name))
        records[UNITS][:, place] = column.fill_null(0).to_numpy()
        records[MISSING][:, place] = column.is_null().to_numpy(zero_copy_only=False)
    records[CONSENT] = batch.column(CONSENT).to_numpy()
    if plan.consent.expires:
        records[EXPIRES] = batch.column(EXPIRES).cast(pa.int32()).to_numpy()
    return records


def token_records(converted: Converted, plan: Plan) -> list[Records]:
    """The tokens of some converted rows by match key, as `TOKEN_KIND`."""
    found = []
    for key in plan.keys:
        column = converted.batch.column(token_column(key.key))
        _, data = column.buffers()
        halves = np.frombuffer(data, np.uint64, 2 * len(column), TOKEN_BYTES * column.offset).reshape(-1, 2)
        valid = column.is_valid().to_numpy(zero_copy_only=False)
        records = np.empty(int(valid.sum()), TOKEN_KIND)
        records["high"], records["low"], records[LINE] = halves[valid, 0], halves[valid, 1], converted.lines[valid]
        found.append(records)
    return found


def unpack(records: Records, plan: Plan) -> pa.RecordBatch:
    """The rows of some records, with the tokens that `has` still counts."""
    columns = []
    for bit, key in enumerate(plan.keys):
        has = (records[HAS] >> np.array(bit, records[HAS].dtype)) & 1 != 0
        columns.append(token_array(has, np.where(has[:, None], records[key.key], 0).astype(np.uint64).view(np.uint8)))
    for place, (attribute, _) in enumerate(plan.attributes):
        columns.append(code_array(records[CODES][:, place].astype(np.int32), attribute))
    for place in range(len(plan.measures)):
        columns.append(pa.array(records[UNITS][:, place].copy(), mask=records[MISSING][:, place].copy()))
    columns.append(pa.array(records[CONSENT].copy()))
    if plan.consent.expires:
        columns.append(pa.array(records[EXPIRES].copy()).cast(pa.date32()))
    return pa.RecordBatch.from_arrays(columns, schema=plan.schema)

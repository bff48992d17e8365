"""Customer rows -> audience rows: one chunk in, one record batch out. Pure.

Rules:
* No file, clock or hidden randomness: a chunk gives the same result in any process, and chunks know nothing of each
  other. Duplicates across chunks are `partners.prepare`'s work.
* A row without consent is counted and dropped; its identifiers are read for the statistics and never hashed.
* A bad attribute or measure never drops a row.
"""

import re
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from partners.audience import CODE, TOKEN
from partners.consent import ConsentRule, read_consent, read_date
from partners.counting import Counts
from partners.hashing import tokens
from partners.identifiers import Invalid, Rules
from partners.identifiers.columns import canonical_column
from partners.protocol import TOKEN_BYTES
from partners.quality import Drop, Flaw
from partners.reading import Chunk
from policies.agreement import OTHER, UNKNOWN, Attribute, Measure

OTHERWISE = "number with the other decimal"
_NUMBER = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?")
_USUAL_WHOLE = r"\A-?[0-9]{1,9}\z"
_USUAL_NUMBER = r"\A-?[0-9]{{1,9}}(?:\.[0-9]{{1,{}}})?\z"
_GROUPING = re.compile(r"[. \u00a0\u202f]")
_WITH_COMMA = re.compile(r"[+-]?(?:[0-9]+|[0-9]{1,3}(?:[. \u00a0\u202f][0-9]{3})+)(?:,[0-9]*)?")
_EXACT = Context(prec=200, rounding=ROUND_HALF_EVEN)  # more digits than a number of `_NUMBER` can have


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """A match key, its columns and the key under which its identifiers become tokens."""

    key: str
    columns: tuple[str, ...]
    token_key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do with every row. Attributes and measures are the agreement's, each with its column."""

    keys: tuple[KeyPlan, ...]
    attributes: tuple[tuple[Attribute, str], ...]
    measures: tuple[tuple[Measure, str], ...]
    consent: ConsentRule
    rules: Rules
    decimal: str
    today: date
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class Converted:
    """The rows of a chunk that have consent and a token, the line of each, and what was counted over the chunk."""

    batch: pa.RecordBatch
    lines: NDArray[np.int64]
    counts: Counts


def convert(chunk: Chunk, plan: Plan) -> Converted:
    """One chunk's part of the audience file, in the file's order, with the columns of `plan.schema`."""
    counts = Counts()
    lines = np.asarray(chunk.lines, dtype=np.int64)
    masks = _masks(chunk, lines, plan.consent, counts)
    last_days = _last_days(chunk, lines, plan, counts)
    standing = _standing(masks, last_days, plan)
    found = [_tokens(chunk, lines, key, plan.rules, standing, counts) for key in plan.keys]
    kept = np.logical_or.reduce([valid for valid, _ in found])
    counts.add_rows(lines[masks == 0], "dropped", Drop.NO_CONSENT.value)
    counts.add_rows(lines[(masks > 0) & ~standing], "dropped", Drop.EXPIRED.value)
    counts.add_rows(lines[standing & ~kept], "dropped", Drop.NO_IDENTIFIER.value)
    counts.add_many(len(lines), "rows")

    columns = [token_array(valid[kept], data[kept]) for valid, data in found]
    columns += [
        code_array(_codes(chunk, lines, attribute, column, counts)[kept], attribute)
        for attribute, column in plan.attributes
    ]
    columns += [
        _units(chunk, lines, measure, column, plan.decimal, counts).filter(pa.array(kept))
        for measure, column in plan.measures
    ]
    columns += [pa.array(masks[kept])]
    # The schema's promise that the expiry is never null holds for the kept rows only.
    columns += [pa.array(last_days[kept])] if last_days is not None else []
    return Converted(pa.RecordBatch.from_arrays(columns, schema=plan.schema), lines[kept], counts)


def consented(chunk: Chunk, plan: Plan) -> NDArray[np.bool_]:
    """Which rows of a chunk consent to something today."""
    lines, counts = np.asarray(chunk.lines, dtype=np.int64), Counts()
    return _standing(_masks(chunk, lines, plan.consent, counts), _last_days(chunk, lines, plan, counts), plan)


def _standing(masks: NDArray[np.uint8], last_days: NDArray[np.datetime64] | None, plan: Plan) -> NDArray[np.bool_]:
    standing: NDArray[np.bool_] = masks > 0
    if last_days is not None:
        standing &= ~np.isnat(last_days) & (last_days >= np.datetime64(plan.today, "D"))
    return standing


def token_array(valid: NDArray[np.bool_], data: NDArray[np.uint8]) -> pa.Array:
    """A column of tokens of their bytes, 16 in a row, null where not valid."""
    _, validity = pa.array(valid).buffers()
    return pa.FixedSizeBinaryArray.from_buffers(TOKEN, len(valid), [validity, pa.py_buffer(np.ascontiguousarray(data))])


def code_array(codes: NDArray[np.int32], attribute: Attribute) -> pa.DictionaryArray:
    """A column of an attribute's values by their place in its domain."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, CODE.index_type), pa.array(attribute.domain, CODE.value_type))


def _masks(chunk: Chunk, lines: NDArray[np.int64], rule: ConsentRule, counts: Counts) -> NDArray[np.uint8]:
    masks = np.full(len(lines), rule.stated, np.uint8)
    for column, purposes in rule.columns:
        texts, rows = chunk.distinct(column)
        answers = [read_consent(text, purposes) for text in texts]
        masks |= np.array([answer or 0 for answer in answers], np.uint8)[rows]
        _count_consent(counts, lines, column, texts, np.array([answer is None for answer in answers], np.bool_), rows)
    return masks


def _last_days(chunk: Chunk, lines: NDArray[np.int64], plan: Plan, counts: Counts) -> NDArray[np.datetime64] | None:
    column = plan.consent.expires
    if column is None:
        return None
    texts, rows = chunk.distinct(column)
    days = np.array([read_date(text, plan.rules.date_order) for text in texts], "datetime64[D]")
    _count_consent(counts, lines, column, texts, np.isnat(days), rows)
    return days[rows]


def _count_consent(
    counts: Counts,
    lines: NDArray[np.int64],
    column: str,
    texts: list[str],
    unread: NDArray[np.bool_],
    rows: NDArray[np.int64],
) -> None:
    blank = np.array([not text for text in texts], np.bool_)
    counts.add_rows(lines[(unread & blank)[rows]], "consent", column, Flaw.MISSING.value)
    counts.add_rows(lines[(unread & ~blank)[rows]], "consent", column, Flaw.UNREADABLE.value)


def _tokens(
    chunk: Chunk,
    lines: NDArray[np.int64],
    key: KeyPlan,
    rules: Rules,
    consented: NDArray[np.bool_],
    counts: Counts,
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Which rows have a token under one match key, and its bytes; none without consent."""
    found = canonical_column(key.key, tuple(map(chunk.array, key.columns)), rules)
    for reason, rows in found.invalid.items():
        if reason is not Invalid.EMPTY:
            counts.add_rows(lines[rows], "invalid", key.key, reason.value)
    counts.add_many(len(lines) - found.texts.null_count, "valid", key.key)
    hashed = found.texts.is_valid().to_numpy(zero_copy_only=False) & consented
    texts = found.texts if hashed.all() else found.texts.filter(pa.array(hashed))
    data = np.zeros((len(lines), TOKEN_BYTES), np.uint8)
    data[hashed] = tokens(key.token_key, texts.cast(pa.binary()).to_pylist())
    return hashed, data


def _codes(
    chunk: Chunk, lines: NDArray[np.int64], attribute: Attribute, column: str, counts: Counts
) -> NDArray[np.int32]:
    """The code of each row: the trimmed value where the code-list has it, `unknown` for blank, `other` for the rest."""
    codes = {value: code for code, value in enumerate(attribute.domain)}
    other, unknown = codes[OTHER], codes[UNKNOWN]
    texts, rows = chunk.distinct(column)
    found = np.array([codes.get(text, other) if text else unknown for text in texts], np.int32)[rows]
    counts.add_rows(lines[found == other], "attribute", attribute.name, Flaw.OTHER.value)
    counts.add_rows(lines[found == unknown], "attribute", attribute.name, Flaw.UNKNOWN.value)
    return found


def _units(
    chunk: Chunk, lines: NDArray[np.int64], measure: Measure, column: str, decimal: str, counts: Counts
) -> pa.Array:
    """The whole units of each row, rounded half to even and clipped; null where blank or not a number."""
    raw = texts = chunk.array(column)
    if decimal == "," and column not in chunk.numbers:
        texts = _with_points(texts)
    values = np.zeros(len(lines), np.int64)
    missing, strange, clipped, usual = (np.zeros(len(lines), np.bool_) for _ in range(4))
    if not isinstance(texts, list):
        form = _USUAL_NUMBER.format(measure.decimals) if measure.decimals else _USUAL_WHOLE
        usual = pc.match_substring_regex(texts, form).to_numpy(zero_copy_only=False)
        # At most 15 digits, none beyond the unit: the double that this gives is within a quarter of the whole number.
        read = texts.filter(pa.array(usual)).cast(pa.float64()).to_numpy(zero_copy_only=False)
        values[usual] = np.rint(read * 10**measure.decimals).astype(np.int64)
    rest = np.flatnonzero(~usual)
    others = texts.take(pa.array(rest)).to_pylist() if not isinstance(texts, list) else texts
    for row, text in zip(rest.tolist(), others, strict=True):
        value = to_units(text, measure.decimals)
        if value is None:
            missing[row], strange[row] = not text, bool(text)
        else:
            clipped[row] = not measure.lower <= value <= measure.upper
            values[row] = min(max(value, measure.lower), measure.upper)
    absent = missing | strange
    clipped |= ~absent & ((values < measure.lower) | (values > measure.upper))
    values = np.clip(values, measure.lower, measure.upper)
    counts.add_rows(lines[missing], "measure", measure.name, Flaw.MISSING.value)
    counts.add_rows(lines[strange], "measure", measure.name, Flaw.NOT_A_NUMBER.value)
    counts.add_rows(lines[clipped], "measure", measure.name, Flaw.CLIPPED.value)
    if column not in chunk.numbers and strange.any():
        counts.add_many(_otherwise(raw, strange, decimal), OTHERWISE, measure.name)
    return pa.array(values, mask=absent)


def _otherwise(raw: "pa.StringArray | list[str]", strange: NDArray[np.bool_], decimal: str) -> int:
    """How many of these texts are numbers after all, were the decimals written the other way."""
    rows = np.flatnonzero(strange)
    texts = [raw[row] for row in rows.tolist()] if isinstance(raw, list) else raw.take(pa.array(rows)).to_pylist()
    return sum(to_units(_with_point(text) if decimal == "." else text, 0) is not None for text in texts)


def _with_points(texts: "pa.StringArray | list[str]") -> "pa.StringArray | list[str]":
    """Numbers with a decimal comma, written with a point; points and spaces between thousands go.

    A point that stands elsewhere makes the text no number: it would be read as another one.
    """
    if isinstance(texts, list):
        return [_with_point(text) for text in texts]
    found = texts.dictionary_encode()
    values = pa.array(map(_with_point, found.dictionary.to_pylist()), pa.string())
    return values.take(found.indices)


def _with_point(text: str) -> str:
    if not _WITH_COMMA.fullmatch(text):
        return text if text.isdecimal() or not text else "not a number"
    return _GROUPING.sub("", text).replace(",", ".")


def to_units(text: str, decimals: int) -> int | None:
    """A number as people and programs write it, with a decimal point, in units of 10^-decimals; None for other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(_EXACT.to_integral_value(_EXACT.scaleb(Decimal(text), decimals)))

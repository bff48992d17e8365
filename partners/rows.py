"""Customer rows -> audience rows: one chunk in, one record batch out. Pure.

Rules:
* No file, clock or hidden randomness: a chunk gives the same result in any process, and chunks know nothing of each
  other. Duplicates across chunks are `partners.prepare`'s work.
* A row without consent is counted and dropped; its identifiers are read for the statistics and never hashed.
* A bad attribute or measure never drops a row.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_HALF_EVEN, Context, Decimal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from partners.audience import CODE, TOKEN
from partners.consent import ConsentRule, read_date, read_yes_no
from partners.counting import Counts
from partners.identifiers import Invalid, Rules, canonical
from partners.protocol import token
from partners.quality import Drop, Flaw
from partners.reading import Chunk
from policies.agreement import OTHER, UNKNOWN, Attribute, Measure

_NUMBER = re.compile(r"[+-]?(?=\.?[0-9])[0-9]{0,30}(?:\.[0-9]{0,30})?(?:[eE][+-]?[0-9]{1,2})?")
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
    masks = _masks(chunk, plan.consent, counts)
    last_days = _last_days(chunk, plan, counts)
    consented = [
        bool(mask) and (last_days is None or ((day := last_days[row]) is not None and plan.today <= day))
        for row, mask in enumerate(masks)
    ]
    tokens = [_tokens(chunk, key, plan.rules, consented, counts) for key in plan.keys]
    kept = [consented[row] and any(values) for row, values in enumerate(zip(*tokens, strict=True))]
    for row, line in enumerate(chunk.lines):
        if not kept[row]:
            why = Drop.NO_CONSENT if not masks[row] else Drop.EXPIRED if not consented[row] else Drop.NO_IDENTIFIER
            counts.add(line, "dropped", why.value)
    counts.add_many(len(chunk.lines), "rows")

    columns = [pa.array(values, TOKEN) for values in tokens]
    columns += [_codes(chunk, attribute, column, counts) for attribute, column in plan.attributes]
    columns += [_units(chunk, measure, column, counts) for measure, column in plan.measures]
    columns += [pa.array(masks, pa.uint8())]
    columns += [pa.array(last_days, pa.date32())] if last_days is not None else []
    rows = np.flatnonzero(np.array(kept, dtype=np.bool_))
    # The schema's promise that consent and expiry are never null holds for the kept rows only.
    batch = pa.RecordBatch.from_arrays([column.take(pa.array(rows)) for column in columns], schema=plan.schema)
    return Converted(batch, np.asarray(chunk.lines, dtype=np.int64)[rows], counts)


def _masks(chunk: Chunk, rule: ConsentRule, counts: Counts) -> list[int]:
    masks = [rule.stated] * len(chunk.lines)
    for column, purposes in rule.columns:
        for row, text in enumerate(chunk.column(column)):
            answer = read_yes_no(text)
            if answer:
                masks[row] |= purposes
            elif answer is None:
                _count_consent(counts, chunk.lines[row], column, text)
    return masks


def _last_days(chunk: Chunk, plan: Plan, counts: Counts) -> list[date | None] | None:
    column = plan.consent.expires
    if column is None:
        return None
    texts = chunk.column(column)
    days = [read_date(text, plan.rules.date_order) for text in texts]
    for row, day in enumerate(days):
        if day is None:
            _count_consent(counts, chunk.lines[row], column, texts[row])
    return days


def _count_consent(counts: Counts, line: int, column: str, text: str) -> None:
    counts.add(line, "consent", column, (Flaw.UNREADABLE if text else Flaw.MISSING).value)


def _tokens(chunk: Chunk, key: KeyPlan, rules: Rules, consented: Sequence[bool], counts: Counts) -> list[bytes | None]:
    """The token of each row under one match key; None where it has none, or no consent."""
    match_key, token_key, lines = key.key, key.token_key, chunk.lines
    tokens: list[bytes | None] = [None] * len(lines)
    valid = 0
    for row, parts in enumerate(zip(*map(chunk.column, key.columns), strict=True)):
        text = canonical(match_key, parts, rules)
        if isinstance(text, Invalid):
            if text is not Invalid.EMPTY:
                counts.add(lines[row], "invalid", match_key, text.value)
            continue
        valid += 1
        if consented[row]:
            tokens[row] = token(token_key, text)
    counts.add_many(valid, "valid", match_key)
    return tokens


def _codes(chunk: Chunk, attribute: Attribute, column: str, counts: Counts) -> pa.DictionaryArray:
    """The code of each row: the trimmed value where the code-list has it, `unknown` for blank, `other` for the rest."""
    domain = attribute.domain
    codes = {value: code for code, value in enumerate(domain)}
    other, unknown = codes[OTHER], codes[UNKNOWN]
    found = [codes.get(text, other) if text else unknown for text in chunk.column(column)]
    for row, code in enumerate(found):
        if code in (other, unknown):
            flaw = Flaw.OTHER if code == other else Flaw.UNKNOWN
            counts.add(chunk.lines[row], "attribute", attribute.name, flaw.value)
    return pa.DictionaryArray.from_arrays(pa.array(found, CODE.index_type), pa.array(domain, CODE.value_type))


def _units(chunk: Chunk, measure: Measure, column: str, counts: Counts) -> pa.Array:
    """The whole units of each row, rounded half to even and clipped; null where blank or not a number."""
    values: list[int | None] = []
    for row, text in enumerate(chunk.column(column)):
        value = to_units(text, measure.decimals)
        flaw = None
        if value is None:
            flaw = Flaw.NOT_A_NUMBER if text else Flaw.MISSING
        elif not measure.lower <= value <= measure.upper:
            flaw = Flaw.CLIPPED
            value = min(max(value, measure.lower), measure.upper)
        if flaw is not None:
            counts.add(chunk.lines[row], "measure", measure.name, flaw.value)
        values.append(value)
    return pa.array(values, pa.int64())


def to_units(text: str, decimals: int) -> int | None:
    """A number as people and programs write it, with a decimal point, in units of 10^-decimals; None for other text."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(_EXACT.to_integral_value(_EXACT.scaleb(Decimal(text), decimals)))

"""Whole columns of raw customer values -> canonical text: what `canonical` says of each, sooner.

Rules:
* The same answer as `partners.identifiers.canonical` for every value, valid or not.
* Usual e-mail addresses, phone numbers and opaque ids are decided by rules for whole columns, every other value by the
  rule for one, each different value once.
"""

from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from partners.identifiers import Rules, canonical
from partners.identifiers.email_column import email_column
from partners.identifiers.opaque_column import opaque_column
from partners.identifiers.phone_column import phone_column
from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Canonical, Counts, Decided

Column: TypeAlias = "pa.StringArray | list[str]"
"""Values without nulls; a list where some cannot be written as UTF-8."""


def canonical_column(match_key: str, columns: tuple[Column, ...], rules: Rules) -> Canonical:
    """The canonical texts of a match key's columns, and the rows of each reason, blank ones (`EMPTY`) too."""
    first = columns[0]
    if match_key == "person" or match_key == "maid" or isinstance(first, list):
        return _one_by_one(match_key, columns, rules)
    match match_key:
        case "email":
            decided = email_column(first, rules.email_profile)
        case "phone":
            decided = phone_column(first, rules.region)
        case _:
            decided = opaque_column(first)
    rest = _one_by_one(match_key, (first.take(pa.array(decided.open)),), rules) if len(decided.open) else None
    return _joined(len(first), decided, rest)


def _joined(size: int, decided: Decided, rest: Canonical | None) -> Canonical:
    if rest is None and len(decided.valid) == size:
        return Canonical(decided.texts, {})
    index = np.full(size, -1, np.int64)
    index[decided.valid] = np.arange(len(decided.valid))
    texts, invalid = decided.texts, {reason: [rows] for reason, rows in decided.invalid.items()}
    if rest is not None:
        index[decided.open] = np.arange(len(decided.open)) + len(texts)
        texts = pa.concat_arrays([texts, rest.texts])
        for reason, rows in rest.invalid.items():
            invalid.setdefault(reason, []).append(decided.open[rows])
    return Canonical(
        texts.take(pa.array(index, mask=index < 0)),
        {reason: np.sort(np.concatenate(parts)) for reason, parts in invalid.items()},
    )


def _one_by_one(match_key: str, columns: Iterable[Column], rules: Rules) -> Canonical:
    known: dict[tuple[str, ...], str | Invalid] = {}
    texts: list[str | None] = []
    invalid: dict[Invalid, list[int]] = {}
    listed = [column if isinstance(column, list) else column.to_pylist() for column in columns]
    for row, parts in enumerate(zip(*listed, strict=True)):
        found = known.get(parts)
        if found is None:
            found = known[parts] = canonical(match_key, parts, rules)
        if isinstance(found, Invalid):
            invalid.setdefault(found, []).append(row)
            texts.append(None)
        else:
            texts.append(found)
    rows: dict[Invalid, Counts] = {reason: np.array(each, np.int64) for reason, each in invalid.items()}
    return Canonical(pa.array(texts, pa.string()), rows)

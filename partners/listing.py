"""A plain list of identifiers -> canonical texts: one identifier a line, of one match key.

Rules:
* The texts are those that `prepare` makes of the same values, by the same rules; they never leave this machine.
* `person` takes three columns with a header: given_name, family_name, birth_date. Every other key takes the whole line.
* A list of any length, read piece by piece. What is invalid is counted by its cause and never shown.
"""

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import BinaryIO

import pyarrow as pa

from partners.identifiers import Invalid, Rules, columns_of
from partners.identifiers.columns import Column, canonical_column
from partners.reading import BadFile
from partners.reading.chunk import positions
from partners.reading.delimited import choose_delimiter, first_record, records, without_nul
from partners.reading.encoding import decoded

SHOWN_LINES = 3
PERSON_COLUMNS = ("given_name", "family_name", "birth_date")


@dataclass(slots=True)
class Tally:
    """What was read so far: lines that are not blank, those that are an identifier, the others by cause.

    `first`: the numbers of the first lines of each cause, from 1.
    """

    lines: int = 0
    usable: int = 0
    invalid: Counter[Invalid] = field(default_factory=Counter)
    first: dict[Invalid, list[int]] = field(default_factory=dict)


def read_list(
    file: BinaryIO, match_key: str, rules: Rules, encoding: str, size: int, tally: Tally
) -> Iterator[list[str]]:
    """The canonical texts of a list, at most `size` at a time. Raises `BadFile`, ValueError for an unknown key."""
    with_header = columns_of(match_key) > 1
    text = decoded(file, encoding, "the list")
    try:
        lines = without_nul(text, "the list")
        rows = _persons(lines) if with_header else ((number, (line.strip(),)) for number, line in enumerate(lines, 1))
        filled = ((number, row) for number, row in rows if any(row))
        while piece := list(islice(filled, size)):
            columns = tuple(_column(list(column)) for column in zip(*(row for _, row in piece), strict=True))
            found = canonical_column(match_key, columns, rules)
            texts = found.texts.drop_null().to_pylist()
            tally.lines += len(piece)
            tally.usable += len(texts)
            for reason, places in found.invalid.items():
                if len(places):
                    tally.invalid[reason] += len(places)
                    first = tally.first.setdefault(reason, [])
                    first += [piece[place][0] for place in places[: SHOWN_LINES - len(first)].tolist()]
            if texts:
                yield texts
    except UnicodeError:
        raise BadFile(f"the list holds bytes that are not {encoding}; give its --encoding") from None
    finally:
        text.detach()


def _persons(lines: Iterator[str]) -> Iterator[tuple[int, tuple[str, ...]]]:
    first, named = first_record(lines, "the list")
    delimiter = named or choose_delimiter(first, PERSON_COLUMNS)
    reader = csv.reader(chain(first, lines), delimiter=delimiter, strict=True, skipinitialspace=True)
    _, header = next(records(reader, None, "the list"))
    wanted = positions(PERSON_COLUMNS, header, "the list")
    for line, row in records(reader, len(header), "the list"):
        yield line, tuple(row[place].strip() for place in wanted)


def _column(texts: list[str]) -> Column:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # a lone surrogate
        return texts

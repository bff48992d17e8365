"""Adds people up: exact integer counts and sums per cell.

Rules: exact whatever the data, and in integers throughout, never in doubles. Bounds keep every amount below 2^40, so an
int64 holds the sum of 2^22 of them; after so many rows the totals are carried over into Python integers, which never
overflow. Rows go by in blocks that fit a processor's cache. Questions that only ask who is matched are bitmaps
and counted as such.
"""

from collections.abc import Iterator

import numpy as np

from cleanroom.engine import bits
from cleanroom.engine.bits import WORD
from cleanroom.engine.population import Block, Population, Rows
from policies.agreement import MAX_BOUND
from policies.cells import Cell, Value
from policies.disclose import Measured
from policies.question import ColumnRef, Matched, Question

SPAN = 1 << 22
BLOCK = 1 << 15
BITMAP_BLOCK = 1 << 20
assert max(MAX_BOUND, 1 << 40) * SPAN < 1 << 63, "the sum of a span fits an int64"
assert SPAN % BLOCK == BLOCK % WORD == BITMAP_BLOCK % WORD == 0, "blocks are whole words"


def tally(question: Question, people: Population, cells: tuple[Cell, ...]) -> Measured:
    """The people in each of the cells, and the sums. Every person whom the question counts is in one of them."""
    if question.sum or not all(isinstance(item, Matched) for item in question.by):
        counts, sums = _add_up(question, people)
    else:
        counts, sums = _count_sets(question, people), {}
    places = _places(question, people, cells)
    assert sum(counts) == sum(counts[place] for place in places), "everybody is in one cell of the question"
    return Measured(
        tuple(counts[place] for place in places),
        {column: tuple(totals[place] for place in places) for column, totals in sums.items()},
    )


def _count_sets(question: Question, people: Population) -> list[int]:
    """The people in every place of the table, for dimensions that are all sets."""
    counts = [0] * 2 ** len(question.by)
    for block in _blocks(people, 0, people.rows, BITMAP_BLOCK):
        sets = [block.selected(question.where)]
        for item in question.by:
            matched = block.matched(item.audience)
            sets = [part for each in sets for part in (each & matched, each & ~matched)]
        counts = [count + bits.size(each) for count, each in zip(counts, sets, strict=True)]
    return counts


def _add_up(question: Question, people: Population) -> tuple[list[int], dict[ColumnRef, list[int]]]:
    """The people in every place of the table, and the sums."""
    sizes = [len(values) for values in _values(question, people)]
    counts = np.zeros(np.prod(sizes, dtype=int), np.int64)
    sums = {column: [0] * len(counts) for column in question.sum}
    for start in range(0, people.rows, SPAN):
        totals = {column: np.zeros_like(counts) for column in question.sum}
        for block in _blocks(people, start, min(start + SPAN, people.rows), BLOCK):
            rows = bits.numbers(block.selected(question.where))
            places = _place(question, block, rows, sizes)
            counts += np.bincount(places, minlength=len(counts))
            for column, total in totals.items():
                np.add.at(total, places, block.amounts(column, rows).astype(np.int64))
        for column, total in totals.items():
            sums[column] = [exact + more for exact, more in zip(sums[column], total.tolist(), strict=True)]
    return counts.tolist(), sums


def _place(question: Question, block: Block, rows: Rows, sizes: list[int]) -> Rows:
    """The place in the table of each of some people of a block; the last dimension moves fastest."""
    places = np.zeros(len(rows), np.intp)
    for index, (item, size) in enumerate(zip(question.by, sizes, strict=True)):
        if index:
            places *= size
        if isinstance(item, Matched):
            places += ~bits.contains(block.matched(item.audience), rows)
        else:
            places += block.codes(item, rows)
    return places


def _blocks(people: Population, start: int, stop: int, size: int) -> Iterator[Block]:
    for first in range(start, stop, size):
        yield Block(people, first, min(first + size, stop))


def _values(question: Question, people: Population) -> list[tuple[Value, ...]]:
    """The values that a person can have in each dimension, in the order of their codes."""
    return [
        (True, False) if isinstance(item, Matched) else (*people.codes[item].attribute.domain, None)
        for item in question.by
    ]


def _places(question: Question, people: Population, cells: tuple[Cell, ...]) -> list[int]:
    """The place in the table of each cell."""
    places = [0] * len(cells)
    for index, values in enumerate(_values(question, people)):
        position = {value: code for code, value in enumerate(values)}
        places = [place * len(values) + position[cell[index]] for place, cell in zip(places, cells, strict=True)]
    return places

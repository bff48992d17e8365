"""The cells of a question: every combination of values that its `by` can take, in one fixed order.

Rules: cells come from the code-lists of the signed agreement, never from data, so empty cells appear too. A cell that
cannot hold anybody whatever the data (an attribute of an audience in which the person is unmatched) is left out.
The order is part of the engine's contract: an engine returns its vectors in the order of `cells`.
"""

from itertools import product

from policies.agreement import Agreement
from policies.question import By, ColumnRef, Matched, Question, demands

# The value of a person in one dimension: an attribute's value, matched or not, None for an attribute of an unmatched.
Value = str | bool | None
Cell = tuple[Value, ...]

MAX_CELLS = 5_000


def cells(question: Question, agreement: Agreement) -> tuple[Cell, ...]:
    """The cells of a canonical question, each with one value per item of `by`; one empty cell without `by`.

    The question's columns must be in the agreement.
    """
    return tuple(cell for cell in product(*_domains(question, agreement)) if _possible(question.by, cell))


def size(question: Question, agreement: Agreement) -> int:
    """An upper bound of the number of cells, without making them."""
    bound = 1
    for domain in _domains(question, agreement):
        bound *= len(domain)
    return bound


def _domains(question: Question, agreement: Agreement) -> list[tuple[Value, ...]]:
    return [_domain(item, question, agreement) for item in question.by]


def _domain(item: By, question: Question, agreement: Agreement) -> tuple[Value, ...]:
    certain = item.audience == question.count or demands(question.where, item.audience)
    if isinstance(item, Matched):
        return (True,) if certain else (True, False)
    attribute = agreement.attribute(item)
    assert attribute is not None, "the gate admits only columns of the agreement"
    return attribute.domain if certain else (*attribute.domain, None)


def _possible(by: tuple[By, ...], cell: Cell) -> bool:
    """A person is either matched in an audience, with all its attributes, or not, with none of them."""
    matched: dict[object, bool] = {}
    for item, value in zip(by, cell, strict=True):
        is_matched = value is not None if isinstance(item, ColumnRef) else value is True
        if matched.setdefault(item.audience, is_matched) != is_matched:
            return False
    return True

"""Which questions the agreement admits. Decided from public facts only: the agreement, the asker, the question.

Rules: deny by default. Every audience, column and value that a question names must be in the agreement and in
everybody's terms; a requester cannot sum a measure that it supplied itself, because amounts it chose (powers of two)
would spell out who is in; every linked audience must share a match key with the counted one. In threshold mode, where
sums are exact, a sum over a linked audience's measure needs `where` to demand the match: the minimum size must hold for
the people who have an amount, not for those who count as 0.
"""

from policies.agreement import Agreement
from policies.cells import MAX_CELLS, size
from policies.decision import Reason, Refuse
from policies.question import ColumnRef, Is, Question, demands, leaves
from policies.terms import Kind, Mode


def admit(question: Question, kind: Kind, asker: str, agreement: Agreement) -> Refuse | None:
    """None when the agreement admits a canonical question; else the refusal. The asker must be a party."""
    terms = agreement.terms
    if kind not in terms.kinds:
        return Refuse(Reason.KIND, kind.value)
    if question.purpose not in terms.purposes:
        return Refuse(Reason.PURPOSE, question.purpose.value)
    linked = question.linked()
    for audience in (question.count, *linked):
        if agreement.audience(audience) is None:
            return Refuse(Reason.AUDIENCE, str(audience))
    if refused := _columns(question, asker, agreement):
        return refused
    for audience in linked:
        if not agreement.common_keys(question.count, audience):
            return Refuse(Reason.NO_COMMON_KEY, str(audience))
    if size(question, agreement) > MAX_CELLS:
        return Refuse(Reason.TOO_MANY_CELLS)
    return None


def _columns(question: Question, asker: str, agreement: Agreement) -> Refuse | None:
    allowed = agreement.terms.columns
    tests = [leaf for leaf in leaves(question.where) if isinstance(leaf, Is)]
    named = [leaf.column for leaf in tests] + [item for item in question.by if isinstance(item, ColumnRef)]
    for column in (*named, *question.sum):
        if allowed is not None and str(column) not in allowed:
            return Refuse(Reason.COLUMN, str(column))
    for column in named:
        if agreement.attribute(column) is None:
            return Refuse(Reason.COLUMN, str(column))
    for leaf in tests:
        attribute = agreement.attribute(leaf.column)
        if attribute is None or not leaf.values <= set(attribute.domain):
            return Refuse(Reason.COLUMN, str(leaf.column))
    for column in question.sum:
        if agreement.measure(column) is None:
            return Refuse(Reason.COLUMN, str(column))
        if column.audience.owner == asker:
            return Refuse(Reason.OWN_MEASURE, str(column))
        exact = agreement.terms.mode is Mode.THRESHOLD
        if exact and column.audience != question.count and not demands(question.where, column.audience):
            return Refuse(Reason.UNMATCHED_SUM, str(column))
    return None

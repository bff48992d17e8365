"""How much one row can change a vector of figures: L1 sensitivity, per owner, from the question and agreement alone.

Rules. A question gives one vector of counts over its cells and one vector of sums per measure. Take away one row of
one owner's audience D; the L1 change of the vector is at most `sensitivity(...)`.

* D is the counted audience: its person vanishes. 1 for counts, the measure's weight for sums.
* D is linked on m match keys: within A a token stands in one row, so at most one person of A is matched through each
  token of the lost row: at most m people change. Whoever was matched through the last key finds nobody else and becomes
  unmatched; the m - 1 others may find another row of D through a later key. Together (m - 1) e(m) + e(1), with e(m) the
  largest of
    - the person appears or vanishes, where `where` refers to D: 1 weight;
    - it moves between a matched and an unmatched cell, where `by` refers to D and `where` does not demand the match:
      2 weights; where it does demand it, losing the match means vanishing: 1 weight;
    - with m > 1, it finds another row of D through a later key: another attribute value, so another cell: 2 weights;
    - the sum is of D's own measure: the value vanishes (1 weight) or, with m > 1, becomes another row's
      (upper - lower; never less than a weight is allowed for a missing value, which counts 0).
* An owner with several audiences in the question: the sum over them.

The proof is in `docs/policies/sensitivity.md`. Checked against a naive model over random neighbouring worlds in
`tests/policies/test_sensitivity.py`.
"""

from policies.agreement import Agreement, Measure
from policies.question import AudienceRef, ColumnRef, Matched, Question, demands, leaf_audience, leaves


def owners(question: Question) -> tuple[str, ...]:
    """Every owner whose audience takes part in the question, sorted."""
    return tuple(sorted({question.count.owner, *(audience.owner for audience in question.linked())}))


def sensitivity(question: Question, measure: ColumnRef | None, owner: str, agreement: Agreement) -> int:
    """L1 sensitivity of the counts (`measure` None, in people) or of one measure's sums (in its units) to `owner`."""
    declared = agreement.measure(measure) if measure else None
    assert (measure is None) == (declared is None), "the gate admits only measures of the agreement"
    weight = declared.weight if declared else 1
    total = weight if question.count.owner == owner else 0
    for audience in question.linked():
        if audience.owner == owner:
            keys = len(agreement.common_keys(question.count, audience))
            if keys:
                total += (keys - 1) * _one_person(question, measure, declared, audience, weight, finds_another=True)
                total += _one_person(question, measure, declared, audience, weight, finds_another=False)
    return total


def _one_person(
    question: Question,
    measure: ColumnRef | None,
    declared: Measure | None,
    audience: AudienceRef,
    weight: int,
    finds_another: bool,
) -> int:
    """e: the most that one counted person can change the vector when its row of the linked `audience` goes.

    `finds_another`: it may find another row there, through a later key.
    """
    effects = [0]
    if any(leaf_audience(leaf) == audience for leaf in leaves(question.where)):
        effects.append(weight)
    for item in question.by:
        if item.audience == audience:
            changes_cell = not demands(question.where, audience) or (finds_another and not isinstance(item, Matched))
            effects.append(2 * weight if changes_cell else weight)
    if measure and declared and measure.audience == audience:
        effects.append(weight)
        if finds_another:
            effects.append(declared.upper - declared.lower)
    return max(effects)

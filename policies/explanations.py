"""What is said of a refusal and of withheld figures: the rule, whose term it is, what would pass. Pure.

Rules: what is withheld has the same words whether it is small, empty or of an unknown value; they tell the rule that
could apply, never the one that did. A refusal comes from public facts, so it may name them. Terms are told by the
parties who state the value in force.
"""

from policies.agreement import Agreement
from policies.decision import RULES, Reason, Refuse
from policies.terms import Mode

FLOOR, BASE = "the room's floor", "all together"
WITHHELD = "too small, empty or unknown; nobody is told which"

_TERM = {
    Reason.KIND: "kinds",
    Reason.PURPOSE: "purposes",
    Reason.COLUMN: "columns",
    Reason.UNMATCHED_SUM: "mode",
    Reason.BUDGET: "epsilon_total",
}
_WHOSE = {
    Reason.NOT_OPEN: "It is a rule of every room.",
    Reason.CLOSED: "It is a rule of every room.",
    Reason.LEFT: "It is a rule of every room.",
    Reason.AUDIENCE: "The agreement lists them; every partner signed it.",
    Reason.OWN_MEASURE: "It is a rule of every room; no term changes it.",
    Reason.NO_COMMON_KEY: "The agreement lists the keys of each audience; every partner signed it.",
    Reason.TOO_MANY_CELLS: "It is a limit of every room; no term changes it.",
    Reason.HALF_ROTATED: "It is a rule of every room.",
    Reason.NOT_PUBLISHED: "It is a rule of every room.",
}


def stated_by(term: str, agreement: Agreement) -> tuple[str, ...]:
    """Who states the value in force of a term; for sets that only together give it, everybody who states one."""
    in_force = getattr(agreement.terms, term)
    parties = [
        (FLOOR, agreement.floor),
        (BASE, agreement.base),
        *((each.name, each.terms) for each in agreement.parties),
    ]
    stated = [(name, getattr(terms, term)) for name, terms in parties if getattr(terms, term) is not None]
    return tuple(name for name, value in stated if value == in_force) or tuple(name for name, _ in stated)


def of_refusal(refused: Refuse, agreement: Agreement) -> str:
    """Why a request was refused and what would pass, what it is about, and whose term or rule it is."""
    about = f" ({refused.about})" if refused.about else ""
    return f"{RULES[refused.reason]}{about} {_whose(refused, agreement)}"


def of_release(agreement: Agreement) -> str:
    """How to read the figures of a released report, and why one may be withheld."""
    size = f"the minimum size of {agreement.terms.minimum_size} people (set by {_listed('minimum_size', agreement)})"
    if agreement.terms.minimum_audience is not None:
        least = agreement.terms.minimum_audience
        size += f", and only where all whom it counts are {least} (set by {_listed('minimum_audience', agreement)})"
    if agreement.terms.mode is Mode.PRIVATE:
        return (
            "Figures carry noise; the true one lies within the margin in 95 of 100 cases. A figure shows only where"
            f" the noisy count reaches {size}, plus a margin for the noise. What is withheld is {WITHHELD}; fewer"
            " attributes or a larger group may show."
        )
    return (
        f"Figures are exact, rounded down. A figure shows only for {size}. What is withheld is {WITHHELD}; fewer"
        " attributes or a larger group may show. This mode stops careless disclosure only: somebody who compares"
        " several reports, or plants people in an audience, can single people out."
    )


def _whose(refused: Refuse, agreement: Agreement) -> str:
    term = _TERM.get(refused.reason)
    if term is None:
        return _WHOSE[refused.reason]
    if not stated_by(term, agreement):  # nobody limits the columns: it is a name or a value that was never agreed
        return "The agreement lists them; every partner signed it."
    if refused.reason is Reason.BUDGET:  # which of the two is spent is the owner's to see
        return f"The agreement's part is `{term}`, set by {_listed(term, agreement)}; the allowance is in `ledger`."
    return f"The term is `{term}`, set by {_listed(term, agreement)}."


def _listed(term: str, agreement: Agreement) -> str:
    *first, last = stated_by(term, agreement)
    return f"{', '.join(first)} and {last}" if first else last

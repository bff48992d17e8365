"""What a report says beside its figures, in plain words.

Rules: what is explained is the rule that could apply, never the one that did: every withheld figure has the same words,
whether it was small, empty or of an unknown value.
"""

from policies.decision import RULES, Refuse
from policies.terms import Mode

_RELEASED = {
    Mode.PRIVATE: (
        "Figures carry noise; the true one lies within the margin in 95 of 100 cases. A figure shows only where the "
        "noisy count reaches the minimum size plus a margin for the noise; one that is withheld may be small, empty "
        "or unknown."
    ),
    Mode.THRESHOLD: (
        "Figures are exact, rounded down; one that is withheld may be small, empty or unknown. This mode stops "
        "careless disclosure only: somebody who compares several reports, or plants people in an audience, can "
        "single people out."
    ),
}


def of_refusal(refused: Refuse) -> str:
    """Why a request was refused, and what would pass."""
    about = f" ({refused.about})" if refused.about else ""
    return f"{RULES[refused.reason]}{about}"


def of_release(mode: str) -> str:
    """How to read the figures of a released report."""
    return _RELEASED[Mode(mode)]

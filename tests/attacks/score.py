"""How an attack is scored: guesses against coins, the bound of the ε that was charged, what the guesses prove.

Rules: the bound on accuracy, for everything seen having been charged ε in total to the target's owner, is e^ε/(1+e^ε);
the verdict allows 2.33 standard errors more, so that a room that keeps its promise fails once in a hundred long runs. A
short run, of fewer than 5,000 trials, is for every day and every attack: it allows 3.7, one failure in 10,000. The
proven ε is a lower bound with 95 % confidence: log of the ratio of the Clopper-Pearson bounds of the two error rates.
Source of the bound: Kairouz, Oh, Viswanath, "The Composition Theorem for Differential Privacy", 2015, theorem 2.1,
with equal priors. Source of the interval: Clopper, Pearson, 1934.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from math import exp, lgamma, log, sqrt

SIGMAS, SHORT_SIGMAS = 2.33, 3.7
LONG = 5_000
"""Trials from which a run is a long one."""
CONFIDENCE = 0.95
CONTROL = 0.95
"""What an attack must reach with its defence switched off; below, it proves nothing."""


class Verdict(Enum):
    """`LISTED`: it succeeds, and the docs say so: threshold mode does not stop it."""

    HOLDS = "holds"
    BROKEN = "broken"
    LISTED = "succeeds, listed"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `epsilon` is what the target's owner was charged in all; `seen` and `bound` are texts."""

    number: int
    attack: str
    mode: str
    trials: int
    epsilon: float | None
    seen: str
    bound: str
    verdict: Verdict
    proven: float | None = None
    control: float | None = None


@dataclass(frozen=True, slots=True)
class Guesses:
    """How often the attacker said "member", of members and of others."""

    members: int
    others: int
    hits: int
    false_alarms: int

    @classmethod
    def of(cls, pairs: Iterable[tuple[bool, bool]]) -> "Guesses":
        """Of (guess, truth) pairs."""
        listed = list(pairs)
        members = sum(truth for _, truth in listed)
        return cls(
            members,
            len(listed) - members,
            sum(guess and truth for guess, truth in listed),
            sum(guess and not truth for guess, truth in listed),
        )

    def __add__(self, other: "Guesses") -> "Guesses":
        return Guesses(
            self.members + other.members,
            self.others + other.others,
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
        )

    @property
    def trials(self) -> int:
        return self.members + self.others

    @property
    def accuracy(self) -> float:
        return (self.hits + self.others - self.false_alarms) / self.trials

    @property
    def advantage(self) -> float:
        """True positive rate minus false positive rate."""
        return self.hits / max(self.members, 1) - self.false_alarms / max(self.others, 1)

    def proven_epsilon(self) -> float:
        """The largest ε that these guesses refute with 95 % confidence, for either way of being right; at least 0."""
        tail = (1 - CONFIDENCE) / 2
        right = log(lower(self.hits, self.members, tail) / upper(self.false_alarms, self.others, tail))
        missed, rejected = self.members - self.hits, self.others - self.false_alarms
        return max(0.0, right, log(lower(rejected, self.others, tail) / upper(missed, self.members, tail)))


def bound(epsilon: float) -> float:
    """The largest expected accuracy of a membership guess after a loss of ε."""
    return exp(epsilon) / (1 + exp(epsilon)) if epsilon < 700 else 1.0


def limit(epsilon: float, trials: int) -> float:
    """`bound`, and the standard errors allowed."""
    most = bound(epsilon)
    return most + (SIGMAS if trials >= LONG else SHORT_SIGMAS) * sqrt(most * (1 - most) / trials)


def private_row(number: int, attack: str, guesses: Guesses, epsilon: float, control: float) -> Row:
    """The line of a membership attack in private mode. The control is an accuracy, too."""
    holds = guesses.accuracy <= limit(epsilon, guesses.trials) and control >= CONTROL
    return Row(
        number,
        attack,
        "private",
        guesses.trials,
        epsilon,
        f"accuracy {guesses.accuracy:.3f}, advantage {guesses.advantage:+.3f}",
        f"{bound(epsilon):.3f}, verdict at {limit(epsilon, guesses.trials):.3f}",
        Verdict.HOLDS if holds else Verdict.BROKEN,
        guesses.proven_epsilon(),
        control,
    )


def threshold_row(number: int, attack: str, guesses: Guesses) -> Row:
    """The line of an attack that threshold mode does not stop: it must succeed, or the docs list it wrongly."""
    succeeds = guesses.accuracy >= CONTROL
    return Row(
        number,
        attack,
        "threshold",
        guesses.trials,
        None,
        f"accuracy {guesses.accuracy:.3f}, advantage {guesses.advantage:+.3f}",
        "none",
        Verdict.LISTED if succeeds else Verdict.BROKEN,
    )


def rule_row(number: int, attack: str, mode: str, cases: int, broken: int, rule: str, control: float) -> Row:
    """The line of an attack that a rule stops in every case. `control`: the share it wins with the rule off."""
    seen = "stopped in all" if not broken else f"{broken} got through"
    holds = broken == 0 and control >= CONTROL
    return Row(number, attack, mode, cases, None, seen, rule, Verdict.HOLDS if holds else Verdict.BROKEN, None, control)


def lower(successes: int, trials: int, tail: float) -> float:
    """The Clopper-Pearson lower bound: the rate at which so many or more have probability `tail`; never quite 0."""
    if successes == 0:
        return 1e-12
    return _root(lambda rate: 1 - _at_most(successes - 1, trials, rate) - tail)


def upper(successes: int, trials: int, tail: float) -> float:
    """The Clopper-Pearson upper bound: the rate at which so few or fewer have probability `tail`."""
    if successes >= trials:
        return 1.0
    return _root(lambda rate: tail - _at_most(successes, trials, rate))


def _at_most(successes: int, trials: int, rate: float) -> float:
    """The probability of at most so many successes."""
    if rate <= 0:
        return 1.0
    if rate >= 1:
        return float(successes >= trials)
    whole = lgamma(trials + 1)
    terms = (
        exp(whole - lgamma(k + 1) - lgamma(trials - k + 1) + k * log(rate) + (trials - k) * log(1 - rate))
        for k in range(successes + 1)
    )
    return min(1.0, sum(terms))


def _root(rising: Callable[[float], float]) -> float:
    """Where a rising function of a rate passes 0."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if rising(middle) < 0:
            low = middle
        else:
            high = middle
    return (low + high) / 2

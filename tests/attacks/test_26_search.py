"""26. Search: whatever the grammar of requests allows, and the best that was found.

Nobody thought these attacks up: `tests.attacks.search` draws random questions and says what an ideal attacker wins by
each. No answer may tell more than it was charged for; the control is a price that forgets how far one row reaches.
The best question that was found is then asked for days, with noise, and judged by each day's answer alone. It counts
the attacker's own people by an attribute of the owner's and one of a third partner's. The target's row stands behind
two of them, one by address and one by card, and both are in the same cell. So a single figure moves by two, at a scale
of noise of eight: a loss of all that was charged, and 0.559 right where 0.562 is the bound. The attacker knows both
figures without noise, since it knows everything but the coin.
"""

from pathlib import Path
from unittest import mock

from policies import budget
from policies.agreement import Agreement
from policies.question import ColumnRef, Question
from policies.sensitivity import owners
from tests.attacks.arena import SECOND, people_of, seen, without_noise
from tests.attacks.score import Guesses, Row, Verdict, private_row, rule_row
from tests.attacks.search import Candidate, World, candidates, world

NUMBER, NAME = 26, "search"
QUESTIONS = 30
DAYS = 100
"""With the target, and as many without."""
SEED = 2
BEST = {
    "kind": "statistics",
    "count": "mallory/plants",
    "where": {"is": ["fresh/drive.status", ["gold", "other", "silver"]]},
    "by": ["trudy/panel.region"],
}
CELL = "other"


def search(folder: Path, seed: int) -> list[Candidate]:
    """What random questions of one world tell, and were charged."""
    with world(folder, seed) as fought:
        return candidates(fought, seed, QUESTIONS)


def broken(found: list[Candidate]) -> int:
    return sum(each.loss > each.charged for each in found)


def forgetful(question: Question, measure: ColumnRef | None, owner: str, agreement: Agreement) -> int:
    """For the control: one row changes one person, whatever is asked."""
    declared = agreement.measure(measure) if measure else None
    return (declared.weight if declared else 1) if owner in owners(question) else 0


def play(folder: Path) -> tuple[Guesses, Guesses, float]:
    """The best question: the guesses of every day, those of two days without noise, the ε of one report."""
    with world(folder, SEED) as fought:
        assert fought.victim.owner == "fresh", "the seed makes this world"
        (with_target, *days), epsilon = _days(fought)
        fought.publish(target=False)
        (without, *others), _ = _days(fought)
    line = (with_target + without) / 2
    guesses = Guesses.of([(value > line, coin) for coin, values in ((True, days), (False, others)) for value in values])
    return guesses, Guesses.of([(with_target > line, True), (without > line, False)]), epsilon


def _days(fought: World) -> tuple[list[float], float]:
    """The figure of each day, the first without noise; what the owner is charged for one."""
    figures = []
    for day in range(DAYS + 1):
        fought.stage.clock.forward(days=1)
        if day:
            report = fought.stage.ask(SECOND, fought.id, BEST)
        else:
            with without_noise():
                report = fought.stage.ask(SECOND, fought.id, BEST)
        figures.append(seen(people_of(report), CELL))
    return figures, float(dict(report.cost)[fought.victim.owner])


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    found = [each for seed in range(max(1, worlds // 2)) for each in search(folder / f"search-{seed}", seed)]
    with mock.patch.object(budget, "sensitivity", forgetful):
        control = broken(search(folder / "control", SEED)) > 0
    rule = rule_row(NUMBER, NAME, "private", len(found), broken(found), "no loss above its charge", float(control))
    fights = [play(folder / f"best-{number}") for number in range(max(1, worlds // 2))]
    guesses = sum((each for each, _, _ in fights), Guesses(0, 0, 0, 0))
    exact = sum((each for _, each, _ in fights), Guesses(0, 0, 0, 0))
    (epsilon,) = {each for _, _, each in fights}
    return [rule, private_row(NUMBER, f"{NAME}: the best found", guesses, epsilon, exact.accuracy)]


def test_search(tmp_path: Path) -> None:
    for row in rows(tmp_path, 2):
        assert row.verdict is not Verdict.BROKEN, row

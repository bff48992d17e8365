"""12. Non-answers: is nobody there, or are they few, or is nothing known of them?

Three rooms with one history: in the first nobody has the value asked for, in the second one person fewer than the
minimum size has it, in the third these people's value is missing. The attacker asks in several shapes and compares the
answers byte by byte. In the control a room says of an empty cell that it is empty.
"""

from contextlib import ExitStack
from itertools import combinations
from pathlib import Path
from typing import Any

from policies.decision import Release
from policies.disclose import Measured
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, MINIMUM_SIZE, OWNER, Arena, Crowd, Person, arena, without_noise
from tests.attacks.rules import Desk, headers, in_process, plain, telling, twin
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 12, "non-answers"
DRIVE = Crowd(OWNER, "drive", (("tier", ("gold", "rare")),), (0, 100))
PLANTS = Crowd(ATTACKER, "plants")
FEW = MINIMUM_SIZE - 1
WORLDS = {
    "zero": {"tier": "gold"},
    "small": {"tier": "rare"},
    "unknown": {},
}
RARE = {"is": [f"{DRIVE.ref}.tier", ["rare"]]}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"count": DRIVE.ref, "where": RARE},
    {"count": DRIVE.ref, "where": RARE, "sum": [f"{DRIVE.ref}.spend"]},
    {"count": DRIVE.ref, "where": RARE, "by": [{"matched": PLANTS.ref}]},
    {"count": PLANTS.ref, "where": RARE},
    {"count": PLANTS.ref, "where": {"all": [RARE, {"matched": DRIVE.ref}]}, "sum": [f"{DRIVE.ref}.spend"]},
    {"count": PLANTS.ref, "where": {"is": [f"{DRIVE.ref}.tier", ["other", "rare"]]}, "by": [f"{DRIVE.ref}.tier"]},
)


def play(folder: Path, mode: Mode) -> list[bool]:
    """For each question and pair of worlds, whether their answers differ."""
    crowd = [Person(n, {"tier": "gold"}, 5) for n in range(200)]
    with ExitStack() as stack:
        first = stack.enter_context(arena(folder / "base", DRIVE, PLANTS, seed=0, mode=mode))
        rooms = [stack.enter_context(twin(first, folder / name)) for name in WORLDS]
        answers = []
        for fight, values in zip(rooms, WORLDS.values(), strict=True):
            few = [Person(500 + n, values, 5) for n in range(FEW)]
            fight.publish(DRIVE, [*crowd, *few])
            fight.publish(PLANTS, [*crowd, *few])
            answers.append(_answers(fight))
        return [one[n] != other[n] for n in range(len(QUESTIONS)) for one, other in combinations(answers, 2)]


def _answers(fight: Arena) -> list[Any]:
    with Desk(fight, ATTACKER) as desk:
        answers = [desk.post(kind="statistics", **asked) for asked in QUESTIONS]
        return [(each.status_code, headers(each), len(each.content), plain(each.json())) for each in answers]


def _empty(measured: Measured, release: Release) -> Release:
    """A room that has no words for nobody."""
    return Release(release.figures if sum(measured.counts) else ())


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    lines = []
    for mode in Mode:
        with without_noise(), telling(_empty):
            told = play(folder / f"control-{mode.value}", mode)
        # Zero is told from small; small and unknown are the same to such a room only where nobody is known at all.
        control = sum(told[0::3]) / len(QUESTIONS)
        seen = [each for n in range(worlds) for each in play(folder / f"{mode.value}-{n}", mode)]
        lines.append(rule_row(NUMBER, NAME, mode.value, len(seen), sum(seen), "no distinguishing byte", control))
    return lines


def test_non_answers(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

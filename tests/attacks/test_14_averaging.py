"""14. Averaging: ask until the noise is gone.

Two partners ask the same question again and again on one day, in ever other spellings: turned around, negated twice,
with repeats, with terms that change nothing, with sets of values cut up. The mean of so many answers would have no
noise left. There is one release for a question and a day, and it is charged once; the next day is a new measurement,
and is charged. In the control every question is a new measurement, and the mean is the truth.
"""

from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any
from unittest import mock

from cleanroom.catalog import reports
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import Desk, in_process, said
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 14, "averaging"
TIERS = ("gold", "silver", "bronze")
DRIVE = Crowd(OWNER, "drive", (("tier", TIERS),))
PLANTS = Crowd(ATTACKER, "plants", (("block", ("a", "b")),))
PEOPLE = 800
TIER, BLOCK = f"{DRIVE.ref}.tier", f"{PLANTS.ref}.block"
MATCHED = {"matched": PLANTS.ref}
WHERE = {"all": [MATCHED, {"any": [{"is": [TIER, ["gold", "silver"]]}, {"is": [BLOCK, ["a"]]}]}]}
REPEATS = 100
MOST_PARTS = 40

Where = dict[str, Any]


def rewritten(where: Where, random: Random, steps: int = 6) -> Where:
    """Another spelling of the same people."""
    for _ in range(steps):
        changed = _changed(where, random)
        if _parts(changed) > MOST_PARTS:
            break
        where = changed
    return where


def _changed(where: Where, random: Random) -> Where:
    """One law of logic, applied somewhere."""
    ((kind, inside),) = where.items()
    if kind in ("all", "any") and inside and random.random() < 0.7:
        place = random.randrange(len(inside))
        return {kind: [*inside[:place], _changed(inside[place], random), *inside[place + 1 :]]}
    if kind == "not" and random.random() < 0.7:
        return {"not": _changed(inside, random)}
    dead = {"is": [TIER, [random.choice(TIERS)]]}
    laws: list[Where] = [
        {"not": {"not": where}},
        {"all": [where, where]},
        {"any": [where, {"all": [where, dead]}]},  # absorbed
        {"all": [where, {"any": [dead, {"not": dead}]}]},  # always true
        {"any": [where, {"any": []}]},
        {"all": [where, {"all": []}]},
        {"all": [where, {"matched": DRIVE.ref}]},  # everybody is matched in the counted audience
    ]
    if kind in ("all", "any"):
        other = "any" if kind == "all" else "all"
        laws.append({kind: random.sample(inside, len(inside))})
        laws.append({"not": {other: [{"not": term} for term in inside]}})
    if kind == "is":
        column, values = inside
        rest = sorted({*TIERS, "other", "unknown"} - set(values)) if column == TIER else []
        laws.append({"any": [{"is": [column, [value]]} for value in values]})
        laws.append({"is": [column, [*values, *values][::-1]]})
        laws += [{"not": {"is": [column, rest]}}] if rest else []
    return random.choice(laws)


def _parts(where: Where) -> int:
    ((kind, inside),) = where.items()
    below = inside if kind in ("all", "any") else [inside] if kind == "not" else []
    return 1 + sum(map(_parts, below))


def play(fight: Arena, rewritings: int) -> tuple[int, int]:
    """How many answers there were, and how many of them were not the first one or were charged."""
    spellings = [WHERE] * REPEATS + [rewritten(WHERE, fight.random) for _ in range(rewritings)]
    with Desk(fight, ATTACKER) as mallory, Desk(fight, OWNER) as owner:
        desks = (mallory, owner)
        first = said(_ask(mallory, WHERE))
        charged = fight.spent(OWNER)
        others = sum(said(_ask(desks[n % 2], where)) != first for n, where in enumerate(spellings))
        dearer = fight.spent(OWNER) - charged
        fight.stage.clock.forward(days=1)
    with Desk(fight, ATTACKER) as mallory:
        fresh = _ask(mallory, WHERE).json()["free"]
    return len(spellings) + 1, others + (dearer != 0) + (fight.mode is Mode.PRIVATE and fresh)


def _ask(desk: Desk, where: Where) -> Any:
    return desk.post(kind="statistics", count=DRIVE.ref, where=where, by=[TIER])


def control(fight: Arena, truth: dict[str, int]) -> float:
    """The share of cells that the mean of all answers tells exactly, where no release is kept."""
    forgetting = mock.patch.multiple(reports, release=lambda *_: None, keep_release=lambda *_: None)
    with forgetting, Desk(fight, ATTACKER) as desk:
        answers = [said(_ask(desk, WHERE)) for _ in range(2 * REPEATS)]
    means = {
        tier: fmean(next(value for _, by, value in answer if by == {TIER: tier}) or 0 for answer in answers)
        for tier in truth
    }
    return fmean(abs(means[tier] - count) < 2 for tier, count in truth.items())


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    crowd = [Person(n, {"tier": TIERS[n % 3], "block": "ab"[n // 3 % 2]}) for n in range(PEOPLE)]
    truth = {tier: sum(each.values["tier"] == tier for each in crowd) for tier in TIERS[:2]}
    lines = []
    for mode in Mode:
        # A very small ε would need thousands of answers: the control asks with a larger one.
        more = {"rounding": 1} if mode is Mode.THRESHOLD else {"epsilon_per_report": 0.5, "epsilon_total": 500}
        with arena(folder / mode.value, DRIVE, PLANTS, seed=0, mode=mode, **more) as fight:
            for each in (DRIVE, PLANTS):
                fight.publish(each, crowd)
            cases, broken = play(fight, 20 * worlds)
            won = control(fight, truth)
        lines.append(rule_row(NUMBER, NAME, mode.value, cases, broken, "one answer, charged once", won))
    return lines


def test_averaging(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

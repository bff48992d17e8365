"""2. Tracker: the target and half of the others, the target and the other half, everybody.

Nobody can ask for one person alone, so the attacker never does. It divides the known people of each block into eight
groups and takes a random half of the groups, T, as its tracker. With C the target alone, q(C or T) + q(C or not T) -
q(all) = q(C): three large populations give the smallest one. Each has noise of its own in private mode, and all three
are charged. Source: Denning, Denning, Schwartz, "The Tracker: A Threat to Statistical Database Security", 1979.
"""

from itertools import compress
from pathlib import Path
from random import Random

from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    FILLERS,
    OWNER,
    Crowd,
    Person,
    arena,
    blocks,
    contest,
    guess,
    in_blocks,
    people_of,
    seen,
)
from tests.attacks.score import Guesses, Row, Verdict

NUMBER, NAME = 2, "tracker"
BLOCKS = blocks(200)
GROUPS = tuple(f"g{number}" for number in range(8))
FILL = FILLERS + 9  # in each half; one short of the next ten: rounding shows the target


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    tracker = sorted(random.sample(GROUPS, 4))
    halves = tracker, [group for group in GROUPS if group not in tracker]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS), ("group", ("target", *GROUPS))))
    drive = Crowd(OWNER, "drive")
    targets = in_blocks(BLOCKS, 1, 0, group="target")
    known = [
        Person(each.number, {**each.values, "group": random.choice(half)})
        for half, first in zip(halves, (1_000_000, 2_000_000), strict=True)
        for each in in_blocks(BLOCKS, FILL, first)
    ]
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        fight.publish(plants, [*known, *targets])
        target, half = ({"is": [f"{plants.ref}.group", values]} for values in (["target"], tracker))
        one, other, everybody = (
            people_of(
                fight.ask(
                    ATTACKER,
                    kind="statistics",
                    count=plants.ref,
                    by=[f"{plants.ref}.block"],
                    where={"all": [{"matched": drive.ref}, *narrower]},
                )
            )
            for narrower in ([{"any": [target, half]}], [{"any": [target, {"not": half}]}], [])
        )
        guesses = [guess(random, seen(one, block) + seen(other, block) - seen(everybody, block)) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_tracker(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

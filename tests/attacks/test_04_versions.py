"""4. Versions: the same question on two versions of the attacker's audience that differ by one person a block.

Nothing about the question changes, so nothing that compares questions can notice. The attacker publishes its plants
with the targets, asks, publishes them without, and asks again, all on one day. A new version is a new input: in private
mode the second report is measured anew, with noise of its own, and charged like the first.
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
    arena,
    blocks,
    contest,
    guess,
    in_blocks,
    people_of,
    seen,
)
from tests.attacks.score import Guesses, Row, Verdict

NUMBER, NAME = 4, "versions"
BLOCKS = blocks(200)
FILL = FILLERS + 9  # one short of the next ten: rounding shows the target


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS),))
    drive = Crowd(OWNER, "drive")
    targets = in_blocks(BLOCKS, 1, 0)
    known = in_blocks(BLOCKS, FILL, 1_000_000)
    asked = {"kind": "statistics", "count": plants.ref, "by": [f"{plants.ref}.block"], "where": {"matched": drive.ref}}
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        fight.publish(plants, [*known, *targets])
        first = people_of(fight.ask(ATTACKER, **asked))
        fight.publish(plants, known)
        second = people_of(fight.ask(ATTACKER, **asked))
        guesses = [guess(random, seen(first, block) - seen(second, block)) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_versions(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

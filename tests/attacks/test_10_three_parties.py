"""10. Three parties: inclusion and exclusion over the regions of the set diagram.

An honest third partner has the attacker's known people, too, but not the targets. A target who is the owner's stands
alone in the region "owner, not third partner" of its block: too small to be shown. The regions around it are large:
|owner| - |owner and third| is the target once, |owner or third| - |third| is it a second time. Three of the four
reports touch the owner's audience, and the owner is charged for all three.
"""

from itertools import compress
from pathlib import Path
from random import Random

from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    FILLERS,
    OWNER,
    SECOND,
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

NUMBER, NAME = 10, "three parties"
BLOCKS = blocks(200)
FILL = FILLERS + 9  # one short of the next ten: rounding shows the target


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS),))
    drive, third = Crowd(OWNER, "drive"), Crowd(SECOND, "readers")
    targets = in_blocks(BLOCKS, 1, 0)
    known = in_blocks(BLOCKS, FILL, 1_000_000)
    with arena(folder, plants, drive, third, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        fight.publish(third, known)
        fight.publish(plants, [*known, *targets])
        in_drive, in_third = {"matched": drive.ref}, {"matched": third.ref}
        one, both, either, other = (
            people_of(fight.ask(ATTACKER, kind="statistics", count=plants.ref, by=[f"{plants.ref}.block"], where=where))
            for where in (in_drive, {"all": [in_drive, in_third]}, {"any": [in_drive, in_third]}, in_third)
        )
        guesses = [
            guess(
                random,
                (seen(one, block) - seen(both, block)) + (seen(either, block) - seen(other, block)),
                above=1,
            )
            for block in BLOCKS
        ]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_three_parties(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

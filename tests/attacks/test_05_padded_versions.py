"""5. Padded versions: as 4, but the two versions differ by as many people as a shown cell must have.

A guard that refused versions which differ by fewer than k people would stop attack 4, and this one would walk past it:
with the target go k - 1 others whom the attacker knows, five members of the owner's audience and four who do not exist.
It takes the five off the difference. No guard looks at data; in private mode both reports are charged.
"""

from itertools import compress
from pathlib import Path
from random import Random

from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    FILLERS,
    MINIMUM_SIZE,
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

NUMBER, NAME = 5, "padded versions"
BLOCKS = blocks(200)
FILL = FILLERS + 4  # with the five who go one short of the next ten: rounding shows the target
MEMBERS = 5
FAKES = MINIMUM_SIZE - 1 - MEMBERS


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS),))
    drive = Crowd(OWNER, "drive")
    targets = in_blocks(BLOCKS, 1, 0)
    known = in_blocks(BLOCKS, FILL, 1_000_000)
    members = in_blocks(BLOCKS, MEMBERS, 2_000_000)
    fakes = in_blocks(BLOCKS, FAKES, 3_000_000)
    asked = {"kind": "statistics", "count": plants.ref, "by": [f"{plants.ref}.block"], "where": {"matched": drive.ref}}
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *members, *compress(targets, coins)])
        fight.publish(plants, [*known, *members, *fakes, *targets])
        first = people_of(fight.ask(ATTACKER, **asked))
        fight.publish(plants, known)
        second = people_of(fight.ask(ATTACKER, **asked))
        guesses = [guess(random, seen(first, block) - seen(second, block), above=MEMBERS) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_padded_versions(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

"""19. Sybils: two partners of the owner are one attacker, and pool what they are told.

Each has an audience of its own with the same known people and the same targets, so that their questions are different
questions with noise of their own. Each asks on two days. The attacker averages the four figures. The budget belongs to
the people in the data, not to whoever asks: the agreement allows ε = 1 in all, the four reports use it up, and the
fifth is refused to both.
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

NUMBER, NAME = 19, "sybils"
BLOCKS = blocks(200)
DAYS = 2


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    drive = Crowd(OWNER, "drive")
    sybils = [Crowd(owner, "plants", (("block", BLOCKS),)) for owner in (ATTACKER, SECOND)]
    targets, known = in_blocks(BLOCKS, 1, 0), in_blocks(BLOCKS, FILLERS, 1_000_000)
    pooled = dict.fromkeys(BLOCKS, 0.0)
    with arena(folder, drive, *sybils, seed=seed, mode=mode, epsilon_total=1) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        for each in sybils:
            fight.publish(each, [*known, *targets])
        asked = [
            {
                "kind": "statistics",
                "count": each.ref,
                "by": [f"{each.ref}.block"],
                "where": {"matched": drive.ref},
            }
            for each in sybils
        ]
        for _ in range(DAYS):
            for each, question in zip(sybils, asked, strict=True):
                cells = people_of(fight.ask(each.owner, **question))
                pooled = {block: value + seen(cells, block) - FILLERS for block, value in pooled.items()}
            fight.stage.clock.forward(days=1)
        for each, question in zip(sybils, asked, strict=True):
            assert fight.ask(each.owner, **question).reason == "budget_spent", (
                "the ledger is the owner's, not the asker's"
            )
        guesses = [guess(random, pooled[block], above=DAYS * len(sybils) / 2) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's line of the table."""
    return contest(NUMBER, NAME, play, folder, worlds, threshold=False)


def test_sybils(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

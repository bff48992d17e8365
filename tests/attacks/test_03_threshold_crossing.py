"""3. Threshold crossing: is the figure shown?

The attacker reads no number. It fills each block with known people until one more would make the cell show, adds a
target, and pads its audience with people who do not exist, so that it looks large. Whether the cell shows is the
target's membership. In private mode the noisy count decides, and the attacker stands at the best place that there is.
"""

from itertools import compress
from math import isnan
from pathlib import Path
from random import Random

from policies.margins import minimum_size_margin
from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    MINIMUM_SIZE,
    OWNER,
    Crowd,
    arena,
    blocks,
    contest,
    in_blocks,
    people_of,
    seen,
)
from tests.attacks.score import Guesses, Row, Verdict

NUMBER, NAME = 3, "threshold crossing"
BLOCKS = blocks(200)
FAKES = 20
SCALE = 4  # one row changes one cell by 1, at ε = 0.25


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    margin = minimum_size_margin(SCALE, 1) if mode is Mode.PRIVATE else 0
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS),))
    drive = Crowd(OWNER, "drive")
    targets = in_blocks(BLOCKS, 1, 0)
    known = in_blocks(BLOCKS, MINIMUM_SIZE + margin - 1, 1_000_000)
    fakes = in_blocks(BLOCKS, FAKES, 2_000_000)
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        fight.publish(plants, [*known, *targets, *fakes])
        cells = people_of(
            fight.ask(
                ATTACKER,
                kind="statistics",
                count=plants.ref,
                by=[f"{plants.ref}.block"],
                where={"matched": drive.ref},
            )
        )
        guesses = [not isnan(seen(cells, block)) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_threshold_crossing(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

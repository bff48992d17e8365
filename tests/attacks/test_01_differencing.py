"""1. Differencing: everybody, minus everybody but one.

The attacker lists known members of the owner's audience in blocks, one target in each, and marks the targets with an
attribute of its own. It asks how many of each block are matched, then the same without the targets. The difference is
the target's membership, if figures are exact. In private mode each figure has its own noise and both reports are
charged; in threshold mode nothing stops it: the attacker fills the blocks so that rounding helps it. One world is
fought over HTTP, against a room in processes of its own.
"""

from contextlib import nullcontext
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
    over_http,
    people_of,
    seen,
)
from tests.attacks.score import Guesses, Row, Verdict, private_row

NUMBER, NAME = 1, "differencing"
BLOCKS = blocks(200)
FILL = FILLERS + 9  # one short of the next ten: rounding shows the target


def play(folder: Path, seed: int, mode: Mode, http: bool = False) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS), ("role", ("target", "known"))))
    drive = Crowd(OWNER, "drive")
    targets = in_blocks(BLOCKS, 1, 0, role="target")
    known = in_blocks(BLOCKS, FILL, 1_000_000, role="known")
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *compress(targets, coins)])
        fight.publish(plants, [*known, *targets])
        everybody = {"kind": "statistics", "count": plants.ref, "by": [f"{plants.ref}.block"]}
        matched, others = {"matched": drive.ref}, {"not": {"is": [f"{plants.ref}.role", ["target"]]}}
        with over_http(fight) if http else nullcontext():
            with_them = people_of(fight.ask(ATTACKER, **everybody, where=matched))
            without = people_of(fight.ask(ATTACKER, **everybody, where={"all": [matched, others]}))
        guesses = [guess(random, seen(with_them, block) - seen(without, block)) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    served, epsilon = play(folder / "http", 1, Mode.PRIVATE, http=True)
    found = contest(NUMBER, NAME, play, folder, worlds)
    # The control is that of the same attack in one process: nobody can switch off the noise of a real room.
    return [*found, private_row(NUMBER, f"{NAME}, over HTTP", served, epsilon, found[0].control or 0)]


def test_differencing(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

"""1. Differencing: everybody, minus everybody but one.

The attacker lists known members of the owner's audience in blocks, one target in each, and marks the targets with an
attribute of its own. It asks how many of each block are matched, then the same without the targets. The difference is
the target's membership, if figures are exact. In private mode each figure has its own noise and both reports are
charged; in threshold mode nothing stops it: the attacker fills the blocks so that rounding helps it.
"""

from pathlib import Path
from random import Random

from policies.terms import Mode
from tests.attacks.arena import ATTACKER, FILLERS, OWNER, Crowd, Person, arena, people_of, shown, without_noise
from tests.attacks.score import CONTROL, Guesses, Row, Verdict, private_row, threshold_row

NUMBER, NAME = 1, "differencing"
TARGETS = 200
FILL = FILLERS + 9  # one short of the next ten: rounding shows the target


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    blocks = tuple(f"b{number}" for number in range(TARGETS))
    plants = Crowd(ATTACKER, "plants", (("block", blocks), ("role", ("target", "known"))))
    drive = Crowd(OWNER, "drive")
    coins = [random.random() < 0.5 for _ in blocks]
    known = [
        Person(1_000_000 + place * FILL + number, {"block": block, "role": "known"})
        for place, block in enumerate(blocks)
        for number in range(FILL)
    ]
    targets = [Person(place, {"block": block, "role": "target"}) for place, block in enumerate(blocks)]
    with arena(folder, plants, drive, seed=seed, mode=mode) as fight:
        fight.publish(drive, [*known, *(each for each, coin in zip(targets, coins, strict=True) if coin)])
        fight.publish(plants, [*known, *targets])
        everybody = {"kind": "statistics", "count": plants.ref, "by": [f"{plants.ref}.block"]}
        matched, others = {"matched": drive.ref}, {"not": {"is": [f"{plants.ref}.role", ["target"]]}}
        with_them = people_of(fight.ask(ATTACKER, **everybody, where=matched))
        without = people_of(fight.ask(ATTACKER, **everybody, where={"all": [matched, others]}))
        guesses = []
        for block, coin in zip(blocks, coins, strict=True):
            more, fewer = shown(with_them, block), shown(without, block)
            guesses.append((random.random() < 0.5 if more is None or fewer is None else more > fewer, coin))
        return Guesses.of(guesses), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    with without_noise():
        control, _ = play(folder / "control", 0, Mode.PRIVATE)
    fights = [play(folder / f"private-{seed}", seed, Mode.PRIVATE) for seed in range(1, worlds + 1)]
    (epsilon,) = {spent for _, spent in fights}
    guesses = sum((each for each, _ in fights), Guesses(0, 0, 0, 0))
    listed, _ = play(folder / "threshold", 0, Mode.THRESHOLD)
    return [private_row(NUMBER, NAME, guesses, epsilon, control.accuracy), threshold_row(NUMBER, NAME, listed)]


def test_differencing(tmp_path: Path) -> None:
    private, threshold = rows(tmp_path, 2)
    assert private.verdict is Verdict.HOLDS, private
    assert (private.control or 0) >= CONTROL
    assert threshold.verdict is Verdict.LISTED, threshold

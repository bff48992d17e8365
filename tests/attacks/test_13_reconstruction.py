"""13. Reconstruction: counts of random subsets, and least squares.

Ten targets stand in each block. The attacker gives every person sixteen attributes by tossing coins; each cuts the
block into two random halves, and a report counts the members in both. Thirty-two equations, ten unknown bits: exact
figures give them all away. In private mode the sixteen reports share ε = 1, so each has a lot of noise; the solution is
that of least squares with what is known before as a further equation for each bit (ridge regression). In threshold mode
reports cost nothing: the attacker cuts by two attributes at a time, 66 reports, and takes each figure for the ten
numbers that it can have been rounded from. Source of the idea: Dinur, Nissim, "Revealing Information while Preserving
Privacy", 2003.
"""

from itertools import combinations
from math import isnan
from pathlib import Path
from random import Random

import numpy as np
import numpy.typing as npt

from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    OWNER,
    Crowd,
    Person,
    arena,
    blocks,
    contest,
    in_blocks,
    people_of,
    seen,
    silent,
)
from tests.attacks.score import Guesses, Row, Verdict

NUMBER, NAME = 13, "reconstruction"
BLOCKS = blocks(20)
TARGETS = 10
FILL = 480
CUTS = tuple(f"cut{number:02}" for number in range(16))  # their order is that of figures
PAIRED = CUTS[:12]
SIDES = ("other", "unknown")
"""The two values that a code-list with `other` alone has, so that a cut makes two cells and no more."""
SCALE = len(CUTS)  # one row changes one cell by 1, at ε = 1/16
ROUNDING = 10
STEPS = 300

Equation = tuple[npt.NDArray[np.float64], float]
"""Which targets of a block are counted, and how many of them were members, as far as the figure says."""


def cut(random: Random, people: list[Person]) -> list[Person]:
    """The same people, each on a random side of every cut; `unknown` is written as a blank."""
    return [
        Person(each.number, {**each.values, **{name: random.choice(("other", "")) for name in CUTS}}) for each in people
    ]


def side(person: Person, name: str) -> str:
    return person.values[name] or "unknown"


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    targets = cut(random, in_blocks(BLOCKS, TARGETS, 0))
    known = cut(random, in_blocks(BLOCKS, FILL, 1_000_000))
    coins = [random.random() < 0.5 for _ in targets]
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS), *((name, SIDES[:1]) for name in CUTS)))
    drive = Crowd(OWNER, "drive")
    together = combinations(PAIRED, 2) if mode is Mode.THRESHOLD else ((name,) for name in CUTS)
    equations: dict[str, list[Equation]] = {block: [] for block in BLOCKS}
    with arena(folder, plants, drive, seed=seed, mode=mode, epsilon_per_report=1 / len(CUTS)) as fight:
        fight.publish(drive, [*known, *(each for each, coin in zip(targets, coins, strict=True) if coin)])
        fight.publish(plants, [*known, *targets])
        for names in together:
            figures = people_of(
                fight.ask(
                    ATTACKER,
                    kind="statistics",
                    count=plants.ref,
                    by=[f"{plants.ref}.{name}" for name in ("block", *names)],
                    where={"matched": drive.ref},
                )
            )
            counted = _sizes(known, names)
            for cell in counted:
                block, *sides = cell
                inside = [
                    all(side(each, name) == value for name, value in zip(names, sides, strict=True))
                    for each in targets
                    if each.values["block"] == block
                ]
                members = seen(figures, *cell) - counted[cell]
                if not isnan(members):
                    equations[block].append((np.array(inside, float), members))
        spent = fight.spent(OWNER)
    variance = 1e-6 if silent(mode) else 2.0 * SCALE**2
    guesses = [
        bool(chance > 0.5)
        for block in BLOCKS
        for chance in (
            within_rounding(equations[block]) if mode is Mode.THRESHOLD else least_squares(equations[block], variance)
        )
    ]
    return Guesses.of(zip(guesses, coins, strict=True)), spent


def _sizes(known: list[Person], names: tuple[str, ...]) -> dict[tuple[str, ...], int]:
    """How many known members are in each cell."""
    sizes: dict[tuple[str, ...], int] = {}
    for each in known:
        cell = (each.values["block"], *(side(each, name) for name in names))
        sizes[cell] = sizes.get(cell, 0) + 1
    return sizes


def least_squares(equations: list[Equation], variance: float) -> npt.NDArray[np.float64]:
    """How likely each target is a member, roughly: each bit is 1/2 ± 1/2 before, each figure has this variance."""
    rows, values = (np.array(each) for each in zip(*equations, strict=True))
    return np.linalg.solve(
        rows.T @ rows / variance + 4 * np.eye(TARGETS),
        rows.T @ values / variance + 2 * np.ones(TARGETS),
    )


def within_rounding(equations: list[Equation]) -> npt.NDArray[np.float64]:
    """The same of figures that were rounded down: least squares of how far each is outside of what it can have been."""
    rows, least = (np.array(each) for each in zip(*equations, strict=True))
    solution = np.full(TARGETS, 0.5)
    step = 1.5 / np.linalg.norm(rows, 2) ** 2
    for _ in range(STEPS):
        values = rows @ solution
        outside = values - np.clip(values, least, least + ROUNDING - 1)
        solution = np.clip(solution - step * (rows.T @ outside), 0, 1)
    return solution


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_reconstruction(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

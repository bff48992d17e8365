"""8. Overlap search: which of four candidates are the owner's, with an audience that is changed after each answer.

In each block stand four candidates among known members. After each report the attacker works out how likely each of
the sixteen possibilities is, puts those candidates into its next upload whose number splits the possibilities best, and
asks again: a binary search, for as long as figures are exact. It knows the noise's scale and weighs what it sees by it,
so it loses nothing that the figures tell. Four reports, four charges. Threshold mode with a rounding of 1 is a room
without noise.
"""

from itertools import compress, product
from math import exp, isnan
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
    in_blocks,
    people_of,
    seen,
    silent,
)
from tests.attacks.score import Guesses, Row, Verdict

NUMBER, NAME = 8, "overlap search"
BLOCKS = blocks(50)
CANDIDATES, ROUNDS = 4, 4
SCALE = 4.0  # one row changes one cell by 1, at ε = 0.25
EXACT = 0.05  # as good as none, for a room without noise

Possibility = tuple[bool, ...]
POSSIBILITIES: list[Possibility] = list(product((False, True), repeat=CANDIDATES))


class Search:
    """What the attacker knows of one block: how likely each possibility is."""

    def __init__(self, random: Random, scale: float) -> None:
        self.random, self.scale = random, scale
        self.likely = {each: 1 / len(POSSIBILITIES) for each in POSSIBILITIES}

    def upload(self) -> Possibility:
        """The candidates whose number among the members is least certain; one of the best."""
        best = max(map(self._spread, POSSIBILITIES))
        return self.random.choice([each for each in POSSIBILITIES if self._spread(each) >= best - 1e-9])

    def learn(self, uploaded: Possibility, members: float) -> None:
        """Weighs the possibilities by what was seen; nothing was if the figure was withheld."""
        if isnan(members):
            return
        weights = {
            each: likely * exp(-abs(members - _both(each, uploaded)) / self.scale)
            for each, likely in self.likely.items()
        }
        whole = sum(weights.values())
        self.likely = {each: weight / whole for each, weight in weights.items()}

    def guesses(self) -> list[bool]:
        """For each candidate, whether it is rather a member than not."""
        chances = [sum(likely for each, likely in self.likely.items() if each[place]) for place in range(CANDIDATES)]
        return [chance > 0.5 or (chance == 0.5 and self.random.random() < 0.5) for chance in chances]

    def _spread(self, uploaded: Possibility) -> float:
        """The variance of the number of members among these candidates."""
        mean = sum(likely * _both(each, uploaded) for each, likely in self.likely.items())
        return sum(likely * (_both(each, uploaded) - mean) ** 2 for each, likely in self.likely.items())


def _both(one: Possibility, other: Possibility) -> int:
    return sum(first and second for first, second in zip(one, other, strict=True))


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = {block: [random.random() < 0.5 for _ in range(CANDIDATES)] for block in BLOCKS}
    plants = Crowd(ATTACKER, "plants", (("block", BLOCKS),))
    drive = Crowd(OWNER, "drive")
    candidates: dict[str, list[Person]] = {
        block: in_blocks([block], CANDIDATES, place * CANDIDATES) for place, block in enumerate(BLOCKS)
    }
    known = in_blocks(BLOCKS, FILLERS, 1_000_000)
    searches = {block: Search(random, EXACT if silent(mode) else SCALE) for block in BLOCKS}
    with arena(folder, plants, drive, seed=seed, mode=mode, rounding=1) as fight:
        fight.publish(
            drive, [*known, *(each for block in BLOCKS for each in compress(candidates[block], coins[block]))]
        )
        for _ in range(ROUNDS):
            uploads = {block: search.upload() for block, search in searches.items()}
            chosen = [each for block in BLOCKS for each in compress(candidates[block], uploads[block])]
            fight.publish(plants, [*known, *chosen])
            cells = people_of(
                fight.ask(
                    ATTACKER,
                    kind="statistics",
                    count=plants.ref,
                    by=[f"{plants.ref}.block"],
                    where={"matched": drive.ref},
                )
            )
            for block, search in searches.items():
                search.learn(uploads[block], seen(cells, block) - FILLERS)
        pairs = [pair for block in BLOCKS for pair in zip(searches[block].guesses(), coins[block], strict=True)]
        return Guesses.of(pairs), fight.spent(OWNER)


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    return contest(NUMBER, NAME, play, folder, worlds)


def test_overlap_search(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

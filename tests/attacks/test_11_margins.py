"""11. Margins: the total of one release, minus its visible cells.

Each block has two cells, the known people and the target alone. The target's cell is withheld; the block's total is a
figure, too. In private mode the total is the sum of the noisy cells, so the difference is the target's cell with its
noise: as much as one charge allows, and no more. This is the attack that comes up to its bound. In threshold mode a
total is made of the shown cells only, so the difference is nothing, whatever is withheld: that is tried on pairs of
tables that differ only in what is withheld, and in a whole room. The control there are totals made before withholding.
"""

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from random import Random

from policies import disclose
from policies.agreement import Agreement
from policies.budget import Scales
from policies.cells import cells
from policies.decision import Release
from policies.disclose import Measured
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Question
from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    FILLERS,
    MINIMUM_SIZE,
    OWNER,
    Arena,
    Crowd,
    arena,
    blocks,
    contest,
    guess,
    in_blocks,
    people_of,
    seen,
)
from tests.attacks.score import Guesses, Row, Verdict, rule_row

NUMBER, NAME = 11, "margins"
BLOCKS = blocks(200)
PLANTS = Crowd(ATTACKER, "plants", (("block", BLOCKS), ("role", ("other",))))
DRIVE = Crowd(OWNER, "drive")
BY = [f"{PLANTS.ref}.block", f"{PLANTS.ref}.role"]
ASKED = {"kind": "statistics", "count": PLANTS.ref, "by": BY, "where": {"matched": DRIVE.ref}}
KNOWN, TARGET = "other", "unknown"
"""The code-list's own two extra values, so that a block has two cells and its total no more noise than they."""
FILL = 2 * FILLERS  # a total of two noisy cells is shown from more people than one
TARGETS = in_blocks(BLOCKS, 1, 0)
KNOWN_PEOPLE = in_blocks(BLOCKS, FILL, 1_000_000, role=KNOWN)
RELEASES = 25
"""For each world: two worlds make 10,000 tables."""


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in BLOCKS]
    with arena(folder, PLANTS, DRIVE, seed=seed, mode=mode) as fight:
        fight.publish(DRIVE, [*KNOWN_PEOPLE, *compress(TARGETS, coins)])
        fight.publish(PLANTS, [*KNOWN_PEOPLE, *TARGETS])
        figures = people_of(fight.ask(ATTACKER, **ASKED))
        guesses = [guess(random, seen(figures, block) - seen(figures, block, KNOWN)) for block in BLOCKS]
        return Guesses.of(zip(guesses, coins, strict=True)), fight.spent(OWNER)


def threshold(folder: Path, releases: int) -> Row:
    """Releases of one question on pairs of tables, and reports of a room on two versions of the owner's audience."""
    random = Random(0)
    with arena(folder, PLANTS, DRIVE, seed=0, mode=Mode.THRESHOLD) as fight:
        fight.publish(PLANTS, [*KNOWN_PEOPLE, *TARGETS])
        different = int(_reports_differ(fight))
        agreement = fight.stage.agreement(fight.id)
    won = 0
    for _ in range(releases):
        one, other = _tables(random, agreement)
        different += disclose.threshold(_QUESTION, agreement, one) != disclose.threshold(_QUESTION, agreement, other)
        won += _exact(agreement, one) != _exact(agreement, other)
    cases = (releases + 1) * len(BLOCKS)
    return rule_row(NUMBER, NAME, "threshold", cases, different, "same release, whatever is withheld", won / releases)


def _reports_differ(fight: Arena) -> bool:
    """Whether two reports of a room show that the targets have gone."""
    seen_figures = []
    for people in ([*KNOWN_PEOPLE, *TARGETS], KNOWN_PEOPLE):
        fight.publish(DRIVE, people)
        seen_figures.append(fight.ask(ATTACKER, **ASKED).figures)
    return seen_figures[0] != seen_figures[1]


_COUNTED = AudienceRef.parse(PLANTS.ref)
_QUESTION = Question(_COUNTED, None, (ColumnRef(_COUNTED, "block"), ColumnRef(_COUNTED, "role")), (), Purpose.INSIGHTS)


def _tables(random: Random, agreement: Agreement) -> Iterator[Measured]:
    """Two tables that agree in every cell of enough people and differ in others."""
    first = [
        random.choice((random.randrange(MINIMUM_SIZE), random.randrange(500))) for _ in cells(_QUESTION, agreement)
    ]
    for _ in range(2):
        yield Measured(tuple(n if n >= MINIMUM_SIZE else random.randrange(MINIMUM_SIZE) for n in first), {})


def _exact(agreement: Agreement, table: Measured) -> Release:
    """With the defence off: exact totals of every cell, shown or not."""
    nothing = Measured((0,) * len(table.counts), {})
    return disclose.private(_QUESTION, agreement, table, nothing, Scales(1, {}))


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    private = contest(NUMBER, NAME, play, folder, worlds, threshold=False)
    return [*private, threshold(folder / "threshold", RELEASES * worlds)]


def test_margins(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is not Verdict.BROKEN, row

"""25. Timing: the answer's clock instead of the answer.

The attacker asks about three kinds of blocks in random order and times every answer: some withhold the figure, some
show it, and in half of these the target is a member. The kinds are compared by Welch's t test, after the slowest tenth
was left out, which is a busy machine's. In the control a room takes a little longer for a figure that it shows.

Source of the method and of its limit of 4.5: Goodwill, Jun, Jaffe, Rohatgi, "A testing methodology for side-channel
resistance validation", 2011; Reparaz, Balasch, Verbauwhede, "Dude, is my code constant time?", 2017.
"""

import gc
import time
from enum import Enum
from math import sqrt
from pathlib import Path
from random import Random
from statistics import fmean, quantiles, variance

from policies.decision import Release
from policies.disclose import Measured
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, MINIMUM_SIZE, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import Desk, in_process, telling
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 25, "timing"
LIMIT = 4.5
EACH = 80
"""Blocks of each kind in a world."""
WARM = 5
"""Answers that are not timed: a process's first ones."""
FEW, MANY = MINIMUM_SIZE // 2, MINIMUM_SIZE + 50
DELAY_SECONDS = 0.03
DRIVE = Crowd(OWNER, "drive")


class Kind(Enum):
    WITHHELD = "few people"
    SHOWN = "many people"
    MEMBER = "many people, the target among them"


Seconds = dict[Kind, list[float]]


def welch(one: list[float], other: list[float]) -> float:
    """Welch's t of two samples, without the slowest tenth of them together."""
    most = quantiles([*one, *other], n=10)[-1]
    left, right = ([each for each in sample if each <= most] for sample in (one, other))
    if min(len(left), len(right)) < 2:
        return float("inf")
    return (fmean(left) - fmean(right)) / sqrt(variance(left) / len(left) + variance(right) / len(right))


def play(folder: Path, mode: Mode, seed: int) -> Seconds:
    """One world: the seconds that answers took, by kind of block."""
    random = Random(seed)
    kinds = random.sample([*Kind] * EACH, len(Kind) * EACH)
    blocks = {f"b{number:03}": kind for number, kind in enumerate(kinds)}
    plants = Crowd(ATTACKER, "plants", (("block", tuple(blocks)),))
    known, targets, members = [], [], []
    for place, (block, kind) in enumerate(blocks.items()):
        size = FEW if kind is Kind.WITHHELD else MANY
        known += [Person(1_000 + place * MANY + number, {"block": block}) for number in range(size)]
        targets.append(Person(place, {"block": block}))
        members += targets[-1:] if kind is Kind.MEMBER else []
    with arena(folder, plants, DRIVE, seed=seed, mode=mode) as fight:
        fight.publish(plants, [*known, *targets])
        fight.publish(DRIVE, [*known, *members])
        return _timed(fight, plants, blocks, random.sample([*blocks], len(blocks)))


def _timed(fight: Arena, plants: Crowd, blocks: dict[str, Kind], order: list[str]) -> Seconds:
    seconds: Seconds = {kind: [] for kind in Kind}
    gc.collect()
    gc.disable()
    try:
        with Desk(fight, ATTACKER) as desk:
            for _ in range(WARM):
                desk.post(kind="statistics", count=DRIVE.ref, where={"matched": plants.ref}, dry_run=True)
            for block in order:
                where = {"all": [{"matched": DRIVE.ref}, {"is": [f"{plants.ref}.block", [block]]}]}
                begun = time.perf_counter()
                answer = desk.post(kind="statistics", count=plants.ref, where=where)
                seconds[blocks[block]].append(time.perf_counter() - begun)
                assert answer.status_code == 201
    finally:
        gc.enable()
    return seconds


def _slower(_: Measured, release: Release) -> Release:
    if release.figures[0].value is not None:
        time.sleep(DELAY_SECONDS)
    return release


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    with telling(_slower):
        slow = play(folder / "control", Mode.THRESHOLD, 0)
    control = float(abs(welch(slow[Kind.SHOWN], slow[Kind.WITHHELD])) >= LIMIT)
    lines = []
    for mode in Mode:
        plays = [play(folder / f"{mode.value}-{seed}", mode, seed) for seed in range(max(1, worlds * 5 // 2))]
        every = {kind: [second for each in plays for second in each[kind]] for kind in Kind}
        for one, what in ((Kind.WITHHELD, "shown or withheld"), (Kind.MEMBER, "member or not")):
            broken = int(abs(welch(every[Kind.SHOWN], every[one])) >= LIMIT)
            pairs = len(every[one])
            lines.append(rule_row(NUMBER, f"{NAME}, {what}", mode.value, pairs, broken, f"|t| < {LIMIT}", control))
    return lines


def test_timing(tmp_path: Path) -> None:
    for row in rows(tmp_path, 0):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

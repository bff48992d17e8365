"""9. Powers of two: amounts that spell out who is in.

The attacker gives every target of its own file another power of two as amount and asks for the sum over those that the
owner has, too: the bits of one exact sum are the memberships. Nobody may sum a measure that it supplied, in no mode,
whatever the spelling of the question. In the control everybody may.

An accomplice who is a party of its own may ask for that sum. In threshold mode it reads the bits: listed. In private
mode the sum has the noise of its largest amount, and everything is charged.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from policies import admission
from policies.agreement import MAX_BOUND
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, OWNER, SECOND, Arena, Crowd, Person, arena, without_noise
from tests.attacks.rules import Desk, in_process, said
from tests.attacks.score import CONTROL, Guesses, Row, Verdict, private_row, rule_row, threshold_row

NUMBER, NAME = 9, "powers of two"
HIGHEST = MAX_BOUND // 100
"""The largest amount with two decimals."""
BITS = HIGHEST.bit_length()
BLOCKS = tuple(f"b{number}" for number in range(12))
PLANTS = Crowd(ATTACKER, "plants", (("block", BLOCKS),), (0, HIGHEST))
OTHERS = Crowd(ATTACKER, "others")
DRIVE = Crowd(OWNER, "drive")
READERS = Crowd(SECOND, "readers")
TRIALS = 200
"""Of each world of the run, as other attacks have them."""
FILL = 120  # half of ε goes to the count, so a cell needs more people to show
VALUE = f"{PLANTS.ref}.spend"
MATCHED = {"matched": DRIVE.ref}

SPELLINGS: tuple[dict[str, Any], ...] = (
    {"count": PLANTS.ref, "where": MATCHED, "sum": [VALUE], "by": [f"{PLANTS.ref}.block"]},
    {"count": PLANTS.ref, "where": MATCHED, "sum": [VALUE]},
    {"count": PLANTS.ref, "sum": [VALUE], "by": [MATCHED]},
    {"count": PLANTS.ref, "where": {"not": MATCHED}, "sum": [VALUE, VALUE]},
    {"count": DRIVE.ref, "where": {"matched": PLANTS.ref}, "sum": [VALUE]},
    {"count": DRIVE.ref, "where": {"matched": PLANTS.ref}, "sum": [VALUE], "by": [f"{PLANTS.ref}.block"]},
    {"count": OTHERS.ref, "where": {"all": [MATCHED, {"matched": PLANTS.ref}]}, "sum": [VALUE]},
    {"count": READERS.ref, "where": {"all": [MATCHED, {"matched": PLANTS.ref}]}, "sum": [VALUE]},
)


@contextmanager
def play(folder: Path, mode: Mode, seed: int = 0) -> Iterator[tuple[Arena, list[bool]]]:
    """A world, and its coins by block and bit."""
    random = Random(seed)
    coins = [random.random() < 0.5 for _ in range(BITS * len(BLOCKS))]
    targets = [Person(n, {"block": BLOCKS[n // BITS]}, 2 ** (n % BITS)) for n in range(len(coins))]
    known = [Person(1_000 + n, {"block": BLOCKS[n // FILL]}, 0) for n in range(FILL * len(BLOCKS))]
    more = {"rounding": 1} if mode is Mode.THRESHOLD else {}
    with arena(folder, PLANTS, DRIVE, OTHERS, READERS, seed=seed, mode=mode, **more) as fight:
        for crowd in (PLANTS, OTHERS, READERS):
            fight.publish(crowd, [*known, *targets])
        fight.publish(DRIVE, [*known, *(each for each, coin in zip(targets, coins, strict=True) if coin)])
        yield fight, coins


def _bits(figures: list[tuple[str, Any, Any]], random: Random) -> list[bool]:
    """What the sums of the blocks spell; a coin where one is withheld."""
    totals = {next(iter(by.values())): value for measure, by, value in figures if measure.startswith("sum:") and by}
    guesses = []
    for block in BLOCKS:
        total = totals.get(block)
        for bit in range(BITS):
            guesses.append(random.random() < 0.5 if total is None else bool(int(total) >> bit & 1))
    return guesses


def _asked(fight: Arena, who: str, asked: dict[str, Any]) -> Any:
    with Desk(fight, who) as desk:
        return desk.post(kind="statistics", **asked)


def _spelled(fight: Arena, coins: list[bool]) -> Guesses:
    """What an accomplice reads out of one sum."""
    through = said(_asked(fight, SECOND, SPELLINGS[0]))
    return Guesses.of(zip(_bits(through, fight.random), coins, strict=True))


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table. One world has every spelling, and as many bits as an amount can have."""
    lines = []
    for mode in Mode:
        with play(folder / mode.value, mode) as (fight, coins):
            answers = [_asked(fight, ATTACKER, asked).json() for asked in SPELLINGS]
            stopped = [
                (answer["status"], answer["reason"], answer["figures"]) == ("refused", "own_measure", [])
                for answer in answers
            ]
            before = fight.spent(OWNER)
            guesses = _spelled(fight, coins)
            charged = fight.spent(OWNER)
            # The control on another day: a room in which everything is admitted and nothing is noisy.
            fight.stage.clock.forward(days=1)
            with mock.patch.object(admission, "admit", return_value=None), without_noise():
                exact = said(_asked(fight, ATTACKER, SPELLINGS[0]))
            control = Guesses.of(zip(_bits(exact, fight.random), coins, strict=True)).accuracy
        broken = stopped.count(False) + (before > 0)
        lines.append(rule_row(NUMBER, NAME, mode.value, len(stopped), broken, "refused", control))
        name = f"{NAME}, by an accomplice"
        if mode is Mode.PRIVATE:
            for seed in range(1, worlds * TRIALS // len(coins) + 1):
                with play(folder / f"{mode.value}-{seed}", mode, seed) as fought:
                    guesses += _spelled(*fought)
            lines.append(private_row(NUMBER, name, guesses, charged, control))
        else:
            lines.append(threshold_row(NUMBER, name, guesses))
    return lines


def test_powers_of_two(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        accomplice = "accomplice" in row.attack and row.mode == Mode.THRESHOLD.value
        assert row.verdict is (Verdict.LISTED if accomplice else Verdict.HOLDS), row
        assert accomplice or (row.control or 0) >= CONTROL

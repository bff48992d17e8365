"""16. Arithmetic: make a sum forget.

Floating-point sums depend on the order of their rows and lose small amounts beside large ones, so one person can move
them by more than its bound says, and the last bits of a noisy float tell what it was made of. The attacker has a
million people with the largest amounts that there are, in any order, and a few more with small ones. Every sum has to
be exact in each order, and nothing between columns and release may be a float. In the control the sums are doubles.

Source of the attack: Casacuberta, Shoemate, Vadhan, Wagaman, "Widespread Underestimation of Sensitivity in
Differentially Private Libraries and How to Fix It", 2022.
"""

from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np

from cleanroom.engine.columns import Array, Meta, Writer, write_meta
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged
from cleanroom.engine.sealed import open_sealed
from policies import disclose
from policies.agreement import MAX_BOUND, Audience, Measure
from policies.disclose import Measured
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Question
from policies.terms import Mode
from tests import worlds as small
from tests.attacks.arena import ATTACKER, OWNER, Crowd, Person, arena
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 16, "arithmetic"
PEOPLE = 2**20
REF = AudienceRef("ada", "main")
SPEND = ColumnRef(REF, "spend")
AUDIENCE = Audience(REF, ("email",), (), (Measure("spend", -MAX_BOUND, MAX_BOUND, 0),))
AGREEMENT = small.agreement([AUDIENCE, Audience(AudienceRef("bea", "main"), ("email",), (), ())], ("email",))
DRIVE, PLANTS = Crowd(OWNER, "drive", (), (0, MAX_BOUND // 100)), Crowd(ATTACKER, "plants")


def amounts(random: Random) -> list[Array]:
    """The same amounts in several orders: the largest, the smallest, and a few that are easily lost."""
    every = np.full(PEOPLE, MAX_BOUND, np.int64)
    every[: PEOPLE // 64] = -MAX_BOUND
    every[-8:] = 1
    shuffled = np.array(every)
    np.random.default_rng(random.getrandbits(32)).shuffle(shuffled)
    return [every, every[::-1].copy(), shuffled, np.sort(every)]


def summed(folder: Path, column: Array) -> int:
    """What the engine adds up, over an audience with this column."""
    folder.mkdir(parents=True)
    tokens = np.zeros((len(column), 16), np.uint8)
    tokens[:, :8] = np.arange(len(column), dtype=np.uint64).view(np.uint8).reshape(-1, 8)
    meta = Meta(AGREEMENT.id, REF, 1, len(column), AUDIENCE.keys, AUDIENCE.attributes, AUDIENCE.measures, False)
    (folder / "staged").mkdir()
    with Writer(folder / "staged", meta) as writer:
        writer.append("token.email", tokens)
        writer.append("present.email", np.ones(len(column), np.bool_))
        writer.append("measure.spend", column)
        writer.append("measured.spend", np.ones(len(column), np.bool_))
        writer.append("consent", np.full(len(column), 15, np.uint8))
    write_meta(folder / "staged", meta)
    engine = EmbeddedEngine(folder / "data")
    engine.publish(Staged("v1", folder / "staged", ()))
    question = Question(REF, None, (), (SPEND,), Purpose.INSIGHTS)
    return open_sealed(engine.measure(question, AGREEMENT, {REF: "v1"}, small.DAY, {})).sums[SPEND][0]


def floats_seen(folder: Path) -> tuple[int, int]:
    """Every number that goes into the disclosure and is drawn for it, in each mode: how many, and those not whole."""
    seen: list[Any] = []
    real_private, real_threshold = disclose.private, disclose.threshold

    def private(question: Any, agreement: Any, measured: Measured, drawn: Measured, scales: Any) -> Any:
        seen.extend(_numbers(measured) + _numbers(drawn) + [scales.counts, *scales.sums.values()])
        return real_private(question, agreement, measured, drawn, scales)

    def threshold(question: Any, agreement: Any, measured: Measured) -> Any:
        seen.extend(_numbers(measured))
        return real_threshold(question, agreement, measured)

    crowd = [Person(n, {}, MAX_BOUND // 100 - n) for n in range(400)]
    for mode in Mode:
        with arena(folder / mode.value, DRIVE, PLANTS, seed=0, mode=mode) as fight:
            fight.publish(DRIVE, crowd)
            fight.publish(PLANTS, crowd)
            with mock.patch.multiple(disclose, private=private, threshold=threshold):
                asked = {"count": DRIVE.ref, "by": [{"matched": PLANTS.ref}], "sum": [f"{DRIVE.ref}.spend"]}
                report = fight.ask(ATTACKER, kind="statistics", **asked)
            for figure in report.figures:  # released sums are whole units, whatever the noise
                if figure.value is not None and figure.measure.startswith("sum:"):
                    units = figure.value * 100
                    seen.append(int(units) if units == int(units) else float(units))
    return len(seen), sum(type(each) is not int for each in seen)


def _numbers(vectors: Measured) -> list[Any]:
    return [*vectors.counts, *(each for sums in vectors.sums.values() for each in sums)]


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    del worlds  # a million people in four orders are the whole case
    orders = amounts(Random(16))
    exact = sum(orders[0].tolist())
    wrong = sum(summed(folder / f"order-{n}", column) != exact for n, column in enumerate(orders))
    numbers, floats = floats_seen(folder)
    # In doubles, one after the other: an order that loses the small amounts is an attack that succeeds.
    control = float(any(np.add.accumulate(column.astype(np.float64))[-1] != exact for column in orders))
    rule = "exact, no float before noise"
    return [rule_row(NUMBER, NAME, "both", len(orders) + numbers, wrong + floats, rule, control)]


def test_arithmetic(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

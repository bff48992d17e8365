"""21. Purpose: ask about people for something that they did not agree to.

The owner's file has people who consented to insights, others to measurement alone, and others whose consent ended
yesterday. Those who did not consent to insights are the only silver ones. The attacker asks for insights in every
shape: counted, matched, by their tier, with their amounts, through another owner's audience, as a complement. None of
them may count; the gold ones all do. A purpose that is not in the agreement is refused. In the control consent is
ignored.
"""

from datetime import date, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from cleanroom.engine import bits, views
from cleanroom.engine.columns import Columns
from policies.terms import MICRO, Mode, Terms
from tests.attacks.arena import without_noise
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row
from tests.room.stage import START, Brand, Customer, Stage

NUMBER, NAME = 21, "purpose"
ATTACKER, OWNER = "mallory", "fresh"
DRIVE = Brand(OWNER, "drive", ("email",), ("tier", ("gold", "silver")), ("spend", 0, 500))
PLANTS = Brand(ATTACKER, "plants", ("email",))
EACH = 300
"""People of each kind: far more than any minimum size, with or without noise."""
YESTERDAY = START.date() - timedelta(days=1)
TIER, SPEND, MATCHED = "fresh/drive.tier", "fresh/drive.spend", {"matched": "fresh/drive"}
SILVER = {"is": [TIER, ["silver"]]}

QUESTIONS: tuple[dict[str, Any], ...] = (
    {"count": "fresh/drive", "by": [TIER]},
    {"count": "fresh/drive", "where": SILVER},
    {"count": "fresh/drive", "where": SILVER, "sum": [SPEND]},
    {"count": "fresh/drive", "by": [TIER], "sum": [SPEND]},
    {"count": "fresh/drive", "where": {"not": {"is": [TIER, ["gold"]]}}},
    {"count": "fresh/drive", "where": {"all": [SILVER, {"matched": "mallory/plants"}]}},
    {"count": "mallory/plants", "where": SILVER},
    {"count": "mallory/plants", "where": MATCHED, "by": [TIER], "sum": [SPEND]},
    {"count": "mallory/plants", "where": {"all": [MATCHED, {"not": {"is": [TIER, ["gold"]]}}]}},
)


def play(folder: Path, mode: Mode) -> tuple[int, int]:
    """How many questions there were, and how many of them counted somebody who had not agreed."""
    people = [
        *(_customer(n, "gold", insights=True) for n in range(EACH)),
        *(_customer(EACH + n, "silver", insights=False) for n in range(EACH)),
        *(_customer(2 * EACH + n, "silver", insights=True, until=YESTERDAY) for n in range(EACH)),
    ]
    head: dict[str, Any] = {"minimum_size": 10, "match_keys": ["email"], "purposes": ["insights", "measurement"]}
    head |= {"mode": "threshold", "rounding": 1} if mode is Mode.THRESHOLD else {"epsilon_total": 100}
    folder.mkdir(parents=True)
    floor = Terms(minimum_size=10)
    with Stage.make(folder, OWNER, ATTACKER, allowance=1000 * MICRO, floor=floor) as stage, without_noise():
        identifier = stage.agree(DRIVE, PLANTS, **head)
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, people)
        stage.publish(identifier, PLANTS, [Customer(each.email) for each in people])
        broken = 0
        for asked in QUESTIONS:
            report = stage.ask(ATTACKER, identifier, {"kind": "statistics", **asked, "purpose": "insights"})
            counts = [int(each.value) for each in report.figures if each.measure == "people" and each.value is not None]
            gold = "by" in asked
            broken += not report.released or any(count != EACH for count in counts) or bool(counts) != gold
        refused = stage.ask(ATTACKER, identifier, {"kind": "statistics", **QUESTIONS[0], "purpose": "modelling"})
        broken += refused.released or refused.reason != "purpose_not_agreed"
        measured = stage.ask(ATTACKER, identifier, {"kind": "statistics", **QUESTIONS[1], "purpose": "measurement"})
        assert [each.value for each in measured.figures] == [EACH], "for measurement the silver ones do count"
        return len(QUESTIONS) + 1, broken


def _customer(number: int, tier: str, insights: bool, until: date = date(2030, 1, 1)) -> Customer:
    return Customer(f"p{number}@mail.example", "", tier, 1, insights=insights, measurement=True, until=until)


def _everybody(audience: Columns, *_: Any) -> Any:
    """Who takes part in a room that ignores consent."""
    return bits.pack(np.ones(audience.meta.rows, np.bool_))


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    del worlds  # each shape of question once: nothing here is left to chance
    lines = []
    for mode in Mode:
        with mock.patch.object(views, "taking_part", _everybody):
            _, won = play(folder / f"control-{mode.value}", mode)
        cases, broken = play(folder / mode.value, mode)
        control = won / len(QUESTIONS)
        lines.append(rule_row(NUMBER, NAME, mode.value, cases, broken, "none counted", control))
    return lines


def test_purpose(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

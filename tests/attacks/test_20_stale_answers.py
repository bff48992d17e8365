"""20. Stale answers, and 7 and 18 once more: every order in which things can happen.

Uploads of new and of old files, withdrawals and reinstatements for one purpose or two, retirements, grants, days and
questions of both partners come in random orders; withdrawals, publications and retirements also in the middle of a
question. After each step the room is compared with a model (`machine`): no later measurement counts who withdrew, every
answer is what its date and versions say, nothing is charged twice, spent ε never falls. A trial is a step, each after
another history. The controls are three rooms that forget one thing each: withdrawals, versions, what is left.
"""

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

from cleanroom import withdrawals
from policies import budget, question, ruling
from policies.terms import Mode
from tests.attacks import machine
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 20, "stale answers"
HISTORIES = 14
"""Of each world of the run, some 15 steps in each: `--worlds 50` are 10,000 steps."""


def _stale(asked: Any, *_: object) -> str:
    """A release is found again whatever version or day it is of."""
    return repr(question.to_json(asked))


def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    forgetful: tuple[AbstractContextManager[Any], ...] = (
        mock.patch.object(withdrawals, "absent", return_value={}),
        mock.patch.object(ruling, "release_key", _stale),
        mock.patch.object(budget, "affordable", return_value=None),
    )
    caught = 0
    for number, forgets in enumerate(forgetful):
        with forgets:
            _, broken = machine.play(folder / f"control-{number}", 4 * HISTORIES, tell=False)
        caught += broken
    steps, broken = machine.play(folder / "room", HISTORIES * worlds)
    rule = "every answer is its date's and versions'"
    return [rule_row(NUMBER, NAME, Mode.PRIVATE.value, steps, broken, rule, caught / len(forgetful))]


def test_stale_answers(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, 1)
    assert row.verdict is Verdict.HOLDS, row
    assert (row.control or 0) >= CONTROL

"""7. Withdrawal: does the answer change when somebody leaves?

Every target is in the owner's audience, and a coin decides whether it withdraws after the first question. The attacker
asks on that day, after the withdrawals once more, and on the next day, and takes a smaller count for a withdrawal. In
private mode both measurements are charged and bounded; in threshold mode nothing hides it: listed.

Then two rooms with one history, in one of which somebody withdraws: prices, sizes, headers, the list of reports, the
ledger and the log must look alike, and the answer of the same day must be the same and free. In the control who
withdrew is part of a release's name. That no later measurement counts who withdrew is played with attack 20.
"""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from cleanroom import gate
from partners.withdrawal import Action
from policies.terms import Mode
from tests.attacks.arena import (
    ATTACKER,
    FILLERS,
    OWNER,
    Arena,
    Crowd,
    Person,
    arena,
    blocks,
    contest,
    guess,
    in_blocks,
    people_of,
    seen,
    without_noise,
)
from tests.attacks.rules import Desk, headers, in_process, log_entries, plain, said, size_without_figures, twin
from tests.attacks.score import CONTROL, Guesses, Row, Verdict, rule_row
from tests.room.conftest import Collaboration
from tests.room.versions import restart
from tests.room.withdrawing import send

NUMBER, NAME = 7, "withdrawal"
TARGETS = 200
FILL = FILLERS + 9  # one short of the next ten: rounding shows the target
DRIVE = Crowd(OWNER, "drive")
PLANTS = Crowd(ATTACKER, "plants", (("block", blocks(TARGETS)),))
MATCHED = {"matched": DRIVE.ref}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {"count": PLANTS.ref, "where": MATCHED},
    {"count": PLANTS.ref, "by": [MATCHED]},
    {"count": DRIVE.ref},
    {"count": DRIVE.ref, "where": {"matched": PLANTS.ref}},
)


def _withdraw(fight: Arena, numbers: list[int]) -> None:
    send(Collaboration(fight.stage, fight.id), [Person(n).email for n in numbers], Action.WITHDRAW, owner=OWNER)


def play(folder: Path, seed: int, mode: Mode) -> tuple[Guesses, float]:
    """One world: the guesses, and the ε that the owner was charged."""
    random = Random(seed)
    names = blocks(TARGETS)
    coins = [random.random() < 0.5 for _ in names]
    people = [
        *in_blocks(names, FILL, first=1_000),
        *(Person(place, {"block": name}) for place, name in enumerate(names)),
    ]
    with arena(folder, PLANTS, DRIVE, seed=seed, mode=mode) as fight:
        fight.publish(DRIVE, people)
        fight.publish(PLANTS, people)
        asked = {"kind": "statistics", "count": PLANTS.ref, "where": MATCHED, "by": [f"{PLANTS.ref}.block"]}
        before = people_of(fight.ask(ATTACKER, **asked))
        _withdraw(fight, [place for place, coin in enumerate(coins) if coin])
        again = fight.ask(ATTACKER, **asked)
        assert people_of(again) == before, "the same day, the same answer"
        fight.stage.clock.forward(days=1)
        after = people_of(fight.ask(ATTACKER, **asked))
        pairs = [
            (guess(random, seen(before, name) - seen(after, name)), coin)
            for name, coin in zip(names, coins, strict=True)
        ]
        return Guesses.of(pairs), fight.spent(OWNER)


def alike(folder: Path, mode: Mode) -> list[bool]:
    """For each question, at each moment, whether a room in which somebody withdrew looks different."""
    people = [Person(n, {"block": "b0"}) for n in range(150)]
    with arena(folder / "one", PLANTS, DRIVE, seed=0, mode=mode) as one, twin(one, folder / "other") as other:
        views = []
        for fight, leaves in ((one, True), (other, False)):
            fight.publish(DRIVE, people)
            fight.publish(PLANTS, people)
            views.append(_moments(fight, leaves))
        return [left != right for left, right in zip(*views, strict=True)]


def _moments(fight: Arena, leaves: bool) -> list[Any]:
    """What the attacker sees beside figures, before and after somebody left, and on the next days."""
    first = [_look(fight, asked, None) for asked in QUESTIONS]
    views = [view for view, _ in first]
    if leaves:
        _withdraw(fight, [0, 1, 2])
    views += [_look(fight, asked, figures)[0] for asked, (_, figures) in zip(QUESTIONS, first, strict=True)]
    for _ in range(2):
        fight.stage.clock.forward(days=1)
        restart(fight.stage)  # the worker commits to each day that has ended
        views += [_look(fight, asked, None)[0] for asked in QUESTIONS]
    with Desk(fight, ATTACKER) as desk:
        paths = ("/v1/ledger", f"/v1/collaborations/{fight.id}", f"/v1/collaborations/{fight.id}/reports")
        public = [plain(desk.http.get(path).json()) for path in paths]
    return [*views, public, log_entries(fight)]


def _look(fight: Arena, asked: dict[str, Any], before: Any) -> tuple[Any, Any]:
    """An answer beside its figures, its price before, and whether it is the answer of before; the figures."""
    with Desk(fight, ATTACKER) as desk:
        price = desk.post(kind="statistics", **asked, dry_run=True)
        answer = desk.post(kind="statistics", **asked)
    told, figures = answer.json(), said(answer)
    del told["figures"]
    view = [plain(price.json()), headers(price), answer.status_code, headers(answer, "content-length")]
    return [*view, plain(told), size_without_figures(answer), before is not None and figures == before], figures


def _naming(facts: Any, *asked: Any, considered: Any = gate._considered) -> Any:
    """A room that measures anew as soon as somebody withdraws: a release's name tells who is absent."""
    found, absent = considered(facts, *asked), "".join(sorted(each.digest for each in facts.absent.values()))
    return replace(found, keys=tuple(key + absent for key in found.keys))


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    lines = contest(NUMBER, NAME, play, folder, worlds)
    for mode in Mode:
        with without_noise(), mock.patch.object(gate, "_considered", _naming):
            told = alike(folder / f"told-{mode.value}", mode)
        views = alike(folder / f"alike-{mode.value}", mode)
        after = slice(len(QUESTIONS), 2 * len(QUESTIONS))
        control = sum(told[after]) / len(QUESTIONS)
        rule = "price, shape and log tell nothing"
        lines.append(rule_row(NUMBER, f"{NAME}, unseen", mode.value, len(views), sum(views), rule, control))
    return lines


def test_withdrawal(tmp_path: Path) -> None:
    private, threshold, *unseen = rows(tmp_path, 1)
    assert private.verdict is Verdict.HOLDS, private
    assert threshold.verdict is Verdict.LISTED, threshold
    for row in unseen:
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

"""6. Denial oracle: not what is answered, but how.

The attacker fills blocks so that one target in each decides whether a figure shows, asks for each block and looks at
everything beside the figures: status, headers, sizes, explanation, price before and after, the ledger, the list of
reports, the entries of the log. Two rooms have the same history; in one the target of a block is a member, in the other
it is not. Whatever differs tells the target. In the control a report with nothing to show is an error of its own.
"""

from pathlib import Path
from random import Random
from typing import Any

from cleanroom.gate import Unsettled
from policies.decision import Release
from policies.disclose import Measured
from policies.margins import minimum_size_margin
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, MINIMUM_SIZE, OWNER, Arena, Crowd, Person, arena, without_noise
from tests.attacks.rules import (
    Desk,
    headers,
    in_process,
    log_entries,
    plain,
    share,
    size_without_figures,
    telling,
    twin,
)
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 6, "denial oracle"
PAIRS = 50
SCALE = 4
"""Of the noise of one count at ε = 0.25."""


def play(folder: Path, seed: int, mode: Mode) -> list[bool]:
    """Pairs of worlds: for each, whether the attacker saw a difference beside the figures."""
    random = Random(seed)
    blocks = tuple(f"b{number:02}" for number in range(PAIRS))
    known = MINIMUM_SIZE - 1 + (minimum_size_margin(SCALE, 1) if mode is Mode.PRIVATE else 0)
    plants, drive = Crowd(ATTACKER, "plants", (("block", blocks),)), Crowd(OWNER, "drive")
    crowd = [
        Person(1_000 + place * known + number, {"block": block})
        for place, block in enumerate(blocks)
        for number in range(known)
    ]
    targets = [Person(place, {"block": block}) for place, block in enumerate(blocks)]
    coins = [random.random() < 0.5 for _ in blocks]
    with arena(folder / "one", plants, drive, seed=seed, mode=mode) as one, twin(one, folder / "other") as other:
        for fight, side in ((one, True), (other, False)):
            fight.publish(plants, [*crowd, *targets])
            fight.publish(drive, [*crowd, *(each for each, coin in zip(targets, coins, strict=True) if coin is side)])
        return [left != right for left, right in zip(_seen(one, plants), _seen(other, plants), strict=True)]


def _seen(fight: Arena, plants: Crowd) -> list[Any]:
    """For each block, everything but the figures that are shown."""
    with Desk(fight, ATTACKER) as desk:
        answers = [_asked(desk, plants, block) for (_, values) in plants.attributes for block in values]
        ledger, listed = plain(desk.http.get("/v1/ledger").json()), plain(desk.listed().json()["reports"])
    # What a room adds to its list and its log for each report; an error adds nothing, which is seen at the end.
    lines = [*zip(reversed(listed), log_entries(fight)[-len(answers) :], strict=False)]
    lines += [("nothing", ledger)] * (len(answers) - len(lines))
    return [*zip(answers, lines, strict=True)]


def _asked(desk: Desk, plants: Crowd, block: str) -> list[Any]:
    where = {"all": [{"matched": f"{OWNER}/drive"}, {"is": [f"{plants.ref}.block", [block]]}]}
    asked = {"kind": "statistics", "count": plants.ref, "where": where}
    price, answer, again = desk.post(**asked, dry_run=True), desk.post(**asked), desk.post(**asked, dry_run=True)
    told = answer.json()
    figures = told.pop("figures", [])
    return [
        answer.status_code,
        headers(answer, "content-length"),
        size_without_figures(answer),
        plain(told),
        [{**each, "value": None, "margin95": None, "withheld": None} for each in figures],
        *(plain([each.status_code, each.json(), headers(each)]) for each in (price, again)),
    ]


def _error(_: Measured, release: Release) -> Release:
    """What a room that says "too few people" does."""
    if all(figure.value is None for figure in release.figures):
        raise Unsettled
    return release


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    lines = []
    for mode in Mode:
        with without_noise(), telling(_error):
            control = share(play(folder / f"control-{mode.value}", 0, mode))
        seen = [each for seed in range(worlds) for each in play(folder / f"{mode.value}-{seed}", seed, mode)]
        lines.append(rule_row(NUMBER, NAME, mode.value, len(seen), sum(seen), "equal in all pairs", control))
    return lines


def test_denial_oracle(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

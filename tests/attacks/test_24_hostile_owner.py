"""24. Hostile owner: an upload that makes one of two people, or two of one.

The attacker's rows carry one person's e-mail address beside another one's card, chains of both, each identifier on a
row of its own, everything at once. A room that took shared identifiers for the same human would merge the owner's
people, or count one twice. Here nobody but the owner says who its people are: after every upload the owner's audience
has the same people, in the same cells, each matched at most once, and a third partner's overlap is as before. A file
in which one token stands in two rows is refused. The control counts the owner's people as such a room would.
"""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from partners import manifest
from policies.terms import MICRO, Mode, Terms
from tests.attacks.arena import without_noise
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row
from tests.room.stage import Brand, Customer, Stage

NUMBER, NAME = 24, "hostile owner"
OWNER, ATTACKER, THIRD = "fresh", "mallory", "sunny"
DRIVE = Brand(OWNER, "drive", ("email", "id.card"), ("tier", ("gold", "silver")))
PLANTS = Brand(ATTACKER, "plants", ("email", "id.card"), ("genre", ("food", "news")))
VISITS = Brand(THIRD, "visits", ("email", "id.card"))
PEOPLE = 240
TIER, MATCHED = "fresh/drive.tier", {"matched": "mallory/plants"}
QUESTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"by": [TIER]},
    {"where": MATCHED},
    {"where": {"not": MATCHED}},
    {"by": [TIER], "where": {"matched": "sunny/visits"}},
)

TERMS: dict[Mode, dict[str, Any]] = {
    Mode.THRESHOLD: {"mode": "threshold", "rounding": 1},
    Mode.PRIVATE: {"epsilon_total": 1000, "epsilon_per_report": 20},
}

# Rows of the attacker: whose e-mail address and whose card each has.
Rows = list[tuple[int | None, int | None]]


def _swapped(random: Random) -> Rows:
    cards = random.sample(range(PEOPLE), PEOPLE)
    return list(zip(range(PEOPLE), cards, strict=True))


def _chain(_: Random) -> Rows:
    return [(number, (number + 1) % PEOPLE) for number in range(PEOPLE)]


def _split(_: Random) -> Rows:
    return [(number, None) for number in range(PEOPLE)] + [(None, number) for number in range(PEOPLE)]


def _anything(random: Random) -> Rows:
    emails, cards = (random.sample([*range(PEOPLE), *(None,) * PEOPLE], PEOPLE) for _ in range(2))
    return [row for row in zip(emails, cards, strict=True) if row != (None, None)]


UPLOADS: tuple[Callable[[Random], Rows], ...] = (_swapped, _chain, _split, _anything)


def merged(rows: Rows) -> int:
    """How many people the owner has in a room that takes whatever shares a row for one human."""
    parent = list(range(PEOPLE))

    def root(number: int) -> int:
        while parent[number] != number:
            number = parent[number]
        return number

    for email, card in rows:
        if email is not None and card is not None:
            parent[root(email)] = root(card)
    split = sum(1 for email, card in rows if email is not None and card is None)
    return sum(root(number) == number for number in range(PEOPLE)) + split


def play(folder: Path, mode: Mode, seed: int) -> tuple[int, int, float]:
    """How many uploads there were, how many changed the owner's people, and how many would have, in the control."""
    random, broken, fooled = Random(seed), 0, 0
    head: dict[str, Any] = {"minimum_size": 10, "match_keys": ["email", "id.card"]}
    head |= TERMS[mode]
    folder.mkdir(parents=True)
    names, floor = (OWNER, ATTACKER, THIRD), Terms(minimum_size=10)
    with Stage.make(folder, *names, allowance=10_000 * MICRO, floor=floor) as stage, without_noise():
        identifier = stage.agree(DRIVE, PLANTS, VISITS, **head)
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, [_customer(n, n, ("gold", "silver")[n % 3 == 0]) for n in range(PEOPLE)])
        stage.publish(identifier, VISITS, [_customer(n, n, "") for n in range(PEOPLE // 2)])
        for upload in UPLOADS:
            rows = upload(random)
            people = [_customer(email, card, ("food", "news")[n % 2]) for n, (email, card) in enumerate(rows)]
            stage.publish(identifier, PLANTS, people)
            broken += _cells(stage, identifier) != _expected(rows)
            fooled += merged(rows) != PEOPLE
            stage.clock.forward(days=1)
        broken += _twice(stage, identifier) != "token_twice"
    return len(UPLOADS) + 1, broken, fooled / len(UPLOADS)


def _customer(email: int | None, card: int | None, attribute: str) -> Customer:
    address = "" if email is None else f"p{email}@mail.example"
    return Customer(address, "" if card is None else f"card-{card}", attribute)


def _cells(stage: Stage, identifier: str) -> list[Any]:
    """The owner's people: all, by tier, matched or not, and the third partner's overlap."""
    asked = {"kind": "statistics", "count": "fresh/drive"}
    answers = [stage.ask(ATTACKER, identifier, {**asked, **more}) for more in QUESTIONS]
    return [[None if each.value is None else int(each.value) for each in answer.figures] for answer in answers]


def _expected(rows: Rows) -> list[Any]:
    """The same, from what the owner uploaded; only who is matched is the attacker's doing, and everybody once."""
    silver, half = PEOPLE // 3, PEOPLE // 2
    seen = len({number for row in rows for number in row if number is not None})
    return [
        [PEOPLE],
        [PEOPLE - silver, silver, None, None, PEOPLE],
        [seen],
        [PEOPLE - seen or None],
        [half - half // 3, half // 3, None, None, half],
    ]


def _twice(stage: Stage, identifier: str) -> str:
    """A file with one token in two rows, from a client of another make; what became of it."""
    player = stage.players[ATTACKER]
    made = stage.prepare(identifier, PLANTS, [_customer(n, n, "food") for n in range(50)])
    table = pq.read_table(made.audience_path)
    pq.write_table(pa.concat_tables([table, table.slice(0, 1)]), made.audience_path)
    content = made.audience_path.read_bytes()
    forged = replace(
        made.manifest.manifest, sha256=sha256(content).hexdigest(), bytes=len(content), rows=table.num_rows + 1
    )
    upload = player.room.begin_upload(len(content))
    player.room.upload(upload, made.audience_path, lambda *_: None)
    version = player.room.create_version(manifest.sign(player.identity, forged), upload).id
    stage.work()
    return str(stage.version(identifier, PLANTS, version)["problem"]["reason"])


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    lines = []
    for mode in Mode:
        plays = [play(folder / f"{mode.value}-{seed}", mode, seed) for seed in range(max(1, worlds // 5))]
        cases, broken = sum(each[0] for each in plays), sum(each[1] for each in plays)
        control = min(each[2] for each in plays)
        lines.append(rule_row(NUMBER, NAME, mode.value, cases, broken, "their people unchanged", control))
    return lines


def test_hostile_owner(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

"""15. Outlier: one row that shouts.

The attacker wants one person's row to move a sum further than the noise can hide: an amount beyond all bounds, in many
spellings, a null, two rows for one, a row in place of another. `prepare` clips what its owner has, and a client of
another make that does not is refused by the room. Then, on small worlds of every shape, one row of any audience goes or
is replaced by another one, and the exact vectors are compared: they may change by the declared sensitivity, twice that
for a replacement. In the control the declared sensitivity is half of what it is.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import cast
from unittest import mock

import numpy as np

from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Absent, Staged, Withdrawn
from cleanroom.engine.sealed import open_sealed
from partners import manifest
from partners.steps import audiences
from policies.agreement import Agreement
from policies.disclose import Measured
from policies.question import AudienceRef, ColumnRef, Question
from policies.sensitivity import sensitivity
from policies.terms import Mode
from tests import worlds as small
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row
from tests.worlds import DAY, World

NUMBER, NAME = 15, "outlier"
CASES = 2_000
"""Of neighbouring worlds, for each world of the run: 100,000 cases are `--worlds 50`."""
UPPER = 100
SPELLINGS = (
    "101",
    "99999999999",
    "1e300",
    "-1e300",
    "1e-300",
    "100.004",
    "+100",
    "1,000",
    "1.000,00",
    "0x7fffffffffffffff",
    "9223372036854775808",
    "-9223372036854775809",
    "NaN",
    "inf",
    "-inf",
    "٩٩٩٩",
    "９９９９",
    "1_000",
    "",
    "null",
    "-0",
)
CELLS = tuple(f"s{number}" for number in range(len(SPELLINGS)))
DRIVE = Crowd(OWNER, "drive", (("spelling", CELLS),), (0, UPPER))
FILL, USUAL = 50, 10


def spelled(folder: Path) -> tuple[int, int]:
    """A person for each spelling, among others: how many there were, and how many moved a sum beyond the bounds."""
    crowd = [Person(100 + n, {"spelling": CELLS[n // FILL]}, USUAL) for n in range(FILL * len(CELLS))]
    loud = [
        Person(n, {"spelling": cell}, cast(int, text))
        for n, (cell, text) in enumerate(zip(CELLS, SPELLINGS, strict=True))
    ]
    with arena(folder, DRIVE, Crowd(ATTACKER, "plants"), seed=0, mode=Mode.THRESHOLD, rounding=1) as fight:
        fight.publish(DRIVE, [*crowd, *loud])
        asked = {"count": DRIVE.ref, "by": [f"{DRIVE.ref}.spelling"], "sum": [f"{DRIVE.ref}.spend"]}
        report = fight.ask(ATTACKER, kind="statistics", **asked)
        sums = [each.value for each in report.figures if each.measure.startswith("sum:") and each.by]
        # `other` and `unknown` are withheld, since nobody has them; every spelling's cell is shown.
        inside = [0 <= each - FILL * USUAL <= UPPER for each in sums if each is not None]
        assert len(inside) == len(CELLS)
        return len(CELLS) + 1, inside.count(False) + (not _refused_raw(fight, crowd))


def _refused_raw(fight: Arena, crowd: list[Person]) -> bool:
    """Whether a file that nobody clipped is refused: its owner prepares it under wider bounds and signs for these."""
    wide = replace(DRIVE, measure=(0, 100 * UPPER))
    player, out = fight.stage.players[OWNER], fight.stage.folder / "wide"
    out.mkdir()
    wide.write(out, [*crowd, Person(99, {"spelling": CELLS[0]}, 100 * UPPER)])
    agreed = fight.stage.agreement(fight.id)
    found = agreed.audience(AudienceRef(OWNER, DRIVE.name))
    measures = tuple(replace(each, upper=100 * each.upper) for each in found.measures)
    looser = replace(
        agreed,
        audiences=tuple(replace(each, measures=measures) if each == found else each for each in agreed.audiences),
    )
    with mock.patch.object(audiences, "_agreed", return_value=looser):
        made = audiences.prepare(player.home, wide.map(out), out, fight.stage.clock(), lambda *_: None, fight.id)
    honest = replace(made.manifest.manifest, measures=found.measures)
    upload = player.room.begin_upload(honest.bytes)
    player.room.upload(upload, made.audience_path, lambda *_: None)
    version = player.room.create_version(manifest.sign(player.identity, honest), upload).id
    fight.stage.work()
    with fight.stage.http(OWNER) as client:
        told = client.get(f"/v1/collaborations/{fight.id}/audiences/{DRIVE.name}/versions/{version}").json()
    return bool(told["state"] == "refused" and told["problem"]["reason"] == "measure_out_of_bounds")


def neighbours(folder: Path, random: Random) -> Iterator[tuple[int, int]]:
    """For one world after the other: how far a vector moved, and how far it may."""
    number = 0
    while True:
        world = small.random_world(random, outside_bounds=True)
        engine = EmbeddedEngine(folder / f"world-{number}")
        versions: dict[AudienceRef, str] = {}
        with mock.patch("os.fsync"):
            for audience in world.agreement.audiences:
                staged = small.stage(
                    folder / f"stage-{number}-{len(versions)}",
                    world.agreement.id,
                    audience,
                    world.rows[audience.ref],
                )
                identifier = f"v{len(versions)}"
                engine.publish(Staged(identifier, staged, tuple(versions.values())))
                versions[audience.ref] = identifier
            number += 1
            for _ in range(6):
                yield from _moves(engine, world, versions, random)


def _moves(
    engine: EmbeddedEngine, world: World, versions: dict[AudienceRef, str], random: Random
) -> Iterator[tuple[int, int]]:
    question = small.random_question(random, world)

    def measured(absent: dict[AudienceRef, frozenset[int]]) -> Measured:
        gone: Absent = {versions[ref]: _withdrawn(rows) for ref, rows in absent.items() if rows}
        return open_sealed(engine.measure(question, world.agreement, versions, DAY, gone))

    for ref in (question.count, *question.linked()):
        numbers = range(len(world.rows[ref]))
        before = measured({})
        for one in numbers:
            yield from _compared(question, world.agreement, ref, before, measured({ref: frozenset({one})}), 1)
        if len(numbers) > 1:
            one, other = random.sample(numbers, 2)  # the same world, with either one of two rows in it
            left, right = (measured({ref: frozenset({each})}) for each in (one, other))
            yield from _compared(question, world.agreement, ref, left, right, 2)


def _withdrawn(rows: frozenset[int]) -> Withdrawn:
    numbers = np.array(sorted(rows), np.uint32)
    digest = "".join(f"{number:02x}" for number in sorted(rows)).rjust(32, "f")
    return Withdrawn(digest, lambda: (numbers, np.full(len(numbers), 15, np.uint8)))


def _compared(
    question: Question, agreement: Agreement, ref: AudienceRef, one: Measured, other: Measured, times: int
) -> Iterator[tuple[int, int]]:
    vectors: list[tuple[ColumnRef | None, tuple[int, ...], tuple[int, ...]]] = [(None, one.counts, other.counts)]
    vectors += [(measure, one.sums[measure], other.sums[measure]) for measure in question.sum]
    for measure, left, right in vectors:
        allowed = times * sensitivity(question, measure, ref.owner, agreement)
        yield sum(abs(a - b) for a, b in zip(left, right, strict=True)), allowed


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    spellings, loud = spelled(folder / "spelled")
    moved = list(islice(neighbours(folder, Random(15)), CASES * worlds))
    broken = loud + sum(moves > allowed for moves, allowed in moved)
    # With half the sensitivity some case of every shape breaks it: the cases reach their bounds.
    control = float(any(2 * moves > allowed for moves, allowed in moved))
    rule = "effect ≤ declared sensitivity"
    return [rule_row(NUMBER, NAME, "both", spellings + len(moved), broken, rule, control)]


def test_outlier(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

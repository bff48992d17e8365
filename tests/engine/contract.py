"""The contract of `cleanroom.engine.interface`, run against every engine: subclass it and say how to make an engine."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.engine.interface import Absent, Engine, NotPublished, Staged, Withdrawn
from cleanroom.engine.sealed import open_sealed
from policies.agreement import Attribute, Audience, Measure
from policies.cells import cells
from policies.disclose import Measured
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Is, Matched, Not, Question
from tests import worlds
from tests.engine import model
from tests.worlds import DAY, Row, World

A, B, C = AudienceRef("ada", "main"), AudienceRef("bea", "main"), AudienceRef("cid", "main")
COLOUR, SPEND = ColumnRef(B, "colour"), ColumnRef(B, "spend")
_numbers = count()


class EngineContract:
    """Every test takes a fresh engine from `engine`, a folder for staging from `tmp_path`."""

    def engine(self, folder: Path) -> Engine:
        raise NotImplementedError

    @pytest.fixture
    def room(self, tmp_path: Path) -> "Room":
        return Room(self.engine(tmp_path / "data"), tmp_path)

    @settings(max_examples=40, deadline=None)
    @given(st.randoms(use_true_random=False))
    def test_it_agrees_with_the_naive_model(self, tmp_path_factory: pytest.TempPathFactory, random: Random) -> None:
        folder = tmp_path_factory.mktemp("world")
        room = Room(self.engine(folder / "data"), folder)
        world = worlds.random_world(random, outside_bounds=True)
        with patch.object(os, "fsync"):  # hundreds of files, none of which has to outlive a power cut
            versions = room.publish(world)
        for _ in range(8):
            if random.random() < 0.2:
                room.prepare(world, versions)
            question = worlds.random_question(random, world, admitted=False)
            assert room.measure(question, world, versions) == expected(question, world)

    def test_the_first_key_in_the_agreements_order_wins(self, room: "Room") -> None:
        one = Row({"email": b"e" * 16, "phone": b"p" * 16}, {}, {})
        by_email = Row({"email": b"e" * 16}, {"colour": "red"}, {})
        by_phone = Row({"phone": b"p" * 16}, {"colour": "green"}, {})
        for match_keys, red in ((("email", "phone"), 1), (("phone", "email"), 0)):
            world = _world((one,), (by_email, by_phone), match_keys)
            measured = room.measure(_question(by=(COLOUR,)), world, room.publish(world))
            # red, green, other, unknown, unmatched
            assert measured.counts == (red, 1 - red, 0, 0, 0)

    def test_a_partner_who_does_not_take_part_leaves_the_match_to_the_next_key(self, room: "Room") -> None:
        one = Row({"email": b"e" * 16, "phone": b"p" * 16}, {}, {})
        refuses = Row({"email": b"e" * 16}, {"colour": "red"}, {}, consent=Purpose.ACTIVATION.bit)
        agrees = Row({"phone": b"p" * 16}, {"colour": "green"}, {})
        world = _world((one,), (refuses, agrees), ("email", "phone"))
        assert room.measure(_question(by=(COLOUR,)), world, room.publish(world)).counts == (0, 1, 0, 0, 0)

    def test_not_is_the_exact_complement_and_counts_the_unmatched(self, room: "Room") -> None:
        matched, alone = Row({"email": b"e" * 16}, {}, {}), Row({"email": b"f" * 16}, {}, {})
        world = _world((matched, alone), (Row({"email": b"e" * 16}, {"colour": "red"}, {}),), ("email",))
        versions = room.publish(world)
        red = Is(COLOUR, frozenset({"red"}))
        assert room.measure(_question(where=red), world, versions).counts == (1,)
        assert room.measure(_question(where=Not(red)), world, versions).counts == (1,)

    def test_consent_holds_on_its_last_day(self, room: "Room") -> None:
        rows = tuple(Row({"email": bytes([day]) * 16}, {}, {}, expires=DAY.replace(day=day)) for day in (13, 14, 15))
        world = _world(rows, (), ("email",))
        assert room.measure(_question(), world, room.publish(world)).counts == (2,)

    def test_a_token_of_zeros_is_a_token_and_a_missing_one_is_not(self, room: "Room") -> None:
        rows = (Row({"email": bytes(16), "phone": b"p" * 16}, {}, {}), Row({"phone": b"q" * 16}, {}, {}))
        for partner, matched in ((Row({"email": bytes(16)}, {"colour": "red"}, {}), 1), (rows[1], 1)):
            world = _world(rows, (Row(partner.tokens, {"colour": "red"}, {}),), ("email", "phone"))
            measured = room.measure(_question(where=Matched(B)), world, room.publish(world))
            assert measured.counts == (matched,)

    def test_sums_are_exact_beyond_2_to_the_63(self, room: "Room") -> None:
        # 20 people, but as many units as ten million of them: the bounds reach over what a double holds exactly.
        amounts = [10**12 - number for number in range(20)]
        rows = tuple(Row({"email": bytes([n]) * 16}, {"colour": "red"}, {"spend": amounts[n]}) for n in range(20))
        world = _world((), rows, ("email",))
        question = Question(B, None, (), (SPEND,), Purpose.INSIGHTS)
        assert room.measure(question, world, room.publish(world)).sums[SPEND] == (sum(amounts),)

    def test_a_missing_measure_counts_0_also_where_the_bounds_exclude_it(self, room: "Room") -> None:
        audience = Audience(A, ("email",), (), (Measure("visits", 3, 9, 0),))
        rows = (Row({"email": b"e" * 16}, {}, {"visits": 5}), Row({"email": b"f" * 16}, {}, {}))
        agreement = worlds.agreement([audience, Audience(B, ("email",), (), ())], ("email",))
        world = World(agreement, {A: rows, B: ()}, {A: frozenset(), B: frozenset()})
        visits = ColumnRef(A, "visits")
        question = Question(A, None, (), (visits,), Purpose.INSIGHTS)
        assert room.measure(question, world, room.publish(world)).sums[visits] == (5,)

    def test_a_withdrawn_row_is_absent(self, room: "Room") -> None:
        rows = tuple(Row({"email": bytes([n]) * 16}, {}, {}) for n in range(3))
        world = replace(_world(rows, (), ("email",)), withdrawn={A: frozenset({0, 2}), B: frozenset()})
        assert room.measure(_question(), world, room.publish(world)).counts == (1,)

    def test_a_row_is_absent_from_the_purposes_that_it_was_withdrawn_from(self, room: "Room") -> None:
        rows = tuple(Row({"email": bytes([n]) * 16}, {}, {}) for n in range(3))
        nobody: frozenset[int] = frozenset()
        world = replace(
            _world(rows, (), ("email",)),
            withdrawn={A: frozenset({0, 2}), B: nobody},
            withdrawn_from={A: {0: Purpose.INSIGHTS.bit, 2: 16 | Purpose.ACTIVATION.bit}},
        )
        versions = room.publish(world)
        for purpose, people in ((Purpose.INSIGHTS, 2), (Purpose.ACTIVATION, 2), (Purpose.MODELLING, 3)):
            assert room.measure(Question(A, None, (), (), purpose), world, versions).counts == (people,)

    def test_tokens_are_found_in_the_rows_that_have_them(self, room: "Room") -> None:
        rows = tuple(Row({"email": bytes([n, *range(15)])}, {}, {}) for n in range(3))
        rows += (Row({"phone": bytes([1, *range(15)])}, {}, {}),)
        world = _world(rows, (), ("email", "phone"))
        version = room.publish(world)[A]
        wanted = [bytes([n, *range(15)]) for n in (2, 7, 1)] + [bytes([1, *range(14), 9]), bytes(16)]
        tokens = np.frombuffer(b"".join(wanted), np.uint8).reshape(-1, 16)
        assert room.engine.find(version, "email", tokens).tolist() == [2, -1, 1, -1, -1]
        assert room.engine.find(version, "phone", tokens).tolist() == [-1, -1, 3, -1, -1]
        assert room.engine.find(version, "maid", tokens).tolist() == [-1] * 5
        known = room.engine.tokens(version, np.array([3, 0], np.uint32))
        assert {key: there.tolist() for key, (_, there) in known.items()} == {
            "email": [False, True],
            "phone": [True, False],
        }
        assert known["phone"][0][0].tobytes() == rows[3].tokens["phone"]
        with pytest.raises(NotPublished):
            room.engine.find("v", "email", tokens)

    @settings(max_examples=25, deadline=None)
    @given(st.randoms(use_true_random=False))
    def test_an_erased_row_is_as_if_it_had_never_been_uploaded(
        self, tmp_path_factory: pytest.TempPathFactory, random: Random
    ) -> None:
        folder = tmp_path_factory.mktemp("world")
        room = Room(self.engine(folder / "data"), folder)
        world = worlds.random_world(random)
        with patch.object(os, "fsync"):
            versions = room.publish(world)
        questions = [worlds.random_question(random, world, admitted=False) for _ in range(6)]
        for question in questions[:3]:  # views of the rows that go
            room.measure(question, world, versions)
        gone = {
            ref: frozenset(number for number in range(len(rows)) if random.random() < 0.3)
            for ref, rows in world.rows.items()
        }
        for ref, numbers in gone.items():
            for _ in range(2):  # harmless to repeat
                room.engine.erase(versions[ref], np.array(sorted(numbers), np.uint32))
        left = replace(
            world,
            withdrawn={ref: world.withdrawn[ref] | numbers for ref, numbers in gone.items()},
            withdrawn_from={
                ref: {number: mask for number, mask in masks.items() if number not in gone[ref]}
                for ref, masks in world.withdrawn_from.items()
            },
        )
        for question in questions:
            # Asked with the withdrawals of before: what was erased needs none.
            assert room.measure(question, world, versions) == expected(question, left)

    def test_nothing_of_an_erased_row_stays(self, room: "Room") -> None:
        secret, amount = b"SecretTokenOfOne", 0x0023_4567_89AB
        one = Row({"email": secret, "phone": secret[::-1]}, {"colour": "green"}, {"spend": 5})
        other = replace(one, measures={"spend": amount})
        world = _world((one,), (replace(one, tokens={"email": b"z" * 16}), other), ("email", "phone"))
        versions = room.publish(world)
        question = Question(A, Matched(B), (COLOUR,), (SPEND,), Purpose.INSIGHTS)
        assert room.measure(question, world, versions).sums[SPEND] == (0, amount, 0, 0)
        data = room.folder / "data"

        def found() -> set[bytes]:
            files = [path.read_bytes() for path in data.rglob("*") if path.is_file()]
            forms = (secret, secret[::-1], amount.to_bytes(8, "little"))
            return {form for form in forms if any(form in file for file in files)}

        assert len(found()) == 3
        room.engine.erase(versions[B], np.array([1], np.uint32))
        assert secret in found()  # the other owner's row is its own
        room.engine.erase(versions[A], np.array([0], np.uint32))
        assert found() == set()
        assert room.measure(question, world, versions).sums[SPEND] == (0, 0, 0, 0)

    def test_versions_published_one_after_the_other_are_linked_both_ways(self, room: "Room") -> None:
        row = Row({"email": b"e" * 16}, {"colour": "red"}, {})
        world = _world((row,), (row,), ("email",))
        versions = room.publish(world)
        assert room.measure(_question(where=Matched(B)), world, versions).counts == (1,)
        back = Question(B, Matched(A), (), (), Purpose.INSIGHTS)
        assert room.measure(back, world, versions).counts == (1,)

    def test_a_new_version_leaves_the_older_one_as_it_was(self, room: "Room") -> None:
        first = _world(
            (Row({"email": b"e" * 16}, {}, {}),), (Row({"email": b"e" * 16}, {"colour": "red"}, {}),), ("email",)
        )
        older = room.publish(first)
        second = _world(first.rows[A] * 0, first.rows[B], ("email",))
        newer = {**older, A: room.stage_and_publish(second, A, (older[B],))}
        question = _question(where=Matched(B))
        assert room.measure(question, second, newer).counts == (0,)
        assert room.measure(question, first, older).counts == (1,)
        room.engine.retire(older[A])
        assert room.measure(question, second, newer).counts == (0,)

    def test_a_retired_version_is_not_measured(self, room: "Room") -> None:
        world = _world((), (), ("email",))
        versions = room.publish(world)
        room.engine.retire(versions[B])
        room.engine.retire(versions[B])
        assert room.measure(_question(), world, versions).counts == (0,)
        with pytest.raises(NotPublished):
            room.measure(_question(where=Matched(B)), world, versions)

    def test_preparing_changes_no_answer_and_refuses_what_is_retired(self, room: "Room") -> None:
        row = Row({"email": b"e" * 16}, {"colour": "red"}, {})
        world = _world((row,), (row,), ("email",))
        versions = room.publish(world)
        room.prepare(world, versions)
        room.prepare(world, versions)
        assert room.measure(_question(by=(COLOUR,)), world, versions).counts == (1, 0, 0, 0, 0)
        room.engine.retire(versions[B])
        with pytest.raises(NotPublished):
            room.prepare(world, versions)

    def test_progress_grows_to_100(self, room: "Room") -> None:
        world = _world((), (), ("email", "phone"))
        older = room.stage_and_publish(world, A, ())
        audience = world.agreement.audience(B)
        assert audience is not None
        told: list[int] = []
        folder = worlds.stage(room.folder / "b", world.agreement.id, audience, ())
        room.engine.publish(Staged("b1", folder, (older,)), told.append)
        assert told == sorted(told)
        assert told[-1] == 100

    def test_an_audience_without_a_version_is_not_measured(self, room: "Room") -> None:
        world = _world((), (), ("email",))
        with pytest.raises(NotPublished):
            room.measure(_question(), world, {})

    def test_versions_that_are_not_linked_are_not_measured_until_they_are(self, room: "Room") -> None:
        row = Row({"email": b"e" * 16}, {"colour": "red"}, {})
        world = _world((row,), (row,), ("email",))
        versions = {ref: room.stage_and_publish(world, ref, ()) for ref in (A, B)}
        with pytest.raises(NotPublished):
            room.measure(_question(where=Matched(B)), world, versions)
        room.engine.publish(Staged(versions[A], room.folder / "gone", (versions[B],)))
        assert room.measure(_question(where=Matched(B)), world, versions).counts == (1,)

    def test_two_epochs_never_meet(self, room: "Room") -> None:
        world = _world((), (), ("email",))
        older = room.stage_and_publish(world, A, ())
        with pytest.raises(ValueError, match="epochs"):
            room.stage_and_publish(world, B, (older,), epoch=2)

    def test_a_version_of_another_agreement_is_refused(self, room: "Room") -> None:
        world = _world((), (), ("email",))
        versions = room.publish(world)
        changed = worlds.agreement(
            [_audience(A, ("email",)), _audience(B, ("email",), values=("green", "red"))], ("email",)
        )
        other = World(changed, world.rows, world.withdrawn)
        with pytest.raises(ValueError, match="another agreement"):
            room.measure(_question(by=(COLOUR,)), other, versions)


class Room:
    """An engine, with what a test says about it in terms of worlds."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def publish(self, world: World) -> dict[AudienceRef, str]:
        versions: dict[AudienceRef, str] = {}
        for audience in world.agreement.audiences:
            versions[audience.ref] = self.stage_and_publish(world, audience.ref, tuple(versions.values()))
        return versions

    def stage_and_publish(self, world: World, ref: AudienceRef, against: tuple[str, ...], epoch: int = 1) -> str:
        version = f"v{next(_numbers)}"
        self.publish_as(version, world, ref, against, epoch)
        return version

    def publish_as(
        self, version: str, world: World, ref: AudienceRef, against: tuple[str, ...], epoch: int = 1
    ) -> None:
        audience = world.agreement.audience(ref)
        assert audience is not None
        folder = self.folder / "staged" / f"{version}.{next(_numbers)}"
        worlds.stage(folder, world.agreement.id, audience, world.rows[ref], epoch)
        self.engine.publish(Staged(version, folder, against))

    def prepare(self, world: World, versions: Mapping[AudienceRef, str]) -> None:
        self.engine.prepare(world.agreement, versions, world.day, self._absent(world, versions))

    def measure(self, question: Question, world: World, versions: Mapping[AudienceRef, str]) -> Measured:
        absent = self._absent(world, versions)
        return open_sealed(self.engine.measure(question, world.agreement, versions, world.day, absent))

    @staticmethod
    def _absent(world: World, versions: Mapping[AudienceRef, str]) -> Absent:
        return {
            versions[ref]: _withdrawn(ref, world) for ref, rows in world.withdrawn.items() if ref in versions and rows
        }


def _withdrawn(ref: AudienceRef, world: World) -> Withdrawn:
    rows = np.array(sorted(world.withdrawn[ref]), np.uint32)
    masks = np.array([model.withdrawn_from(ref, number, world) for number in rows.tolist()], np.uint8)
    return Withdrawn(hashlib.sha256(rows.tobytes() + masks.tobytes()).hexdigest()[:32], lambda: (rows, masks))


def expected(question: Question, world: World) -> Measured:
    counts, sums = model.measure(question, world)
    order = cells(question, world.agreement)
    assert set(counts) <= set(order), "a person is in no cell of the question"
    return Measured(
        tuple(counts[cell] for cell in order),
        {column: tuple(sums[column][cell] for cell in order) for column in question.sum},
    )


def _question(where: Matched | Is | Not | None = None, by: tuple[ColumnRef, ...] = ()) -> Question:
    return Question(A, where, by, (), Purpose.INSIGHTS)


def _world(people: tuple[Row, ...], partners: tuple[Row, ...], match_keys: tuple[str, ...]) -> World:
    """Two audiences with a colour, red where a row names none, and a spend."""
    rows = {
        ref: tuple(replace(row, attributes={"colour": "red", **row.attributes}) for row in given_rows)
        for ref, given_rows in ((A, people), (B, partners))
    }
    agreement = worlds.agreement([_audience(A, match_keys), _audience(B, match_keys)], match_keys)
    return World(agreement, rows, {A: frozenset(), B: frozenset()})


def _audience(ref: AudienceRef, keys: tuple[str, ...], values: tuple[str, ...] = ("red", "green")) -> Audience:
    return Audience(ref, keys, (Attribute("colour", values),), (Measure("spend", 0, 10**12, 2),))

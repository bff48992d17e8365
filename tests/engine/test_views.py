"""Views are never stale, are made once by however many need them, stay few, and leave with their version."""

import os
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest

from cleanroom.engine import columns, views
from cleanroom.engine.columns import Meta, Writer
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import NotPublished, Staged, Withdrawn
from cleanroom.engine.sealed import open_sealed
from policies.agreement import Attribute, Audience, Measure
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Matched, Question
from tests import worlds
from tests.engine.contract import Room, expected
from tests.worlds import DAY, Row, World

A, B = AudienceRef("ada", "main"), AudienceRef("bea", "main")
COLOUR, SPEND = ColumnRef(B, "colour"), ColumnRef(B, "spend")
QUESTIONS = tuple(
    Question(count, None, by, (SPEND,), purpose).canonical()
    for count, by in ((A, (COLOUR,)), (A, (Matched(B),)), (B, (Matched(A), COLOUR)))
    for purpose in (Purpose.INSIGHTS, Purpose.MEASUREMENT)
)


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hundreds of files, none of which has to outlive a power cut."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(EmbeddedEngine(tmp_path / "data"), tmp_path)


def _world() -> World:
    """Ten people each, the same ones; B's leave one a day, and every second one only allows insights."""
    tokens = [bytes([number]) * 16 for number in range(10)]
    people = tuple(Row({"email": token}, {}, {}) for token in tokens)
    partners = tuple(
        Row(
            {"email": token},
            {"colour": ("red", "green", "other")[number % 3]},
            {"spend": number},
            consent=15 if number % 2 else Purpose.INSIGHTS.bit,
            expires=DAY + timedelta(number),
        )
        for number, token in enumerate(tokens)
    )
    audiences = (
        Audience(A, ("email",), (), ()),
        Audience(B, ("email",), (Attribute("colour", ("red", "green")),), (Measure("spend", 0, 9, 0),)),
    )
    nobody: Mapping[AudienceRef, frozenset[int]] = {A: frozenset(), B: frozenset()}
    return World(worlds.agreement(audiences, ("email",)), {A: people, B: partners}, nobody)


def _check(room: Room, world: World, versions: Mapping[AudienceRef, str]) -> None:
    for question in QUESTIONS:
        assert room.measure(question, world, versions) == expected(question, world)


def _files(room: Room) -> list[Path]:
    return sorted(path for path in (room.folder / "data" / "views").rglob("*") if path.is_file())


@pytest.mark.parametrize("prepared", [True, False])
def test_a_view_of_other_people_is_never_used(room: Room, prepared: bool) -> None:
    world = _world()
    versions = room.publish(world)
    for random in map(Random, range(6)):
        for day in (DAY, DAY + timedelta(3), DAY - timedelta(1), DAY + timedelta(30)):
            withdrawn = {
                ref: frozenset(number for number in range(10) if random.random() < 0.3 * random.choice((0, 1)))
                for ref in (A, B)
            }
            now = replace(world, day=day, withdrawn=withdrawn)
            if prepared:
                room.prepare(now, versions)
            _check(room, now, versions)


def test_a_version_published_again_under_its_name_has_views_of_its_own(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    _check(room, world, versions)
    other = replace(world, rows={A: world.rows[A], B: tuple(reversed(world.rows[B]))[:4]})
    room.engine.retire(versions[B])
    room.publish_as(versions[B], other, B, (versions[A],))
    _check(room, other, versions)


def test_days_on_which_the_same_people_take_part_share_the_views_of_a_pair(room: Room) -> None:
    world = replace(_world(), day=DAY - timedelta(9))
    versions = room.publish(world)
    _check(room, world, versions)
    pairs = [path for path in _files(room) if "--" in str(path)]
    _check(room, replace(world, day=DAY - timedelta(5)), versions)
    assert [path for path in _files(room) if "--" in str(path)] == pairs


def test_preparing_keeps_what_today_needs_and_no_more(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    _check(room, world, versions)
    room.prepare(world, versions)
    before = {path: path.stat().st_ino for path in _files(room)}
    tomorrow = replace(world, day=DAY + timedelta(1))
    room.prepare(tomorrow, versions)
    _check(room, tomorrow, versions)
    after = {path: path.stat().st_ino for path in _files(room)}
    today = DAY.isoformat()
    assert [path for path in before if today in path.name]
    assert not [path for path in after if today in path.name]
    assert {path: inode for path, inode in before.items() if path in after}.items() <= after.items()  # not made anew
    assert len(after) == len(before)


def test_views_stay_few(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    for day in range(3 * views.MOST):
        _check(room, replace(world, day=DAY + timedelta(day % 10)), versions)
    for folder in (room.folder / "data" / "views").iterdir():
        assert len(list(folder.iterdir())) <= views.MOST


def test_a_view_that_is_asked_for_stays(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    _check(room, world, versions)
    [kept] = [path for path in _files(room) if f"{Purpose.INSIGHTS.value}.{DAY.isoformat()}" in path.name]
    inode = kept.stat().st_ino
    for day in range(1, 2 * views.MOST):
        _check(room, replace(world, day=DAY + timedelta(day)), versions)
        _check(room, world, versions)
    assert kept.stat().st_ino == inode


def test_a_damaged_view_is_made_again(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    _check(room, world, versions)
    for path in _files(room):
        path.write_bytes(path.read_bytes()[:-1])
    _check(room, world, versions)


def test_many_who_need_a_view_make_it_once(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    made: list[Path] = []
    real = views._make

    def counted(kept: Path, path: Path, *rest: object) -> None:
        made.append(path)
        real(kept, path, *rest)  # type: ignore[arg-type]  # passed on as they come

    with patch.object(views, "_make", counted), ThreadPoolExecutor(8) as threads:
        for measured in threads.map(lambda _: room.measure(QUESTIONS[0], world, versions), range(32)):
            assert measured == expected(QUESTIONS[0], world)
    assert len(made) == len(set(made)) == len(_files(room))


def test_retiring_a_version_frees_its_views_also_those_being_made(room: Room) -> None:
    world = _world()
    versions = room.publish(world)
    _check(room, world, versions)
    # Retired while the first, the second … view is written; and just before its folder is made.
    for name, moment in ((name, moment) for name in ("_sync", "_alone") for moment in range(1, 4)):
        room.engine.retire(versions[B])
        assert not [path for path in _folders(room) if versions[B] in path.name]
        room.publish_as(versions[B], world, B, (versions[A],))
        room.engine.retire(versions[A])
        room.publish_as(versions[A], world, A, (versions[B],))
        where = views.files if name == "_sync" else views
        retiring = _before(getattr(where, name), moment, partial(room.engine.retire, versions[B]))
        with patch.object(where, name, retiring), pytest.raises(NotPublished):
            room.measure(QUESTIONS[0], world, versions)
        assert not [path for path in _folders(room) if versions[B] in path.name]


def _folders(room: Room) -> list[Path]:
    return list((room.folder / "data" / "views").iterdir())


def _before(real: Callable[[Path], Any], moment: int, act: Callable[[], None]) -> Callable[[Path], Any]:
    """Acts before the call of that number."""
    calls = count(1)

    def called(path: Path) -> Any:
        if next(calls) == moment:
            act()
        return real(path)

    return called


def test_a_failure_while_a_view_is_made_leaves_nothing_behind(room: Room) -> None:
    world = _world()
    versions = room.publish(world)

    def full(_: int) -> None:
        raise OSError("the disk is full")

    with patch.object(os, "fsync", full), pytest.raises(OSError, match="full"):
        room.measure(QUESTIONS[0], world, versions)
    assert _files(room) == []
    _check(room, world, versions)


def test_large_audiences_agree_with_a_plain_join(room: Room) -> None:
    """Several blocks of every kind, with consents, withdrawals and two keys; against dictionaries."""
    random = np.random.default_rng(7)
    size = 300_001
    keys = ("email", "phone")
    numbers = {ref: {key: random.permutation(size * 2)[:size] for key in keys} for ref in (A, B)}
    consent = {ref: random.integers(1, 16, size).astype(np.uint8) for ref in (A, B)}
    colours = random.integers(0, 4, size).astype(np.uint16)
    amounts = random.integers(0, 10, size)
    audiences = (
        Audience(A, keys, (), ()),
        Audience(B, keys, (Attribute("colour", ("red", "green")),), (Measure("spend", 0, 9, 0),)),
    )
    agreement = worlds.agreement(audiences, keys)
    versions = {A: "a1", B: "b1"}
    for audience in audiences:
        ref = audience.ref
        _stage(
            room.folder / versions[ref],
            audience,
            {key: _tokens(numbers[ref][key]) for key in keys},
            {"colour": colours} if ref == B else {},
            {"spend": amounts} if ref == B else {},
            consent[ref],
        )
        room.engine.publish(Staged(versions[ref], room.folder / versions[ref], ("a1",) if ref == B else ()))
    gone = random.permutation(size)[:1000].astype(np.uint32)
    bit = Purpose.INSIGHTS.bit
    there = (consent[B] & bit) != 0
    there[gone] = False
    by_token = {key: {token: row for row, token in enumerate(numbers[B][key].tolist()) if there[row]} for key in keys}
    counts, sums = [0] * 5, [0] * 5
    for row in np.flatnonzero(consent[A] & bit).tolist():
        partner = by_token["email"].get(int(numbers[A]["email"][row]))
        if partner is None:
            partner = by_token["phone"].get(int(numbers[A]["phone"][row]))
        colour = 4 if partner is None else int(colours[partner])
        counts[colour] += 1
        sums[colour] += 0 if partner is None else int(amounts[partner])
    question = Question(A, None, (COLOUR,), (SPEND,), Purpose.INSIGHTS)
    gone.sort()
    absent = {"b1": Withdrawn("some", lambda: (gone, np.full(len(gone), bit, np.uint8)))}
    measured = open_sealed(room.engine.measure(question, agreement, versions, date(2026, 3, 14), absent))
    assert measured.counts == tuple(counts)
    assert measured.sums[SPEND] == tuple(sums)
    overlap = Question(A, None, (Matched(B),), (), Purpose.INSIGHTS)
    measured = open_sealed(room.engine.measure(overlap, agreement, versions, date(2026, 3, 14), absent))
    assert measured.counts == (sum(counts[:4]), counts[4])
    wanted = random.permutation(size * 2)[:20_000]
    rows = {number: row for row, number in enumerate(numbers[B]["phone"].tolist())}
    found = room.engine.find("b1", "phone", _tokens(wanted))
    assert found.tolist() == [rows.get(number, -1) for number in wanted.tolist()]
    room.engine.erase("b1", gone)
    measured = open_sealed(room.engine.measure(question, agreement, versions, date(2026, 3, 14), {}))
    assert measured.counts == tuple(counts)


def _tokens(numbers: np.ndarray) -> np.ndarray:
    """A token for each number, spread as re-keyed ones are."""
    words = np.stack([numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15), numbers.astype(np.uint64)], axis=1)
    return words.view(np.uint8).reshape(-1, 16)


def _stage(
    folder: Path,
    audience: Audience,
    tokens: Mapping[str, np.ndarray],
    codes: Mapping[str, np.ndarray],
    amounts: Mapping[str, np.ndarray],
    consent: np.ndarray,
) -> None:
    """Writes an audience as intake would, from columns; every row has every token and amount."""
    folder.mkdir()
    rows = len(consent)
    meta = Meta("col-1", audience.ref, 1, rows, audience.keys, audience.attributes, audience.measures, expires=False)
    with Writer(folder, meta) as writer:
        for key, column in tokens.items():
            writer.append(f"token.{key}", column)
            writer.append(f"present.{key}", np.ones(rows, np.bool_))
        for name, column in codes.items():
            writer.append(f"attribute.{name}", column)
        for name, column in amounts.items():
            writer.append(f"measure.{name}", column)
            writer.append(f"measured.{name}", np.ones(rows, np.bool_))
        writer.append("consent", consent)
    columns.write_meta(folder, meta)

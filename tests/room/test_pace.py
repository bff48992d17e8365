"""Limits of requests: counted across processes, one partner's own, with when to come back."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom import setup
from cleanroom.app import create_app
from cleanroom.pace import WINDOW_SECONDS, Kind, Pace
from cleanroom.settings import BadSettings, RequestLimits, read
from partners import keys
from partners.room.connection import PATIENCE_SECONDS, RoomRefused
from partners.steps import joining
from tests.room.described import held
from tests.room.stage import Stage
from tests.room.test_joining import claim

NOW = 1_773_489_600.0


def limited(stage: Stage, limits: RequestLimits) -> None:
    """The same room once more, with limits: as a worker of it would be started."""
    settings = replace(stage.room.settings, limits=limits)
    stage.room = setup.open_room(settings, stage.clock)
    stage.app = held(create_app(stage.room))


def test_a_minutes_worth_at_once_then_one_by_one(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace", RequestLimits(questions=6))
    assert [pace.of_partner(1, Kind.QUESTIONS, NOW) for _ in range(6)] == [0.0] * 6
    assert pace.of_partner(1, Kind.QUESTIONS, NOW) == pytest.approx(10)
    assert pace.of_partner(1, Kind.QUESTIONS, NOW + 9) == pytest.approx(1)
    assert pace.of_partner(1, Kind.QUESTIONS, NOW + 10) == 0.0
    assert pace.of_partner(1, Kind.QUESTIONS, NOW + 10) == pytest.approx(10)
    assert [pace.of_partner(1, Kind.QUESTIONS, NOW + 70) for _ in range(6)] == [0.0] * 6


def test_partners_and_kinds_count_apart(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace", RequestLimits(1, 1, 1, 1))
    for number in (1, 2, 3):
        for kind in (Kind.QUESTIONS, Kind.UPLOADS, Kind.REQUESTS):
            assert pace.of_partner(number, kind, NOW) == 0.0
            assert pace.of_partner(number, kind, NOW) > 0


def test_neighbours_guess_together(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace", RequestLimits(guesses=1))
    assert pace.of_address("192.0.2.1", NOW) == 0.0
    assert pace.of_address("192.0.2.250", NOW) > 0
    assert pace.of_address("192.0.3.1", NOW) == 0.0
    assert pace.of_address("2001:db8:1::1", NOW) == 0.0
    assert pace.of_address("2001:db8:1:ffff::2", NOW) > 0
    assert pace.of_address(None, NOW) == 0.0


def test_0_is_no_limit_and_makes_no_file(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace", RequestLimits())
    assert not any(pace.of_partner(1, Kind.REQUESTS, NOW) or pace.of_address("192.0.2.1", NOW) for _ in range(100))
    assert not (tmp_path / "pace").exists()


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_no_window_lets_more_than_twice_the_limit_through(
    tmp_path_factory: pytest.TempPathFactory, gaps: list[float], limit: int
) -> None:
    """A leaky bucket: a full one at once, and what leaks meanwhile."""
    pace = Pace(tmp_path_factory.mktemp("law") / "pace", RequestLimits(requests=limit))
    passed, now = [], NOW
    for gap in gaps:
        now += gap
        if pace.of_partner(1, Kind.REQUESTS, now) == 0.0:
            passed.append(now)
    for begin in passed:
        assert sum(begin <= each < begin + WINDOW_SECONDS for each in passed) <= 2 * limit


def test_a_clock_that_was_set_back_locks_nobody_out(tmp_path: Path) -> None:
    pace = Pace(tmp_path / "pace", RequestLimits(requests=2))
    for _ in range(2):
        assert pace.of_partner(1, Kind.REQUESTS, NOW + 86_400) == 0.0
    assert pace.of_partner(1, Kind.REQUESTS, NOW) <= WINDOW_SECONDS
    assert pace.of_partner(1, Kind.REQUESTS, NOW + 61) == 0.0


COUNT = """
import sys
from pathlib import Path
from cleanroom.pace import Kind, Pace
from cleanroom.settings import RequestLimits
pace = Pace(Path(sys.argv[1]), RequestLimits(questions=500))
print(sum(pace.of_partner(7, Kind.QUESTIONS, 1773489600.0) == 0.0 for _ in range(300)))
"""


def test_processes_count_together(tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNT, str(tmp_path / "pace")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    passed = [int(process.communicate()[0]) for process in started]
    assert sum(passed) == 500
    assert (tmp_path / "pace").stat().st_mode & 0o777 == 0o600


def test_too_many_questions_say_when_to_come_back(joined: Stage) -> None:
    limited(joined, RequestLimits(requests=3))
    tokens = {name: joined.token(name) for name in ("fresh", "tasty")}  # one request each
    with joined.anybody() as client:
        fresh, tasty = ({"Authorization": f"Bearer {tokens[name]}"} for name in ("fresh", "tasty"))
        assert [client.get("/v1/ledger", headers=fresh).status_code for _ in range(3)] == [200, 200, 429]
        answer = client.get("/v1/ledger", headers=fresh)
        assert answer.json()["type"] == "/problems/too-many-requests"
        assert (answer.headers["Retry-After"], answer.json()["detail"]) == ("20", "Come back in 20 s.")
        assert client.get("/v1/ledger", headers=tasty).status_code == 200
        assert client.post("/v1/uploads", headers={**fresh, "Tus-Resumable": "1.0.0"}).status_code == 422, "not counted"
        joined.clock.forward(seconds=20)
        assert client.get("/v1/ledger", headers=fresh).status_code == 200


def test_wrong_guesses_lock_nobody_out(joined: Stage) -> None:
    """Behind a proxy everybody has one address: a good code and a good assertion pass all the same."""
    limited(joined, RequestLimits(guesses=4))
    stranger = keys.generate()
    answers = [joined.sign_in(joined.assertion("fresh", stranger)).status_code for _ in range(6)]
    assert answers == [401] * 4 + [429] * 2
    assert joined.sign_in(joined.assertion("fresh")).status_code == 200
    assert joined.join("salty").room.ledger().partner == "salty"


def test_wrong_codes_are_guesses(joined: Stage) -> None:
    limited(joined, RequestLimits(guesses=1))
    with joined.anybody() as client:
        answers = [client.post("/v1/join", json=claim("no code", keys.generate())) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [403, 429]
        assert answers[1].headers["Retry-After"] == "60"
        assert client.post("/v1/join", json=claim(joined.invite("salty"), keys.generate())).status_code == 201


def test_the_client_waits_where_it_is_short(joined: Stage) -> None:
    limited(joined, RequestLimits(requests=6))
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        joined.clock.forward(seconds=seconds)

    room = joining.open_room(joined.players["fresh"].home, joined.transport())
    room._connection._sleep = sleep
    for _ in range(8):
        room.ledger()
    assert waited
    assert set(waited) == {10}


def test_the_client_says_so_where_it_is_long(joined: Stage) -> None:
    limited(joined, RequestLimits(requests=1))
    room = joining.open_room(joined.players["fresh"].home, joined.transport())
    waited: list[float] = []
    room._connection._sleep = waited.append
    assert WINDOW_SECONDS > PATIENCE_SECONDS
    with pytest.raises(RoomRefused, match=r"Too many requests: Come back in 60 s; wait"):
        room.ledger()
    assert waited == []


@pytest.mark.parametrize("text", ["", "-1", "many", "1.5", "1000001", "²"])
def test_limits_that_do_not_parse(text: str, tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="CLEANROOM_LIMIT_UPLOADS"):
        read({"CLEANROOM_DATA": str(tmp_path / "room"), "CLEANROOM_LIMIT_UPLOADS": text})


def test_limits_are_read(tmp_path: Path) -> None:
    stated = {"CLEANROOM_DATA": str(tmp_path / "room"), "CLEANROOM_LIMIT_UPLOADS": "0"}
    assert read(stated).limits == RequestLimits(300, 0, 1200, 60)

"""A process of the room is killed (SIGKILL) at each step of a release; the whole room at any time, under load.

A child of this process, which is a room with everything but gunicorn, asks and kills itself at a step. The steps are
found from outside, by the calls that Python tells a profiler of: the room has no hook for it. No answer is ever without
its leaf, the log has no gap, the ledger is the sum of the costs, and the next start answers.

`make soak` kills the whole room a thousand times.
"""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import pytest

from cleanroom import setup
from partners.failure import Failure
from partners.room.client import Room as RoomClient
from partners.steps import joining
from policies import request
from policies.terms import MICRO
from tests.room.conftest import Collaboration
from tests.room.ledgers import decisions
from tests.room.served import Served, note_ready, set_clock
from tests.room.stage import DRIVE, READERS, Stage, people
from tests.soak import FACTOR

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
KILLS = 1000 if FACTOR > 1 else 1
CLIENTS = 4
ANSWERED = b"answered"

# Where the child dies: what Python tells, in which file, of which function; whether the decision is committed by then.
STEPS = {
    "as the question arrives": ("call", "cleanroom/gate.py", "_ask", False),
    "before it is measured": ("call", "engine/embedded.py", "measure", False),
    "after noise was drawn": ("return", "cleanroom/noise.py", "draw", False),
    "as it is decided": ("call", "cleanroom/gate.py", "_decide", False),
    "before the leaf": ("call", "audit/log.py", "append", False),
    "after the leaf": ("return", "audit/log.py", "append", False),
    "after the report and its debits": ("return", "catalog/reports.py", "keep", False),
    "after a release": ("return", "catalog/reports.py", "keep_release", False),
    "before the commit": ("c_call", "catalog/catalog.py", "commit", False),
    "after the commit": ("c_return", "catalog/catalog.py", "commit", True),
    "before it is signed": ("call", "audit/signer.py", "sign", True),
    "after the signer's state": ("return", "audit/state.py", "advance", True),
    "after it is signed": ("return", "audit/signer.py", "sign", True),
    "between two tiles": ("return", "audit/publisher.py", "_contents", True),
    "after the tiles": ("return", "audit/publisher.py", "_write_tiles", True),
    "after the checkpoint": ("return", "audit/publisher.py", "_publish", True),
    "before the answer leaves": ("return", "cleanroom/gate.py", "_ask", True),
}


def killed_at(stage: Stage, identifier: str, step: str) -> bytes:
    """Asks in a child that dies at the step; what it told before. The question is the first thing that it does."""
    event, file, name, _ = STEPS[step]
    armed = False

    def killing(frame: FrameType, happened: str, argument: Any) -> None:
        nonlocal armed
        code = frame.f_code
        named = argument.__name__ if happened.startswith("c_") else code.co_name
        if happened == "call" and named == "_ask" and code.co_filename.endswith("cleanroom/gate.py"):
            armed = True
        if armed and (happened, named) == (event, name) and code.co_filename.endswith(file):
            os.kill(os.getpid(), signal.SIGKILL)

    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        sys.setprofile(killing)
        try:
            stage.ask("fresh", identifier, OVERLAP)
            os.write(tell, ANSWERED)
        finally:
            os._exit(0)
    os.close(tell)
    with os.fdopen(told, "rb") as pipe:
        said = pipe.read()
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL, "it came through"
    return said


@pytest.mark.parametrize("step", STEPS)
def test_killed_at_each_step_of_a_release(published: Collaboration, step: str) -> None:
    stage, committed = published.stage, STEPS[step][3]
    stage.ask("fresh", published.id, {**OVERLAP, "purpose": "modelling"})  # signed in, and something in the log
    assert killed_at(stage, published.id, step) == b""
    assert len(decisions(stage.room)) == 1 + committed
    room = setup.open_room(stage.room.settings, stage.clock)
    room.publish(whole=True)
    report = stage.ask("fresh", published.id, OVERLAP)
    assert (report.released, report.free) == (True, committed)
    assert len(decisions(stage.room)) == 2 + committed
    assert stage.rows("select count(*), sum(micro) from ledger") == [(2, 500_000)]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """Questions cost next to nothing, so that there are always some left to pay."""
    with Stage.make(tmp_path_factory.mktemp("loaded"), "fresh", "tasty", allowance=1000 * MICRO) as stage:
        set_clock(stage)
        identifier = stage.agree(DRIVE, READERS, epsilon_per_report=0.001, epsilon_total=1000)
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, people(range(300)))
        stage.publish(identifier, READERS, people(range(100, 400)))
        yield Collaboration(stage, identifier)


class Asking:
    """Clients that ask, each as fast as it is answered, until the room is gone."""

    def __init__(self, at: Collaboration, served: Served, answered: dict[str, int]) -> None:
        self._id, self._answered, self.problems = at.id, answered, list[str]()
        home = at.stage.players["fresh"].home
        self._rooms = [joining.open_room(home, served.transport()) for _ in range(CLIENTS)]
        self._threads = [threading.Thread(target=self._ask, args=(room,)) for room in self._rooms]
        for thread in self._threads:
            thread.start()

    def _ask(self, room: RoomClient) -> None:
        while True:
            where = [{"is": ["fresh/drive.tier", [tier]]} for tier in ("gold", "silver")]
            parts = random.sample([*where, {"matched": READERS.ref}, *({"not": each} for each in where)], 2)
            asked = {"kind": "statistics", "count": DRIVE.ref, "where": {random.choice(("all", "any")): parts}}
            try:
                report = room.ask(self._id, request.from_json(asked))
            except Failure as problem:
                self.problems.append(str(problem))
                return
            assert report.receipt is not None
            assert report.id is not None
            self._answered[report.id] = int(report.receipt.proof.split("\n")[1].removeprefix("index "))

    def ended(self) -> None:
        for thread in self._threads:
            thread.join()
        for room in self._rooms:
            room.close()


def test_killed_at_any_time_under_load(loaded: Collaboration, tmp_path: Path) -> None:
    """Whatever was answered, with a receipt that the client verified, is there after each start, under that number."""
    stage, answered = loaded.stage, dict[str, int]()
    set_clock(stage)
    with Served(stage, tmp_path / "hooks", CLEANROOM_LIMIT_QUESTIONS="0", CLEANROOM_ALLOWANCE="1000") as served:
        for _ in range(KILLS):
            begun = time.monotonic()
            served.start()
            note_ready(time.monotonic() - begun)
            asking = Asking(loaded, served, answered)
            time.sleep(random.uniform(0, 0.5))
            served.kill()
            asking.ended()
            assert not [each for each in asking.problems if "another log" in each or "does not hold" in each]
            found = decisions(stage.room)
            assert answered.items() <= found.items(), "no answer without its leaf"
        served.start()
        assert httpx.get(f"{served.url}/v1/ready").is_success
        with served.room("tasty") as room:
            assert room.ask(loaded.id, request.from_json(OVERLAP)).released
    assert KILLS == 1 or answered, "some questions were answered"

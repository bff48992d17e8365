"""A disk that is full, folders that cannot be written: no answer, nothing charged, a reason; afterwards it works.

The tests may run as root, whom no mode keeps out: a folder becomes read-only for everybody else and the room asks as
somebody else, or the limit of the process on the size of files stands in for the end of the disk.
"""

import os
import resource
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from partners.room.connection import RoomRefused
from partners.transparency.encoding import encode_base64
from policies import canonical
from tests.room.conftest import Collaboration
from tests.room.stage import Stage
from tests.room.test_commit import OVERLAP, REFUSED, counts

NOBODY = 65_534


@pytest.fixture
def at(shared_published: Collaboration) -> Iterator[Collaboration]:
    """A room in a folder that other users can reach."""
    folder = Path(tempfile.mkdtemp(prefix="room-"))
    folder.chmod(0o755)
    try:
        with shared_published.stage.copy(folder) as stage:
            yield Collaboration(stage, shared_published.id)
    finally:
        shutil.rmtree(folder)


@contextmanager
def full_disk(_: Stage) -> Iterator[None]:
    """No file of this process grows beyond 4 KiB: the catalog's journal has no room for another transaction."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def read_only(stage: Stage, folder: Path) -> Iterator[None]:
    """Nothing can be written into a folder by whoever the room runs as."""
    owner, modes = os.geteuid(), {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & 0o555 | stat.S_IRUSR)
    if owner == 0:
        for path in (stage.folder / "room", stage.folder / "keys"):
            for each in (path, *path.rglob("*")):
                os.chown(each, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(owner)
        for path, mode in modes.items():
            path.chmod(mode)


@contextmanager
def read_only_log(stage: Stage) -> Iterator[None]:
    with read_only(stage, stage.room.settings.log):
        yield


@contextmanager
def read_only_keys(stage: Stage) -> Iterator[None]:
    with read_only(stage, stage.room.settings.keys):
        yield


def answered(at: Collaboration, token: str, body: dict[str, Any]) -> tuple[int, str, str]:
    """Status, problem and hint of a question, with a token that was fetched before."""
    with at.stage.anybody() as client:
        client.headers["Authorization"] = f"Bearer {token}"
        answer = client.post(f"/v1/collaborations/{at.id}/reports", json={**body, "dry_run": False})
    told = answer.json()
    return answer.status_code, told.get("type", ""), told.get("hint", "")


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        (full_disk, {(507, "/problems/disk-full"), (503, "/problems/disk-unavailable")}),
        (read_only_log, {(503, "/problems/log-unavailable")}),
        (read_only_keys, {(503, "/problems/log-unavailable")}),
    ],
)
def test_no_answer_and_no_charge_but_a_reason(
    at: Collaboration, broken: Callable[[Stage], Any], expected: set[tuple[int, str]]
) -> None:
    stage = at.stage
    tokens, before = [stage.token("fresh") for _ in range(2)], counts(stage)
    with broken(stage):
        told = [answered(at, token, body) for token, body in zip(tokens, (OVERLAP, REFUSED), strict=True)]
    assert {each[:2] for each in told} <= expected
    assert all("Tell the operator" in hint for *_, hint in told)
    assert counts(stage) == before
    report = stage.ask("fresh", at.id, OVERLAP)
    assert (report.released, report.free) == (True, False)
    assert not list(stage.folder.rglob(".probe.*"))


def test_a_room_that_cannot_write_its_log_takes_nothing_else_either(at: Collaboration) -> None:
    """Not only questions: whatever has a leaf is not done without it."""
    stage = at.stage
    with stage.http("fresh") as client:
        before = counts(stage)
        with read_only_log(stage):
            grant = {"partner": "fresh", "epsilon": 1, "serial": 1, "created": "2026-03-14T12:00:00Z"}
            signature = stage.players["fresh"].identity.sign("grant/v1", canonical.dumps(grant))
            granted = client.post("/v1/grants", json={"grant": grant, "signature": encode_base64(signature)})
        assert (granted.status_code, granted.json()["type"]) == (503, "/problems/log-unavailable")
        assert counts(stage) == before
        assert stage.rows("select count(*) from grants") == [(0,)]


def test_the_client_says_why(at: Collaboration) -> None:
    with full_disk(at.stage), pytest.raises(RoomRefused, match="disk"):
        at.stage.ask("fresh", at.id, OVERLAP)

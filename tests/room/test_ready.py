"""Whether the room can release, apart from whether a process lives; what it lacks is named, one thing at a time."""

import os
import signal
import time
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from cleanroom import jobs, readiness
from cleanroom.catalog import catalog as catalogs
from tests.room.served import Served, set_clock
from tests.room.stage import Stage

Usage = namedtuple("Usage", "free")


def ready(stage: Stage) -> tuple[int, str]:
    with stage.anybody() as client:
        assert client.get("/v1/health").json() == {"status": "ok"}, "health looks at nothing"
        answer = client.get("/v1/ready")
    return answer.status_code, answer.json().get("detail", answer.json().get("status"))


LACKS: dict[str, Callable[[Stage, pytest.MonkeyPatch], object]] = {
    "the catalog cannot be read": lambda stage, _: stage.room.settings.catalog.rename(stage.folder / "away"),
    "the catalog is of another version of the software": lambda _, patch: patch.setattr(catalogs, "KNOWN", ("other",)),
    "the log's signer has no usable state": lambda stage, _: (stage.room.settings.keys / "log.state").unlink(),
    "the published log has no checkpoint that its key signed": lambda stage, _: (
        stage.room.settings.log / "checkpoint"
    ).write_text("room.example/audit-v1\n1\nAAAA\n"),
    "the disk is nearly full": lambda _, patch: patch.setattr(
        readiness.shutil, "disk_usage", lambda _: Usage(readiness.LEAST_FREE_BYTES - 1)
    ),
}


@pytest.mark.parametrize("lack", LACKS)
def test_what_is_lacking_is_named(joined: Stage, monkeypatch: pytest.MonkeyPatch, lack: str) -> None:
    assert ready(joined) == (503, "It lacks something: the worker does not run.")
    with jobs._alone(joined.room.settings.data / readiness.WORKER_LOCK):
        assert ready(joined) == (200, "ready")
        LACKS[lack](joined, monkeypatch)
        assert ready(joined) == (503, f"It lacks something: {lack}.")


def test_a_worker_that_dies_is_noticed_and_comes_back(joined: Stage, tmp_path: Path) -> None:
    set_clock(joined)
    with Served(joined, tmp_path / "hooks") as served:
        served.start()
        (worker,) = served.processes("cleanroom.jobs")
        os.kill(worker, signal.SIGKILL)
        seen, until = set[int](), time.monotonic() + 30
        while seen != {200, 503} or httpx.get(f"{served.url}/v1/ready").status_code != 200:
            seen.add(httpx.get(f"{served.url}/v1/ready").status_code)
            assert time.monotonic() < until, seen
        assert httpx.get(f"{served.url}/v1/health").is_success

"""The whole room is killed (SIGKILL) while it publishes, started again, and asked: a version is there whole or not yet.

Nothing here reaches into the room: it runs as `cleanroom serve` does, and partners speak HTTP to it.
"""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from partners.room.client import Room
from policies import request
from tests.room.served import Served, set_clock
from tests.room.stage import DRIVE, READERS, VISITS, Brand, Stage, people

READS = range(100, 400)
VISITED = range(200, 500)
WAIT_SECONDS = 60.0

# The worker kills the room before its n-th step of a kind: itself and `serve`; gunicorn is left to the test.
HOOK = """
import os, signal, sys
steps = iter(range({number} - 1))
def killing(event, arguments):
    if event == {event!r} and any({part!r} in str(each) for each in arguments) and next(steps, None) is None:
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
if "cleanroom.jobs" in sys.orig_argv:
    sys.addaudithook(killing)
"""

MOMENTS = {
    "as the child begins to read": ("subprocess.Popen", "cleanroom.intake.child", 1, False),
    "before the first links are in place": ("os.rename", "/links/", 1, False),
    "before the links back are in place": ("os.rename", "/links/", 2, False),
    "before the engine has the version": ("os.rename", "/audiences/", 1, False),
    "after the engine has it, before the catalog says so": ("open", "/views/{version}", 1, False),
    "after the catalog says so, before the old one is removed": ("os.rename", "/audiences/.", 1, True),
    "before the upload is removed": ("os.remove", "/incoming/u-", 1, True),
}


@dataclass(slots=True)
class Published:
    """A collaboration of three of which two have published. `drive`: who is in fresh's current version."""

    stage: Stage
    id: str
    drive: range


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Published]:
    with Stage.make(tmp_path_factory.mktemp("killed"), "fresh", "tasty", "sunny") as stage:
        set_clock(stage)
        identifier = stage.agree(DRIVE, READERS, VISITS, mode="threshold", minimum_size=10, rounding=1)
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, people(range(300)))
        stage.publish(identifier, READERS, people(READS))
        yield Published(stage, identifier, range(300))


def upload(at: Published, brand: Brand, numbers: range) -> str:
    """The id of a version that waits for its check."""
    set_clock(at.stage)
    return at.stage.upload(brand, at.stage.prepare(at.id, brand, people(numbers)))


def current(room: Room, identifier: str) -> dict[str, str]:
    """The published version of each audience, as every partner sees it."""
    audiences = room.collaboration(identifier).audiences
    return {str(ref): version for ref, version in audiences if version is not None}


def overlap(at: Published, room: Room, one: str, other: str) -> int:
    """How many people of `one` are in `other`, as the running room says."""
    asked = request.from_json({"kind": "overlap", "audiences": [one, other]})
    report = room.ask(at.id, asked)
    assert report.released, report.reason
    (found,) = [each for each in report.figures if str(each.counted) == one and each.measure == "people" and each.where]
    assert found.value is not None
    return int(found.value)


def made_good(at: Published, served: Served, brand: Brand, version: str, before: dict[str, str]) -> None:
    """The room works again: it shows what was there before, then the new version, and nothing in between."""
    after, until = before | {brand.ref: version}, time.monotonic() + WAIT_SECONDS
    with served.room("tasty") as room, served.http(brand.owner) as owner:
        while True:
            seen = current(room, at.id)
            assert seen in (before, after)
            answer = owner.get(f"/v1/collaborations/{at.id}/audiences/{brand.name}/versions/{version}").json()
            assert answer["state"] in ("received", "checking", "published"), answer
            if answer["state"] == "published":
                break
            assert time.monotonic() < until, "it is never published"
        assert current(room, at.id) == after
    nothing_is_left(at, set(after.values()))


def nothing_is_left(at: Published, kept: set[str]) -> None:
    """The published versions and their links are all that there is, soon: retired ones are removed afterwards."""
    data, until = at.stage.room.settings.data, time.monotonic() + WAIT_SECONDS
    wanted = [kept, {f"{one}--{other}" for one in kept for other in kept if one != other}, set()]
    while time.monotonic() < until:
        found = [{path.name for path in (data / part).iterdir()} for part in ("audiences", "links", "incoming")]
        if found == wanted:
            return
        time.sleep(0.05)
    raise AssertionError(found)


def links(at: Published, *versions: str) -> dict[Path, tuple[int, int, int]]:
    """Every file and folder of the links between these versions: inode, time of its content, time of any change."""
    folder = at.stage.room.settings.data / "links"
    pairs = [folder / f"{one}--{other}" for one in versions for other in versions if one != other]
    found = {path: path.stat() for pair in pairs for path in (pair, *pair.iterdir())}
    return {path: (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns) for path, stat in found.items()}


def shared(drive: range) -> int:
    return len(set(drive) & set(READS))


def killed_at(served: Served, moment: str, version: str) -> None:
    """Runs the room until it is killed at a moment of `MOMENTS`, in the publication of a version."""
    event, part, number, _ = MOMENTS[moment]
    served.set_hook(HOOK.format(event=event, part=part.format(version=version), number=number))
    served.start(wait=False)
    served.killed()
    served.set_hook("")


def test_killed_again_and_again_while_one_version_is_published(published: Published, tmp_path: Path) -> None:
    """Each start comes a step further than the one before."""
    at, here = published, published.stage.players["tasty"].room
    before, old = current(here, at.id), at.drive
    version = upload(at, DRIVE, newer := range(50, 300))
    after = before | {DRIVE.ref: version}
    with Served(at.stage, tmp_path / "hooks") as served:
        for moment, (_, _, _, committed) in MOMENTS.items():
            killed_at(served, moment, version)
            at.drive = newer if committed else old
            # The same files, read by this process while the room is down.
            set_clock(at.stage)
            assert current(here, at.id) == (after if committed else before), moment
            assert overlap(at, here, DRIVE.ref, READERS.ref) == shared(at.drive), moment
        served.start()
        made_good(at, served, DRIVE, version, after)


def test_killed_at_any_time(published: Published, tmp_path: Path) -> None:
    at, here = published, published.stage.players["tasty"].room
    set_clock(at.stage)
    before, old = current(here, at.id), at.drive
    version = upload(at, DRIVE, newer := range(60, 300))
    with Served(at.stage, tmp_path / "hooks") as served:
        for _ in range(3):
            served.start(wait=False)
            time.sleep(random.uniform(0.5, 2.5))
            served.kill()
            set_clock(at.stage)
            seen = current(here, at.id)
            assert seen in (before, before | {DRIVE.ref: version})
            assert overlap(at, here, DRIVE.ref, READERS.ref) == shared(old if seen == before else newer)
        served.start()
        made_good(at, served, DRIVE, version, before)
        at.drive = newer
        with served.room("tasty") as room:
            assert overlap(at, room, DRIVE.ref, READERS.ref) == shared(newer)


def test_a_third_audience_leaves_the_links_of_the_others_alone(published: Published, tmp_path: Path) -> None:
    at, before = published, current(published.stage.players["tasty"].room, published.id)
    kept = links(at, *before.values())
    assert len(kept) == 2 * (1 + len(DRIVE.keys))
    version = upload(at, VISITS, VISITED)
    with Served(at.stage, tmp_path / "hooks") as served:
        killed_at(served, "before the links back are in place", version)
        served.start()
        made_good(at, served, VISITS, version, before)
        assert links(at, *before.values()) == kept
        with served.room("sunny") as room:
            assert overlap(at, room, VISITS.ref, READERS.ref) == len(set(VISITED) & set(READS))
            assert overlap(at, room, VISITS.ref, DRIVE.ref) == len(set(VISITED) & set(at.drive))

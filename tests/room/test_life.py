"""A collaboration's life with the commands, over HTTP, the room in processes of its own: from joining to leaving.

Once undisturbed, and once while the room is killed at random moments: twenty, and a thousand in `make soak`.

Two amendments, terms tightened alone, keys lost and replaced, one rotation, a partner who comes late, two who leave.
"""

import json
import random
import shutil
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from click.testing import CliRunner

from cleanroom.cli import cli as operator
from partners.cli import main
from tests.room.served import Served, note_ready, set_clock
from tests.room.stage import URL, Stage, people, write_customers
from tests.soak import FACTOR

SECONDS = 120.0
MOMENTS = 20 if FACTOR == 1 else 1000
ALIVE_SECONDS = (1.0, 1.0, 1.0, 5.0)
"""The room is killed at a moment of so many seconds after it was ready; without kills a life lasts about fifteen.

Now and then it is left alone for longer: some commands ask for much, and begin anew where the room is gone.
"""
REPEATED = ("agreement:amend", "agreement:tighten")
"""Events of commands that do the same once more where their answer was lost."""
AGREEMENT = """
[collaboration]
name = "drive-2026"
match_keys = ["email"]
minimum_size = {size}
[[partner]]
name = "fresh"
[[partner]]
name = "tasty"
[[partner]]
name = "sunny"
[[audience]]
owner = "fresh"
name = "drive"
keys = ["email"]
[[audience]]
owner = "tasty"
name = "readers"
keys = ["email"]
attributes = {{ genre = {genres} }}
[[audience]]
owner = "sunny"
name = "visits"
keys = ["email"]
"""
MAP = """
name = "{owner}"
audience = "{audience}"
file = "customers.csv"
[keys]
email = "email"
{attributes}
[consent]
insights = "insights"
"""
AUDIENCES = {"fresh": "drive", "tasty": "readers", "sunny": "visits"}


class Life:
    """Commands of three partners, each in its own folder. `disturbed`: the room is killed at any moment.

    A person whose command failed runs it again. So does this, for as long as `SECONDS`; what it was to print is then
    not looked at, as the room may have done it before the answer was lost.
    """

    def __init__(self, stage: Stage, served: Served, *, disturbed: bool) -> None:
        self.stage, self._served, self._folder, self.disturbed = stage, served, stage.folder, disturbed
        self.failed = 0
        self._reports: dict[str, Any] = {}

    def run(self, partner: str, *arguments: str, says: str = "") -> str:
        until, again = time.monotonic() + SECONDS, False
        while True:
            result = self._invoke(partner, *arguments)
            if result.exit_code == 0:
                assert again or says in result.stdout, result.stdout
                return result.stdout
            assert self.disturbed, result.output
            assert time.monotonic() < until, result.output
            self.failed, again = self.failed + 1, True
            time.sleep(0.05)
            arguments = self._instead(partner, arguments)

    def _invoke(self, partner: str, *arguments: str) -> Any:
        set_clock(self.stage)  # by which the commands sign in
        home = ["--home", str(self._folder / "partners" / partner)]
        return CliRunner().invoke(main, [*home, *arguments], obj=self._served.transport())

    def _instead(self, partner: str, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """What a person runs after a failure where the same command again would do it twice."""
        if arguments[0] == "propose" and json.loads(self.run(partner, "status", "--json"))["collaborations"]:
            return ("agree", "drive-2026", "--yes")
        if arguments[0] == "join" and self._invoke(partner, "key", "enter", URL, partner).exit_code == 0:
            return ("status",)
        return arguments

    def file(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text)
        return str(self._folder / name)

    def agreement(self, size: int, genres: list[str]) -> str:
        return self.file("agreement.toml", AGREEMENT.format(size=size, genres=json.dumps(genres)))

    def publish(self, partner: str) -> None:
        folder = self._folder / f"files-{partner}"
        folder.mkdir(exist_ok=True)
        write_customers(folder / "customers.csv", people(range(400)))
        attributes = '[attributes]\ngenre = "attribute"' if partner == "tasty" else ""
        written = MAP.format(owner=partner, audience=AUDIENCES[partner], attributes=attributes)
        (folder / "map.toml").write_text(written)
        self.run(partner, "prepare", str(folder / "map.toml"), "--out", str(folder))
        self.run(partner, "upload", str(folder / f"{AUDIENCES[partner]}.manifest.json"))

    def ask(self, partner: str, *owners: str) -> dict[str, Any]:
        audiences = json.dumps([f"{owner}/{AUDIENCES[owner]}" for owner in owners])
        asked = f'collaboration = "drive-2026"\nkind = "overlap"\naudiences = {audiences}\n'
        answer: dict[str, Any] = json.loads(self.run(partner, "ask", self.file("request.toml", asked), "--json"))
        self._reports[answer["id"]] = answer["figures"]
        return answer

    def nothing_is_lost(self, partner: str) -> None:
        """Every report that was answered is there, with its figures; the log that the receipts are of verifies."""
        for identifier, figures in self._reports.items():
            kept = json.loads(self.run(partner, "report", identifier, "--json", "-"))
            assert kept["figures"] == figures
        settings, archive = self.stage.room.settings, self._folder / "log.tar"
        arguments = ["audit", "export", str(archive), "--data", str(settings.data), "--keys", str(settings.keys)]
        exported = CliRunner().invoke(operator, arguments)
        assert exported.exit_code == 0, exported.output
        verified = CliRunner().invoke(operator, ["audit", "verify", str(archive), "--vkey", self.stage.room.vkey])
        assert verified.exit_code == 0, verified.output

    def lose_keys(self, partner: str, *others: str) -> None:
        """The partner's folder is gone; it asks for new keys, and the others consent."""
        home, data = self._folder / "partners" / partner, self.stage.room.settings
        home.rename(home.with_name(f"{partner}-burned"))
        arguments = ["readmit", partner, "--data", str(data.data), "--keys", str(data.keys)]
        code = CliRunner().invoke(operator, arguments).stdout.strip()
        self.run(partner, "keygen")
        self.run(partner, "join", URL, code, says="wait for fresh and sunny")
        for other in others:
            self.run(partner, "compare", other, "--yes")
            self.run(other, "key", "consent", partner, "--yes")

    def next(self, partner: str) -> str:
        (one,) = json.loads(self.run(partner, "status", "--json"))["collaborations"]
        return str(one["next"])


class Killer:
    """Kills the room (SIGKILL, every process) at random moments while it is in use, and starts it again."""

    def __init__(self, served: Served, moments: int) -> None:
        self._served, self._left = served, moments
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._kill, daemon=True)
        self.ready: list[float] = []
        """Seconds from each start to readiness."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _kill(self) -> None:
        while self._left > len(self.ready) and not self._stopping.wait(random.uniform(0, random.choice(ALIVE_SECONDS))):
            self._served.kill()
            started = time.monotonic()
            self._served.start()
            self.ready.append(time.monotonic() - started)
            note_ready(self.ready[-1])


@contextmanager
def begun(folder: Path, *, disturbed: bool) -> Iterator[tuple[Life, Served]]:
    with Stage.make(folder, "fresh", "tasty", "sunny") as stage, Served(stage, folder / "hooks") as served:
        stage.compare("fresh", "tasty", "sunny")
        set_clock(stage)
        served.start()
        yield Life(stage, served, disturbed=disturbed), served


def test_from_joining_to_leaving(tmp_path: Path) -> None:
    with begun(tmp_path, disturbed=False) as (life, _):
        live(life)


def test_the_room_is_killed_at_any_moment_of_it(tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, whenever the room is killed; who runs a command again gets on."""
    ready: list[float] = []
    while len(ready) < MOMENTS:
        folder = tmp_path / str(len(ready))
        folder.mkdir()
        with begun(folder, disturbed=True) as (life, served):
            with Killer(served, MOMENTS - len(ready)) as killer:
                live(life)
            ready += killer.ready
            assert killer.ready
        shutil.rmtree(folder)
    print(f"{len(ready)} kills; ready again after {statistics.median(ready):.1f} s, at most {max(ready):.1f} s")


def live(life: Life) -> None:
    run, genres = life.run, ["food", "news"]
    run("fresh", "propose", life.agreement(50, genres))
    for name in ("tasty", "sunny"):
        run(name, "agree", "drive-2026", "--yes")
    run("fresh", "secret", "make", "drive-2026")
    run("tasty", "secret", "accept")
    for name in ("fresh", "tasty"):
        life.publish(name)
    first = life.ask("fresh", "fresh", "tasty")
    assert first["status"] == "released"

    # A first amendment: one code-list is another, so tasty prepares anew and fresh does not.
    proposed = run("fresh", "amend", "drive-2026", life.agreement(40, ["food", "gold"]), says="tasty and sunny")
    assert "looser" in proposed
    assert "tasty/readers" in run("tasty", "explain", "drive-2026", "--changes")
    assert "--changes" in life.next("sunny")
    run("tasty", "agree", "drive-2026", "--yes", says="wait for sunny")
    run("sunny", "agree", "drive-2026", "--yes", says="in force")
    assert "prepare" in life.next("tasty")
    life.publish("tasty")
    assert life.ask("fresh", "fresh", "tasty")["status"] == "released"
    kept = json.loads(run("tasty", "report", first["id"], "--json", "-"))
    assert kept["figures"] == first["figures"]
    assert kept["agreement_sha256"] == first["agreement_sha256"]

    # sunny tightens alone; the second amendment says so for all.
    run("sunny", "tighten", "drive-2026", "minimum_size=60", "--yes", says="tighter")
    assert "60 people (set by sunny)" in life.ask("fresh", "fresh", "tasty")["explanation"]
    run("tasty", "amend", "drive-2026", life.agreement(70, ["food", "gold"]))
    for name in ("fresh", "sunny"):
        run(name, "agree", "drive-2026", "--yes")
    assert "70 people (set by all together)" in life.ask("fresh", "fresh", "tasty")["explanation"]

    # tasty's machine burns: new keys, with everybody's consent, and the same secret sealed again.
    life.lose_keys("tasty", "fresh", "sunny")
    run("tasty", "key", "resume", says="amend")
    run("tasty", "amend", "drive-2026", "--keys")
    for name in ("fresh", "sunny"):
        run(name, "agree", "drive-2026", "--yes")
    run("fresh", "secret", "send", "drive-2026", "tasty")
    run("tasty", "secret", "accept", says="made by fresh")
    life.publish("tasty")
    assert life.ask("tasty", "fresh", "tasty")["status"] == "released"

    # A rotation; sunny comes late, and only under the new secret.
    run("fresh", "secret", "rotate", "drive-2026")
    assert "secret accept" in life.next("tasty")
    for name in ("tasty", "sunny"):
        run(name, "secret", "accept")
    life.publish("sunny")
    refused = life.ask("fresh", "fresh", "sunny")
    assert (refused["reason"], "(fresh, tasty)" in refused["explanation"]) == ("half_rotated", True)
    assert life.ask("fresh", "fresh", "tasty")["free"]
    for name in ("tasty", "fresh"):
        life.publish(name)
    until = time.monotonic() + SECONDS
    while life.next("fresh") != "`ask` for a report":
        assert time.monotonic() < until
        time.sleep(0.1)
    after = life.ask("fresh", "fresh", "sunny", "tasty")
    assert (after["status"], after["free"]) == ("released", after["free"] and life.disturbed)

    exported = life.stage.folder / "exported"
    run("fresh", "export", str(exported), says="collaborations: 1, agreements: 4, versions: ")
    folder = next((exported / "collaborations").iterdir())
    assert json.loads((folder / "reports" / f"{first['id']}.json").read_text())["figures"] == first["figures"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in exported.rglob("*"))

    # Two leave; what was made stays.
    run("sunny", "leave", "drive-2026", "--yes", says="fresh and tasty")
    assert life.ask("fresh", "fresh", "sunny")["reason"] == "partner_left"
    assert life.ask("fresh", "fresh", "tasty")["status"] == "released"
    run("tasty", "leave", "drive-2026", "--yes", says="closed")
    assert life.ask("fresh", "fresh", "tasty")["reason"] == "collaboration_closed"
    assert json.loads(run("tasty", "report", first["id"], "--json", "-"))["figures"] == first["figures"]
    while life.stage.rows("select count(*) from destroyed") != [(2,)]:
        assert time.monotonic() < until + SECONDS
        time.sleep(0.1)
    assert list((life.stage.room.settings.data / "audiences").iterdir()) == []
    assert list(life.stage.room.settings.keys.glob("*.rekey")) == []
    events = [event for event, _ in life.stage.leaves()]
    for event, times in (
        ("agreement:amend", 3),
        ("agreement:open", 4),
        ("key:replace", 1),
        ("agreement:tighten", 1),
        ("secret:rotate", 1),
        ("epoch:move", 1),
        ("epoch:destroy", 2),
        ("collaboration:leave", 2),
        ("collaboration:close", 1),
    ):
        repeated = life.disturbed and event in REPEATED and events.count(event) > times
        assert events.count(event) == times or repeated, event
    life.nothing_is_lost("fresh")

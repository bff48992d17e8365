"""A collaboration's life with the commands, over HTTP, the room in processes of its own: from joining to leaving.

Two amendments, terms tightened alone, keys lost and replaced, one rotation, a partner who comes late, two who leave.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cleanroom.cli import cli as operator
from partners.cli import main
from tests.room.served import Served, set_clock
from tests.room.stage import URL, Stage, people, write_customers

SECONDS = 30.0
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
    """Commands of three partners, each in its own folder."""

    def __init__(self, stage: Stage, served: Served) -> None:
        self.stage, self._served, self._folder = stage, served, stage.folder

    def run(self, partner: str, *arguments: str) -> str:
        home = ["--home", str(self._folder / "partners" / partner)]
        result = CliRunner().invoke(main, [*home, *arguments], obj=self._served.transport())
        assert result.exit_code == 0, result.output
        return result.stdout

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
        return answer

    def lose_keys(self, partner: str, *others: str) -> None:
        """The partner's folder is gone; it asks for new keys, and the others consent."""
        home, data = self._folder / "partners" / partner, self.stage.room.settings
        home.rename(home.with_name(f"{partner}-burned"))
        arguments = ["readmit", partner, "--data", str(data.data), "--keys", str(data.keys)]
        code = CliRunner().invoke(operator, arguments).stdout.strip()
        self.run(partner, "keygen")
        assert "wait for fresh and sunny" in self.run(partner, "join", URL, code)
        for other in others:
            self.run(partner, "compare", other, "--yes")
            self.run(other, "key", "consent", partner, "--yes")

    def next(self, partner: str) -> str:
        (one,) = json.loads(self.run(partner, "status", "--json"))["collaborations"]
        return str(one["next"])


@pytest.fixture
def life(tmp_path: Path) -> Iterator[Life]:
    with (
        Stage.make(tmp_path, "fresh", "tasty", "sunny") as stage,
        Served(stage, tmp_path / "hooks") as served,
    ):
        stage.compare("fresh", "tasty", "sunny")
        set_clock(stage)
        served.start()
        yield Life(stage, served)


def test_from_joining_to_leaving(life: Life) -> None:
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
    proposed = run("fresh", "amend", "drive-2026", life.agreement(40, ["food", "gold"]))
    assert "looser" in proposed
    assert "tasty and sunny" in proposed
    assert "tasty/readers" in run("tasty", "explain", "drive-2026", "--changes")
    assert "--changes" in life.next("sunny")
    assert "wait for sunny" in run("tasty", "agree", "drive-2026", "--yes")
    assert "in force" in run("sunny", "agree", "drive-2026", "--yes")
    assert "prepare" in life.next("tasty")
    life.publish("tasty")
    assert life.ask("fresh", "fresh", "tasty")["status"] == "released"
    kept = json.loads(run("tasty", "report", first["id"], "--json", "-"))
    assert kept["figures"] == first["figures"]
    assert kept["agreement_sha256"] == first["agreement_sha256"]

    # sunny tightens alone; the second amendment says so for all.
    assert "tighter" in run("sunny", "tighten", "drive-2026", "minimum_size=60", "--yes")
    assert "60 people (set by sunny)" in life.ask("fresh", "fresh", "tasty")["explanation"]
    run("tasty", "amend", "drive-2026", life.agreement(70, ["food", "gold"]))
    for name in ("fresh", "sunny"):
        run(name, "agree", "drive-2026", "--yes")
    assert "70 people (set by all together)" in life.ask("fresh", "fresh", "tasty")["explanation"]

    # tasty's machine burns: new keys, with everybody's consent, and the same secret sealed again.
    life.lose_keys("tasty", "fresh", "sunny")
    assert "amend" in run("tasty", "key", "resume")
    run("tasty", "amend", "drive-2026", "--keys")
    for name in ("fresh", "sunny"):
        run(name, "agree", "drive-2026", "--yes")
    run("fresh", "secret", "send", "drive-2026", "tasty")
    assert "made by fresh" in run("tasty", "secret", "accept")
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
    assert (after["status"], after["free"]) == ("released", False)

    exported = life.stage.folder / "exported"
    assert "1 collaborations, 4 agreements" in run("fresh", "export", str(exported))
    folder = next((exported / "collaborations").iterdir())
    assert json.loads((folder / "reports" / f"{first['id']}.json").read_text())["figures"] == first["figures"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in exported.rglob("*"))

    # Two leave; what was made stays.
    assert "fresh and tasty" in run("sunny", "leave", "drive-2026", "--yes")
    assert life.ask("fresh", "fresh", "sunny")["reason"] == "partner_left"
    assert life.ask("fresh", "fresh", "tasty")["status"] == "released"
    assert "closed" in run("tasty", "leave", "drive-2026", "--yes")
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
        assert events.count(event) == times, event

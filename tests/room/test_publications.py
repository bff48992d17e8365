"""Publication: whole or not at all, replaced, retired, and made good after a crash at any step."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cleanroom import jobs
from cleanroom.audit import publisher
from cleanroom.catalog import versions
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged
from partners import manifest, receipts
from partners.receipts import Receipt
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, people
from tests.room.versions import ROUTE, announce, current, kept, leftovers, restart

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


class Crash(BaseException):
    """The process is killed here."""


def test_an_upload_that_became_a_version_stays_until_it_is_checked(opened: Collaboration) -> None:
    stage = opened.stage
    version = stage.upload(DRIVE, stage.prepare(opened.id, DRIVE, people(range(20))))
    (upload,) = stage.rows("select upload from versions")[0]
    stage.clock.forward(hours=49)
    with stage.http("fresh") as client:
        answer = client.delete(f"/v1/uploads/{upload}", headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code in (404, 409)
    restart(opened.stage)
    assert stage.version(opened.id, DRIVE, version)["state"] == "published"


def test_a_newer_version_retires_the_older(published: Collaboration) -> None:
    at = published
    old = current(at)
    new = at.stage.publish(at.id, DRIVE, people(range(50, 300)))
    assert current(at) == new != old
    assert old is not None
    assert at.stage.version(at.id, DRIVE, old)["state"] == "retired"
    event, details = at.stage.leaves()[-1]
    assert (event, details["retired"]) == ("audience:publish", [old])
    assert kept(at.stage) == sorted([new, current(at, "tasty") or ""])
    assert len(list((at.stage.room.settings.data / "links").iterdir())) == 2
    assert at.stage.ask("tasty", at.id, OVERLAP).released


def test_an_owner_retires_its_version(published: Collaboration) -> None:
    at, old = published, current(published)
    assert old is not None
    with at.stage.http("fresh") as client:
        address = f"{ROUTE.format(id=at.id)}/{old}"
        for _ in range(2):  # harmless to repeat
            answer = client.delete(address)
            assert (answer.status_code, answer.json()["state"]) == (200, "retired")
    verdict = receipts.check(Receipt.from_json(answer.json()["receipt"]), at.stage.room.signer.verifier)
    assert (verdict.ok, verdict.event) == (True, "audience:retire")
    assert [event for event, _ in at.stage.leaves()].count("audience:retire") == 1
    assert current(at) is None
    refused = at.stage.ask("tasty", at.id, OVERLAP)
    assert (refused.released, refused.reason) == (False, "audience_not_published")
    restart(at.stage)
    assert kept(at.stage) == [current(at, "tasty")]
    assert list((at.stage.room.settings.data / "links").iterdir()) == []


def test_a_version_is_retired_once(published: Collaboration) -> None:
    """Two requests, or one and the end of retention, found it published."""
    stage = published.stage
    with stage.room.catalog() as catalog:
        version = versions.all_published(catalog)[0]
        for _ in range(2):
            jobs.retire(stage.room, catalog, version)
    assert [event for event, _ in stage.leaves()].count("audience:retire") == 1


def test_only_what_is_published_is_retired(opened: Collaboration) -> None:
    version = opened.stage.upload(DRIVE, opened.stage.prepare(opened.id, DRIVE, people(range(20))))
    with opened.stage.http("fresh") as client:
        answer = client.delete(f"{ROUTE.format(id=opened.id)}/{version}")
    assert (answer.status_code, answer.json()["type"]) == (409, "/problems/conflict")
    assert opened.stage.work() == 1
    assert current(opened) == version


def test_a_version_is_kept_for_as_long_as_was_agreed(published: Collaboration) -> None:
    """`retention_days` is 365: the manifests say so, and the room keeps to it."""
    stage = published.stage
    stage.clock.forward(days=364)
    restart(published.stage)
    assert stage.ask("tasty", published.id, OVERLAP).released
    stage.clock.forward(days=1)
    assert stage.ask("tasty", published.id, OVERLAP).reason == "audience_not_published", "with no worker at hand"
    restart(published.stage)
    assert kept(stage) == []
    assert [event for event, _ in stage.leaves()].count("audience:retire") == 2


def test_a_lost_re_key_key_is_told_and_never_replaced(published: Collaboration) -> None:
    """A new one would match nobody, without a word."""
    at, old = published, current(published)
    (key,) = at.stage.room.settings.keys.glob("*.rekey")
    key.unlink()
    version = at.stage.publish(at.id, DRIVE, people(range(20)))
    found = at.stage.version(at.id, DRIVE, version)
    assert (found["state"], found["problem"]["reason"]) == ("refused", "room_key_missing")
    assert current(at) == old
    assert list(at.stage.room.settings.keys.glob("*.rekey")) == []


def test_damage_to_another_audience_is_told_apart(published: Collaboration) -> None:
    """The one who uploads cannot mend it, and everybody else's work goes on."""
    at, old = published, current(published)
    readers = at.stage.room.settings.data / "audiences" / (current(at, "tasty") or "") / "token.email.npy"
    content = readers.read_bytes()
    readers.write_bytes(content[:-1])
    version = at.stage.publish(at.id, DRIVE, people(range(20)))
    found = at.stage.version(at.id, DRIVE, version)
    assert (found["state"], found["problem"]["reason"]) == ("refused", "room_data_damaged")
    assert "Tell the operator" in found["problem"]["detail"]
    assert current(at) == old
    assert leftovers(at.stage) == []
    readers.write_bytes(content)
    assert at.stage.publish(at.id, DRIVE, people(range(21))) == current(at)


def test_a_manifest_that_asks_to_be_kept_for_too_long(opened: Collaboration) -> None:
    at, made = opened, opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    last = (at.stage.clock().date() + timedelta(days=367)).isoformat()
    longer = replace(made.manifest.manifest, expires=last)
    signed = manifest.sign(at.stage.players["fresh"].identity, longer)
    version = announce(at, signed, made.audience_path.read_bytes())
    at.stage.work()
    found = at.stage.version(at.id, DRIVE, version)
    assert (found["state"], found["problem"]["reason"]) == ("refused", "kept_too_long")
    assert "365 days" in found["problem"]["detail"]


def test_a_refused_newer_version_leaves_the_older_published(published: Collaboration) -> None:
    at = published
    old = current(at)
    made = at.stage.prepare(at.id, DRIVE, people(range(20)))
    announce(at, made.manifest, made.audience_path.read_bytes()[:-1])
    at.stage.work()
    assert current(at) == old
    assert at.stage.ask("tasty", at.id, OVERLAP).released


def test_nothing_half_published_is_seen(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the engine has the new version already and the catalog not yet, the old one is asked."""
    at, asked, seen = published, [], []
    publish, old = EmbeddedEngine.publish, current(at)

    def watched(engine: EmbeddedEngine, staged: Staged, *more: Any) -> None:
        seen.append(at.stage.version(at.id, DRIVE, staged.id)["state"])
        publish(engine, staged, *more)
        seen.append(at.stage.version(at.id, DRIVE, staged.id)["state"])
        assert current(at) == old
        asked.append(at.stage.ask("tasty", at.id, OVERLAP))

    monkeypatch.setattr(EmbeddedEngine, "publish", watched)
    new = at.stage.publish(at.id, DRIVE, people(range(50, 300)))
    assert seen == ["checking", "checking"]
    released = [details for event, details in at.stage.leaves() if event == "decision:release"]
    assert [details["versions"]["fresh/drive"] for details in released] == [old]
    assert current(at) == new


def _before(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
    def crash(*_: Any, **__: Any) -> None:
        raise Crash

    monkeypatch.setattr(place, name, crash)


def _after(monkeypatch: pytest.MonkeyPatch, place: Any, name: str) -> None:
    real = getattr(place, name)

    def crash(*arguments: Any, **named: Any) -> None:
        real(*arguments, **named)
        raise Crash

    monkeypatch.setattr(place, name, crash)


CRASHES: dict[str, tuple[Callable[[pytest.MonkeyPatch, Any, str], None], Any, str, bool]] = {
    "after the check": (_before, EmbeddedEngine, "publish", False),
    "after the engine": (_after, EmbeddedEngine, "publish", False),
    "within the transaction": (_after, versions, "retire_older", False),
    "at the end of the transaction": (_after, versions, "forget_upload", False),
    "before the older one is removed": (_before, EmbeddedEngine, "retire", True),
    "before the upload is removed": (_before, jobs, "_clear", True),
    "before the log is published": (_before, publisher, "publish", True),
}


@pytest.mark.parametrize("when", CRASHES)
def test_a_crash_is_made_good(published: Collaboration, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    at, (crash, place, name, committed) = published, CRASHES[when]
    old = current(at)
    version = at.stage.upload(DRIVE, at.stage.prepare(at.id, DRIVE, people(range(50, 300))))
    with monkeypatch.context() as patch:
        crash(patch, place, name)
        with pytest.raises(Crash), at.stage.room.catalog() as catalog:
            jobs.run_next(at.stage.room, catalog)
    at.stage.room.publish()
    before = at.stage.version(at.id, DRIVE, version)
    assert before["state"] == ("published" if committed else "checking")
    assert (before["receipt"] is None) == (not committed)
    assert current(at) == (version if committed else old)
    assert at.stage.ask("tasty", at.id, OVERLAP).released
    restart(at.stage)
    assert at.stage.version(at.id, DRIVE, version)["state"] == "published"
    assert current(at) == version
    assert leftovers(at.stage) == []
    assert kept(at.stage) == sorted([version, current(at, "tasty") or ""])
    publications = [details["version"] for event, details in at.stage.leaves() if event == "audience:publish"]
    assert publications.count(version) == 1
    at.stage.clock.forward(days=1)
    assert at.stage.ask("tasty", at.id, OVERLAP).released


def test_the_queue_is_worked_in_order(opened: Collaboration) -> None:
    stage = opened.stage
    ids = [stage.upload(DRIVE, stage.prepare(opened.id, DRIVE, people(range(size)))) for size in (10, 20)]
    assert current(opened) is None
    restart(opened.stage)
    assert [stage.version(opened.id, DRIVE, each)["state"] for each in ids] == ["retired", "published"]
    assert leftovers(stage) == []

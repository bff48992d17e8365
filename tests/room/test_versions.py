"""Versions of audiences: checked, published whole or not at all, refused with the reason, replaced, resumed."""

import hashlib
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cleanroom import jobs
from cleanroom.audit import publisher
from cleanroom.catalog import versions
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged
from partners import manifest as manifests
from partners import receipts
from partners.keys import Identity
from partners.manifest import Manifest, SignedManifest
from partners.prepare import Prepared
from partners.prepare import prepare as prepare_file
from partners.receipts import Receipt
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people, write_customers

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
ROUTE = "/v1/collaborations/{id}/audiences/drive/versions"


class Crash(BaseException):
    """The process is killed here."""


class UntilIdle(threading.Event):
    """Ends `jobs.work` as soon as nothing waits."""

    def wait(self, timeout: float | None = None) -> bool:
        self.set()
        return True


def restart(at: Collaboration) -> None:
    """The worker, started again: it does whatever is there to do."""
    jobs.work(at.stage.room, UntilIdle())


def announce(at: Collaboration, signed: SignedManifest, content: bytes) -> str:
    """Uploads bytes and makes a version of them, as a client of another make would; its id."""
    room = at.stage.players["fresh"].room
    path = at.stage.folder / "upload"
    path.write_bytes(content)
    upload = room.begin_upload(len(content))
    room.upload(upload, path, lambda *_: None)
    with at.stage.http("fresh") as client:
        answer = client.post(ROUTE.format(id=at.id), json={**signed.to_json(), "upload": upload})
    assert answer.status_code == 202, answer.text
    assert (answer.json()["state"], answer.json()["receipt"]) == ("received", None)
    return str(answer.json()["id"])


def resign(at: Collaboration, made: Prepared, **changes: Any) -> SignedManifest:
    """The manifest with other contents, signed by its owner all the same."""
    identity: Identity = at.stage.players["fresh"].identity
    return manifests.sign(identity, replace(made.manifest.manifest, **changes))


def current(at: Collaboration, owner: str = "fresh") -> str | None:
    """The version that questions are asked of."""
    audiences = dict(at.stage.players["tasty"].room.collaboration(at.id).audiences)
    return next(version for ref, version in audiences.items() if ref.owner == owner)


def leftovers(stage: Stage) -> list[str]:
    """What lies in the folder of uploads."""
    return sorted(path.name for path in stage.room.settings.incoming.iterdir())


def kept(stage: Stage) -> list[str]:
    """The versions whose columns the engine has."""
    return sorted(path.name for path in (stage.room.settings.data / "audiences").iterdir())


def test_the_same_manifest_again_is_the_same_version(opened: Collaboration) -> None:
    made = opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    content = made.audience_path.read_bytes()
    version = announce(opened, made.manifest, content)
    with opened.stage.http("fresh") as client:
        for state in ("received", "published"):
            again = client.post(ROUTE.format(id=opened.id), json={**made.manifest.to_json(), "upload": None})
            assert (again.status_code, again.json()["id"], again.json()["state"]) == (200, version, state)
            opened.stage.work()
        listed = client.get(ROUTE.format(id=opened.id)).json()["versions"]
        sha256 = listed[0]["manifest_sha256"]
        assert [(each["id"], each["state"]) for each in listed] == [(version, "published")]
        assert client.get(ROUTE.format(id=opened.id), params={"sha256": sha256}).json()["versions"] == listed
        assert client.get(ROUTE.format(id=opened.id), params={"sha256": "0" * 64}).json() == {"versions": []}
    assert [event for event, _ in opened.stage.leaves()].count("upload:receive") == 1


def test_announced_twice_at_the_same_time(opened: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request looked before the first one had stored its version."""
    made = opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    version = announce(opened, made.manifest, made.audience_path.read_bytes())
    looked, same = iter([None]), versions.same
    monkeypatch.setattr(versions, "same", lambda *arguments: next(looked, same(*arguments)))
    (upload,) = opened.stage.rows("select id from uploads")[0]
    with opened.stage.http("fresh") as client:
        again = client.post(ROUTE.format(id=opened.id), json={**made.manifest.to_json(), "upload": upload})
    assert (again.status_code, again.json()["id"]) == (200, version)
    assert opened.stage.rows("select count(*) from versions") == [(1,)]


Change = Callable[[Collaboration, Prepared], tuple[SignedManifest, bytes]]


def _manifest(**changes: Any) -> Change:
    return lambda at, made: (resign(at, made, **changes), made.audience_path.read_bytes())


def _unsigned(change: Callable[[Manifest], Manifest]) -> Change:
    return lambda _, made: (
        replace(made.manifest, manifest=change(made.manifest.manifest)),
        made.audience_path.read_bytes(),
    )


def _file(change: Callable[[bytes], bytes]) -> Change:
    return lambda _, made: (made.manifest, change(made.audience_path.read_bytes()))


def _other_secret(at: Collaboration, made: Prepared) -> tuple[SignedManifest, bytes]:
    """fresh prepared with a secret that it made up."""
    folder = at.stage.folder / "other"
    folder.mkdir()
    mapping = DRIVE.map(made.audience_path.parent)
    agreement, identity = at.stage.agreement(at.id), at.stage.players["fresh"].identity
    other = prepare_file(mapping, agreement, 1, bytes(32), identity, folder, now=at.stage.clock())
    return other.manifest, other.audience_path.read_bytes()


def _no_parquet(at: Collaboration, made: Prepared) -> tuple[SignedManifest, bytes]:
    content = b"PAR1" + bytes(100) + b"PAR1"
    return resign(at, made, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content)), content


REFUSED: dict[str, Change] = {
    "wrong_secret": _other_secret,
    "wrong_profile": _manifest(email_profile="plain"),
    "wrong_protocol": _manifest(protocol=2),
    "wrong_epoch": _manifest(epoch=2),
    "wrong_audience": _manifest(audience="other"),
    "columns_mismatch": _manifest(keys=("id.card", "email")),
    "expired_manifest": _manifest(expires="2026-03-14"),
    "bad_signature": _unsigned(lambda manifest: replace(manifest, rows=manifest.rows + 1)),
    "hash_mismatch": _file(lambda content: content[:50] + bytes([content[50] ^ 1]) + content[51:]),
    "size_mismatch": _file(lambda content: content[:-1]),
    "not_parquet": _no_parquet,
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_refusal_names_its_reason_and_leaves_nothing(opened: Collaboration, reason: str) -> None:
    made = opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    signed, content = REFUSED[reason](opened, made)
    version = announce(opened, signed, content)
    assert opened.stage.work() == 1
    found = opened.stage.version(opened.id, DRIVE, version)
    assert (found["state"], found["problem"]["reason"], found["problem"]["type"]) == (
        "refused",
        reason,
        "/problems/bad-manifest",
    )
    assert set(found["problem"]) == {"type", "title", "status", "detail", "hint", "reason"}
    assert "\n" not in found["problem"]["detail"]
    verdict = receipts.check(Receipt.from_json(found["receipt"]), opened.stage.room.signer.verifier)
    assert (verdict.ok, verdict.event) == (True, "audience:refuse")
    assert opened.stage.leaves()[-1][1]["reason"] == reason
    assert current(opened) is None
    assert leftovers(opened.stage) == kept(opened.stage) == []
    assert opened.stage.rows("select * from uploads") == []


def test_after_a_refusal_the_same_manifest_may_come_again(opened: Collaboration) -> None:
    made = opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    content = made.audience_path.read_bytes()
    first = announce(opened, made.manifest, content[:-1] + b"?")
    opened.stage.work()
    second = announce(opened, made.manifest, content)
    opened.stage.work()
    states = {each: opened.stage.version(opened.id, DRIVE, each)["state"] for each in (first, second)}
    assert states == {first: "refused", second: "published"}
    assert current(opened) == second


def test_no_secret_was_made(joined: Stage) -> None:
    at = Collaboration(joined, joined.agree(DRIVE, READERS))
    folder = joined.folder / "files"
    folder.mkdir()
    write_customers(folder / "customers.csv", people(range(1, 2)))
    identity = joined.players["fresh"].identity
    made = prepare_file(DRIVE.map(folder), joined.agreement(at.id), 1, bytes(32), identity, folder, now=joined.clock())
    version = announce(at, made.manifest, made.audience_path.read_bytes())
    joined.work()
    assert joined.version(at.id, DRIVE, version)["problem"]["reason"] == "wrong_secret"


def test_what_cannot_be_announced(opened: Collaboration) -> None:
    stage, made = opened.stage, opened.stage.prepare(opened.id, DRIVE, people(range(20)))
    room, body = stage.players["fresh"].room, made.manifest.to_json()
    upload = room.begin_upload(made.manifest.manifest.bytes)
    proposed = stage.propose(DRIVE, READERS)
    with stage.http("fresh") as client:

        def code(identifier: str, **changes: Any) -> tuple[int, str]:
            answer = client.post(ROUTE.format(id=identifier), json={**body, **changes})
            return answer.status_code, answer.json()["type"].removeprefix("/problems/")

        assert code(opened.id, upload=upload) == (409, "upload-incomplete")
        assert code(opened.id) == code(opened.id, upload=None) == code(opened.id, upload="u-1") == (422, "invalid")
        assert code(proposed, upload=upload) == (409, "not-open")
        assert code(opened.id, upload=upload, manifest={}) == (422, "bad-manifest")
        assert code(opened.id, upload=upload, manifest=body["manifest"] | {"rows": 1.0}) == (422, "bad-manifest")
        assert code(opened.id, upload=upload, signature="AAAA")[0] in (409, 422)
    room.upload(upload, made.audience_path, lambda *_: None)
    stage.clock.forward(hours=48)
    with stage.http("fresh") as client:
        assert code(opened.id, upload=upload) == (422, "invalid")
    assert stage.rows("select * from versions") == []


def test_an_upload_that_became_a_version_stays_until_it_is_checked(opened: Collaboration) -> None:
    stage = opened.stage
    version = stage.upload(DRIVE, stage.prepare(opened.id, DRIVE, people(range(20))))
    (upload,) = stage.rows("select upload from versions")[0]
    stage.clock.forward(hours=49)
    with stage.http("fresh") as client:
        answer = client.delete(f"/v1/uploads/{upload}", headers={"Tus-Resumable": "1.0.0"})
    assert answer.status_code in (404, 409)
    restart(opened)
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
    restart(at)
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
    restart(published)
    assert stage.ask("tasty", published.id, OVERLAP).released
    stage.clock.forward(days=1)
    restart(published)
    assert stage.ask("tasty", published.id, OVERLAP).reason == "audience_not_published"
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
    restart(at)
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
    restart(opened)
    assert [stage.version(opened.id, DRIVE, each)["state"] for each in ids] == ["retired", "published"]
    assert leftovers(stage) == []

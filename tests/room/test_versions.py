"""Announcing a version: the same manifest is the same version; what does not fit is refused, with the reason."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cleanroom.catalog import versions
from partners import manifest as manifests
from partners import receipts
from partners.keys import Identity
from partners.manifest import Manifest, SignedManifest
from partners.prepare import Prepared
from partners.prepare import prepare as prepare_file
from partners.receipts import Receipt
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people, write_customers
from tests.room.versions import ROUTE, announce, current, kept, leftovers


def resign(at: Collaboration, made: Prepared, **changes: Any) -> SignedManifest:
    """The manifest with other contents, signed by its owner all the same."""
    identity: Identity = at.stage.players["fresh"].identity
    return manifests.sign(identity, replace(made.manifest.manifest, **changes))


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
    "created_later": _manifest(created="2030-01-01T00:00:00Z"),
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

"""What is another partner's answers byte for byte like what does not exist."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, people

TUS = {"Tus-Resumable": "1.0.0"}
SIGNATURE = "A" * 86 + "=="
ASKED = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


@pytest.fixture(scope="module")
def ids(shared_published: Collaboration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """One object of each kind: the collaboration is fresh's and tasty's, the audience, versions and upload fresh's."""
    with shared_published.stage.copy(tmp_path_factory.mktemp("owners")) as stage:
        collaboration = shared_published.id
        report = stage.ask("fresh", collaboration, ASKED)
        made = stage.prepare(collaboration, DRIVE, people(range(20)))
        envelope = stage.players["tasty"].room.envelopes(collaboration)[0]
        (version,) = stage.rows("select id from versions where owner = 'fresh'")[0]
        yield {
            "stage": stage,
            "collaboration": collaboration,
            "version": version,
            "report": report.id,
            "upload": stage.players["fresh"].room.begin_upload(made.manifest.manifest.bytes),
            "manifest": made.manifest.to_json(),
            "envelope": envelope.to_json(),
        }


def requests(found: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any], tuple[str, ...]]]:
    """Every request that names an object: method, address, body or headers, and the parts that may not exist."""
    base = f"/v1/collaborations/{found['collaboration']}"
    versions = f"{base}/audiences/drive/versions"
    announced = {"json": {**found["manifest"], "upload": found["upload"]}}
    of_collaboration = ("collaboration",)
    yield "GET", base, {}, of_collaboration
    yield "GET", f"{base}/agreement", {}, of_collaboration
    yield "POST", f"{base}/signatures", {"json": {"signature": SIGNATURE}}, of_collaboration
    yield "GET", f"{base}/envelopes", {}, of_collaboration
    yield "POST", f"{base}/envelopes", {"json": found["envelope"]}, of_collaboration
    yield "GET", versions, {}, of_collaboration
    yield "POST", versions, announced, of_collaboration
    yield "GET", f"{versions}/{found['version']}", {}, ("collaboration", "version")
    yield "DELETE", f"{versions}/{found['version']}", {}, ("collaboration", "version")
    yield "POST", f"{base}/reports", {"json": ASKED}, of_collaboration
    yield "POST", f"{base}/reports", {"json": {**ASKED, "dry_run": True}}, of_collaboration
    yield "GET", f"{base}/reports", {}, of_collaboration
    yield "GET", f"/v1/reports/{found['report']}", {}, ("report",)
    upload = f"/v1/uploads/{found['upload']}"
    yield "HEAD", upload, {"headers": TUS}, ("upload",)
    patch = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
    yield "PATCH", upload, {"headers": patch, "content": b"x"}, ("upload",)
    yield "DELETE", upload, {"headers": TUS}, ("upload",)


def shown(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, answer.headers.multi_items()


def test_a_stranger_sees_nothing(ids: dict[str, Any]) -> None:
    before = ids["stage"].rows("select count(*) from log_entries")
    with ids["stage"].http("sunny") as client:
        for method, path, arguments, named in requests(ids):
            there = client.request(method, path, **arguments)
            assert there.status_code == 404, path
            for part in named:
                # Of the same length, and not there.
                gone = path.replace(ids[part], ids[part][:-4] + "zzzz")
                assert shown(client.request(method, gone, **arguments)) == shown(there), path
        assert client.get("/v1/collaborations").json() == {"collaborations": []}
        ledger = client.get("/v1/ledger").json()
        assert ledger == {
            "partner": "sunny",
            "allowance": 5_000_000,
            "spent": 0,
            "forfeited": False,
            "grants": 0,
            "signed_grants": [],
            "collaborations": [],
        }
    assert ids["stage"].rows("select count(*) from log_entries") == before


def test_a_party_sees_nothing_of_another_owners_versions_and_uploads(ids: dict[str, Any]) -> None:
    """tasty takes part in the collaboration, but the audience `drive` is fresh's."""
    with ids["stage"].http("tasty") as client:
        for method, path, arguments, named in requests(ids):
            if "/versions" not in path and "upload" not in named:
                continue
            there = client.request(method, path, **arguments)
            nothing = path.replace("/drive/", "/nobod/").replace(ids["upload"], ids["upload"][:-4] + "zzzz")
            assert shown(client.request(method, nothing, **arguments)) == shown(there), path
            assert there.status_code == 404 or there.json() == {"versions": []}
        upload = {"json": {**ids["manifest"], "upload": ids["upload"]}}
        own = client.post(f"/v1/collaborations/{ids['collaboration']}/audiences/readers/versions", **upload)
        assert own.status_code == 422
        assert own.json()["detail"] == "`upload` names no upload of yours."


def test_the_owner_sees_all_of_it(ids: dict[str, Any]) -> None:
    """So that the tests above do not pass on addresses that are wrong."""
    with ids["stage"].http("fresh") as client:
        for method, path, arguments, _ in requests(ids):
            if method in ("GET", "HEAD"):
                assert client.request(method, path, **arguments).status_code == 200, path


def test_a_party_without_the_audience_cannot_announce_it(ids: dict[str, Any]) -> None:
    with ids["stage"].http("fresh") as client:
        body = {**ids["manifest"], "upload": ids["upload"]}
        address = f"/v1/collaborations/{ids['collaboration']}/audiences/{READERS.name}/versions"
        assert client.post(address, json=body).status_code == 404

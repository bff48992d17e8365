"""Resumable uploads (tus 1.0): bytes arrive once, in order, and only their owner sees them."""

import base64
import errno
import hashlib
import threading
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from werkzeug.test import TestResponse

from cleanroom.api import uploads
from cleanroom.intake.limits import LIMITS
from partners.room import upload
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, URL, Stage, people
from tests.room.versions import restart

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = "application/offset+octet-stream"


def create(client: httpx.Client, length: object) -> httpx.Response:
    return client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(length)})


def created(client: httpx.Client, length: int) -> str:
    answer = create(client, length)
    assert (answer.status_code, answer.headers["Tus-Resumable"]) == (201, "1.0.0")
    return str(answer.headers["Location"])


def patch(client: httpx.Client, address: str, offset: object, content: Any, **headers: str) -> httpx.Response:
    sent = {**TUS, "Content-Type": BYTES, "Upload-Offset": str(offset), **headers}
    return client.patch(address, headers=sent, content=content)


def offset(client: httpx.Client, address: str) -> int:
    answer = client.head(address, headers=TUS)
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    return int(answer.headers["Upload-Offset"])


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def stored(stage: Stage, address: str) -> bytes:
    return (stage.room.settings.incoming / address.rpartition("/")[2]).read_bytes()


def streamed(stage: Stage, client: httpx.Client, address: str, body: Any, length: int) -> TestResponse:
    """A PATCH from the beginning whose body arrives as `body.read` gives it: straight to WSGI, as a server does it."""
    environment = {"wsgi.input": body, "CONTENT_LENGTH": str(length)}
    headers = {**TUS, "Upload-Offset": "0", "Authorization": client.headers["Authorization"]}
    return stage.app.test_client().patch(
        address, base_url=URL, headers=headers, content_type=BYTES, environ_overrides=environment
    )


@pytest.fixture
def client(shared_joined: Stage) -> Iterator[httpx.Client]:
    """A partner's, that ends all of its uploads afterwards: it may have so many only."""
    with shared_joined.http("fresh") as opened:
        yield opened
        for (identifier,) in shared_joined.rows("select id from uploads where partner = 'fresh'"):
            assert opened.delete(f"/v1/uploads/{identifier}", headers=TUS).status_code == 204


def test_an_upload_in_two_parts(shared_joined: Stage, client: httpx.Client) -> None:
    address = created(client, 10)
    assert offset(client, address) == 0
    assert client.head(address, headers=TUS).headers["Upload-Length"] == "10"
    first = patch(client, address, 0, b"01234")
    assert (first.status_code, first.headers["Upload-Offset"], first.content) == (204, "5", b"")
    assert offset(client, address) == 5
    assert patch(client, address, 5, b"56789").headers["Upload-Offset"] == "10"
    assert stored(shared_joined, address) == b"0123456789"
    assert patch(client, address, 10, b"").headers["Upload-Offset"] == "10"
    refused(patch(client, address, 10, b"x"), 413, "too-large")


@pytest.mark.parametrize("wrong", [0, 4, 6, 10, 11, 10**15 - 1])
def test_a_wrong_offset(shared_joined: Stage, client: httpx.Client, wrong: int) -> None:
    address = created(client, 10)
    patch(client, address, 0, b"01234")
    refused(patch(client, address, wrong, b"x"), 409, "wrong-offset")
    assert stored(shared_joined, address) == b"01234"


@pytest.mark.parametrize("wrong", ["", "-1", "1.0", "0x1", "1" * 16, " "])
def test_a_number_that_is_none(client: httpx.Client, wrong: str) -> None:
    refused(create(client, wrong), 422, "invalid")
    address = created(client, 10)
    refused(patch(client, address, wrong, b"x"), 422, "invalid")
    refused(client.patch(address, headers={**TUS, "Content-Type": BYTES}, content=b"x"), 422, "invalid")


def test_more_bytes_than_announced(shared_joined: Stage, client: httpx.Client) -> None:
    address = created(client, 3)
    refused(patch(client, address, 0, b"0123"), 413, "too-large")
    assert patch(client, address, 0, b"012").status_code == 204
    assert stored(shared_joined, address) == b"012"
    refused(create(client, LIMITS.file_bytes + 1), 413, "too-large")
    assert create(client, LIMITS.file_bytes).status_code == 201


def test_what_arrived_before_a_cut_stays(shared_joined: Stage, client: httpx.Client) -> None:
    """The body breaks off after 700,000 of a million bytes; the client asks where it stands and goes on."""
    content = bytes(range(256)) * 4000
    address = created(client, len(content))

    class Cut:
        left = content[:700_000]

        def read(self, size: int) -> bytes:
            piece, self.left = self.left[:size], self.left[size:]
            if not piece:
                raise ConnectionResetError
            return piece

    answer = streamed(shared_joined, client, address, Cut(), len(content))
    assert answer.status_code == 408
    assert answer.json is not None
    assert answer.json["type"] == "/problems/cut-off"
    at = offset(client, address)
    assert at == 700_000
    assert stored(shared_joined, address) == content[:at]
    assert patch(client, address, at, content[at:]).status_code == 204
    assert stored(shared_joined, address) == content


def test_two_writers_never_interleave(shared_joined: Stage, client: httpx.Client) -> None:
    """The second one is told so while the first still sends."""
    address = created(client, 20)
    began, finish = threading.Event(), threading.Event()

    class Slow:
        pieces = iter((b"01234", b"56789"))

        def read(self, _: int) -> bytes:
            piece = next(self.pieces)
            if piece == b"56789":
                began.set()
                assert finish.wait(60)
            return piece

    thread = threading.Thread(target=streamed, args=(shared_joined, client, address, Slow(), 10))
    thread.start()
    assert began.wait(60)
    for at in (0, 5):
        answer = patch(client, address, at, b"x")
        refused(answer, 409, "wrong-offset")
    finish.set()
    thread.join()
    assert stored(shared_joined, address) == b"0123456789"
    assert patch(client, address, 10, b"x" * 10).status_code == 204


def test_another_partners_upload_is_invisible(shared_joined: Stage, client: httpx.Client) -> None:
    address = created(client, 3)
    with shared_joined.http("tasty") as other:
        there, nowhere = (other.head(each, headers=TUS) for each in (address, address[:-4] + "zzzz"))
        assert there.status_code == 404
        assert there.headers == nowhere.headers
        refused(patch(other, address, 0, b"abc"), 404, "not-found")
    assert offset(client, address) == 0


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0", ""])
def test_another_version_of_tus(client: httpx.Client, version: str | None) -> None:
    headers = {} if version is None else {"Tus-Resumable": version}
    answer = client.post("/v1/uploads", headers={**headers, "Upload-Length": "1"})
    refused(answer, 412, "tus-version")
    assert answer.headers["Tus-Version"] == "1.0.0"


def test_options_needs_neither_token_nor_version(shared_joined: Stage) -> None:
    with shared_joined.anybody() as client:
        answer = client.options("/v1/uploads")
    assert (answer.status_code, answer.headers["Tus-Version"]) == (204, "1.0.0")
    assert answer.headers["Tus-Extension"] == "creation,termination,expiration,checksum"
    assert answer.headers["Tus-Max-Size"] == str(LIMITS.file_bytes)


def test_an_upload_that_is_not_needed_is_ended(shared_joined: Stage, client: httpx.Client) -> None:
    address = created(client, 3)
    patch(client, address, 0, b"ab")
    with shared_joined.http("tasty") as other:
        refused(other.delete(address, headers=TUS), 404, "not-found")
    assert client.delete(address, headers=TUS).status_code == 204
    assert client.head(address, headers=TUS).status_code == 404
    refused(patch(client, address, 2, b"c"), 404, "not-found")
    refused(client.delete(address, headers=TUS), 404, "not-found")
    assert not (shared_joined.room.settings.incoming / address.rpartition("/")[2]).exists()


def test_an_upload_expires(joined: Stage) -> None:
    with joined.http("fresh") as client:
        address = created(client, 3)
        assert client.head(address, headers=TUS).headers["Upload-Expires"] == "Mon, 16 Mar 2026 12:00:00 GMT"
        patch(client, address, 0, b"ab")
    joined.clock.forward(hours=47)
    with joined.http("fresh") as client:
        later = created(client, 3)
        restart(joined)
        assert stored(joined, address) == b"ab"
        joined.clock.forward(hours=1)
    with joined.http("fresh") as client:
        refused(patch(client, address, 2, b"c"), 404, "not-found")
        restart(joined)
        assert [path.name for path in joined.room.settings.incoming.iterdir()] == [later.rpartition("/")[2]]
        assert patch(client, later, 0, b"abc").status_code == 204
    assert joined.rows("select count(*) from uploads") == [(1,)]


def test_a_chunk_with_a_checksum_is_kept_whole_or_not_at_all(shared_joined: Stage, client: httpx.Client) -> None:
    address = created(client, 6)
    good, bad = (base64.b64encode(hashlib.sha1(text).digest()).decode() for text in (b"abc", b"abd"))
    refused(patch(client, address, 0, b"abc", **{"Upload-Checksum": f"sha1 {bad}"}), 460, "checksum")
    assert stored(shared_joined, address) == b""
    assert patch(client, address, 0, b"abc", **{"Upload-Checksum": f"sha1 {good}"}).status_code == 204
    refused(patch(client, address, 3, b"abcd", **{"Upload-Checksum": f"sha1 {good}"}), 413, "too-large")
    assert stored(shared_joined, address) == b"abc"
    for header in ("md5 AAAA", "sha1", "sha1 AAAA", good, ""):
        refused(patch(client, address, 3, b"abc", **{"Upload-Checksum": header}), 400, "bad-request")


def test_a_partner_has_so_many_uploads(
    shared_joined: Stage, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 3)
    monkeypatch.setattr(uploads, "MAX_UPLOADED_BYTES", 100)
    first = created(client, 50)
    refused(create(client, 51), 429, "too-many-uploads")
    created(client, 49)
    created(client, 1)
    refused(create(client, 0), 429, "too-many-uploads")
    assert len(list(shared_joined.room.settings.incoming.iterdir())) == 3, "a refused upload leaves no file"
    with shared_joined.http("tasty") as other:
        address = created(other, 100)
        assert other.delete(address, headers=TUS).status_code == 204
    assert client.delete(first, headers=TUS).status_code == 204
    assert create(client, 50).status_code == 201


def test_a_decided_version_frees_its_upload(opened: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "MAX_UPLOADS", 1)
    stage = opened.stage
    for numbers in (range(20), range(30)):
        stage.publish(opened.id, DRIVE, people(numbers))


@pytest.mark.parametrize("checked", [False, True])
def test_a_full_disk_is_told_and_loses_nothing(
    shared_joined: Stage, client: httpx.Client, monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    """The disk takes 700,000 bytes; then it has space again."""
    content = bytes(range(256)) * 4000
    address, limit = created(client, len(content)), 700_000
    checksum = f"sha1 {base64.b64encode(hashlib.sha1(content).digest()).decode()}"
    headers = {"Upload-Checksum": checksum} if checked else {}
    really = Path.open

    class Full(FileIO):
        def write(self, data: Any, /) -> int:
            left = limit - self.tell()
            if not left:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(memoryview(data)[:left])

    def opened(path: Path, mode: str = "r", buffering: int = -1, **more: Any) -> Any:
        return Full(path, mode) if (mode, buffering) == ("r+b", 0) else really(path, mode, buffering, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", opened)
        refused(patch(client, address, 0, content, **headers), 507, "disk-full")
    at = offset(client, address)
    assert at == (0 if checked else limit)
    assert stored(shared_joined, address) == content[:at]
    assert patch(client, address, at, content[at:]).status_code == 204
    assert stored(shared_joined, address) == content


def test_bytes_come_as_bytes(client: httpx.Client) -> None:
    address = created(client, 3)
    for kind in ("application/octet-stream", "application/json", ""):
        refused(patch(client, address, 0, b"abc", **{"Content-Type": kind}), 415, "media-type")


def test_the_client_resumes(joined: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """The partner's own client after a cut: it asks where the upload stands and sends the rest."""
    monkeypatch.setattr(upload, "CHUNK_BYTES", 1000)
    room, path = joined.players["fresh"].room, joined.folder / "file"
    path.write_bytes(bytes(range(250)) * 12)
    identifier = room.begin_upload(3000)

    def cut(done: int, _: int) -> None:
        if done == 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        room.upload(identifier, path, cut)
    assert room.uploaded(identifier, 3000) == 2000
    sent: list[int] = []
    told: Callable[[int, int], None] = lambda done, _: sent.append(done)  # noqa: E731
    room.upload(identifier, path, told)
    assert sent == [2000, 3000]
    assert stored(joined, identifier) == path.read_bytes()

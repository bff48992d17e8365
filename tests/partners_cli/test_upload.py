"""Resumable uploads: whatever is cut, the room ends with the file, once."""

from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.fields import OddAnswer
from partners.room import upload
from partners.room.connection import Connection, RoomRefused, RoomUnreachable
from partners.room.upload import FileChanged
from tests.partners_cli.fake_room import problem

URL = "https://room.example"


class Tus:
    """A tus server in memory. `faults`: what happens to each PATCH in turn, then nothing any more."""

    def __init__(self, length: int, faults: list[str] | None = None) -> None:
        self.length = length
        self.data = b""
        self.faults = faults or []
        self.patches = 0

    def handle(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer", "expires_in": 600})
        assert request.headers["Tus-Resumable"] == "1.0.0"
        if request.method == "POST":
            assert request.headers["Upload-Length"] == str(self.length)
            return httpx.Response(201, headers={"Location": "/v1/uploads/u-1"})
        if request.url.path != "/v1/uploads/u-1":
            return httpx.Response(404)
        if request.method == "HEAD":
            return httpx.Response(200, headers=self._headers() | {"Upload-Length": str(self.length)})
        self.patches += 1
        fault = self.faults.pop(0) if self.faults else ""
        if fault == "refused":
            return problem(403, "no", "No")
        if fault == "cut before":
            raise httpx.ReadError("cut")
        if fault == "busy" or int(request.headers["Upload-Offset"]) != len(self.data):
            return problem(409, "wrong-offset", "The upload stands elsewhere")
        self.data += request.content[: len(request.content) // 2] if fault == "cut in the middle" else request.content
        if fault.startswith("cut"):
            raise httpx.ReadError("cut")
        return httpx.Response(204, headers=self._headers())

    def _headers(self) -> dict[str, str]:
        return {"Upload-Offset": str(len(self.data))}


def connected(tus: Tus) -> Connection:
    connection = Connection(URL, transport=httpx.MockTransport(tus.handle))
    connection._token, connection._token_until = "t", float("inf")
    return connection


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK_BYTES", 10)


def file_of(folder: Path, data: bytes) -> Path:
    path = folder / "drive.audience.parquet"
    path.write_bytes(data)
    return path


DATA = bytes(range(45))


@pytest.mark.usefixtures("small_chunks")
def test_a_file_goes_in_pieces_and_progress_is_told(tmp_path: Path) -> None:
    tus = Tus(len(DATA))
    told: list[tuple[int, int]] = []
    connection = connected(tus)
    assert upload.create(connection, len(DATA)) == "u-1"
    upload.send(connection, "u-1", file_of(tmp_path, DATA), lambda done, whole: told.append((done, whole)))
    assert tus.data == DATA
    assert tus.patches == 5
    assert told == [(done, 45) for done in (0, 10, 20, 30, 40, 45)]


@pytest.mark.usefixtures("small_chunks")
def test_a_second_run_sends_only_what_is_missing(tmp_path: Path) -> None:
    tus = Tus(len(DATA))
    tus.data = DATA[:37]
    upload.send(connected(tus), "u-1", file_of(tmp_path, DATA), lambda done, whole: None)
    assert tus.data == DATA
    assert tus.patches == 1


FAULTS = ["", "busy", "cut before", "cut in the middle", "cut after"]


@settings(max_examples=60)
@given(st.lists(st.sampled_from(FAULTS), max_size=12))
def test_every_mix_of_faults_ends_with_the_file_or_a_plain_message(
    tmp_path_factory: pytest.TempPathFactory, faults: list[str]
) -> None:
    tus = Tus(len(DATA), list(faults))
    slept: list[float] = []
    path = file_of(tmp_path_factory.mktemp("upload"), DATA)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upload, "CHUNK_BYTES", 10)
        try:
            upload.send(connected(tus), "u-1", path, lambda done, whole: None, slept.append)
        except (RoomUnreachable, RoomRefused):
            assert len(faults) >= upload.ATTEMPTS
            assert DATA.startswith(tus.data)
        else:
            assert tus.data == DATA


def test_five_cuts_in_a_row_give_up_and_wait_longer_each_time(tmp_path: Path) -> None:
    tus = Tus(len(DATA), ["cut before"] * 9)
    slept: list[float] = []
    with pytest.raises(RoomUnreachable, match="run the command again"):
        upload.send(connected(tus), "u-1", file_of(tmp_path, DATA), lambda done, whole: None, slept.append)
    assert tus.patches == 5
    assert slept == sorted(slept)
    assert len(slept) == 4


def test_a_refusal_is_not_tried_again(tmp_path: Path) -> None:
    tus = Tus(len(DATA), ["refused"])
    with pytest.raises(RoomRefused):
        upload.send(connected(tus), "u-1", file_of(tmp_path, DATA), lambda done, whole: None)
    assert tus.patches == 1


def test_an_upload_that_the_room_lost_or_has_otherwise_is_not_continued() -> None:
    connection = connected(Tus(45))
    assert upload.offset(connection, "u-2", 45) is None
    assert upload.offset(connection, "u-1", 44) is None
    assert upload.offset(connection, "u-1", 45) == 0


def test_a_file_that_shrinks_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "CHUNK_BYTES", 10)
    path, tus = file_of(tmp_path, DATA), Tus(len(DATA))

    def shrink(done: int, _: int) -> None:
        if done == 20:
            path.write_bytes(DATA[:20])

    with pytest.raises(FileChanged):
        upload.send(connected(tus), "u-1", path, shrink)


@pytest.mark.parametrize("location", ["", "/v1/uploads/", "https://x.example/v1/uploads/a%2Fb", "/v1/uploads/../join?"])
def test_an_odd_location_is_refused(location: str) -> None:
    connection = Connection(
        URL, transport=httpx.MockTransport(lambda _: httpx.Response(201, headers={"Location": location}))
    )
    connection._token, connection._token_until = "t", float("inf")
    with pytest.raises(OddAnswer):
        upload.create(connection, 5)

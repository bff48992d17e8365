"""Uploads over real sockets, through gunicorn, with tuspy: a client that others wrote."""

import base64
import hashlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError, TusUploadFailed

from tests.room.served import Served, set_clock
from tests.room.stage import Stage

TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream"}
CONTENT = random.Random(7).randbytes(700_001)
MIB = 2**20

HOOK = """
from cleanroom.intake import limits
limits.SILENCE_SECONDS = 1.0
"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage.make(tmp_path_factory.mktemp("tus"), "fresh") as made:
        set_clock(made)
        yield made


@pytest.fixture(scope="module")
def served(stage: Stage) -> Iterator[Served]:
    with Served(stage, stage.folder / "hooks", HOOK, workers=2) as running:
        running.start()
        yield running


@pytest.fixture
def client(served: Served, stage: Stage) -> Iterator[httpx.Client]:
    """A partner's, that ends all of its uploads afterwards: it may have so many only."""
    with served.http("fresh") as opened:
        yield opened
        for (identifier,) in stage.rows("select id from uploads"):
            opened.delete(f"/v1/uploads/{identifier}", headers=TUS)


@pytest.fixture
def tus(client: httpx.Client, served: Served) -> TusClient:
    return TusClient(f"{served.url}/v1/uploads", headers={"Authorization": client.headers["Authorization"]})


def create(client: httpx.Client, length: int) -> str:
    answer = client.post("/v1/uploads", headers={**TUS, "Upload-Length": str(length)})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["Location"])


def offset(client: httpx.Client, address: str) -> int:
    return int(client.head(address, headers=TUS).headers["Upload-Offset"])


def stored(stage: Stage, address: str) -> bytes:
    return (stage.room.settings.incoming / address.rpartition("/")[2]).read_bytes()


def connected(served: Served) -> socket.socket:
    host, port = served.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def head_of_patch(client: httpx.Client, address: str, at: int, length: int) -> bytes:
    headers = {**TUS, **BYTES, "Host": "room", "Upload-Offset": str(at), "Content-Length": str(length)}
    headers["Authorization"] = client.headers["Authorization"]
    lines = [f"PATCH {address} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def settled(client: httpx.Client, address: str) -> int:
    """The offset as soon as nobody writes any more: an empty chunk is taken there."""
    for _ in range(200):
        at = offset(client, address)
        answer = client.patch(address, headers={**TUS, **BYTES, "Upload-Offset": str(at)}, content=b"")
        if answer.status_code == 204:
            return at
        assert answer.status_code == 409, answer.text
        time.sleep(0.02)
    raise AssertionError("the room never lets go of the upload")


def reached(client: httpx.Client, address: str, at: int) -> None:
    """Waits until the room has so many bytes; a chunk is read some time after it was sent."""
    for _ in range(500):
        if offset(client, address) >= at:
            return
        time.sleep(0.01)
    raise AssertionError("the bytes never arrived")


@pytest.mark.parametrize("checked", [False, True], ids=["plain", "checksum"])
@pytest.mark.parametrize("size", [None, 65_536, 100_003], ids=["whole", "64 KiB", "odd"])
def test_tuspy_uploads(stage: Stage, tus: TusClient, size: int | None, checked: bool) -> None:
    chunks = {} if size is None else {"chunk_size": size}
    uploader = tus.uploader(file_stream=BytesIO(CONTENT), upload_checksum=checked, metadata={"name": "file"}, **chunks)
    uploader.upload()
    assert uploader.offset == len(CONTENT)
    assert stored(stage, str(uploader.url)) == CONTENT


def test_tuspy_uploads_nothing(stage: Stage, tus: TusClient) -> None:
    uploader = tus.uploader(file_stream=BytesIO())
    uploader.upload()
    assert stored(stage, str(uploader.url)) == b""


RESUME = """
import json, sys
from tusclient.client import TusClient
task = json.load(sys.stdin)
client = TusClient("", headers=task["headers"])
for url in task["urls"]:
    with open(task["file"], "rb") as file:
        client.uploader(file_stream=file, url=url, chunk_size=200_000, retries=20, retry_delay=0.1).upload()
"""


def test_a_cut_at_any_byte_is_made_good_by_another_process(
    stage: Stage, served: Served, client: httpx.Client, tmp_path: Path
) -> None:
    """The connection ends politely, with a reset, or with the process; then tuspy goes on elsewhere."""
    draw = random.Random(11)
    cuts = [0, 1, 256 * 1024, len(CONTENT) - 1, *(draw.randrange(len(CONTENT)) for _ in range(12))]
    addresses = []
    for number, cut in enumerate(cuts):
        address = create(client, len(CONTENT))
        addresses.append(address)
        with connected(served) as connection:
            connection.sendall(head_of_patch(client, address, 0, len(CONTENT)) + CONTENT[:cut])
            if number % 2:  # a reset throws away what the room has not read yet
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if number % 2 == 0:
            reached(client, address, cut)
        at = settled(client, address)
        assert at <= cut if number % 2 else at == cut
        assert stored(stage, address) == CONTENT[:at]
    (tmp_path / "file").write_bytes(CONTENT)
    task = {
        "urls": [served.url + address for address in addresses],
        "headers": {"Authorization": client.headers["Authorization"]},
        "file": str(tmp_path / "file"),
    }
    subprocess.run([sys.executable, "-c", RESUME], input=json.dumps(task), text=True, check=True, timeout=60)
    for address in addresses:
        assert stored(stage, address) == CONTENT


def test_a_cut_chunk_with_a_checksum_leaves_nothing(stage: Stage, served: Served, client: httpx.Client) -> None:
    address = create(client, len(CONTENT))
    checksum = base64.b64encode(hashlib.sha1(CONTENT).digest()).decode()
    head = head_of_patch(client, address, 0, len(CONTENT))
    head = head.removesuffix(b"\r\n") + f"Upload-Checksum: sha1 {checksum}\r\n\r\n".encode()
    with connected(served) as connection:
        connection.sendall(head + CONTENT[:600_000])
        reached(client, address, 1)
    assert settled(client, address) == 0
    assert stored(stage, address) == b""


def test_a_connection_that_falls_silent_lets_go(stage: Stage, served: Served, client: httpx.Client) -> None:
    """A machine that lost its network says nothing, not even that it is gone."""
    address = create(client, len(CONTENT))
    with connected(served) as connection:
        connection.sendall(head_of_patch(client, address, 0, len(CONTENT)) + CONTENT[:300_000])
        reached(client, address, 1)
        at = settled(client, address)
        assert 0 < at <= 300_000
        assert connection.recv(4096).startswith(b"HTTP/1.1 408 ")
    answer = client.patch(address, headers={**TUS, **BYTES, "Upload-Offset": str(at)}, content=CONTENT[at:])
    assert answer.status_code == 204
    assert stored(stage, address) == CONTENT


def test_of_two_writers_at_one_offset_one_wins(stage: Stage, client: httpx.Client) -> None:
    """Both send megabytes; the other is told 409, and can read it though it was still sending."""
    length = 4 * MIB
    bodies = [bytes([number]) * length for number in range(2)]
    for _ in range(8):
        address = create(client, length)
        begin, statuses = threading.Barrier(2), [0, 0]

        def write(number: int, address: str = address, begin: Any = begin, statuses: list[int] = statuses) -> None:
            headers = {**TUS, **BYTES, "Upload-Offset": "0", "Authorization": client.headers["Authorization"]}
            begin.wait()
            statuses[number] = requests.patch(
                f"{client.base_url}{address}", data=bodies[number], headers=headers, timeout=60
            ).status_code

        threads = [threading.Thread(target=write, args=(number,)) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(statuses) == [204, 409]
        assert stored(stage, address) == bodies[statuses.index(204)]
        assert client.delete(address, headers=TUS).status_code == 204


def test_wrong_bytes_are_told_and_not_kept(stage: Stage, client: httpx.Client, tus: TusClient) -> None:
    """tuspy sends a checksum of its own; the bytes are changed on their way."""
    uploader = tus.uploader(file_stream=BytesIO(CONTENT), chunk_size=300_000, upload_checksum=True)
    uploader.upload(stop_at=300_000)
    wrong = base64.b64encode(hashlib.sha1(CONTENT[300_000:600_000]).digest()).decode()
    headers = {**TUS, **BYTES, "Upload-Offset": "300000", "Upload-Checksum": f"sha1 {wrong}"}
    address = str(uploader.url)
    answer = client.patch(address, headers=headers, content=CONTENT[300_001:600_001])
    assert (answer.status_code, answer.json()["type"]) == (460, "/problems/checksum")
    assert offset(client, address) == 300_000
    uploader.upload()
    assert stored(stage, address) == CONTENT


def test_an_upload_that_ended_or_expired_is_gone(stage: Stage, client: httpx.Client, tus: TusClient) -> None:
    ended, expired = (tus.uploader(file_stream=BytesIO(CONTENT), chunk_size=100_000) for _ in range(2))
    for uploader in (ended, expired):
        uploader.upload(stop_at=100_000)
    assert client.delete(str(ended.url), headers=TUS).status_code == 204
    with stage.room.catalog() as catalog, catalog.transaction() as connection:
        connection.execute("update uploads set expires = 1")
    for uploader in (ended, expired):
        with pytest.raises(TusUploadFailed) as failed:
            uploader.upload()
        assert failed.value.status_code == 404
        with pytest.raises(TusCommunicationError) as lost:
            tus.uploader(file_stream=BytesIO(CONTENT), url=uploader.url)
        assert lost.value.status_code == 404


@pytest.mark.parametrize("announced", [True, False], ids=["Content-Length", "chunked"])
def test_a_worker_never_holds_a_chunk_in_memory(
    stage: Stage, served: Served, client: httpx.Client, announced: bool
) -> None:
    pieces, size = 192, MIB
    address = create(client, pieces * size)
    workers = served.processes("gunicorn")
    assert len(workers) == 3, "gunicorn and its two workers"
    for pid in workers:
        Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak begins anew
    before = {pid: peak(pid) for pid in workers}

    def body() -> Iterator[bytes]:
        for number in range(pieces):
            yield bytes([number]) * size

    headers = {**TUS, **BYTES, "Upload-Offset": "0"}
    headers |= {"Content-Length": str(pieces * size)} if announced else {}
    answer = client.patch(address, headers=headers, content=body())
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(pieces * size))
    path = stage.room.settings.incoming / address.rpartition("/")[2]
    with path.open("rb") as file:
        assert all(file.read(size) == bytes([number]) * size for number in range(pieces))
    os.truncate(path, 0)
    for pid in workers:
        assert peak(pid) - before[pid] < 32 * MIB


def peak(pid: int) -> int:
    """The most resident memory of a process so far, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise LookupError(pid)

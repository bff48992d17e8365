"""A witness, as C2SP tlog-witness says: every status, what it remembers, two who ask at once; over HTTP as well."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from threading import Thread

import httpx
import pytest

from partners.failure import Failure
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.cosignature import cosigned
from partners.transparency.merkle import EMPTY_ROOT, consistency_proof, leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey
from partners.witness import SIZE_TYPE, BadWitness, Malformed, Request, Witness, open_witness
from partners.witness_server import server

LOG = SigningKey("room.example/audit-v1", bytes(range(32)))
TREE = nodes_of([leaf_hash(b"%d" % number) for number in range(64)])
FORK = nodes_of([leaf_hash(b"%d" % (number if number != 5 else 99)) for number in range(64)])
TIME = 1_700_000_000


def checkpoint(size: int, key: SigningKey = LOG, tree=TREE) -> bytes:  # type: ignore[no-untyped-def]
    return key.sign(Checkpoint(key.name, size, root(size, tree)).text())


def request(old: int, size: int, tree=TREE) -> bytes:  # type: ignore[no-untyped-def]
    return Request(old, consistency_proof(old, size, tree), checkpoint(size, tree=tree)).encode()


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return open_witness(tmp_path / "witness", "tasty/witness", (LOG.verifier,))


def test_it_cosigns_what_extends_what_it_saw(witness: Witness, tmp_path: Path) -> None:
    for old, size in ((0, 10), (10, 10), (10, 33), (33, 64)):
        answer = witness.add_checkpoint(request(old, size), TIME + size)
        assert answer.status == HTTPStatus.OK
        assert cosigned(checkpoint(size) + answer.body, [witness.key]) == {witness.key: TIME + size}
    again = open_witness(tmp_path / "witness", "another name", (LOG.verifier,))
    assert (again.key, again.last(LOG.verifier).size) == (witness.key, 64)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "witness").iterdir()} == {0}


STRANGER = SigningKey("elsewhere.example/log", bytes(32))
FALSE = SigningKey(LOG.name, bytes(32))
REFUSED = {
    "another log": (404, Request(10, (), checkpoint(12, STRANGER)).encode()),
    "another key": (403, Request(10, (), checkpoint(12, FALSE)).encode()),
    "a false signature": (403, request(10, 12).replace(b"\n12\n", b"\n13\n")),
    "an old size that is larger": (400, Request(13, (), checkpoint(12)).encode()),
    "another old size": (409, request(9, 12)),
    "no old size": (409, request(0, 12)),
    "a bad proof": (422, Request(10, (bytes(32),), checkpoint(12)).encode()),
    "no proof": (422, Request(10, (), checkpoint(12)).encode()),
    "another past": (422, request(10, 12, FORK)),
    "the same size with another root": (422, request(10, 10, FORK)),
    "the same size with a proof": (422, Request(10, (bytes(32),), checkpoint(10)).encode()),
    "no line": (400, b""),
    "no checkpoint": (400, b"old 10\n\n"),
    "another word": (400, request(10, 12).replace(b"old ", b"new ")),
    "leading zeroes": (400, request(10, 12).replace(b"old 10", b"old 010")),
    "no base64": (400, b"old 10\n!\n\n" + checkpoint(12)),
    "a short hash": (400, b"old 10\nAAAA\n\n" + checkpoint(12)),
    "64 hashes": (400, Request(10, (bytes(32),) * 64, checkpoint(12)).encode()),
    "no text": (400, b"old \xff\n\n" + checkpoint(12)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_leaves_it_as_it_was(witness: Witness, name: str) -> None:
    status, body = REFUSED[name]
    witness.add_checkpoint(request(0, 10), TIME)
    before = witness.monitored(LOG.verifier)
    answer = witness.add_checkpoint(body, TIME)
    assert answer.status == status
    assert witness.monitored(LOG.verifier) == before
    if status == 409:
        assert (answer.body, answer.type) == (b"10\n", SIZE_TYPE)


def test_the_first_checkpoint_has_no_proof_and_an_empty_log_an_empty_root(witness: Witness) -> None:
    assert witness.add_checkpoint(Request(0, (bytes(32),), checkpoint(12)).encode(), TIME).status == 422
    false = LOG.sign(Checkpoint(LOG.name, 0, bytes(32)).text())
    assert witness.add_checkpoint(Request(0, (), false).encode(), TIME).status == 422
    empty = LOG.sign(Checkpoint(LOG.name, 0, EMPTY_ROOT).text())
    assert witness.add_checkpoint(Request(0, (), empty).encode(), TIME).ok


def test_a_request_round_trips() -> None:
    parsed = Request.parse(request(10, 33))
    assert (parsed.old, parsed.encode()) == (10, request(10, 33))
    with pytest.raises(Malformed):
        Request.parse(b"old 1")


def test_of_two_who_ask_at_once_with_two_logs_one_is_cosigned(tmp_path: Path) -> None:
    """Deciding and storing are one step: also where each has opened the folder for itself."""
    for number in range(10):
        folder = tmp_path / str(number)
        first = open_witness(folder, "tasty/witness", (LOG.verifier,))
        first.add_checkpoint(request(0, 4), TIME)
        asked = [request(4, 12), request(4, 12, FORK)] * 4
        witnesses = [open_witness(folder, "tasty/witness", (LOG.verifier,)) for _ in asked]
        with ThreadPoolExecutor(8) as pool:
            pairs = zip(witnesses, asked, strict=True)
            answers = list(pool.map(lambda pair: pair[0].add_checkpoint(pair[1], TIME), pairs))
        assert [each.status for each in answers].count(HTTPStatus.OK) == 1
        assert first.last(LOG.verifier).size == 12


def test_a_damaged_memory_cosigns_nothing(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(request(0, 10), TIME)
    (path,) = (tmp_path / "witness").glob("*.checkpoint")
    path.write_bytes(checkpoint(5))  # signed by the log, and never cosigned here
    with pytest.raises(BadWitness, match="damaged"):
        witness.add_checkpoint(request(5, 12), TIME)
    (tmp_path / "witness" / "witness.json").write_text("{}")
    with pytest.raises(BadWitness, match=r"witness\.json"):
        open_witness(tmp_path / "witness", "tasty/witness", (LOG.verifier,))


@pytest.fixture
def listening(witness: Witness) -> Iterator[str]:
    with server(witness, "127.0.0.1:0") as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{made.server_address[1]}"
        made.shutdown()
        thread.join()


def test_over_http(listening: str, witness: Witness) -> None:
    with httpx.Client(base_url=listening, trust_env=False) as client:
        place = f"/{hashlib.sha256(LOG.name.encode()).hexdigest()}/checkpoint"
        assert client.get(place).status_code == 404
        assert client.post("/add-checkpoint", content=request(0, 10)).status_code == 200
        conflict = client.post("/add-checkpoint", content=request(0, 12))
        assert (conflict.status_code, conflict.text) == (409, "10\n")
        assert conflict.headers["Content-Type"] == "text/x.tlog.size"
        answer = client.post("/add-checkpoint", content=request(10, 12))
        monitored = client.get(place).content
        assert monitored == checkpoint(12) + answer.content
        assert set(cosigned(monitored, [witness.key])) == {witness.key}
        for path, content in (("/add-checkpoint", bytes(20_000)), ("/add-checkpoint", b"old"), ("/other", b"")):
            assert client.post(path, content=content).status_code in (400, 404, 413)
        assert client.get("/").status_code == 404


def test_an_address_that_is_none(witness: Witness) -> None:
    for wrong in ("here", "127.0.0.1:x", "127.0.0.1:99999"):
        with pytest.raises(Failure, match="--listen"):
            server(witness, wrong)

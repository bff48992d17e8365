"""A room whose log is witnessed: cosignatures beside the checkpoint, and a quorum before an answer leaves."""

import asyncio
import contextlib
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from threading import Event, Thread
from time import sleep

import httpx
import pytest
from click.testing import CliRunner, Result

from cleanroom import settings, witnesses
from cleanroom.audit.quorum import Witnesses
from cleanroom.cli import cli
from cleanroom.settings import BadSettings
from partners import receipts
from partners.cli import main
from partners.reports import Report
from partners.room.connection import RoomRefused
from partners.steps.witnessing import cosign_newest, witness_of
from partners.transparency.cosignature import WitnessKey, WitnessSigner, cosigned
from partners.witness import Request, Witness
from partners.witness_server import server
from tests.room.conftest import Collaboration
from tests.room.stage import Stage

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def run(stage: Stage, name: str, *arguments: str) -> Result:
    home = str(stage.players[name].home.path)
    return CliRunner().invoke(main, ["--home", home, *arguments], obj=stage.transport())


def with_witnesses(stage: Stage, known: Witnesses) -> None:
    stage.room = replace(stage.room, settings=replace(stage.room.settings, witnesses=known))
    stage.reopen()


def key_of(stage: Stage, name: str) -> WitnessKey:
    return WitnessKey.parse(run(stage, name, "witness", "--key").stdout.strip())


def shown(stage: Stage) -> bytes:
    with stage.anybody() as client:
        return client.get("/v1/log/checkpoint").content


def test_a_partner_cosigns_and_the_room_shows_it(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    keys = tuple(key_of(stage, name) for name in ("fresh", "tasty"))
    refused = run(stage, "tasty", "witness")
    assert refused.exit_code == 1
    assert "give the operator its key" in refused.stderr
    with_witnesses(stage, Witnesses(keys))
    for name in ("fresh", "tasty"):
        said = run(stage, name, "witness")
        assert said.exit_code == 0, said.output
        assert said.stdout.startswith(f"cosigned {len(stage.leaves())} entries")
    assert set(cosigned(shown(stage), keys)) == set(keys)
    archive = str(tmp_path / "log.tar")
    folders = ["--data", str(stage.room.settings.data), "--keys", str(stage.room.settings.keys)]
    assert CliRunner().invoke(cli, ["audit", "export", archive, *folders]).exit_code == 0
    verify = ["audit", "verify", archive, "--vkey", stage.room.vkey, "--witness", str(keys[0])]
    for more, code in (((), 0), (("--witness", str(keys[1])), 0), (("--witness", str(keys[1]), "--quorum", "1"), 0)):
        said = CliRunner().invoke(cli, [*verify, *more])
        assert said.exit_code == code, said.output
        assert "witnesses cosigned it" in " ".join(said.stdout.split())
    said = CliRunner().invoke(cli, [*verify, "--quorum", "2"])
    assert said.exit_code == 2, "no export could pass"
    report = stage.ask("fresh", published.id, OVERLAP)  # a newer checkpoint, which nobody cosigned yet
    assert cosigned(shown(stage), keys) == {}
    run(stage, "tasty", "witness")
    file = tmp_path / "report.json"
    assert run(stage, "fresh", "report", str(report.id), "--json", str(file)).exit_code == 0
    tasty, everybody = ["--witness", str(keys[1])], [part for key in keys for part in ("--witness", str(key))]
    assert run(stage, "fresh", "verify", str(file), *tasty).exit_code == 0
    assert run(stage, "fresh", "verify", str(file), *everybody, "--quorum", "1").exit_code == 0
    assert run(stage, "fresh", "verify", str(file), *tasty, "--quorum", "2").exit_code == 2, "no receipt could pass"
    failed = run(stage, "fresh", "verify", str(file), *everybody)
    assert failed.exit_code == 1
    assert "1 of 2 witnesses cosigned it, 2 wanted" in " ".join(failed.stdout.split())


def test_a_witness_does_not_cosign_a_log_that_was_rewound(published: Collaboration) -> None:
    """Its own memory decides, also where the partner's kept checkpoint is gone."""
    stage = published.stage
    with_witnesses(stage, Witnesses((key_of(stage, "tasty"),)))
    with stage.copy(stage.folder / "other") as other:
        with_witnesses(other, stage.room.settings.witnesses)
        stage.ask("fresh", published.id, OVERLAP)
        assert run(stage, "tasty", "witness").exit_code == 0
        (stage.players["tasty"].home.checkpoint).unlink()
        other.players["tasty"] = stage.players["tasty"]
        for _ in range(4):
            other.ask("fresh", published.id, {**OVERLAP, "purpose": "modelling"})
        before = shown(other)
        said = run(other, "tasty", "witness")
    assert said.exit_code == 1
    assert "does not extend what was cosigned" in said.stderr
    assert shown(other) == before


def test_a_partner_that_cosigns_while_the_room_asks_it(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--listen` of the same folder is faster, between the look at its memory and the cosignature: it looks again."""
    stage = published.stage
    witness = witness_of(stage.players["tasty"].home)
    with_witnesses(stage, Witnesses((witness.key,)))
    player = stage.players["tasty"]
    real, asked = player.room.log.extension, list[int]()

    def faster(old: int) -> tuple[bytes, tuple[bytes, ...]]:
        message, proof = real(old)
        if not asked:
            assert witness.add_checkpoint(Request(old, proof, message).encode(), 1).ok
        asked.append(old)
        return message, proof

    monkeypatch.setattr(player.room.log, "extension", faster)
    size = cosign_newest(player.home, player.room, 2)
    assert asked == [0, size]
    assert set(cosigned(shown(stage), [witness.key])) == {witness.key}


@contextmanager
def listening(witness: Witness, port: int = 0) -> Iterator[int]:
    with server(witness, f"127.0.0.1:{port}") as made:
        thread = Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield made.server_address[1]
        finally:
            # A process that ends would close the connections that are kept open.
            asyncio.run_coroutine_threadsafe(witnesses._client().aclose(), witnesses._loop()).result()
            witnesses._client.cache_clear()
            made.shutdown()
            thread.join()


def cosigners(report: Report, keys: tuple[WitnessKey, ...]) -> set[WitnessKey]:
    assert report.receipt is not None
    return set(cosigned(report.receipt.proof.partition("\n\n")[2].encode(), keys))


def test_no_answer_leaves_without_a_quorum(published: Collaboration) -> None:
    """The witness that is gone and comes back: what was decided meanwhile stands, is charged once, and can be read."""
    stage = published.stage
    seen = [witness_of(stage.players[name].home) for name in ("fresh", "tasty")]
    keys = tuple(each.key for each in seen)
    with listening(seen[0]) as one, listening(seen[1]) as other:
        ports = (one, other)
        places = {key: f"http://127.0.0.1:{port}" for key, port in zip(keys, ports, strict=True)}
        with_witnesses(stage, Witnesses(keys, places, 2))
        first = stage.ask("fresh", published.id, OVERLAP)
        assert cosigners(first, keys) == set(keys)
        assert first.receipt is not None
        assert receipts.check(first.receipt, stage.room.signer.verifier, keys, 2).ok
    question = {"kind": "statistics", "count": "fresh/drive"}
    with listening(seen[0], ports[0]):
        with pytest.raises(RoomRefused, match="Too few witnesses") as caught:
            stage.ask("fresh", published.id, question)
        assert caught.value.problem.code == "not-witnessed"
        charged = stage.rows("select sum(micro) from ledger")
        with listening(seen[1], ports[1]):
            report = stage.ask("fresh", published.id, question)
            assert (report.released, report.free) == (True, True)
            assert cosigners(report, keys) == set(keys)
    assert stage.rows("select sum(micro) from ledger") == charged
    # What enough witnesses have seen already needs none of them now.
    assert cosigners(stage.players["tasty"].room.report(str(first.id)), keys) == set(keys)


def test_a_witness_of_another_log_counts_for_nothing(published: Collaboration) -> None:
    """It has cosigned more than the room has: the room was rewound, or shows it another log."""
    stage = published.stage
    witness = witness_of(stage.players["tasty"].home)
    with stage.copy(stage.folder / "other") as other, listening(witness) as port:
        quorum = Witnesses((witness.key,), {witness.key: f"http://127.0.0.1:{port}"}, 1)
        for each in (stage, other):
            with_witnesses(each, quorum)
        for _ in range(3):
            other.ask("fresh", published.id, {**OVERLAP, "purpose": "modelling"})
        with pytest.raises(RoomRefused, match="Too few witnesses"):
            stage.ask("fresh", published.id, OVERLAP)


def dripping(connection: socket.socket) -> None:
    """A body of a megabyte, a byte at a time, each well before anybody stops waiting for the next."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    drip(connection)


def dripping_headers(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    drip(connection)


def drip(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        for _ in range(100):
            connection.sendall(b"x")
            sleep(0.1)


def endless(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
    with contextlib.suppress(OSError):
        for _ in range(1000):
            connection.sendall(bytes(1 << 20))


def packed(connection: socket.socket) -> None:
    """The right answer to no question; unpacked, it has 100 MB."""
    packer = zlib.compressobj(1, wbits=31)
    body = b"".join(packer.compress(bytes(1 << 20)) for _ in range(100)) + packer.flush()
    connection.sendall(b"HTTP/1.1 409 Conflict\r\nContent-Encoding: gzip\r\n")
    connection.sendall(b"Content-Length: %d\r\n\r\n" % len(body) + body)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A machine that answers each request so."""

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(1 << 16)
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("answer", [dripping, dripping_headers, endless, packed])
def test_a_hostile_witness_counts_for_nothing_and_holds_nothing(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch, answer: Callable[[socket.socket], None]
) -> None:
    """It takes neither a thread nor the room's memory, and the next question finds the room free."""
    monkeypatch.setattr(witnesses, "DEADLINE", 0.5)
    stage = published.stage
    keys = [WitnessSigner(name, bytes(32)).key for name in ("a/witness", "b/witness")]
    with answering(answer) as port, answering(answer) as other:
        places = {key: f"http://127.0.0.1:{each}" for key, each in zip(keys, (port, other), strict=True)}
        with_witnesses(stage, Witnesses(tuple(keys), places, 1))
        tracemalloc.start()
        try:
            counts = []
            for _ in range(3):
                with pytest.raises(RoomRefused, match="Too few witnesses"):
                    stage.ask("fresh", published.id, OVERLAP)
                counts.append(threading.active_count())
            assert tracemalloc.get_traced_memory()[1] < 50_000_000
        finally:
            tracemalloc.stop()
    assert counts[2] <= counts[0]


class Holding:
    """A witness that takes a question and never ends its answer: it waits for the room to let go.

    `held`: it was the first to give up, after so long that nobody is in doubt about it.
    """

    PATIENCE = 60.0

    def __init__(self, says: bytes) -> None:
        self.asked, self.held = Event(), 0
        self._says = says

    def __call__(self, connection: socket.socket) -> None:
        self.asked.set()
        connection.sendall(self._says)
        connection.settimeout(self.PATIENCE)
        try:
            with contextlib.suppress(ConnectionError):
                while connection.recv(1 << 16):  # the rest of the question
                    pass
        except TimeoutError:
            self.held += 1


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The room's HTTP client waits for ever, so that only the deadline for a whole answer can end it."""
    monkeypatch.setattr(witnesses, "_client", cache(lambda: httpx.AsyncClient(timeout=None)))


@pytest.mark.parametrize(
    "says",
    [b"", b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\nsome"],
    ids=["nothing", "half a header", "half a body"],
)
@pytest.mark.usefixtures("patient")
def test_a_witness_that_never_answers_is_let_go(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch, says: bytes
) -> None:
    monkeypatch.setattr(witnesses, "DEADLINE", 0.2)
    key, silent = WitnessSigner("a/witness", bytes(32)).key, Holding(says)
    with answering(silent) as port:
        with_witnesses(published.stage, Witnesses((key,), {key: f"http://127.0.0.1:{port}"}, 1))
        with pytest.raises(RoomRefused, match="Too few witnesses"):
            published.stage.ask("fresh", published.id, OVERLAP)
        assert silent.asked.wait(Holding.PATIENCE)
    assert silent.held == 0


@pytest.mark.usefixtures("patient")
def test_enough_witnesses_are_enough(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for the one that never answers, once the other has cosigned."""
    monkeypatch.setattr(witnesses, "DEADLINE", 2 * Holding.PATIENCE)
    stage, silent = published.stage, Holding(b"")
    honest, key = witness_of(stage.players["tasty"].home), WitnessSigner("a/witness", bytes(32)).key
    with answering(silent) as port, listening(honest) as other:
        places = {key: f"http://127.0.0.1:{port}", honest.key: f"http://127.0.0.1:{other}"}
        with_witnesses(stage, Witnesses((key, honest.key), places, 1))
        assert cosigners(stage.ask("fresh", published.id, OVERLAP), (honest.key,)) == {honest.key}
    assert silent.held == 0


def test_a_cosignature_of_nobody_and_of_another_checkpoint(published: Collaboration) -> None:
    stage = published.stage
    witness = witness_of(stage.players["tasty"].home)
    with_witnesses(stage, Witnesses((witness.key,)))
    older = shown(stage)
    stage.ask("fresh", published.id, OVERLAP)
    text = older.decode().rpartition("\n\n")[0] + "\n"
    line = witness._signer.cosign(text, 1)
    bodies = {
        409: {"checkpoint": older.decode(), "cosignature": line},
        403: {"checkpoint": shown(stage).decode(), "cosignature": line},
        422: {"checkpoint": "no note", "cosignature": line},
    }
    with stage.anybody() as client:
        for status, body in bodies.items():
            assert client.post("/v1/cosignatures", json=body).status_code == status


def test_settings(published: Collaboration) -> None:
    key = key_of(published.stage, "tasty")
    read = settings.read({"CLEANROOM_WITNESSES": f"{key}=https://w.example/", "CLEANROOM_WITNESS_QUORUM": "1"})
    assert read.witnesses == Witnesses((key,), {key: "https://w.example"}, 1)
    for listed, quorum in (
        (f"{key}", "1"),
        (f"{key}=http://w.example", "0"),
        (f"{key} {key}", "0"),
        ("nobody", "0"),
        (f"{key}=https://w.example", "x"),
    ):
        with pytest.raises(BadSettings, match="CLEANROOM_WITNESS"):
            settings.read({"CLEANROOM_WITNESSES": listed, "CLEANROOM_WITNESS_QUORUM": quorum})

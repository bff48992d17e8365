"""One room over HTTP: which addresses, which token, which words when it fails."""

from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners import keys
from partners.failure import Failure, plain
from partners.fields import OddAnswer
from partners.room import connection
from partners.room.connection import Connection, Credentials, RoomRefused, RoomUnreachable, UnsafeAddress, safe_url
from tests.partners_cli.conftest import Partner
from tests.partners_cli.fake_room import AUDIENCE, URL, FakeRoom, problem

SAFE = [
    "https://room.example",
    "https://room.example:8443/clean/",
    "http://127.0.0.1:8080",
    "http://127.9.9.9",
    "http://[::1]:8080",
    "http://localhost:8080/",
]
UNSAFE = [
    "http://room.example",
    "http://10.0.0.1",
    "http://128.0.0.1",
    "http://127.0.0.1.evil.example",
    "http://localhost.evil.example",
    "http://[::2]",
    "ftp://room.example",
    "room.example",
    "https://",
    "https://user:password@room.example",
    "https://room.example/?q=1",
    "https://room.example:port",
    "",
]


@pytest.mark.parametrize("url", SAFE)
def test_https_and_loopback_are_taken(url: str) -> None:
    assert safe_url(url) == url.rstrip("/")


@pytest.mark.parametrize("url", UNSAFE)
def test_every_other_address_is_refused_before_anything_is_sent(url: str) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        raise AssertionError("something was sent")

    with pytest.raises(UnsafeAddress) as refused:
        Connection(url, transport=httpx.MockTransport(handler)).get("/v1/room", signed_in=False)
    assert "\n" not in str(refused.value)
    assert "password" not in str(refused.value)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def signed_in(fake: FakeRoom, clock: Clock) -> Connection:
    identity = keys.generate()
    fake.partners["fresh"] = identity.public
    return Connection(URL, Credentials("fresh", identity, AUDIENCE), fake.transport(), clock)


def sign_ins(fake: FakeRoom) -> int:
    return fake.requests.count(("POST", "/v1/token"))


def test_a_token_is_fetched_once_and_renewed_shortly_before_it_ends(fake: FakeRoom) -> None:
    clock = Clock()
    connection = signed_in(fake, clock)
    connection.get("/v1/ledger")
    clock.now = 569.0
    connection.get("/v1/ledger")
    assert sign_ins(fake) == 1
    clock.now = 571.0
    connection.get("/v1/ledger")
    assert sign_ins(fake) == 2


def test_a_token_that_the_room_forgot_is_renewed_once(fake: FakeRoom) -> None:
    connection = signed_in(fake, Clock())
    connection.get("/v1/ledger")
    fake.tokens.clear()
    connection.get("/v1/ledger")
    assert sign_ins(fake) == 2


def test_a_room_that_takes_no_token_is_not_asked_for_ever() -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "token_type": "Bearer", "expires_in": 600})
        return problem(401, "unauthorized", "No valid access token")

    connection = Connection(URL, Credentials("fresh", keys.generate(), AUDIENCE), httpx.MockTransport(handler))
    with pytest.raises(RoomRefused) as refused:
        connection.get("/v1/ledger")
    assert asked == ["/v1/token", "/v1/ledger", "/v1/token", "/v1/ledger"]
    assert refused.value.problem.status == 401


def test_redirects_are_not_followed() -> None:
    asked = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    with pytest.raises(RoomRefused):
        Connection("https://room.example", transport=httpx.MockTransport(handler)).get("/v1/room", signed_in=False)
    assert asked == ["https://room.example/v1/room"]


def answering(response: httpx.Response | Exception) -> Connection:
    def handler(_: httpx.Request) -> httpx.Response:
        if isinstance(response, Exception):
            raise response
        return response

    return Connection("https://room.example", transport=httpx.MockTransport(handler))


PROBLEMS = {
    "title, detail and hint": (
        problem(403, "bad-code", "The code is not good.", "It was used.", "Ask the operator for a new one."),
        "The code is not good: It was used; ask the operator for a new one",
    ),
    "a title that repeats itself": (
        problem(404, "not-found", "Not found", "Not found", "Check the address."),
        "Not found; check the address",
    ),
    "nothing but a status": (
        httpx.Response(502, content=b"<html>"),
        "the room answered with status 502 and no reason; see `cleanroom-partner status`, or ask the operator",
    ),
    "control characters": (
        problem(422, "invalid", "Wrong\x1b[31m\nfield\u202e", hint="Mend\r\nit."),
        "Wrong�[31m field�; mend it",
    ),
    "values of the wrong kind": (
        httpx.Response(400, json={"title": 7, "detail": ["x"], "type": None}),
        "the room answered with status 400 and no reason; see `cleanroom-partner status`, or ask the operator",
    ),
    "no object": (
        httpx.Response(500, json=["x"]),
        "the room answered with status 500 and no reason; see `cleanroom-partner status`, or ask the operator",
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_one_line_that_is_safe_to_print(name: str) -> None:
    response, line = PROBLEMS[name]
    with pytest.raises(RoomRefused) as refused:
        answering(response).get("/v1/room", signed_in=False)
    assert str(refused.value) == line
    assert refused.value.problem.status == response.status_code


FAILURES = {
    "cannot be reached": httpx.ConnectError("[Errno 111] Connection refused"),
    "did not answer in time": httpx.ReadTimeout("secret-token"),
    "certificate": httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"),
    "broke": httpx.RemoteProtocolError("secret-token"),
}


@pytest.mark.parametrize("words", FAILURES)
def test_a_connection_that_fails_says_so_plainly(words: str) -> None:
    with pytest.raises(RoomUnreachable, match=words) as failed:
        answering(FAILURES[words]).get("/v1/room", signed_in=False)
    assert "secret-token" not in str(failed.value)
    assert "room.example" in str(failed.value)


def test_an_answer_without_json_is_odd() -> None:
    with pytest.raises(OddAnswer, match="no JSON"):
        answering(httpx.Response(200, content=b"hello")).get("/v1/room", signed_in=False)


def test_no_message_holds_a_token_or_a_key(fake: FakeRoom, fresh: Partner, joined: Callable[[str], Partner]) -> None:
    fresh.room.ledger()
    failures = []
    for attempt in (lambda: fresh.room.keys_of("nobody"), lambda: joined("fresh"), lambda: fresh.room.report("r-9")):
        with pytest.raises(Exception) as caught:  # noqa: PT011 - each of them fails in its own way
            attempt()
        failures.append(str(caught.value))
    secrets = [*fake.tokens, *(key.signing.hex() for key in fake.partners.values())]
    assert all(secret not in failure for secret in secrets for failure in failures)


@given(st.text(max_size=2000))
def test_foreign_text_becomes_one_printable_line(text: str) -> None:
    shown = plain(text)
    assert shown.isprintable()
    assert len(shown) <= 500


def test_a_cut_while_joining_leaves_no_half_joined_folder(fake: FakeRoom, tmp_path: Path) -> None:
    from partners.home import Home
    from partners.steps import joining

    home = Home.open(tmp_path / "home")
    home.create_identity()
    fake.lose_answer_of = "/v1/join"
    with pytest.raises(Failure):
        joining.join(home, URL, fake.invite("fresh"), fake.transport())
    assert not home.has_room()


class Endless(httpx.SyncByteStream):
    """A body that never ends."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield bytes(2**20)


ODD: list[tuple[Callable[[], httpx.Response], str]] = [
    (lambda: httpx.Response(200, stream=Endless()), "larger than"),
    (lambda: httpx.Response(404, stream=Endless()), "larger than"),
    (lambda: httpx.Response(200, content=b"[" * 200_000), "no JSON"),
    (
        lambda: httpx.Response(200, headers={"Content-Encoding": "gzip, gzip"}, stream=Endless()),
        "packed, though nobody",
    ),
]


@pytest.mark.parametrize(("answer", "why"), ODD)
def test_a_hostile_answer_is_one_line(answer: Callable[[], httpx.Response], why: str) -> None:
    with pytest.raises(OddAnswer, match=why):
        Connection(URL, transport=httpx.MockTransport(lambda _: answer())).get("/v1/room", signed_in=False)


def test_a_refusal_of_endless_nesting_has_no_reason() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(500, content=b"[" * 200_000))
    with pytest.raises(RoomRefused, match="status 500 and no reason"):
        Connection(URL, transport=transport).get("/v1/room", signed_in=False)


def test_an_answer_that_does_not_end_in_time_is_given_up() -> None:
    clock = Clock()

    class Slow(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                clock.now += 60
                yield b" "

    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Slow()))
    with pytest.raises(RoomUnreachable, match="did not end its answer in time"):
        Connection(URL, transport=transport, clock=clock).get("/v1/room", signed_in=False)


def test_nothing_packed_is_asked_for() -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.headers["Accept-Encoding"])
        return httpx.Response(200, headers={"Content-Encoding": "identity"}, content=b"{}")

    assert Connection(URL, transport=httpx.MockTransport(handler)).get("/v1/room", signed_in=False) == {}
    assert asked == ["identity"]


def test_what_goes_to_a_file_may_be_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_ANSWER_BYTES", 4)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"an archive"))
    out, told = BytesIO(), list[tuple[int, int]]()
    room = Connection(URL, transport=transport)
    room.send("GET", "/v1/audit/export", into=(out, lambda *each: told.append(each)), signed_in=False)
    assert (out.getvalue(), told[-1]) == (b"an archive", (10, 10))
    with pytest.raises(OddAnswer):
        room.send("GET", "/v1/audit/export", signed_in=False)

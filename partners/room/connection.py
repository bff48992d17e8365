"""One room over HTTP: where it is, who asks, and what goes wrong, in one line.

Rules:
* Plain HTTP is refused except on loopback (127.0.0.0/8, ::1, localhost). Redirects are never followed: a token would
  travel along.
* No long-lived credential: each process signs a client assertion (RFC 7523: EdDSA, at most 60 seconds, its `jti` once)
  and keeps the short-lived bearer token in memory only.
* Messages never hold a token, a key or a body.
* No body is read without end, whoever sends it: it has a largest size and a longest time, unless it goes to a file.
  Nothing is unpacked.
"""

import ipaddress
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import httpx
import jwt

from partners import fields
from partners.failure import Failure
from partners.fields import OddAnswer
from partners.keys import Identity, key_id
from partners.room import answers
from partners.room.answers import Problem

ASSERTION_SECONDS = 60
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RENEW_BEFORE_SECONDS = 30
PATIENCE_SECONDS = 30
"""How long a request waits in all where the room says that too many came; after that the command says so."""
NOT_ACCEPTED = (
    "check this machine's clock; was this folder's key added, or has it ended? Somebody with an owner key sees it in "
    "`key list`, else ask the operator"
)
"""What to do where the room does not accept this folder's key: the room's own hint is for programs."""
MAX_ANSWER_BYTES = 64 * 2**20
"""A list of 100,000 reports is half of it."""
ANSWER_SECONDS = 600
Transport = httpx.BaseTransport
"""How bytes travel; tests hand in another one."""
Into = tuple[BinaryIO, Callable[[int, int], None]]
"""Where a body is written, and who is told: bytes until now, and in all (0: unknown)."""
_OF_THE_JOURNEY = ("content-encoding", "content-length", "transfer-encoding")
"""Headers that say how a body travelled, and not what it is."""
_TIMEOUT = httpx.Timeout(connect=10, read=120, write=120, pool=10)


class UnsafeAddress(Failure):
    """An address that would carry tokens in the clear, or is none."""


class RoomUnreachable(Failure):
    """Nobody answered; the same command can be run again."""


class RoomRefused(Failure):
    """The room answered with a problem. `said` stands for its words, where what was asked tells more."""

    def __init__(self, problem: Problem, said: str | None = None) -> None:
        words = dict.fromkeys(part.rstrip(".") for part in (problem.title, problem.detail) if part)
        message = ": ".join(words) or f"the room answered with status {problem.status} and no reason"
        hint = problem.hint.rstrip(".") or "see `cleanroom-partner status`, or ask the operator"
        super().__init__(said or f"{message}; {hint[0].lower()}{hint[1:]}")
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who asks: the partner's name in the room, its keys, and the `aud` that its assertions are for."""

    partner: str
    identity: Identity
    audience: str


def safe_url(text: str) -> str:
    """The room's address without a slash at its end. Raises `UnsafeAddress`."""
    try:
        url = httpx.URL(text.strip())
    except httpx.InvalidURL:
        raise UnsafeAddress("this is not an address; write it as https://room.example") from None
    if url.scheme not in ("https", "http") or not url.host or url.userinfo or url.query or url.fragment:
        raise UnsafeAddress("a room's address is https:// and its host, such as https://room.example")
    if url.scheme == "http" and not _is_loopback(url.host):
        raise UnsafeAddress("plain http:// is refused except on this machine itself; write https:// instead")
    return str(url).rstrip("/")


class Connection:
    """HTTP to one room. `transport`, `clock` (seconds, monotonic) and `sleep` are for tests."""

    def __init__(
        self,
        url: str,
        credentials: Credentials | None = None,
        transport: Transport | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._sleep = sleep
        self.url = safe_url(url)
        self._credentials = credentials
        self._clock = clock
        self._token = ""
        self._token_until = float("-inf")
        # A proxy of the environment is for the world outside, never for loopback.
        self._http = httpx.Client(
            base_url=self.url,
            transport=transport,
            timeout=_TIMEOUT,
            trust_env=not _is_loopback(httpx.URL(self.url).host),
            follow_redirects=False,
            # A few bytes unpack to gigabytes, and in several layers to more.
            headers={"Accept-Encoding": "identity"},
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, str] | None = None, *, signed_in: bool = True) -> Any:
        """The JSON of a GET. Raises `RoomRefused`, `RoomUnreachable`, `OddAnswer`, as `post` does."""
        return _json(self.send("GET", path, params=params, signed_in=signed_in))

    def post(self, path: str, body: Mapping[str, Any], *, signed_in: bool = True) -> Any:
        """The JSON that answers a POST of JSON."""
        return _json(self.send("POST", path, json=body, signed_in=signed_in))

    def download(self, path: str, out: BinaryIO, progress: Callable[[int, int], None]) -> None:
        """Writes the body of a GET to `out`, of any size. `progress`: bytes until now, and in all (0: unknown)."""
        self.send("GET", path, into=(out, progress))

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        json: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        signed_in: bool = True,
        into: Into | None = None,
    ) -> httpx.Response:
        """A successful answer; an access token that the room no longer knows is renewed once."""

        def once() -> httpx.Response:
            sent = {**(headers or {}), **({"Authorization": f"Bearer {self._bearer()}"} if signed_in else {})}
            return self._send(method, path, params=params, json=json, content=content, headers=sent, into=into)

        response = once()
        if response.status_code == httpx.codes.UNAUTHORIZED and signed_in:
            self._token_until = float("-inf")
            response = once()
        return _successful(response)

    def _bearer(self) -> str:
        if self._clock() >= self._token_until:
            self._sign_in()
        return self._token

    def _sign_in(self) -> None:
        assert self._credentials is not None, "only `join` and public facts are asked without credentials"
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": _assertion(self._credentials),
        }
        response = self._send("POST", "/v1/token", data=form)
        try:
            answer = fields.table(_json(_successful(response)), "token")
        except RoomRefused as refused:
            if refused.problem.code != "bad-assertion":
                raise
            raise RoomRefused(replace(refused.problem, hint=NOT_ACCEPTED)) from None
        self._token = fields.text(answer, "access_token")
        self._token_until = self._clock() + fields.integer(answer, "expires_in") - RENEW_BEFORE_SECONDS

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        """The room's answer; waits and asks again where it says when to come back, and that is soon."""
        waited = 0
        while True:
            response = self._sent(method, path, **arguments)
            wait = _wait(response)
            if wait is None or waited + wait > PATIENCE_SECONDS:
                return response
            self._sleep(wait)
            waited += wait

    def _sent(self, method: str, path: str, into: Into | None = None, **arguments: Any) -> httpx.Response:
        try:
            with self._http.stream(method, path, **arguments) as answer:
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise OddAnswer("packed, though nobody asked for that")
                body = self._body(answer) if into is None or not answer.is_success else _written(answer, *into)
            headers = {name: value for name, value in answer.headers.items() if name not in _OF_THE_JOURNEY}
            return httpx.Response(answer.status_code, headers=headers, content=body)
        except httpx.TimeoutException:
            raise RoomUnreachable(f"the room at {self.url} did not answer in time; run the command again") from None
        except httpx.ConnectError as problem:
            if "CERTIFICATE" in str(problem):
                raise RoomUnreachable(
                    f"the certificate of {self.url} does not hold; do not go on, ask the operator"
                ) from None
            raise RoomUnreachable(
                f"the room at {self.url} cannot be reached; check the address and the network, and try again"
            ) from None
        except httpx.TransportError:
            raise RoomUnreachable(f"the connection to {self.url} broke; run the command again") from None

    def _body(self, answer: httpx.Response) -> bytes:
        body, until = bytearray(), self._clock() + ANSWER_SECONDS
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise OddAnswer(f"larger than {MAX_ANSWER_BYTES:,} bytes")
            if self._clock() > until:
                raise RoomUnreachable(f"the room at {self.url} did not end its answer in time; run the command again")
        return bytes(body)


def _assertion(credentials: Credentials) -> str:
    now = int(time.time())
    claims = {
        "iss": credentials.partner,
        "sub": credentials.partner,
        "aud": credentials.audience,
        "iat": now,
        "exp": now + ASSERTION_SECONDS,
        "jti": secrets.token_urlsafe(16),
    }
    kid = key_id(credentials.identity.public.signing)
    return jwt.encode(claims, credentials.identity.signing, algorithm="EdDSA", headers={"kid": kid})


def _written(answer: httpx.Response, out: BinaryIO, progress: Callable[[int, int], None]) -> bytes:
    """Writes the body to `out`; nothing of it is left to return."""
    stated, done = answer.headers.get("Content-Length", ""), 0
    whole = int(stated) if re.fullmatch(r"[0-9]{1,15}", stated) else 0
    for piece in answer.iter_bytes():
        out.write(piece)
        done += len(piece)
        progress(done, whole)
    return b""


def _wait(response: httpx.Response) -> int | None:
    """The seconds after which a request may be sent again that came too soon (RFC 9110, 10.2.3)."""
    stated = response.headers.get("Retry-After", "")
    if response.status_code != httpx.codes.TOO_MANY_REQUESTS or not re.fullmatch(r"[0-9]{1,6}", stated):
        return None
    return max(int(stated), 1)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _successful(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        told = response.json()
    except (ValueError, RecursionError):
        told = None
    raise RoomRefused(answers.problem(told, response.status_code))


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise OddAnswer("no JSON") from None

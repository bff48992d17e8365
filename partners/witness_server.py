"""A witness that listens: `POST /add-checkpoint`, and `GET /<SHA-256 of an origin>/checkpoint` (C2SP `tlog-witness`).

Rules: nothing is trusted but the log's signature, so nobody signs in. A request is small, and read whole before it is
decided. It speaks plain HTTP: outside of loopback a proxy with TLS belongs in front.
"""

import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from partners.failure import Failure
from partners.witness import TEXT_TYPE, Answer, Witness

MAX_BODY = 16_384
_SECONDS = 10


def server(witness: Witness, where: str) -> ThreadingHTTPServer:
    """A server bound to `host:port`, not yet serving. Raises `Failure`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = _SECONDS

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if self.path != "/add-checkpoint":
                self._answer(_told(HTTPStatus.NOT_FOUND, "there is only /add-checkpoint"))
            elif not (length.isascii() and length.isdecimal() and len(length) < 8 and int(length) <= MAX_BODY):
                self.close_connection = True
                self._answer(_told(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a request has a length of at most 16 KiB"))
            else:
                self._answer(witness.add_checkpoint(self.rfile.read(int(length)), int(time.time())))

        def do_GET(self) -> None:
            found = witness.monitored_by_path(self.path)
            self._answer(Answer(HTTPStatus.OK, found) if found else _told(HTTPStatus.NOT_FOUND, "nothing cosigned"))

        def log_message(self, *_: Any) -> None:
            """Nobody reads it."""

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

    host, _, port = where.rpartition(":")
    try:
        return ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except (OSError, ValueError, OverflowError):
        raise Failure("--listen: this address is taken or is not of the form HOST:PORT; choose another") from None


def serve(witness: Witness, where: str, told: Callable[[str], None]) -> None:
    """Answers until Ctrl-C; `told` the address once it listens."""
    with server(witness, where) as listening:
        told(f"http://{where}")
        listening.serve_forever()


def _told(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode(), TEXT_TYPE)

"""The Flask application of a room.

Rules: `create_app` is all there is to call; `wsgi.py` does nothing else. Every error has the shape of `api.problems`;
every answer has the headers below. Nothing here reads the environment but `settings.read`.
"""

import errno
import sqlite3

from flask import Flask, Response, request
from flask_smorest import Api
from werkzeug.exceptions import HTTPException

from cleanroom import __version__, logs
from cleanroom.api import (
    audiences,
    audits,
    changes,
    collaborations,
    context,
    keys,
    ledger,
    openapi,
    problems,
    public,
    replacements,
    reports,
    uploads,
    withdrawals,
)
from cleanroom.api.problems import Problem
from cleanroom.audit.log import LogDamaged
from cleanroom.audit.publisher import LogUnavailable
from cleanroom.audit.signer import Behind, SignerRefused
from cleanroom.room import Room
from cleanroom.settings import read
from cleanroom.setup import open_serving
from cleanroom.web import pages
from cleanroom.witnesses import NotWitnessed

MAX_JSON_BYTES = 4 * 1024 * 1024

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _Api(Api):  # type: ignore[misc]  # the library ships no types
    """flask-smorest with our one error shape in place of its own; `openapi` says which route has which error."""

    ERROR_SCHEMA = openapi.ERROR_SCHEMA
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Errors are rendered by `problems.handle`, registered below."""


def create_app(room: Room | None = None) -> Flask:
    """The application of `room`; without one, of the room that the environment's settings name."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # an address has one spelling; a redirect would repeat what was sent
    app.config.update(
        API_TITLE="Clean room",
        API_VERSION=__version__,
        OPENAPI_VERSION="3.1.0",
        MAX_FORM_MEMORY_SIZE=MAX_JSON_BYTES,
        PROPAGATE_EXCEPTIONS=False,
    )
    logs.attach(app)
    context.bind(app, room or open_serving(read()))
    api = _Api(app)
    for module in (
        public,
        collaborations,
        changes,
        uploads,
        audiences,
        withdrawals,
        reports,
        ledger,
        keys,
        replacements,
        audits,
    ):
        api.register_blueprint(module.blueprint)
    openapi.register(app, api)
    app.register_blueprint(pages.blueprint)
    app.register_error_handler(HTTPException, problems.handle)
    app.register_error_handler(SignerRefused, _log_unavailable)
    app.register_error_handler(Behind, _restored)
    app.register_error_handler(NotWitnessed, _not_witnessed)
    app.register_error_handler(LogDamaged, _log_unavailable)
    app.register_error_handler(OSError, _disk_failed)
    app.register_error_handler(sqlite3.OperationalError, _catalog_failed)
    app.before_request(_bound_json)
    app.after_request(_headers)
    return app


def _bound_json() -> None:
    """Bodies are small, but for the bytes of an upload, which go to the disk piece by piece."""
    if request.mimetype != uploads.CONTENT_TYPE:
        request.max_content_length = MAX_JSON_BYTES


def _log_unavailable(_: Exception) -> Response:
    """Fail closed: what cannot be logged is not answered."""
    return problems.render(Problem.LOG, Problem.LOG.title)


def _restored(_: Behind) -> Response:
    """Fail closed: what was charged since the backup is not known here."""
    return problems.render(Problem.RESTORED, Problem.RESTORED.title)


def _not_witnessed(_: NotWitnessed) -> Response:
    """Fail closed: what too few have seen is not answered, though it stands and can be read later."""
    return problems.render(Problem.WITNESSES, Problem.WITNESSES.title)


def _disk_failed(error: OSError) -> Response:
    """Fail closed, and true to the cause: a full disk, the log's files, or any other file."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        problem = Problem.DISK_FULL
    else:
        problem = Problem.LOG if isinstance(error, LogUnavailable) else Problem.DISK
    return problems.render(problem, problem.title)


def _catalog_failed(error: sqlite3.OperationalError) -> Response:
    """A lock that was not free in time is told apart from a full disk, and from a catalog that cannot be written."""
    code = getattr(error, "sqlite_errorcode", None)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        problem = Problem.BUSY
    else:
        problem = Problem.DISK_FULL if code == sqlite3.SQLITE_FULL else Problem.DISK
    return problems.render(problem, problem.title)


def _headers(response: Response) -> Response:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response

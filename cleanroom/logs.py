"""What the room writes about itself, for its operator: one JSON line for each request and each thing that went wrong.

    {"time":"2026-03-14T12:00:00.123Z","level":"info","event":"request","method":"POST",
     "route":"/v1/collaborations/<identifier>/reports","status":201,"ms":14.2}

Rules: a line never holds what came in a request: no path, only the route's pattern; no text of an exception, only its
kind and the places in the code. Texts of other libraries are shown as their templates, before anything was filled in.
So no identifier, token or key can come into a log, whatever fails.
"""

import json
import logging
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from flask import Flask, Response, g, request

FIELDS = "cleanroom_fields"
_ROOT = Path(__file__).parents[1]


class JsonLines(logging.Formatter):
    """A record as a line of JSON, without anything that was filled into its text."""

    def format(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {"time": moment.replace("+00:00", "Z"), "level": record.levelname.lower()}
        fields = getattr(record, FIELDS, None)
        if fields is not None:
            line |= fields
        else:
            line |= {"event": "log", "from": record.name, "where": f"{record.module}:{record.lineno}"}
            if record.args:  # then the text is a template; one without arguments may be filled in already
                line["text"] = str(record.msg)
        if record.exc_info and record.exc_info[0] is not None:
            line |= error(record.exc_info[0], record.exc_info[2])
        return json.dumps(line)


def error(kind: type[BaseException], trace: TracebackType | None) -> dict[str, Any]:
    """An exception's kind and places; never its text."""
    return {"error": kind.__name__, "at": [_place(frame) for frame in traceback.extract_tb(trace)[-12:]]}


def attach(app: Flask) -> None:
    """Every request of an app, and what it fails with, as lines on stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    app.logger.handlers, app.logger.propagate = [handler], False
    app.logger.setLevel(logging.INFO)

    @app.before_request
    def begin() -> None:
        g.began = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        fields = {
            "event": "request",
            "method": request.method if request.url_rule else "–",
            "route": request.url_rule.rule if request.url_rule else "unknown",
            "status": response.status_code,
            "ms": round(1000 * (time.perf_counter() - g.began), 1) if "began" in g else None,
        }
        app.logger.info("request", extra={FIELDS: fields})
        return response


def excepthook(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """In place of Python's own: a process that ends with a bug says where, and nothing of its data."""
    moment = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = {"time": moment, "level": "critical", "event": "ended", **error(kind, trace)}
    print(json.dumps(line), file=sys.stderr, flush=True)


def _place(frame: traceback.FrameSummary) -> str:
    path = Path(frame.filename)
    name = str(path.relative_to(_ROOT)) if path.is_relative_to(_ROOT) else path.name
    return f"{name}:{frame.lineno} {frame.name}"


# For gunicorn, which configures its own loggers with this.
CONFIG = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": JsonLines}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": "WARNING", "handlers": ["stderr"], "propagate": False}},
}

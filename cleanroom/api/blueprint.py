"""The blueprint that every module of the API uses: how requests are read, and what a route says of its problems.

Rules: a body of another content type than the one described is told so (415), never taken for an empty one. What
Python's JSON reader chokes on, or what no UTF-8 can hold, cannot be read (400); it never reaches a parser of ours.
"""

import json
from typing import Any

import flask_smorest
from flask import Request
from webargs.flaskparser import FlaskParser

from cleanroom.api.problems import Problem, fail

STATED = "x-problems"
"""Where an operation keeps its problems until `openapi` makes answers of them."""
FORM = "application/x-www-form-urlencoded"


class _Parser(FlaskParser):
    def load_json(self, req: Request, schema: Any) -> Any:
        if not req.is_json:
            fail(Problem.MEDIA_TYPE)
        try:
            value = json.loads(req.get_data().decode())
            json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        except (ValueError, RecursionError):  # no JSON, NaN, half a character, thousands of digits, endless nesting
            fail(Problem.BAD_REQUEST)
        return value

    def load_form(self, req: Request, schema: Any) -> Any:
        if req.mimetype != FORM:
            fail(Problem.MEDIA_TYPE)
        return super().load_form(req, schema)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # the library ships no types
    """A blueprint whose requests are read as above."""

    ARGUMENTS_PARSER = _Parser()

    def problems(self, *stated: Problem) -> Any:
        """Decorates a route: what it can answer with, besides what `openapi` knows from its address, token and body."""
        return self.doc(**{STATED: stated})

"""The API description: OpenAPI 3.1, made from the routes.

Rules: every operation documents each of its answers; an answer with a problem names the codes that it can have, and no
other code leaves the room from there. A route states its own with `Blueprint.problems`; those that come with its
address, its token and its body are added here. Operations behind a token say so. An address that has no operation
answers `not-found` or `method`.
"""

from copy import deepcopy
from functools import cache
from typing import Any

from flask import Blueprint, Flask, Response, jsonify
from flask_smorest import Api

from cleanroom.api import schemas
from cleanroom.api.auth import may
from cleanroom.api.blueprint import STATED
from cleanroom.api.problems import CATALOG, CONTENT_TYPE, Problem
from partners.key_change import Role

ERROR_SCHEMA = schemas.ProblemSchema
OPEN = "public"
SCHEME = "bearer"

TOKEN = (Problem.UNAUTHORIZED, Problem.TOO_MANY_REQUESTS, *CATALOG)
"""Of every route behind a token; with `role` where some role may not use it."""
BODY = (Problem.BAD_REQUEST, Problem.INVALID, Problem.MEDIA_TYPE, Problem.TOO_LARGE)
"""Of every route that takes a body."""


def register(app: Flask, api: Api) -> None:
    """Serves the description at `/v1/openapi.json`. Call it after every route is registered."""
    api.spec.components.security_scheme(
        SCHEME,
        {
            "type": "http",
            "scheme": "bearer",
            "description": "A token from /v1/token, given for a client assertion (RFC 7523)",
        },
    )
    blueprint = Blueprint("openapi", __name__, url_prefix="/v1")

    @cache
    def document() -> dict[str, Any]:
        return _finished(app, deepcopy(api.spec.to_dict()))

    @blueprint.get("/openapi.json")
    def description() -> Response:
        return jsonify(document())

    app.register_blueprint(blueprint)
    app.extensions["openapi"] = document


def _finished(app: Flask, document: dict[str, Any]) -> dict[str, Any]:
    """Names the token where one is needed, and the problems in place of what the library says of errors."""
    del document["components"]["responses"]
    routes = app.url_map.bind("")
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            endpoint, variables = routes.match(path, method.upper())
            found = {Problem.INTERNAL, *operation.pop(STATED, ())}
            if variables:
                found.add(Problem.NOT_FOUND)
            if "requestBody" in operation:
                found.update(BODY)
            if method != "options" and OPEN not in operation["tags"]:
                operation["security"] = [{SCHEME: []}]
                found.update(TOKEN)
                if not all(may(role, endpoint) for role in Role):
                    found.add(Problem.ROLE)
            good = {status: each for status, each in operation["responses"].items() if status.startswith("2")}
            operation["responses"] = good | _answers(found)
    return document


def _answers(problems: set[Problem]) -> dict[str, Any]:
    """One answer for each status: the shape of every problem, and its codes there."""
    answers = {}
    for status in sorted({each.status for each in problems}):
        here = [each for each in Problem if each in problems and each.status == status]
        types = {"type": {"enum": [each.type for each in here]}}
        answers[str(status)] = {
            "description": "; ".join(f"`{each.code}`: {each.title}" for each in here),
            "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem", "properties": types}}},
        }
    return answers

"""The API description: OpenAPI 3.1, made from the routes.

Rules: every operation documents its own answers and, as `default`, the one shape of problems. Operations behind a
token say so.
"""

from functools import cache
from typing import Any

from flask import Blueprint, Flask, Response, jsonify
from flask_smorest import Api

from cleanroom.api import schemas
from cleanroom.api.problems import CONTENT_TYPE

ERROR_SCHEMA = schemas.ProblemSchema
OPEN = "public"
SCHEME = "bearer"


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
        return _finished(api.spec.to_dict())

    @blueprint.get("/openapi.json")
    def description() -> Response:
        return jsonify(document())

    app.register_blueprint(blueprint)
    app.extensions["openapi"] = document


def _finished(document: dict[str, Any]) -> dict[str, Any]:
    """Names the problems' content type, and the token where one is needed."""
    problem = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for response in document["components"]["responses"].values():
        if "content" in response:
            response["content"] = {CONTENT_TYPE: problem}
    for path in document["paths"].values():
        for method, operation in path.items():
            if isinstance(operation, dict) and method != "options" and OPEN not in operation.get("tags", []):
                operation["security"] = [{SCHEME: []}]
    return document

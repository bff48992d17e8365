"""Every problem that a test gets is one that the API description gives for the operation; else that test fails.

`held` sees to it for an app in this process, `hold` for an answer that came from another one. What is no operation is
not held: pages, unknown addresses, methods that an address does not take.
"""

import re
from typing import Any

import pytest
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from cleanroom.api.problems import CONTENT_TYPE


def held(app: Flask) -> Flask:
    """The app, whose answers are looked at from now on."""

    @app.after_request
    def look(response: Response) -> Response:
        if response.content_type == CONTENT_TYPE:
            hold(app, request.method, request.path, response.get_json())
        return response

    return app


def hold(app: Flask, method: str, path: str, problem: dict[str, Any]) -> None:
    """Fails the test that met a problem which the operation does not document. No handler of errors catches that."""
    try:
        rule, _ = app.url_map.bind("").match(path, method, return_rule=True)
    except HTTPException:
        return
    operations = app.extensions["openapi"]()["paths"].get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), {})
    operation = operations.get(method.lower()) or (operations.get("get") if method == "HEAD" else None)
    if operation and problem["type"] not in types(operation, problem["status"]):
        pytest.fail(f"{method} {rule.rule} answered {problem['type']}, which the API description does not give for it")


def types(operation: dict[str, Any], status: int) -> list[str]:
    """The types of problems that an operation documents for a status."""
    answer = operation["responses"].get(str(status))
    found: list[str] = answer["content"][CONTENT_TYPE]["schema"]["properties"]["type"]["enum"] if answer else []
    return found

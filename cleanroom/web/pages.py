"""The front page, the readable API description, and what each problem means.

Rules: public facts only, the same for everybody. The language is `?lang=`, else what the browser asks for, else
English.
"""

from flask import Blueprint, current_app, render_template, request, url_for

from cleanroom.api.context import room
from cleanroom.api.problems import Problem, fail
from cleanroom.web.texts import LANGUAGES, TEXTS

blueprint = Blueprint("pages", __name__, template_folder="templates", static_folder="static", static_url_path="/static")


@blueprint.get("/")
def front() -> str:
    """What this room is, and how to check it."""
    checkpoint = room().settings.log / "checkpoint"
    return render_template(
        "front.html",
        text=TEXTS[_language()],
        language=_language(),
        name=room().origin.partition("/")[0],
        vkey=room().vkey,
        checkpoint=checkpoint.read_text(encoding="utf-8"),
        url=room().settings.url,
        stylesheet=url_for("pages.static", filename="style.css"),
    )


@blueprint.get("/api")
def api() -> str:
    """The routes of the API description, as a table."""
    paths = current_app.extensions["openapi"]()["paths"]
    routes = [
        (method.upper(), path, operation.get("summary", ""), "security" not in operation)
        for path, operations in paths.items()
        for method, operation in operations.items()
        if isinstance(operation, dict)
    ]
    return render_template(
        "api.html",
        text=TEXTS[_language()],
        language=_language(),
        routes=routes,
        stylesheet=url_for("pages.static", filename="style.css"),
    )


@blueprint.get("/problems/<code>")
def problem(code: str) -> str:
    """What a problem of the API means: the page that its `type` points to."""
    found = next((each for each in Problem if each.code == code), None)
    if found is None:
        fail(Problem.NOT_FOUND)
    return render_template(
        "problem.html",
        text=TEXTS[_language()],
        language=_language(),
        problem=found,
        stylesheet=url_for("pages.static", filename="style.css"),
    )


def _language() -> str:
    asked = request.args.get("lang", "")
    return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")

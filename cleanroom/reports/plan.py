"""From a request to its questions, and from their releases to its figures: the one dispatch over kinds of report."""

from cleanroom.reports import overlap, statistics
from cleanroom.reports.figure import ReportFigure
from policies.decision import Release
from policies.question import Question
from policies.request import OverlapRequest, Request


def questions(request: Request) -> tuple[Question, ...]:
    """The canonical questions that a request asks, in a fixed order."""
    asked = overlap.questions(request) if isinstance(request, OverlapRequest) else statistics.questions(request)
    return tuple(question.canonical() for question in asked)


def figures(request: Request, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """The figures of the report, from the releases of `questions(request)` in their order."""
    if isinstance(request, OverlapRequest):
        return overlap.figures(request, releases)
    return statistics.figures(request, releases)

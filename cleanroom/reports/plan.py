"""From a request to its questions, and from their releases to its figures: the one dispatch over kinds of report."""

from cleanroom.reports import overlap, statistics
from cleanroom.reports.figure import ReportFigure
from policies.agreement import Agreement
from policies.decision import Release
from policies.question import Question
from policies.request import OverlapRequest, Request


def questions(request: Request, agreement: Agreement) -> tuple[Question, ...]:
    """The canonical questions that a request asks, in a fixed order.

    Raises `BadQuestion` where one has no canonical form that is short enough (`policies.populations`).
    """
    asked = overlap.questions(request) if isinstance(request, OverlapRequest) else statistics.questions(request)
    return tuple(question.canonical(agreement.domain) for question in asked)


def figures(request: Request, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """The figures of the report, from the releases of `questions(request)` in their order."""
    if isinstance(request, OverlapRequest):
        return overlap.figures(request, releases)
    return statistics.figures(request, releases)

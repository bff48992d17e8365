"""The report `statistics`: one question, its cells, and every total over them."""

from cleanroom.reports.figure import ReportFigure
from policies.decision import Release
from policies.question import Question
from policies.request import StatisticsRequest


def questions(request: StatisticsRequest) -> tuple[Question, ...]:
    """The one question that the request asks."""
    return (Question(request.count, request.where, request.by, request.sum, request.purpose),)


def figures(request: StatisticsRequest, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """Every figure of the release: people, sums and means by cell, then by every smaller set of dimensions."""
    (release,) = releases
    return [ReportFigure(request.count, request.where, figure) for figure in release.figures]

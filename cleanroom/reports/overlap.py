"""The report `overlap`: how n audiences overlap, seen from each of them.

Rules: n questions, each audience by `matched` in the others; everything else is summed from them. For each audience:
its people, its people matched in each other, in all others, its regions of the set diagram, and a match rate for each
pair. "A in B" and "B in A" are two questions with two denominators: both are shown. Where the terms let only match
rates leave the room, releases have nothing else, and the two rates of a pair show together or not at all.
"""

from cleanroom.reports.figure import ReportFigure
from policies.decision import Figure, Release
from policies.question import All, AudienceRef, Matched, Question, by_key
from policies.rates import MEASURE, match_rate
from policies.request import OverlapRequest


def questions(request: OverlapRequest) -> tuple[Question, ...]:
    """One question per audience, in the order of the request."""
    return tuple(
        Question(audience, None, tuple(Matched(other) for other in _others(request, audience)), (), request.purpose)
        for audience in request.audiences
    )


def figures(request: OverlapRequest, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """The figures of every audience, in the order of the request."""
    if all(figure.measure == MEASURE for release in releases for figure in release.figures):
        return _rates(request, releases)
    return [
        figure
        for audience, release in zip(request.audiences, releases, strict=True)
        for figure in _of_audience(audience, _others(request, audience), release)
    ]


def _rates(request: OverlapRequest, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """The match rates of every pair, both ways or neither: else one would tell of an audience that is too small."""
    found = {
        (counted, other): _without_by(figure)
        for counted, release in zip(request.audiences, releases, strict=True)
        for other in _others(request, counted)
        for figure in release.figures
        if figure.by == ((by_key(Matched(other)), True),)
    }
    hidden = Figure((), MEASURE, None, None)
    return [
        ReportFigure(counted, Matched(other), hidden if found[other, counted].withheld else rate)
        for (counted, other), rate in found.items()
    ]


def _of_audience(counted: AudienceRef, others: tuple[AudienceRef, ...], release: Release) -> list[ReportFigure]:
    released = {frozenset(figure.by): figure for figure in release.figures}
    total = released[frozenset()]
    out = [ReportFigure(counted, None, total)]
    for other in others:
        matched = released[frozenset({(by_key(Matched(other)), True)})]
        out.append(ReportFigure(counted, Matched(other), _without_by(matched)))
    if len(others) > 1:
        everywhere = released[frozenset((by_key(Matched(other)), True) for other in others)]
        out.append(ReportFigure(counted, All(tuple(map(Matched, others))), _without_by(everywhere)))
    out += [ReportFigure(counted, None, figure) for figure in release.figures if len(figure.by) == len(others)]
    for other in others:
        matched = released[frozenset({(by_key(Matched(other)), True)})]
        out.append(ReportFigure(counted, Matched(other), match_rate(matched, total)))
    return out


def _without_by(figure: Figure) -> Figure:
    return Figure((), figure.measure, figure.value, figure.margin95, figure.at_least)


def _others(request: OverlapRequest, audience: AudienceRef) -> tuple[AudienceRef, ...]:
    return tuple(other for other in request.audiences if other != audience)

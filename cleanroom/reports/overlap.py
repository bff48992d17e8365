"""The report `overlap`: how n audiences overlap, seen from each of them.

Rules: n questions, each audience by `matched` in the others; everything else is summed from them. For each audience:
its people, its people matched in each other, in all others, its regions of the set diagram, and a match rate for each
pair. "A in B" and "B in A" are two questions with two denominators: both are shown.
"""

from decimal import Decimal, localcontext

from cleanroom.reports.figure import ReportFigure
from policies.decision import Figure, Release
from policies.question import All, AudienceRef, Matched, Question, by_key
from policies.request import OverlapRequest

HUNDRED = Decimal(100)
PLACES = Decimal("0.0001")


def questions(request: OverlapRequest) -> tuple[Question, ...]:
    """One question per audience, in the order of the request."""
    return tuple(
        Question(audience, None, tuple(Matched(other) for other in _others(request, audience)), (), request.purpose)
        for audience in request.audiences
    )


def figures(request: OverlapRequest, releases: tuple[Release, ...]) -> list[ReportFigure]:
    """The figures of every audience, in the order of the request."""
    return [
        figure
        for audience, release in zip(request.audiences, releases, strict=True)
        for figure in _of_audience(audience, _others(request, audience), release)
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
        out.append(ReportFigure(counted, Matched(other), _rate(matched, total)))
    return out


def _rate(matched: Figure, total: Figure) -> Figure:
    """Matched people in percent of all. Shown where both are shown whole.

    Its margin: the errors of matched and unmatched people are independent and of the same size m, so to first order
    that of the rate is m × sqrt(matched² + unmatched²) / total².
    """
    if matched.value is None or matched.margin95 is None or total.value is None or matched.at_least or total.at_least:
        return Figure((), "match_rate", None, None)
    with localcontext(prec=40):
        unmatched = total.value - matched.value
        spread = matched.margin95 * (matched.value**2 + unmatched**2).sqrt() / total.value**2
        rate = min(HUNDRED, HUNDRED * matched.value / total.value)
        return Figure((), "match_rate", rate.quantize(PLACES), (HUNDRED * spread).quantize(PLACES))


def _without_by(figure: Figure) -> Figure:
    return Figure((), figure.measure, figure.value, figure.margin95, figure.at_least)


def _others(request: OverlapRequest, audience: AudienceRef) -> tuple[AudienceRef, ...]:
    return tuple(other for other in request.audiences if other != audience)

"""What a marketer asks for: parsed, or refused as a broken question."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.purpose import Purpose
from policies.question import BadQuestion, Matched, Question
from policies.request import OverlapRequest, Request, StatisticsRequest, from_json
from policies.terms import Kind
from tests.policies.strategies import (
    COLUMNS,
    IDENTIFIER,
    LAW,
    MEASURES,
    A,
    D,
    E,
    broken,
    is_safe,
    junk,
    parsed,
    questions,
)

OVERLAP: dict[str, Any] = {"kind": "overlap", "audiences": ["ada/main", "bea/main"], "purpose": "measurement"}
STATISTICS: dict[str, Any] = {
    "kind": "statistics",
    "count": "ada/main",
    "where": {"matched": "bea/main"},
    "by": ["bea/main.colour", {"matched": "cid/main"}],
    "sum": ["bea/main.spend"],
    "purpose": "insights",
}


def test_an_overlap() -> None:
    asked = from_json(OVERLAP)
    assert asked == OverlapRequest((A, D), Purpose.MEASUREMENT)
    assert asked.kind is Kind.OVERLAP
    assert asked.to_json() == OVERLAP


def test_statistics() -> None:
    asked = from_json(STATISTICS)
    by = (COLUMNS[2], Matched(E))
    assert asked == StatisticsRequest(A, Matched(D), by, (MEASURES[1],), Purpose.INSIGHTS)
    assert asked.kind is Kind.STATISTICS
    assert asked.to_json() == STATISTICS


def test_what_may_be_left_out() -> None:
    assert from_json({"kind": "overlap", "audiences": ["ada/main", "bea/main"]}).purpose is Purpose.INSIGHTS
    plain = StatisticsRequest(A, None, (), (), Purpose.INSIGHTS)
    assert from_json({"kind": "statistics", "count": "ada/main"}) == plain
    assert from_json({"kind": "statistics", "count": "ada/main", "where": None, "by": [], "sum": []}) == plain


def requests() -> st.SearchStrategy[Request]:
    overlaps = st.builds(
        OverlapRequest,
        st.lists(st.sampled_from((A, D, E)), min_size=2, unique=True).map(tuple),
        st.sampled_from(Purpose),
    )
    return overlaps | questions().map(_statistics)


def _statistics(question: Question) -> StatisticsRequest:
    return StatisticsRequest(question.count, question.where, question.by, question.sum, question.purpose)


@LAW
@given(requests())
def test_there_and_back(asked: Request) -> None:
    assert from_json(json.loads(json.dumps(asked.to_json()))) == asked


@LAW
@given(broken(OVERLAP) | broken(STATISTICS) | junk())
def test_a_broken_request_is_refused_safely_or_is_a_request(value: Any) -> None:
    if asked := parsed(from_json, value, BadQuestion):
        assert from_json(asked.to_json()) == asked


@pytest.mark.parametrize(
    "wrong",
    [
        OVERLAP | {"kind": "reach"},
        OVERLAP | {"audiences": []},
        OVERLAP | {"audiences": ["ada/main"]},
        OVERLAP | {"audiences": ["ada/main", "ada/main"]},
        OVERLAP | {"audiences": [f"ada/a{number}" for number in range(6)]},
        OVERLAP | {"audiences": "ada/main"},
        OVERLAP | {"audiences": [IDENTIFIER, "ada/main"]},
        OVERLAP | {"purpose": "sales"},
        OVERLAP | {"purpose": ["insights"]},
        OVERLAP | {"purpose": None},
        OVERLAP | {"where": None},
        STATISTICS | {"count": None},
        STATISTICS | {"count": "main"},
        STATISTICS | {"audiences": ["ada/main"]},
        STATISTICS | {"where": []},
        STATISTICS | {"by": ["bea/main.colour"] * 4},
        STATISTICS | {"by": "bea/main.colour"},
        STATISTICS | {"by": {}},
        STATISTICS | {"by": 0},
        STATISTICS | {"by": [["bea/main.colour"]]},
        STATISTICS | {"sum": ["bea/main.spend"] * 4},
        STATISTICS | {"sum": {"bea/main.spend": 1}},
        STATISTICS | {"sum": ""},
        STATISTICS | {"sum": [{"matched": "bea/main"}]},
        {"kind": "statistics"},
        {"count": "ada/main"},
        {},
        [],
        None,
    ],
)
def test_malformed_requests_are_refused(wrong: Any) -> None:
    with pytest.raises(BadQuestion) as problem:
        from_json(wrong)
    assert is_safe(str(problem.value))

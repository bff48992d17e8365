"""The JSON form of a question: there and back, and nothing else gets in."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.purpose import Purpose
from policies.question import (
    MAX_NODES,
    All,
    AnyOf,
    BadQuestion,
    ColumnRef,
    Is,
    Matched,
    Not,
    Question,
    Where,
    by_from_json,
    by_key,
    by_to_json,
    from_json,
    to_json,
    where_from_json,
    where_to_json,
)
from tests.policies.strategies import (
    COLUMNS,
    IDENTIFIER,
    LAW,
    MEASURES,
    A,
    D,
    broken,
    is_safe,
    junk,
    parsed,
    questions,
    wheres,
)

QUESTION = Question(
    A,
    All((AnyOf((Matched(D), Not(Is(COLUMNS[0], frozenset({"red", "green"}))))),)),
    (COLUMNS[2], Matched(D)),
    (MEASURES[1],),
    Purpose.MEASUREMENT,
)
PINNED = {
    "count": "ada/main",
    "where": {"all": [{"any": [{"matched": "bea/main"}, {"not": {"is": ["ada/main.colour", ["green", "red"]]}}]}]},
    "by": ["bea/main.colour", {"matched": "bea/main"}],
    "sum": ["bea/main.spend"],
    "purpose": "measurement",
}


def test_the_form_is_pinned() -> None:
    assert to_json(QUESTION) == PINNED
    assert from_json(PINNED) == QUESTION
    assert [by_key(item) for item in QUESTION.by] == ["bea/main.colour", "matched:bea/main"]


@LAW
@given(questions())
def test_there_and_back(question: Question) -> None:
    assert from_json(json.loads(json.dumps(to_json(question)))) == question
    assert all(by_from_json(by_to_json(item)) == item for item in question.by)


@LAW
@given(wheres())
def test_where_there_and_back(where: Where) -> None:
    assert where_from_json(json.loads(json.dumps(where_to_json(where)))) == where


@LAW
@given(broken(PINNED))
def test_a_broken_question_is_refused_safely_or_is_a_question(value: Any) -> None:
    if question := parsed(from_json, value, BadQuestion):
        assert from_json(json.loads(json.dumps(to_json(question)).encode())) == question


@LAW
@given(junk())
def test_junk_is_no_question(value: Any) -> None:
    for parse in (from_json, by_from_json, ColumnRef.parse):
        with pytest.raises(BadQuestion) as problem:
            parse(value)
        assert is_safe(str(problem.value))


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"matched": IDENTIFIER},
        {"matched": "bea/main", "note": 1},
        {"matched": "bea/main/more"},
        {"matched": "bea/"},
        {"matched": "bea/main\n"},
        {"is": ["bea/main.colour"]},
        {"is": ["bea/main.colour", "red"]},
        {"is": ["bea/main.colour", ["red", 1]]},
        {"is": ["bea/main.colour", ["red"], "green"]},
        {"is": ["bea/main", ["red"]]},
        {"is": ["bea/main.colour.more", ["red"]]},
        {"is": ["bea/main.colour", ["\ud800"]]},  # half a character: nobody could write it into a log
        {"not": None},
        {"not": []},
        {"all": {"matched": "bea/main"}},
        {"any": "red"},
        {"matched": "bea/main", "not": {"matched": "bea/main"}},
        [{"matched": "bea/main"}],
    ],
)
def test_malformed_expressions_are_refused(where: Any) -> None:
    with pytest.raises(BadQuestion) as problem:
        where_from_json(where)
    assert is_safe(str(problem.value))


def test_an_expression_has_at_most_64_parts() -> None:
    leaf = {"matched": "bea/main"}
    most = {"all": [leaf] * (MAX_NODES - 1)}
    assert where_from_json(most) is not None
    with pytest.raises(BadQuestion, match="more than 64 parts"):
        where_from_json({"not": most})


def test_nesting_without_end_is_refused() -> None:
    where: Any = {"matched": "bea/main"}
    for _ in range(100_000):
        where = {"not": where}
    with pytest.raises(BadQuestion, match="more than 64 parts"):
        where_from_json(where)
    while isinstance(where, dict):  # taken apart by hand: freeing it at once nests as deep
        where = where.get("not")


@given(st.sampled_from(sorted(PINNED)))
def test_every_field_is_needed_and_no_other_is_known(field: str) -> None:
    with pytest.raises(BadQuestion):
        from_json({name: item for name, item in PINNED.items() if name != field})
    with pytest.raises(BadQuestion):
        from_json({**PINNED, f"{field}s": PINNED[field]})

"""Decisions: stable codes, a rule for each, and releases that are stored and read back without loss."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from policies.cells import Value
from policies.decision import RULES, Figure, Reason, Release, from_json, to_json
from tests.policies.strategies import LAW, is_safe

AMOUNTS = st.integers(-(2**63), 2**63).flatmap(lambda units: st.integers(0, 6).map(lambda d: Decimal(units).scaleb(-d)))
VALUES: st.SearchStrategy[Value] = st.none() | st.booleans() | st.text(st.characters(exclude_categories=["Cs"]))
FIGURES = st.builds(
    Figure,
    st.lists(st.tuples(st.sampled_from(("ada/main.city", "matched:bea/main")), VALUES), max_size=3).map(tuple),
    st.sampled_from(("people", "sum:bea/main.spend", "mean:bea/main.spend")),
    st.none() | AMOUNTS,
    st.none() | AMOUNTS,
    st.booleans(),
)


@LAW
@given(st.lists(FIGURES, max_size=4))
def test_a_release_is_stored_without_loss(figures: list[Figure]) -> None:
    release = Release(tuple(figures))
    stored = json.dumps(to_json(release), ensure_ascii=False)
    assert from_json(json.loads(stored)) == release
    assert json.dumps(to_json(from_json(json.loads(stored))), ensure_ascii=False) == stored


def test_the_form_is_pinned() -> None:
    """The log commits to it."""
    by = (("bea/main.tier", None), ("matched:bea/main", False), ("ada/main.city", "Zürich"))
    release = Release(
        (
            Figure(by, "sum:bea/main.spend", Decimal("-12.50"), Decimal("0.07")),
            Figure((), "people", Decimal(1_000_000), Decimal(0), at_least=True),
            Figure((), "people", None, None),
        )
    )
    assert to_json(release) == [
        [
            [["bea/main.tier", None], ["matched:bea/main", False], ["ada/main.city", "Zürich"]],
            "sum:bea/main.spend",
            "-12.50",
            "0.07",
            False,
        ],
        [[], "people", "1000000", "0", True],
        [[], "people", None, None, False],
    ]


def test_what_is_withheld_has_one_form() -> None:
    withheld = to_json(Release((Figure((), "people", None, None),)))
    assert json.dumps(withheld) == '[[[], "people", null, null, false]]'
    assert Figure((), "people", None, None).withheld
    assert not Figure((), "people", Decimal(0), Decimal(0)).withheld


def test_reason_codes_are_pinned() -> None:
    """Reports, the log and the docs use them: add, never rename."""
    assert {reason.name: reason.value for reason in Reason} == {
        "NOT_OPEN": "agreement_not_open",
        "CLOSED": "collaboration_closed",
        "LEFT": "partner_left",
        "HALF_ROTATED": "half_rotated",
        "KIND": "kind_not_agreed",
        "PURPOSE": "purpose_not_agreed",
        "AUDIENCE": "audience_not_agreed",
        "COLUMN": "column_not_agreed",
        "OWN_MEASURE": "own_measure",
        "UNMATCHED_SUM": "sum_without_match",
        "NO_COMMON_KEY": "no_common_key",
        "TOO_MANY_CELLS": "too_many_cells",
        "NOT_PUBLISHED": "audience_not_published",
        "BUDGET": "budget_spent",
    }


def test_every_reason_has_its_rule() -> None:
    assert set(RULES) == set(Reason)
    assert all(is_safe(rule) and rule.endswith(".") for rule in RULES.values())

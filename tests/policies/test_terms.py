"""Terms: the strictest wins, in whatever order the parties come; and nothing that is no terms gets in."""

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.purpose import Purpose
from policies.terms import (
    DEFAULTS,
    MICRO,
    BadTerms,
    Figures,
    Kind,
    Mode,
    Terms,
    combine,
    from_json,
    in_force,
    looser,
    micro,
    to_json,
)
from tests.policies.strategies import IDENTIFIER, LAW, broken, is_safe, junk, parsed, terms

# When one value of a term is at least as strict as another, both stated. An open term is the least strict of all.
Rule = Callable[[Any, Any], bool]
AT_LEAST_AS_STRICT: dict[str, Rule] = {
    "minimum_size": lambda one, other: one >= other,
    "rounding": lambda one, other: one >= other,
    "epsilon_per_report": lambda one, other: one <= other,
    "epsilon_total": lambda one, other: one <= other,
    "mode": lambda one, other: one is Mode.PRIVATE or other is Mode.THRESHOLD,
    "purposes": lambda one, other: one <= other,
    "kinds": lambda one, other: one <= other,
    "columns": lambda one, other: one <= other,
    "retention_days": lambda one, other: one <= other,
    "figures": lambda one, other: one is Figures.MATCH_RATES or other is Figures.ALL,
    "minimum_audience": lambda one, other: one >= other,
}
PARTIES = st.lists(terms(), min_size=1, max_size=3)


def stricter_or_equal(name: str, one: Terms, other: Terms) -> bool:
    mine, its = getattr(one, name), getattr(other, name)
    return its is None or (mine is not None and AT_LEAST_AS_STRICT[name](mine, its))


def test_every_term_has_a_rule() -> None:
    assert set(AT_LEAST_AS_STRICT) == {field.name for field in fields(Terms)}


@LAW
@given(PARTIES, st.data())
def test_the_order_of_the_parties_does_not_matter(parties: list[Terms], data: st.DataObject) -> None:
    assert combine(data.draw(st.permutations(parties))) == combine(parties)


@LAW
@given(PARTIES, PARTIES)
def test_combining_in_steps_is_combining_at_once(some: list[Terms], others: list[Terms]) -> None:
    assert combine([combine(some), combine(others)]) == combine(some + others)


@LAW
@given(PARTIES)
def test_combining_again_changes_nothing(parties: list[Terms]) -> None:
    assert combine(parties + parties) == combine(parties)
    assert combine([parties[0]]) == parties[0]


@LAW
@given(PARTIES, terms())
def test_one_more_party_never_loosens(parties: list[Terms], more: Terms) -> None:
    before, after = combine(parties), combine([*parties, more])
    assert [name for name in AT_LEAST_AS_STRICT if not stricter_or_equal(name, after, before)] == []
    assert [name for name in AT_LEAST_AS_STRICT if not stricter_or_equal(name, after, more)] == []


@LAW
@given(PARTIES, terms(), st.sampled_from(sorted(AT_LEAST_AS_STRICT)))
def test_one_more_term_never_loosens(parties: list[Terms], other: Terms, name: str) -> None:
    first, *rest = parties
    value = getattr(other, name)
    stated = Terms(**{field.name: getattr(first, field.name) for field in fields(Terms)} | {name: value})
    before = Terms(**{field.name: getattr(first, field.name) for field in fields(Terms)} | {name: None})
    assert stricter_or_equal(name, combine([stated, *rest]), combine([before, *rest]))


@LAW
@given(st.lists(st.sampled_from((None, *Mode)), min_size=1, max_size=4))
def test_threshold_only_if_all_who_state_a_mode_state_it(modes: Sequence[Mode | None]) -> None:
    combined = combine(Terms(mode=mode) for mode in modes).mode
    stated = [mode for mode in modes if mode]
    assert (combined is Mode.THRESHOLD) == (bool(stated) and all(mode is Mode.THRESHOLD for mode in stated))
    assert (combined is Mode.PRIVATE) == (Mode.PRIVATE in stated)


def test_terms_of_nobody_allow_nothing() -> None:
    with pytest.raises(BadTerms):
        combine([])
    with pytest.raises(BadTerms):
        in_force(())


@LAW
@given(PARTIES)
def test_terms_are_in_force_when_none_is_open(parties: list[Terms]) -> None:
    combined = combine(parties)
    stated = {field.name: getattr(combined, field.name) for field in fields(Terms)}
    may_be_open = ("columns", "figures", "minimum_audience")
    if missing := [name for name, value in stated.items() if value is None and name not in may_be_open]:
        with pytest.raises(BadTerms) as problem:
            in_force(tuple(parties))
        assert all(name in str(problem.value) for name in missing)
    else:
        force = in_force(tuple(parties))
        expected = {**stated, "figures": combined.figures or Figures.ALL}
        if combined.figures is Figures.MATCH_RATES:
            expected["kinds"] -= {Kind.STATISTICS}  # it has no match rates
        assert {name: getattr(force, name) for name in stated} == expected


def test_the_defaults() -> None:
    """k = 50, ε = 0.25 a report, 5 in total, private."""
    force = in_force((DEFAULTS,))
    assert (force.minimum_size, force.epsilon_per_report, force.epsilon_total) == (50, 250_000, 5_000_000)
    assert force.mode is Mode.PRIVATE
    assert force.columns is None


@LAW
@given(terms(), terms())
def test_looser_names_every_term_that_is_looser(one: Terms, other: Terms) -> None:
    expected = {name for name in AT_LEAST_AS_STRICT if not stricter_or_equal(name, one, other)}
    assert set(looser(one, other)) == expected
    assert looser(combine([one, other]), other) == ()


@LAW
@given(terms())
def test_there_and_back(stated: Terms) -> None:
    assert from_json(json.loads(json.dumps(to_json(stated)))) == stated


PLAIN = {
    "minimum_size": 50,
    "rounding": 10,
    "epsilon_per_report": 250_000,
    "epsilon_total": 5_000_000,
    "mode": "private",
    "purposes": ["insights", "measurement"],
    "kinds": ["overlap", "statistics"],
    "columns": ["ada/main.colour"],
    "retention_days": 365,
}


@LAW
@given(broken(PLAIN) | junk())
def test_what_is_no_terms_is_refused_safely(value: Any) -> None:
    if stated := parsed(from_json, value, BadTerms):
        assert from_json(to_json(stated)) == stated


@pytest.mark.parametrize(
    "wrong",
    [
        {"minimum_size": 0},
        {"minimum_size": -1},
        {"minimum_size": True},
        {"minimum_size": 50.0},
        {"minimum_size": "50"},
        {"minimum_size": None},
        {"rounding": 0},
        {"epsilon_per_report": 0},
        {"epsilon_per_report": 999},  # less than 0.001
        {"epsilon_total": 1000 * MICRO + 1},
        {"retention_days": 0},
        {"mode": "none"},
        {"mode": ["private"]},
        {"purposes": "insights"},
        {"purposes": ["sales"]},
        {"purposes": [["insights"]]},
        {"kinds": [1]},
        {"columns": {"ada/main.colour": 1}},
        {"columns": "ada/main.colour"},
        {IDENTIFIER: 1},
    ],
)
def test_values_that_a_term_cannot_have(wrong: Any) -> None:
    with pytest.raises(BadTerms) as problem:
        from_json(wrong)
    assert is_safe(str(problem.value))


def test_sets_may_be_empty_and_then_allow_nothing() -> None:
    closed = from_json({"purposes": [], "kinds": [], "columns": []})
    assert (closed.purposes, closed.kinds, closed.columns) == (frozenset(), frozenset(), frozenset())
    assert combine([closed, Terms(purposes=frozenset(Purpose), kinds=frozenset(Kind))]).purposes == frozenset()


@pytest.mark.parametrize(
    ("epsilon", "expected"),
    [(0.25, 250_000), ("0.25", 250_000), (5, 5_000_000), ("0.000001", 1), ("1e-3", 1000), (1000, 1_000_000_000)],
)
def test_micro(epsilon: Any, expected: int) -> None:
    assert micro(epsilon) == expected


@pytest.mark.parametrize(
    "epsilon",
    [
        *(0, -1, "-0.25", "0.0000001", "1000.000001", "1e999999", "1e-999999", "NaN", "sNaN", "Infinity", "-Infinity"),
        *("", "a quarter", "0,25", "1/4", None, True, [], float("nan"), IDENTIFIER),
        *("0.2500000000000000000000000000000000000001", "1_0", "\N{ARABIC-INDIC DIGIT ONE}", " 1"),
    ],
)
def test_what_is_no_epsilon_is_refused(epsilon: Any) -> None:
    with pytest.raises(BadTerms) as problem:
        micro(epsilon)
    assert is_safe(str(problem.value))


@given(st.integers(1, 1000 * MICRO))
def test_micro_is_exact(units: int) -> None:
    assert micro(f"{units // MICRO}.{units % MICRO:06}") == units

"""What a party may tighten alone: nothing looser, and in threshold mode nothing that would tell more."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies import terms
from policies.terms import DEFAULTS, InForce, Mode, Terms, combine, in_force
from policies.tightening import refused
from tests.policies.strategies import terms as any_terms

THRESHOLD = replace(DEFAULTS, mode=Mode.THRESHOLD)


def force(*parties: Terms) -> InForce:
    return in_force((THRESHOLD, *parties))


@given(any_terms(), any_terms())
def test_what_is_allowed_loosens_nothing_for_anybody(own: Terms, before: Terms) -> None:
    if refused(own, before, in_force((DEFAULTS, before))) is None:
        was, becomes = combine((DEFAULTS, before)), combine((DEFAULTS, own))
        assert terms.looser(becomes, was) == ()


@pytest.mark.parametrize("name", [field.name for field in fields(Terms)])
def test_a_term_that_was_stated_is_not_left_open(name: str) -> None:
    stated = getattr(DEFAULTS, name)
    if stated is not None:
        assert refused(Terms(), Terms(**{name: stated}), in_force((DEFAULTS,))) is not None


def shown(people: int, in_force: InForce) -> int | None:
    """What threshold mode shows of a count: its rule, in one line."""
    rounded = people - people % in_force.rounding
    return rounded if people >= max(in_force.minimum_size, in_force.rounding) else None


@given(
    st.integers(1, 40),
    st.integers(1, 200),
    st.lists(st.tuples(st.sampled_from(["minimum_size", "rounding"]), st.integers(1, 300)), max_size=6),
)
def test_no_row_of_steps_tells_more_than_the_first_figure(
    rounding: int, least: int, steps: list[tuple[str, int]]
) -> None:
    """Two counts that looked the same at first look the same after every step that is allowed."""
    own = Terms(rounding=rounding, minimum_size=least - least % rounding or rounding)
    base = replace(THRESHOLD, minimum_size=None, rounding=None)
    now = first = in_force((base, own))
    for name, value in steps:
        changed = replace(own, minimum_size=value) if name == "minimum_size" else replace(own, rounding=value)
        if refused(changed, own, now) is None:
            own = changed
            now = in_force((base, own))
    counts: dict[int | None, set[int | None]] = {}
    for people in range(400):
        counts.setdefault(shown(people, first), set()).add(shown(people, now))
    assert all(len(each) == 1 for each in counts.values())


def test_steps_that_would_spell_a_count_out() -> None:
    own = Terms(minimum_size=50, rounding=10)
    for step in (Terms(minimum_size=51, rounding=10), Terms(minimum_size=50, rounding=11)):
        assert "multiple of 10" in str(refused(step, own, force(own)))
    assert refused(Terms(minimum_size=60, rounding=20), own, force(own)) is None
    private = in_force((DEFAULTS, own))
    assert refused(Terms(minimum_size=51, rounding=10), own, private) is None

"""What is said of refusals and of withheld figures: the rule, whose it is, what would pass; one set of words."""

from dataclasses import replace

import pytest

from policies.decision import RULES, Reason, Refuse
from policies.explanations import BASE, FLOOR, WITHHELD, of_refusal, of_release, stated_by
from policies.purpose import Purpose
from policies.terms import Kind, Mode, Terms
from tests.policies.strategies import is_safe
from tests.policies.tables import agreement

AGREED = agreement(Mode.PRIVATE)
ACTS = ("ask", "sign", "wait", "let", "upload", "add", "grant")


@pytest.mark.parametrize("reason", list(Reason))
def test_every_refusal_tells_the_rule_whose_it_is_and_what_would_pass(reason: Reason) -> None:
    text = of_refusal(Refuse(reason, "ada/main"), AGREED)
    assert is_safe(text)
    rule, rest = text.split(" (ada/main) ")
    assert rule == RULES[reason]
    assert any(f"{act} " in rule.lower() for act in ACTS), "what would pass"
    assert rest.endswith(".")
    assert any(who in rest for who in ("every room", "every partner", BASE)), "whose it is"


@pytest.mark.parametrize(
    ("reason", "terms", "term"),
    [
        (Reason.KIND, Terms(kinds=frozenset({Kind.STATISTICS})), "kinds"),
        (Reason.PURPOSE, Terms(purposes=frozenset({Purpose.INSIGHTS})), "purposes"),
        (Reason.COLUMN, Terms(columns=frozenset()), "columns"),
        (Reason.BUDGET, Terms(epsilon_total=1_000_000), "epsilon_total"),
    ],
)
def test_a_term_is_told_by_who_set_it(reason: Reason, terms: Terms, term: str) -> None:
    strict = replace(AGREED, parties=(replace(AGREED.parties[0], terms=terms), *AGREED.parties[1:]))
    assert f"`{term}`, set by ada" in of_refusal(Refuse(reason), strict)
    floored = replace(AGREED, floor=terms)
    assert f"`{term}`, set by {FLOOR}" in of_refusal(Refuse(reason), floored)


def test_columns_that_nobody_limits_are_the_agreements() -> None:
    assert stated_by("columns", AGREED) == ()
    assert of_refusal(Refuse(Reason.COLUMN, "ada/main.x"), AGREED).endswith("every partner signed it.")


@pytest.mark.parametrize("mode", list(Mode))
def test_what_is_withheld_has_one_set_of_words(mode: Mode) -> None:
    """They come from the agreement alone: nothing of a release can change them."""
    text = of_release(agreement(mode))
    assert is_safe(text)
    assert text.count(WITHHELD) == 1
    assert f"minimum size of 50 people (set by {BASE})" in text
    assert "larger group may show" in text


def test_a_minimum_audience_is_told_with_whose_it_is() -> None:
    text = of_release(replace(AGREED, floor=Terms(minimum_audience=1000, minimum_size=80)))
    assert f"80 people (set by {FLOOR})" in text
    assert f"all whom it counts are 1000 (set by {FLOOR})" in text

"""Presets: data files that hold what they say, may be tightened and never loosened, and can be checked."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from partners import presets
from partners.explain import explain
from partners.presets import LooserThanPreset
from partners.proposal import read_proposal
from policies.agreement import Agreement
from policies.explanations import BASE
from policies.terms import DEFAULTS, Figures, Kind, Mode, Terms, looser
from tests.partners_cli.conftest import agreement_table
from tests.partners_cli.test_proposal import keys_of


def agreed(**head: Any) -> Agreement:
    table = agreement_table()
    table["collaboration"] |= head
    return read_proposal(table, Terms(), keys_of)


def test_the_default_preset_is_what_an_agreement_has_by_itself() -> None:
    assert presets.load("default").terms == DEFAULTS
    assert agreed(preset="default").base == agreed().base


def test_pair_has_its_numbers() -> None:
    terms = presets.load("pair").terms
    assert (terms.minimum_audience, terms.figures) == (1000, Figures.MATCH_RATES)
    assert terms.kinds == frozenset({Kind.OVERLAP})
    assert terms.retention_days == 30
    assert terms.mode is Mode.PRIVATE
    assert looser(terms, DEFAULTS) == ()


@pytest.mark.parametrize("name", presets.NAMES)
def test_a_preset_meets_itself_and_every_term_is_required(name: str) -> None:
    preset = presets.load(name)
    found = presets.check(agreed(preset=name), preset)
    assert found
    assert not any(each.looser for each in found)
    assert presets.to_json(preset, found)["met"] is True
    stated = {term for term, value in asdict(preset.terms).items() if value is not None}
    assert {term for each in preset.requirements for term in each.terms} == stated, "met is to mean the whole preset"


def test_a_file_may_tighten_a_preset() -> None:
    base = agreed(preset="pair", minimum_audience=2000, retention_days=7).base
    assert (base.minimum_audience, base.retention_days, base.figures) == (2000, 7, Figures.MATCH_RATES)


@pytest.mark.parametrize(
    "head",
    [
        {"minimum_audience": 500},
        {"figures": "all"},
        {"kinds": ["overlap", "statistics"]},
        {"retention_days": 31},
        {"mode": "threshold"},
        {"purposes": ["insights", "activation"]},
        {"epsilon_per_report": 0.5},
    ],
)
def test_a_file_may_not_loosen_one(head: dict[str, Any]) -> None:
    with pytest.raises(LooserThanPreset) as refused:
        agreed(preset="pair", **head)
    assert next(iter(head)) in str(refused.value)


@pytest.mark.parametrize("name", ["other", 7, None, "../default"])
def test_a_preset_that_there_is_not(name: Any) -> None:
    with pytest.raises(LooserThanPreset, match="one of default, pair"):
        agreed(preset=name)


def test_a_check_names_what_is_looser() -> None:
    found = presets.check(agreed(minimum_audience=1000), presets.load("pair"))
    met = [not each.looser for each in found]
    assert met == [True, False, False, True]
    assert found[1].looser == ("figures", "kinds")
    assert "partners" in (found[2].requirement.remains or "")


def test_pair_in_threshold_mode_is_not_the_preset() -> None:
    strict = replace(agreed(mode="threshold", minimum_size=1), floor=replace(presets.load("pair").terms, mode=None))
    found = presets.check(strict, presets.load("pair"))
    assert [each.looser for each in found] == [(), (), (), ("mode",)]


def test_one_partners_own_terms_can_meet_a_preset() -> None:
    plain = agreed()
    strict = replace(plain, floor=presets.load("pair").terms)
    assert not any(each.looser for each in presets.check(strict, presets.load("pair")))


def test_explain_says_that_the_terms_are_a_presets() -> None:
    sources = {line.term: line.sources for line in explain(agreed(preset="pair")).terms}
    assert sources["minimum_audience"] == sources["figures"] == (f"{BASE} (preset pair)",)
    terms = {line.term for line in explain(agreed()).terms}
    assert not terms & {"figures", "minimum_audience"}

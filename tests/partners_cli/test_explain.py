"""An agreement in plain words: every figure, and whose it is."""

from dataclasses import replace

import pytest

from partners.difference import difference
from partners.explain import Line, explain, to_json
from partners.proposal import read_proposal
from policies.agreement import Agreement, Attribute
from policies.explanations import BASE, FLOOR
from policies.purpose import Purpose
from policies.terms import Mode, Terms
from tests.partners_cli.conftest import agreement_table
from tests.partners_cli.test_proposal import keys_of


def agreed(floor: Terms | None = None, fresh: Terms | None = None, tasty: Terms | None = None) -> Agreement:
    read = read_proposal(agreement_table(), floor or Terms(), keys_of)
    one, two = read.parties
    return replace(read, parties=(replace(one, terms=fresh or Terms()), replace(two, terms=tasty or Terms())))


def line(agreement: Agreement, term: str) -> Line:
    return next(each for each in explain(agreement).terms if each.term == term)


@pytest.mark.parametrize(
    ("agreement", "value", "sources"),
    [
        (agreed(), "50", (BASE,)),
        (agreed(floor=Terms(minimum_size=50)), "50", (FLOOR, BASE)),
        (agreed(floor=Terms(minimum_size=80)), "80", (FLOOR,)),
        (agreed(tasty=Terms(minimum_size=100), floor=Terms(minimum_size=80)), "100", ("tasty",)),
        (agreed(tasty=Terms(minimum_size=10)), "50", (BASE,)),
    ],
)
def test_a_size_has_the_one_who_asked_for_it(agreement: Agreement, value: str, sources: tuple[str, ...]) -> None:
    found = line(agreement, "minimum_size")
    assert (found.value, found.sources) == (value, sources)
    assert f"at least {value} people" in found.meaning


def test_epsilon_is_written_as_people_write_it() -> None:
    agreement = agreed(fresh=Terms(epsilon_per_report=100_000))
    assert line(agreement, "epsilon_per_report").value == "ε 0.1"
    assert line(agreement, "epsilon_per_report").sources == ("fresh",)
    assert line(agreement, "epsilon_total").value == "ε 5"
    assert "50 reports" in line(agreement, "epsilon_total").meaning


def test_one_is_not_said_as_several() -> None:
    agreement = agreed(fresh=Terms(epsilon_total=250_000, retention_days=1))
    assert ": 1 report at the full price" in line(agreement, "epsilon_total").meaning
    assert line(agreement, "retention_days").value == "1 day"


def test_sets_that_only_together_give_the_value_name_everybody_who_states_one() -> None:
    one = frozenset({Purpose.INSIGHTS, Purpose.MODELLING})
    both = agreed(fresh=Terms(purposes=one))
    assert line(both, "purposes").value == "insights"
    assert line(both, "purposes").sources == (BASE, "fresh")
    narrow = agreed(fresh=Terms(purposes=frozenset({Purpose.INSIGHTS})))
    assert line(narrow, "purposes").sources == ("fresh",)


def test_columns_that_nobody_limits_are_all() -> None:
    assert line(agreed(), "columns").value == "all"
    assert line(agreed(), "columns").sources == ()
    limited = agreed(tasty=Terms(columns=frozenset({"fresh/drive.tier"})))
    assert (line(limited, "columns").value, line(limited, "columns").sources) == ("fresh/drive.tier", ("tasty",))


def test_the_modes_say_what_they_do_not_stop() -> None:
    private = explain(agreed())
    assert [each.term for each in private.terms if "epsilon" in each.term or each.term == "rounding"] == [
        "epsilon_per_report",
        "epsilon_total",
    ]
    # e^0.25 / (1 + e^0.25) and e^5 / (1 + e^5)
    assert "56.2 %" in private.caveats[0]
    assert "99.3 %" in private.caveats[0]
    open_one = agreed()
    threshold = explain(replace(open_one, base=replace(open_one.base, mode=Mode.THRESHOLD)))
    assert "does not stop differencing" in threshold.caveats[0]
    assert [each.term for each in threshold.terms if "epsilon" in each.term or each.term == "rounding"] == ["rounding"]


def test_audiences_and_keys_are_said() -> None:
    about = " ".join(explain(agreed()).about)
    for words in (
        "between fresh and tasty",
        "matched by email, then by phone",
        "profile uid2",
        "fresh brings fresh/drive: people with email and phone",
        "tier: gold, silver; anything else counts as other",
        "spend: amounts from 0.00 to 499.99",
    ):
        assert words in about


def test_one_value_is_never_read_as_two() -> None:
    agreement = agreed()
    values = ("gold, silver", "x; y", 'a "b"', "p and 3 more", "plain")
    drive = replace(agreement.audiences[0], attributes=(Attribute("tier", values),))
    changed = replace(agreement, audiences=(drive, *agreement.audiences[1:]))
    shown = r'"gold, silver", "x; y", "a \"b\"", "p and 3 more", plain'
    assert any(f"tier: {shown};" in line for line in explain(changed).about)
    assert shown in [each.after for each in difference(agreement, changed).changes]


def test_text_of_others_cannot_steer_the_terminal() -> None:
    agreement = agreed()
    audience = agreement.audiences[0]
    nasty = replace(audience, attributes=(Attribute("tier", ("\x1b[2Jgold", "a\u202eb")),))
    explanation = explain(replace(agreement, audiences=(nasty, *agreement.audiences[1:])))
    assert all(sentence.strip().isprintable() for sentence in explanation.about)


def test_the_json_holds_the_same() -> None:
    explanation = explain(agreed())
    value = to_json(explanation)
    assert [each["term"] for each in value["terms"]] == [each.term for each in explanation.terms]
    assert value["caveats"] == list(explanation.caveats)

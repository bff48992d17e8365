"""What the agreement admits: everything else is refused, with the reason that fits."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from policies.admission import admit
from policies.agreement import Agreement, Attribute, Audience, Measure
from policies.cells import MAX_CELLS
from policies.decision import Reason, Refuse
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Is, Matched, Not, Question, leaves
from policies.terms import DEFAULTS, Kind, Mode, Terms
from tests import worlds
from tests.policies.strategies import A, D, E

CITY, TIER, SPEND = ColumnRef(A, "city"), ColumnRef(D, "tier"), ColumnRef(D, "spend")
FAR = ColumnRef(E, "tier")
WIDE = tuple(ColumnRef(A, f"wide{number}") for number in range(3))
AGREED = worlds.agreement(
    [
        Audience(
            A,
            ("email",),
            (Attribute("city", ("Rome",)), *(Attribute(each.column, tuple(map(str, range(30)))) for each in WIDE)),
            (Measure("spend", 0, 10, 0),),
        ),
        Audience(D, ("email",), (Attribute("tier", ("gold",)),), (Measure("spend", 0, 10, 0),)),
        Audience(E, ("phone",), (Attribute("tier", ("gold",)),), (Measure("spend", 0, 10, 0),)),
    ],
    ("email", "phone"),
)
GOLD = Is(TIER, frozenset({"gold", "unknown"}))


def ask(**changes: Any) -> Question:
    plain = Question(A, GOLD, (CITY, Matched(D)), (SPEND,), Purpose.INSIGHTS)
    return replace(plain, **changes).canonical()


def with_terms(**terms: Any) -> Agreement:
    return replace(AGREED, base=replace(DEFAULTS, **terms))


@pytest.mark.parametrize("asker", ["ada", "cid"])
@pytest.mark.parametrize("kind", Kind)
def test_what_the_agreement_lists_is_admitted(asker: str, kind: Kind) -> None:
    assert admit(ask(), kind, asker, AGREED) is None


@pytest.mark.parametrize(
    ("question", "reason", "about"),
    [
        (ask(purpose=Purpose.ACTIVATION), Reason.PURPOSE, "activation"),
        (ask(count=AudienceRef("ada", "more")), Reason.AUDIENCE, "ada/more"),
        (ask(where=Matched(AudienceRef("dan", "main"))), Reason.AUDIENCE, "dan/main"),
        (ask(by=(Matched(AudienceRef("bea", "more")),)), Reason.AUDIENCE, "bea/more"),
        (ask(sum=(ColumnRef(AudienceRef("bea", "more"), "spend"),)), Reason.AUDIENCE, "bea/more"),
        (ask(by=(ColumnRef(A, "tier"),)), Reason.COLUMN, "ada/main.tier"),
        (ask(by=(SPEND,)), Reason.COLUMN, "bea/main.spend"),  # a measure is no attribute
        (ask(where=Is(ColumnRef(D, "city"), frozenset({"Rome"}))), Reason.COLUMN, "bea/main.city"),
        (ask(where=Is(TIER, frozenset({"gold", "silver"}))), Reason.COLUMN, "bea/main.tier"),  # not in the code-list
        (ask(where=Not(Is(TIER, frozenset({"silver"})))), Reason.COLUMN, "bea/main.tier"),
        (ask(sum=(TIER,)), Reason.COLUMN, "bea/main.tier"),  # an attribute is no measure
        (ask(sum=(ColumnRef(D, "visits"),)), Reason.COLUMN, "bea/main.visits"),
        (ask(sum=(ColumnRef(A, "spend"),)), Reason.OWN_MEASURE, "ada/main.spend"),
        (ask(sum=(ColumnRef(A, "spend"), SPEND)), Reason.OWN_MEASURE, "ada/main.spend"),
        (ask(by=(FAR,)), Reason.NO_COMMON_KEY, "cid/main"),
        (ask(where=Matched(E)), Reason.NO_COMMON_KEY, "cid/main"),
        (ask(sum=(ColumnRef(E, "spend"),)), Reason.NO_COMMON_KEY, "cid/main"),
        (ask(count=E, where=None, by=(CITY,), sum=()), Reason.NO_COMMON_KEY, "ada/main"),
        (ask(by=WIDE), Reason.TOO_MANY_CELLS, None),
    ],
)
def test_refusals(question: Question, reason: Reason, about: str | None) -> None:
    assert admit(question, Kind.STATISTICS, "ada", AGREED) == Refuse(reason, about)


def test_the_kind_must_be_in_everybodys_terms() -> None:
    agreed = with_terms(kinds=frozenset({Kind.OVERLAP}))
    assert admit(ask(), Kind.OVERLAP, "ada", agreed) is None
    assert admit(ask(), Kind.STATISTICS, "ada", agreed) == Refuse(Reason.KIND, "statistics")


def test_one_partner_is_enough_to_refuse() -> None:
    bea = replace(AGREED.parties[1], terms=Terms(purposes=frozenset({Purpose.MEASUREMENT})))
    agreed = replace(AGREED, parties=(AGREED.parties[0], bea, *AGREED.parties[2:]))
    assert admit(ask(), Kind.STATISTICS, "ada", agreed) == Refuse(Reason.PURPOSE, "insights")
    assert admit(ask(purpose=Purpose.MEASUREMENT), Kind.STATISTICS, "ada", agreed) is None


@pytest.mark.parametrize("missing", [CITY, TIER, SPEND])
def test_a_column_must_be_in_everybodys_terms(missing: ColumnRef) -> None:
    columns = frozenset(map(str, (CITY, TIER, SPEND)))
    assert admit(ask(), Kind.STATISTICS, "ada", with_terms(columns=columns)) is None
    refused = admit(ask(), Kind.STATISTICS, "ada", with_terms(columns=columns - {str(missing)}))
    assert refused == Refuse(Reason.COLUMN, str(missing))


def test_terms_that_list_nothing_admit_nothing() -> None:
    for term in ("kinds", "purposes", "columns"):
        assert isinstance(admit(ask(), Kind.STATISTICS, "ada", with_terms(**{term: frozenset()})), Refuse)


def test_a_measure_of_ones_own_is_refused_under_every_audience_of_the_requester() -> None:
    """Whoever else asks may sum it."""
    own = ColumnRef(AudienceRef("ada", "more"), "spend")
    more = Audience(own.audience, ("email",), (), (Measure("spend", 0, 10, 0),))
    agreed = replace(AGREED, audiences=(*AGREED.audiences, more))
    for count in (A, D, own.audience):
        question = ask(count=count, where=None, by=(), sum=(own,))
        assert admit(question, Kind.STATISTICS, "ada", agreed) == Refuse(Reason.OWN_MEASURE, "ada/more.spend")
        assert admit(question, Kind.STATISTICS, "bea", agreed) is None


def test_a_table_may_have_just_so_many_cells() -> None:
    attributes = tuple(Attribute(name, tuple(map(str, range(size - 2)))) for name, size in (("a", 100), ("b", 50)))
    agreed = worlds.agreement([Audience(A, ("email",), attributes, ())], ("email",))
    question = ask(where=None, by=(ColumnRef(A, "a"), ColumnRef(A, "b")), sum=())
    assert admit(question, Kind.STATISTICS, "ada", agreed) is None
    wider = replace(attributes[1], values=(*attributes[1].values, "more"))
    agreed = worlds.agreement([Audience(A, ("email",), (attributes[0], wider), ())], ("email",))
    assert admit(question, Kind.STATISTICS, "ada", agreed) == Refuse(Reason.TOO_MANY_CELLS)
    assert MAX_CELLS == 100 * 50


def test_an_exact_sum_over_another_audience_demands_the_match() -> None:
    """Else people without an amount, who count as 0, would hide that only one has one."""
    exact = replace(AGREED, base=replace(AGREED.base, mode=Mode.THRESHOLD), floor=Terms())
    assert exact.terms.mode is Mode.THRESHOLD
    open_sum = ask(where=None, by=(), sum=(SPEND,))
    assert admit(open_sum, Kind.STATISTICS, "ada", exact) == Refuse(Reason.UNMATCHED_SUM, str(SPEND))
    matched = ask(where=Matched(SPEND.audience), by=(), sum=(SPEND,))
    assert admit(matched, Kind.STATISTICS, "ada", exact) is None
    assert admit(ask(count=SPEND.audience, where=None, by=(), sum=(SPEND,)), Kind.STATISTICS, "ada", exact) is None
    private = replace(AGREED, base=replace(AGREED.base, mode=Mode.PRIVATE))
    assert admit(open_sum, Kind.STATISTICS, "ada", private) is None


@pytest.mark.parametrize("seed", range(0, 400, 100))
def test_whatever_is_admitted_is_in_the_agreement(seed: int) -> None:
    """Questions about one world, asked of the agreement of another: default deny."""
    admitted = 0
    for each in range(seed, seed + 100):
        random = Random(each)
        asked = worlds.random_question(random, worlds.random_world(random), admitted=False)
        agreed = worlds.random_world(random).agreement
        if admit(asked, Kind.STATISTICS, "ada", agreed) is None:
            admitted += 1
            _check_agreed(asked, agreed)
    assert 0 < admitted < 100


def _check_agreed(asked: Question, agreed: Agreement) -> None:
    audiences = {each.ref: each for each in agreed.audiences}
    attributes = {ColumnRef(ref, item.name): item for ref, each in audiences.items() for item in each.attributes}
    measures = {ColumnRef(ref, item.name) for ref, each in audiences.items() for item in each.measures}
    assert asked.count in audiences
    for linked in asked.linked():
        assert set(audiences[linked].keys) & set(audiences[asked.count].keys)
    for leaf in leaves(asked.where):
        if isinstance(leaf, Is):
            assert leaf.values <= {*attributes[leaf.column].values, "other", "unknown"}
    assert all(item in attributes for item in asked.by if isinstance(item, ColumnRef))
    assert set(asked.sum) <= {measure for measure in measures if measure.audience.owner != "ada"}
    assert asked.purpose in agreed.terms.purposes

"""Random tables for the tests of `disclose`: an agreement, a question of up to three dimensions, and its vectors."""

from dataclasses import replace
from itertools import combinations

from hypothesis import strategies as st

from policies.agreement import Agreement, Attribute, Audience, Measure
from policies.cells import cells
from policies.decision import Figure, Release
from policies.disclose import Label, Measured
from policies.purpose import Purpose
from policies.question import By, ColumnRef, Matched, Question, by_key
from policies.terms import DEFAULTS, Mode
from tests import worlds
from tests.policies.strategies import A, D

CITY, TIER, SPEND = ColumnRef(A, "city"), ColumnRef(D, "tier"), ColumnRef(D, "spend")
DECIMALS, WEIGHT = 2, 500
K, ROUNDING = 50, 10


def agreement(mode: Mode, rounding: int = ROUNDING, minimum_size: int = K) -> Agreement:
    audiences = [
        Audience(A, ("email",), (Attribute("city", ("Rome", "Oslo")),), ()),
        Audience(D, ("email",), (Attribute("tier", ("gold",)),), (Measure("spend", -100, WEIGHT, DECIMALS),)),
    ]
    terms = replace(DEFAULTS, mode=mode, rounding=rounding, minimum_size=minimum_size)
    return worlds.agreement(audiences, ("email",), terms)


@st.composite
def tables(draw: st.DrawFn, agreed: Agreement) -> tuple[Question, Measured]:
    """A question and what an engine might have measured for it: cells around the minimum size, small and large ones."""
    dimensions: tuple[By, ...] = (CITY, TIER, Matched(D))
    by = draw(st.lists(st.sampled_from(dimensions), unique=True))
    sums = draw(st.sampled_from(((), (SPEND,))))
    question = Question(A, None, tuple(by), sums, Purpose.INSIGHTS).canonical()
    size = len(cells(question, agreed))
    people = st.integers(K - 2, K + 2) | st.integers(0, 3 * K) | st.integers(0, 10_000_000)
    counts = draw(st.lists(people, min_size=size, max_size=size))
    amounts = tuple(draw(st.integers(-100 * count, WEIGHT * count)) for count in counts) if sums else ()
    return question, Measured(tuple(counts), dict.fromkeys(sums, amounts))


def zeros(measured: Measured) -> Measured:
    return Measured((0,) * len(measured.counts), {measure: (0,) * len(measured.counts) for measure in measured.sums})


def members(figure: Figure, question: Question, agreed: Agreement) -> list[int]:
    """The rows of the vector that a figure is about: the cells that agree with its label."""
    names = [by_key(item) for item in question.by]
    return [
        row for row, cell in enumerate(cells(question, agreed)) if set(figure.by) <= set(zip(names, cell, strict=True))
    ]


def labels(question: Question, agreed: Agreement) -> set[Label]:
    """The label of every cell and of every total over some dimensions."""
    names = [by_key(item) for item in question.by]
    return {
        kept
        for cell in cells(question, agreed)
        for length in range(len(names) + 1)
        for kept in combinations(tuple(zip(names, cell, strict=True)), length)
    }


def by_measure(release: Release) -> dict[str, dict[Label, Figure]]:
    """The figures by measure and label; no figure stands twice."""
    found: dict[str, dict[Label, Figure]] = {}
    for figure in release.figures:
        assert figure.by not in found.setdefault(figure.measure, {}), "a figure stands twice"
        found[figure.measure][figure.by] = figure
    return found

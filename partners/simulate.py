"""What a minimum size and an ε would show of one's own audience, worked out at home. Pure.

Rules: the room's own policies decide, on the true counts and without noise, so nothing is spent and nothing is learnt
of anybody else. Every attribute alone, then every pair, counted among the people matched in one other audience; how
many those are is a share that the person states. Counts are of one's own data: the result stays at home.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from itertools import combinations
from typing import Any

from policies import budget
from policies.agreement import Agreement, Audience, Party
from policies.cells import MAX_CELLS, Cell, cells, size
from policies.disclose import Measured, private, threshold
from policies.margins import margin95, minimum_size_margin
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Matched, Question
from policies.terms import Mode, Terms

Counts = Mapping[tuple[str, ...], int]
"""The people of each combination of values that anybody has, in the order of the attributes counted."""

PAIRS_OF = 8
_OTHER = AudienceRef("partner", "audience")


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its cells, those that nobody is in, and what each mode would do with them.

    `needs`: people a cell must have to show in private mode. `margin95`: of one cell. `error`: the median, over the
    cells that show, of the error to expect in percent (an error as often above as below); None where none shows.
    `hidden`: people in cells that are withheld, in percent of all, in private mode.
    """

    by: tuple[str, ...]
    cells: int
    empty: int
    shown: int
    needs: int
    margin95: int
    error: Decimal | None
    hidden: Decimal
    shown_threshold: int

    def to_json(self) -> dict[str, Any]:
        """For programs; percentages have one decimal."""
        error = None if self.error is None else float(self.error)
        return {**asdict(self), "by": list(self.by), "error": error, "hidden": float(self.hidden)}


@dataclass(frozen=True, slots=True)
class Simulation:
    """Tables, and what they were worked out for: `people` who take part, of whom `matched` percent are counted."""

    audience: AudienceRef
    people: int
    matched: int
    terms: Terms
    tables: tuple[Table, ...]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "audience": str(self.audience),
            "people": self.people,
            "matched": self.matched,
            "minimum_size": self.terms.minimum_size,
            "epsilon_micro": self.terms.epsilon_per_report,
            "rounding": self.terms.rounding,
            "tables": [table.to_json() for table in self.tables],
        }


def columns(audience: Audience) -> tuple[tuple[str, ...], ...]:
    """What is counted by: everybody, each attribute, and each pair of the first `PAIRS_OF` that is not too large."""
    names = [item.name for item in audience.attributes]
    pairs = [pair for pair in combinations(names[:PAIRS_OF], 2) if _size(audience, pair) <= MAX_CELLS]
    return ((), *((name,) for name in names), *pairs)


def simulate(audience: Audience, counted: Mapping[tuple[str, ...], Counts], matched: int, terms: Terms) -> Simulation:
    """What `terms` (none open but the columns) would show of an audience; `counted` has the counts of `columns`."""
    everybody = sum(counted[()].values())
    tables = tuple(_table(audience, by, counted[by], matched, terms) for by in columns(audience))
    return Simulation(audience.ref, everybody, matched, terms, tables)


def _table(audience: Audience, by: tuple[str, ...], counts: Counts, matched: int, terms: Terms) -> Table:
    question = _question(audience, by)
    agreed = {mode: _agreement(audience, replace(terms, mode=mode)) for mode in Mode}
    (priced,) = budget.price((question,), agreed[Mode.PRIVATE])
    assert priced.scales is not None, "private mode has a scale"
    scale, places = priced.scales.counts, cells(question, agreed[Mode.PRIVATE])
    order = [by.index(item.column) for item in question.by if isinstance(item, ColumnRef)]
    people: dict[Cell, int] = {tuple(values[place] for place in order): count for values, count in counts.items()}
    measured = Measured(tuple(people.get(cell, 0) * matched // 100 for cell in places), {})
    nothing = Measured((0,) * len(places), {})
    shown = [
        figure.value
        for figure in private(question, agreed[Mode.PRIVATE], measured, nothing, priced.scales).figures[: len(places)]
        if figure.value is not None
    ]
    exact = threshold(question, agreed[Mode.THRESHOLD], measured).figures[: len(places)]
    everybody = sum(measured.counts)
    typical = scale * Decimal(2).ln()
    errors = sorted(100 * typical / value for value in shown)
    return Table(
        by=by,
        cells=len(places),
        empty=sum(not count for count in measured.counts),
        shown=len(shown),
        needs=(terms.minimum_size or 1) + minimum_size_margin(scale, 1),
        margin95=margin95(scale, 1),
        error=round(errors[len(errors) // 2], 1) if errors else None,
        hidden=round(100 * (everybody - sum(shown)) / Decimal(max(everybody, 1)), 1),
        shown_threshold=sum(not figure.withheld for figure in exact),
    )


def _question(audience: Audience, by: tuple[str, ...]) -> Question:
    """The people of the audience who are matched in another, by some of their attributes."""
    dimensions = tuple(ColumnRef(audience.ref, name) for name in by)
    return Question(audience.ref, Matched(_OTHER), dimensions, (), Purpose.INSIGHTS).canonical()


def _agreement(audience: Audience, terms: Terms) -> Agreement:
    """An agreement with a made-up partner whose audience has the same match keys."""
    parties = tuple(Party(name, bytes(32), bytes(32), Terms()) for name in (audience.ref.owner, _OTHER.owner))
    other = Audience(_OTHER, audience.keys, (), ())
    return Agreement("simulation", "simulation", 1, audience.keys, "uid2", parties, (audience, other), terms, Terms())


def _size(audience: Audience, by: tuple[str, ...]) -> int:
    return size(_question(audience, by), _agreement(audience, Terms()))

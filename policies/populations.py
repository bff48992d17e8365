"""The canonical form of `where`: one spelling for each set of people, whatever it was spelled like.

Rules.
* Two expressions get one form exactly where they hold for the same people in every world: any rows, any matches, any
  values of the code-lists. Without code-lists an attribute may have values that nobody names.
* The form is read off the truth table of the expression over everything that it tells apart, so it depends on nothing
  else: not on order, nesting, negation, doubled or dead branches, nor on how sets of values are cut up.
* A column or a value that is not in the code-lists leaves the whole expression as it is written: admission refuses it.
* The counted audience is matched in itself. An attribute of somebody unmatched has no value.
* Bounded: at most `MAX_STATES` kinds of people are told apart, and the form has at most `MAX_NODES` parts and
  `MAX_BYTES` bytes of JSON.

The form is the shorter of a sum of products and a product of sums, each an irredundant cover (Minato, "Fast generation
of prime-irredundant covers from binary decision diagrams", 1993, carried over to variables of several values).
A truth table is an integer: bit i stands for the i-th state, the first variable being the most significant digit.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, reduce
from itertools import groupby
from math import prod
from operator import and_, or_

from policies import canonical
from policies.where import (
    MAX_NODES,
    All,
    AnyOf,
    AudienceRef,
    BadQuestion,
    ColumnRef,
    Is,
    Matched,
    Not,
    Where,
    leaf_audience,
    leaves,
    nodes,
    where_to_json,
)

Domain = Callable[[ColumnRef], tuple[str, ...] | None]
"""The code-list of a column, `other` and `unknown` included; None for a column that there is not."""

MAX_STATES = 65_536
MAX_BYTES = 262_144
_MOST_CUBES = 256
_FEW = 16
_TOO_WIDE = "`where` tells too many kinds of people apart; name fewer audiences, attributes or sets of values"

# One set of states for each variable, None for all of them.
Cube = tuple[frozenset[int] | None, ...]


@dataclass(frozen=True, slots=True)
class _Class:
    """Values of an attribute that are not told apart. `others`: with every value that nobody names."""

    values: frozenset[str]
    others: bool = False

    @property
    def example(self) -> str | None:
        """A value of the class; None stands for one that nobody names."""
        return None if self.others else min(self.values)


@dataclass(frozen=True, slots=True)
class _Variable:
    """What people differ in: matched in `audience` (states no, yes; `column` None), or the class of an attribute."""

    audience: AudienceRef
    column: ColumnRef | None
    classes: tuple[_Class, ...]

    @property
    def size(self) -> int:
        return len(self.classes) if self.column else 2


class _Universe:
    """Every combination of states. `fixed`: an example of a value for each attribute that makes no difference."""

    def __init__(
        self, count: AudienceRef | None, variables: list[_Variable], fixed: dict[ColumnRef, str | None]
    ) -> None:
        self.count, self.variables, self.fixed = count, variables, fixed
        self.sizes = tuple(variable.size for variable in variables)
        if prod(self.sizes) > MAX_STATES:
            raise BadQuestion(_TOO_WIDE)
        self.strides = tuple(prod(self.sizes[place + 1 :]) for place in range(len(self.sizes)))
        self.everybody = (1 << prod(self.sizes)) - 1
        self._place = {variable.column or variable.audience: place for place, variable in enumerate(variables)}

    def mask(self, place: int, states: Iterable[int]) -> int:
        """Where one variable has one of these states."""
        stride = self.strides[place]
        block = sum(((1 << stride) - 1) << state * stride for state in states)
        return block * (self.everybody // ((1 << stride * self.sizes[place]) - 1))

    def matched(self, audience: AudienceRef) -> int:
        """Where the person is matched; nowhere if that makes no difference."""
        if audience == self.count:
            return self.everybody
        return self.mask(self._place[audience], (1,)) if audience in self._place else 0

    def table(self, where: Where) -> int:
        """The states for which `where` holds."""
        match where:
            case Matched(audience):
                return self.matched(audience)
            case Is(column, values):
                return self.matched(column.audience) & self._having(column, values)
            case Not(term):
                return self.everybody & ~self.table(term)
            case All(terms):
                return reduce(and_, map(self.table, terms), self.everybody)
            case AnyOf(terms):
                return reduce(or_, map(self.table, terms), 0)

    def _having(self, column: ColumnRef, values: frozenset[str]) -> int:
        place = self._place.get(column)
        if place is None:
            return self.everybody if self.fixed[column] in values else 0
        classes = self.variables[place].classes
        return self.mask(place, (state for state, each in enumerate(classes) if each.example in values))


def canonical_where(where: Where, count: AudienceRef | None = None, domain: Domain | None = None) -> Where | None:
    """The one spelling of the people of `count` for whom `where` holds; None when it holds for everybody.

    Raises `BadQuestion` where it tells too many kinds of people apart.
    """
    if domain and not _agreed(where, domain):
        return where
    if isinstance(where, Matched) and where.audience != count:
        return where  # by far the most frequent one
    spelled = _universe(where, count, domain)
    universe = _reduced(spelled, spelled.table(where))
    table = universe.table(where)
    if table in (0, universe.everybody):
        return None if table else AnyOf(())
    forms = [_form(universe, table, conjunction=False), _form(universe, universe.everybody & ~table, conjunction=True)]
    best = min((form for form in forms if form is not None), key=nodes, default=None)
    if best is None or nodes(best) > MAX_NODES or len(canonical.dumps(where_to_json(best))) > MAX_BYTES:
        raise BadQuestion(_TOO_WIDE)
    return best


@lru_cache(maxsize=1024)
def demands(where: Where | None, audience: AudienceRef) -> bool:
    """Whether `where` holds for somebody, and only for people matched in `audience`, whatever the code-lists are."""
    if where is None or all(leaf_audience(leaf) != audience for leaf in leaves(where)):
        return False
    try:
        universe = _universe(where, None, None)
    except BadQuestion:  # nobody asks this; what is not known is not relied on
        return False
    table = universe.table(where)
    return table != 0 and not table & ~universe.matched(audience)


def _agreed(where: Where, domain: Domain) -> bool:
    """Whether every column and value of `where` is in the code-lists."""
    for leaf in leaves(where):
        if isinstance(leaf, Is):
            values = domain(leaf.column)
            if values is None or not leaf.values <= set(values):
                return False
    return True


def _universe(where: Where, count: AudienceRef | None, domain: Domain | None) -> _Universe:
    """Everything that the leaves of `where` tell apart. Raises `BadQuestion`."""
    sets: dict[ColumnRef, set[frozenset[str]]] = {}
    audiences = set()
    for leaf in leaves(where):
        audiences.add(leaf_audience(leaf))
        if isinstance(leaf, Is):
            sets.setdefault(leaf.column, set()).add(leaf.values)
    variables: list[_Variable] = []
    for audience in sorted(audiences):
        variables += [] if audience == count else [_Variable(audience, None, ())]
        for column in sorted(each for each in sets if each.audience == audience):
            variables.append(_Variable(audience, column, _classes(sets[column], domain(column) if domain else None)))
    return _Universe(count, variables, {})


def _classes(sets: set[frozenset[str]], values: tuple[str, ...] | None) -> tuple[_Class, ...]:
    """The values that these sets tell apart; `values` None: there are others that nobody names."""
    ordered = sorted(sets, key=sorted)
    alike: dict[tuple[bool, ...], set[str]] = {}
    for value in set(values or ()).union(*sets):
        alike.setdefault(tuple(value in each for each in ordered), set()).add(value)
    classes = [_Class(frozenset(each)) for each in alike.values()]
    return _sorted([*classes, *([_Class(frozenset(), others=True)] if values is None else [])])


def _sorted(classes: Iterable[_Class]) -> tuple[_Class, ...]:
    return tuple(sorted(classes, key=lambda each: (each.others, min(each.values, default=""))))


def _reduced(universe: _Universe, table: int) -> _Universe:
    """The universe with what makes no difference to `table` joined or left out: it depends on the people alone."""
    variables: list[_Variable] = []
    fixed: dict[ColumnRef, str | None] = {}
    for place, variable in enumerate(universe.variables):
        stride = universe.strides[place]
        joined: dict[int, list[int]] = {}
        for state in range(variable.size):
            joined.setdefault((table & universe.mask(place, (state,))) >> state * stride, []).append(state)
        if variable.column is None:
            variables += [variable] if len(joined) > 1 else []
            continue
        classes = [[variable.classes[state] for state in states] for states in joined.values()]
        merged = _sorted(
            _Class(frozenset().union(*(each.values for each in some)), any(each.others for each in some))
            for some in classes
        )
        if len(merged) > 1:
            variables.append(_Variable(variable.audience, variable.column, merged))
        else:
            fixed[variable.column] = merged[0].example
    return _Universe(universe.count, variables, fixed)


class _TooMany(Exception):
    """A cover has more cubes than anybody would read."""


def _form(universe: _Universe, table: int, conjunction: bool) -> Where | None:
    """`table` as any of cubes; or, for a conjunction, its complement as all of negated cubes. None where it is long."""
    try:
        cubes = _irredundant(_cover(table, table, universe.sizes, [_MOST_CUBES]))
    except _TooMany:
        return None
    products = [_join(_literals(universe, cube), conjunction=True) for cube in cubes]
    return _join([_negated(each) for each in products] if conjunction else products, conjunction)


def _cover(low: int, high: int, sizes: tuple[int, ...], left: list[int]) -> list[tuple[Cube, int]]:
    """Cubes within `high` that hold all of `low`, each with its table; `left` cubes may still be made."""
    if not low:
        return []
    if high == (1 << prod(sizes)) - 1:
        left[0] -= 1
        if left[0] < 0:
            raise _TooMany
        return [((None,) * len(sizes), high)]
    size, rest = sizes[0], sizes[1:]
    stride = prod(rest)
    ones = (1 << stride) - 1
    lows, highs = ([table >> state * stride & ones for state in range(size)] for table in (low, high))
    common = reduce(and_, highs)
    lacking, open_ = [each & ~common for each in lows], list(lows)
    found: list[tuple[Cube, int]] = []
    for state in range(size):
        for cube, table in _cover(lacking[state], highs[state], rest, left):
            states = frozenset(each for each in range(size) if not table & ~highs[each])
            for each in states:
                lacking[each] &= ~table
                open_[each] &= ~table
            found.append(((states, *cube), reduce(or_, (table << each * stride for each in states))))
    for cube, table in _cover(reduce(or_, open_), common, rest, left):
        found.append(((None, *cube), reduce(or_, (table << state * stride for state in range(size)))))
    return found


def _irredundant(cubes: list[tuple[Cube, int]]) -> list[Cube]:
    """The cubes without those that the others hold already, the last made going first."""
    kept = list(cubes)
    for cube in reversed(cubes):
        others = [each for each in kept if each is not cube]
        if not cube[1] & ~reduce(or_, (table for _, table in others), 0):
            kept = others
    return [cube for cube, _ in kept]


def _literals(universe: _Universe, cube: Cube) -> Iterator[Where]:
    """The terms that hold together exactly for the people of a cube.

    Who is unmatched has no value, so a table over the unmatched does not depend on one: a set of values without a word
    on the match means these values or no match.
    """
    pairs, count = zip(universe.variables, cube, strict=True), universe.count
    for audience, group in groupby(pairs, key=lambda pair: pair[0].audience):
        listed = list(group)
        match = next((states for variable, states in listed if variable.column is None), None)
        if match is not None and 1 not in match:
            yield Not(Matched(audience))
            continue
        held = [(variable, states) for variable, states in listed if variable.column and states is not None]
        if audience != count and match is None:
            yield from (_not_among_others(*each) for each in held)
            continue
        terms = [_values(*each) for each in held]
        yield from terms
        if audience != count and all(isinstance(term, Not) for term in terms):
            yield Matched(audience)


def _not_among_others(variable: _Variable, states: frozenset[int]) -> Where:
    """That an attribute has none of the other values, or none at all."""
    among = _values(variable, frozenset(range(variable.size)) - states)
    return Not(among) if isinstance(among, Is) else AnyOf((Not(Matched(variable.audience)), among.term))


def _values(variable: _Variable, states: frozenset[int]) -> Is | Not:
    """That an attribute of somebody matched has one of these values; where they are many, none of the others."""
    assert variable.column is not None, "only attributes have values"
    inside = frozenset().union(*(variable.classes[state].values for state in states))
    every = frozenset().union(*(each.values for each in variable.classes))
    unnamed = any(variable.classes[state].others for state in states)
    many = len(inside) > _FEW and 2 * len(inside) > len(every)
    if unnamed or (many and not any(each.others for each in variable.classes)):
        return Not(Is(variable.column, every - inside))
    return Is(variable.column, inside)


def _negated(where: Where) -> Where:
    match where:
        case Not(term):
            return term
        case All(terms) | AnyOf(terms):
            return _join([_negated(term) for term in terms], isinstance(where, AnyOf))
    return Not(where)


def _join(terms: Iterable[Where], conjunction: bool) -> Where:
    """All or any of the terms, flattened, without repeats, sorted."""
    kind = All if conjunction else AnyOf
    flat: set[Where] = set()
    for term in terms:
        flat.update(term.terms if isinstance(term, kind) else (term,))
    if len(flat) == 1:
        return flat.pop()
    return kind(tuple(sorted(flat, key=lambda term: repr(where_to_json(term)))))

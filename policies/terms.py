"""Terms, and how they combine: the strictest wins.

Rules: a term left open (None) accepts anything; combining never loosens (property-tested); an empty combination has no
terms and so cannot open anything. Privacy loss is counted in whole micro-ε (10^-6 ε): integers, never floats.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from typing import Any, TypeVar

from policies.purpose import Purpose

T = TypeVar("T")
MICRO = 1_000_000
LARGEST = {"minimum_size": 10**9, "minimum_audience": 10**9, "rounding": 10**9, "retention_days": 3_660}
_PLAIN = re.compile(r"[0-9.eE+-]+")
_MAY_BE_OPEN = ("columns", "figures", "minimum_audience")


class BadTerms(ValueError):
    """Terms that do not parse or make no sense; the message is safe to print."""


class Mode(Enum):
    """How figures are protected: differential privacy with a budget, or a minimum size and rounding only."""

    PRIVATE = "private"
    THRESHOLD = "threshold"


class Kind(Enum):
    """The kinds of report."""

    OVERLAP = "overlap"
    STATISTICS = "statistics"


class Figures(Enum):
    """Which figures of a report leave the room: all, or match rates of overlaps only (see `policies.rates`)."""

    ALL = "all"
    MATCH_RATES = "match_rates"


@dataclass(frozen=True, slots=True)
class Terms:
    """What one party asks for. None leaves a term to the others.

    `minimum_size`: people a shown cell must have. `rounding`: threshold mode rounds counts down to this multiple.
    `minimum_audience`: people whom a question must count in all, before anything of its release shows.
    `epsilon_per_report`, `epsilon_total`: micro-ε each owner may lose to one report and to the whole collaboration.
    `purposes`, `kinds`: what may be asked. `columns`: `owner/audience.column` that may be asked about.
    `retention_days`: days a version is kept.
    """

    minimum_size: int | None = None
    rounding: int | None = None
    epsilon_per_report: int | None = None
    epsilon_total: int | None = None
    mode: Mode | None = None
    purposes: frozenset[Purpose] | None = None
    kinds: frozenset[Kind] | None = None
    columns: frozenset[str] | None = None
    retention_days: int | None = None
    figures: Figures | None = None
    minimum_audience: int | None = None

    def __post_init__(self) -> None:
        for name in LARGEST:
            value = getattr(self, name)
            if value is not None and not 1 <= value <= LARGEST[name]:
                raise BadTerms(f"{name} is 1 to {LARGEST[name]}")
        for name in ("epsilon_per_report", "epsilon_total"):
            value = getattr(self, name)
            # Below, the noise would outgrow what it is drawn with exactly (2^53 units, with the bounds of a measure).
            if value is not None and not MICRO // 1000 <= value <= 1000 * MICRO:
                raise BadTerms(f"{name} is 0.001 to 1000")


DEFAULTS = Terms(
    minimum_size=50,
    rounding=10,
    epsilon_per_report=MICRO // 4,
    epsilon_total=5 * MICRO,
    mode=Mode.PRIVATE,
    purposes=frozenset({Purpose.INSIGHTS, Purpose.MEASUREMENT}),
    kinds=frozenset(Kind),
    retention_days=365,
)


def combine(parties: Iterable[Terms]) -> Terms:
    """The strictest of all: maxima of sizes, minima of losses and days, intersections of sets, `private` if anybody.

    Threshold mode needs every party that states a mode to state `threshold`. Raises `BadTerms` for no parties.
    """
    stated = tuple(parties)
    if not stated:
        raise BadTerms("terms of nobody allow nothing")
    modes = {terms.mode for terms in stated} - {None}
    figures = {terms.figures for terms in stated} - {None}
    return Terms(
        minimum_size=max((t.minimum_size for t in stated if t.minimum_size is not None), default=None),
        rounding=max((t.rounding for t in stated if t.rounding is not None), default=None),
        epsilon_per_report=min(
            (t.epsilon_per_report for t in stated if t.epsilon_per_report is not None), default=None
        ),
        epsilon_total=min((t.epsilon_total for t in stated if t.epsilon_total is not None), default=None),
        mode=Mode.PRIVATE if Mode.PRIVATE in modes else Mode.THRESHOLD if modes else None,
        purposes=_intersection(t.purposes for t in stated),
        kinds=_intersection(t.kinds for t in stated),
        columns=_intersection(t.columns for t in stated),
        retention_days=min((t.retention_days for t in stated if t.retention_days is not None), default=None),
        figures=Figures.MATCH_RATES if Figures.MATCH_RATES in figures else Figures.ALL if figures else None,
        minimum_audience=max((t.minimum_audience for t in stated if t.minimum_audience is not None), default=None),
    )


def _intersection(sets: Iterable[frozenset[T] | None]) -> frozenset[T] | None:
    stated = [each for each in sets if each is not None]
    return frozenset.intersection(*stated) if stated else None


@dataclass(frozen=True, slots=True)
class InForce:
    """The terms of an agreement, combined: as `Terms`, but none is open.

    `columns` None: every agreed column. `minimum_audience` None: any audience. Where only match rates leave the room,
    `kinds` has no other report than the overlap.
    """

    minimum_size: int
    rounding: int
    epsilon_per_report: int
    epsilon_total: int
    mode: Mode
    purposes: frozenset[Purpose]
    kinds: frozenset[Kind]
    columns: frozenset[str] | None
    retention_days: int
    figures: Figures
    minimum_audience: int | None

    @property
    def admit_nothing(self) -> bool:
        """Whether no question at all can be asked."""
        return not (self.purposes and self.kinds)


@lru_cache(maxsize=256)  # asked for at every step of a question
def in_force(parties: tuple[Terms, ...]) -> InForce:
    """The strictest of all as terms in force. Raises `BadTerms` where nobody states one of them."""
    combined = combine(parties)
    stated = {field.name: getattr(combined, field.name) for field in fields(Terms)}
    if missing := [name for name, value in stated.items() if value is None and name not in _MAY_BE_OPEN]:
        raise BadTerms(f"nobody states {', '.join(missing)}")
    if combined.figures is Figures.MATCH_RATES:
        stated["kinds"] &= {Kind.OVERLAP}
    return InForce(**{**stated, "figures": combined.figures or Figures.ALL})


def looser(terms: Terms, than: Terms) -> tuple[str, ...]:
    """The names of the terms in which `terms` is looser than `than`; empty when it is at least as strict everywhere."""
    combined = combine((terms, than))
    return tuple(field.name for field in fields(Terms) if getattr(combined, field.name) != getattr(terms, field.name))


def micro(epsilon: Any) -> int:
    """Micro-ε of an ε as a person writes it (0.25, "0.25", 5). Raises `BadTerms` for more than six decimals."""
    try:
        # Decimal also takes `1_0` for 10, and the digits of every script: more ε than somebody may have meant.
        exact = Decimal(text if _PLAIN.fullmatch(text := str(epsilon)) else "")
    except InvalidOperation:
        raise BadTerms("an ε is a number such as 0.25") from None
    # The range first: arithmetic on a number out of all bounds raises, or rounds.
    if not exact.is_finite() or not 0 < exact <= 1000 or exact != exact.quantize(Decimal("0.000001")):
        raise BadTerms("an ε is more than 0, at most 1000, with at most six decimals")
    return int(exact * MICRO)


def to_json(terms: Terms) -> dict[str, Any]:
    """The JSON form, open terms left out. ε in micro-ε."""
    return {field.name: _plain(value) for field in fields(Terms) if (value := getattr(terms, field.name)) is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(_plain(item) for item in value)
    return value.value if isinstance(value, Enum) else value


def from_json(value: Any) -> Terms:
    """The inverse of `to_json`. Raises `BadTerms`, naming the term."""
    if not isinstance(value, dict):
        raise BadTerms("terms are an object")
    known = {field.name for field in fields(Terms)}
    for name in value:
        if name not in known:
            raise BadTerms(f"unknown term; the terms are {', '.join(sorted(known))}")
    read: dict[str, Any] = {}
    for name, item in value.items():
        try:
            read[name] = _READERS.get(name, _integer)(item)
        except (ValueError, TypeError):
            raise BadTerms(f"{name} does not have a value that it can have") from None
    return Terms(**read)


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise ValueError
    return value


def _texts(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError
    return frozenset(value)


_READERS: dict[str, Callable[[Any], object]] = {
    "mode": Mode,
    "purposes": lambda value: frozenset(map(Purpose, _texts(value))),
    "kinds": lambda value: frozenset(map(Kind, _texts(value))),
    "columns": _texts,
    "figures": Figures,
}

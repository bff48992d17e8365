"""Questions and numbers in plain words, for tables on a terminal. Pure.

Numbers are grouped by narrow no-break spaces, and never show more digits than they have.
"""

import json
from decimal import Decimal

from partners.failure import plain
from policies.cells import Value
from policies.question import All, AnyOf, Is, Matched, Not, Where
from policies.terms import MICRO

_BETWEEN = (",", ";", '"', "→", " and ")
"""What stands between values, before or behind them."""
GROUP = "\N{NARROW NO-BREAK SPACE}"


def listed(text: str) -> str:
    """A value of somebody's code-list as one of several: as JSON has it where it could be read as more than one."""
    shown = plain(text)
    return json.dumps(shown, ensure_ascii=False) if any(mark in shown for mark in _BETWEEN) else shown


def number(value: Decimal, places: int) -> str:
    """A number with `places` decimals, its thousands grouped: 12 345.60."""
    return f"{value:,.{places}f}".replace(",", GROUP)


def counted(count: int, one: str, many: str) -> str:
    """How many of something there are: `1 entry`, `2 entries`."""
    return f"{count} {one if count == 1 else many}"


def epsilon(micro: int) -> str:
    """Micro-ε as a person writes ε: 250000 is 0.25."""
    return f"{(Decimal(micro) / MICRO).normalize():f}"


def where(term: Where | None) -> str:
    """Who is counted: `matched in tasty/readers and fresh/drive.tier is gold or silver`."""
    match term:
        case None | All(()):
            return "everybody"
        case AnyOf(()):
            return "nobody"
        case Matched(audience):
            return f"matched in {audience}"
        case Is(column, values):
            return f"{column} is {' or '.join(map(plain, sorted(values))) or 'nothing'}"
        case Not(inner):
            return f"not ({where(inner)})"
        case All(terms):
            return " and ".join(_inner(each) for each in terms)
        case AnyOf(terms):
            return " or ".join(_inner(each) for each in terms)


def cell(value: Value) -> str:
    """The value of one dimension: yes and no for a match, `not matched` for an attribute of somebody unmatched."""
    match value:
        case True:
            return "yes"
        case False:
            return "no"
        case None:
            return "not matched"
    return plain(value)


def _inner(term: Where) -> str:
    return f"({where(term)})" if isinstance(term, All | AnyOf) and len(term.terms) > 1 else where(term)

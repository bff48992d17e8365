"""What an amendment changes, line by line: terms from → to, code-lists, bounds, match keys, partners.

Pure. Terms are told twice where both differ: what holds for all, and what each party states. Text of other partners
passes through `listed`, because it goes to a terminal.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import Enum
from typing import Any

from partners.explain import words
from partners.words import epsilon, listed
from policies import agreement as agreements
from policies import terms
from policies.agreement import Agreement, Audience, Measure
from policies.explanations import BASE, FLOOR
from policies.terms import InForce, Terms

OPEN, NONE = "open", "–"


class Direction(Enum):
    """Whether a change of a term is stricter or less strict than what was before; `CHANGED` for all else."""

    TIGHTER = "tighter"
    LOOSER = "looser"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Change:
    """One line: what it is, its value before and after, in words."""

    what: str
    before: str
    after: str
    direction: Direction


@dataclass(frozen=True, slots=True)
class Difference:
    """What changes, and the audiences that must be prepared anew, sorted."""

    changes: tuple[Change, ...]
    prepare: tuple[str, ...]


def difference(before: Agreement, after: Agreement) -> Difference:
    """What `after` changes in the agreement in force, tightened terms included."""
    lines = [*_in_force(before, after), *_stated(before, after), *_parts(before, after)]
    useless = sorted(str(ref) for ref in agreements.useless(before, after) if after.audience(ref))
    added = sorted(str(each.ref) for each in after.audiences if before.audience(each.ref) is None)
    return Difference(tuple(lines), tuple(useless + added))


def to_json(found: Difference) -> dict[str, Any]:
    """The same for programs."""
    return {
        "changes": [
            {"what": each.what, "before": each.before, "after": each.after, "direction": each.direction.value}
            for each in found.changes
        ],
        "prepare": list(found.prepare),
    }


def _in_force(before: Agreement, after: Agreement) -> Iterator[Change]:
    was, becomes = before.terms, after.terms
    for name, direction in _directions(_closed(was), _closed(becomes)):
        yield Change(name, _word(name, was), _word(name, becomes), direction)


def _stated(before: Agreement, after: Agreement) -> Iterator[Change]:
    was, become = _whose(before), _whose(after)
    for who in dict.fromkeys((*was, *become)):
        old, new = was.get(who, Terms()), become.get(who, Terms())
        for name, direction in _directions(old, new):
            yield Change(f"{name}, stated by {who}", _plain(name, old), _plain(name, new), direction)


def _whose(agreement: Agreement) -> dict[str, Terms]:
    parties = {party.name: party.terms for party in agreement.parties}
    return {BASE: agreement.base, **parties, FLOOR: agreement.floor}


def _directions(was: Terms, becomes: Terms) -> Iterator[tuple[str, Direction]]:
    looser, tighter = terms.looser(becomes, was), terms.looser(was, becomes)
    for field in fields(Terms):
        if field.name in looser:
            yield field.name, Direction.LOOSER
        elif field.name in tighter:
            yield field.name, Direction.TIGHTER


def _parts(before: Agreement, after: Agreement) -> Iterator[Change]:
    for what, was, becomes in (
        ("partners", [party.name for party in before.parties], [party.name for party in after.parties]),
        ("match keys, in order", before.match_keys, after.match_keys),
        ("e-mail profile", [before.email_profile], [after.email_profile]),
        ("protocol", [str(before.protocol)], [str(after.protocol)]),
    ):
        yield from _changed(what, was, becomes)
    for party in after.parties:
        old = before.party(party.name)
        if old and (old.signing_key, old.sealing_key) != (party.signing_key, party.sealing_key):
            yield Change(f"keys of {party.name}", "others", "new ones; `compare` them", Direction.CHANGED)
    for ref in sorted({each.ref for each in (*before.audiences, *after.audiences)}):
        yield from _audience(str(ref), before.audience(ref), after.audience(ref))


def _audience(name: str, was: Audience | None, becomes: Audience | None) -> Iterator[Change]:
    if was is None or becomes is None:
        yield Change(name, NONE if was is None else "agreed", NONE if becomes is None else "agreed", Direction.CHANGED)
        return
    yield from _changed(f"{name}, keys", was.keys, becomes.keys)
    for column in sorted({each.name for each in (*was.attributes, *becomes.attributes)}):
        old, new = was.attribute(column), becomes.attribute(column)
        yield from _values(f"{name}.{column}", old.values if old else (), new.values if new else ())
    for column in sorted({each.name for each in (*was.measures, *becomes.measures)}):
        yield from _changed(f"{name}.{column}", _bounds(was.measure(column)), _bounds(becomes.measure(column)))


def _values(what: str, was: tuple[str, ...], becomes: tuple[str, ...]) -> Iterator[Change]:
    """A code-list: only what goes and what comes is told, or that the order is another."""
    gone, come = [each for each in was if each not in becomes], [each for each in becomes if each not in was]
    if gone or come:
        yield Change(what, _listed(gone), _listed(come), Direction.CHANGED)
    elif was != becomes:
        yield Change(what, "its values", "the same in another order", Direction.CHANGED)


def _changed(what: str, was: Iterable[str], becomes: Iterable[str]) -> Iterator[Change]:
    before, after = _listed(was), _listed(becomes)
    if before != after:
        yield Change(what, before, after, Direction.CHANGED)


def _bounds(measure: Measure | None) -> tuple[str, ...]:
    if measure is None:
        return ()
    lower, upper = (f"{Decimal(units).scaleb(-measure.decimals):f}" for units in (measure.lower, measure.upper))
    return (f"{lower} to {upper}",)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(listed, names)) or NONE


def _closed(force: InForce) -> Terms:
    return Terms(**{field.name: getattr(force, field.name) for field in fields(Terms)})


def _word(name: str, force: InForce) -> str:
    """The value of a term in force; `open` where anything is accepted."""
    if name == "figures":
        return force.figures.value.replace("_", " ")
    return OPEN if getattr(force, name) is None and name != "columns" else words(name, force)[0]


def _plain(name: str, stated: Terms) -> str:
    value = terms.to_json(stated).get(name)
    if value is None:
        return OPEN
    if isinstance(value, list):
        return _listed(value)
    return f"ε {epsilon(value)}" if name.startswith("epsilon") else str(value)

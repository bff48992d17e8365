"""SCENARIO.toml, parsed: the collaboration, the partners with their files, the reports to ask.

Rules: unknown names are refused, never ignored. A scenario is checked whole before a room is started. A partner with
several audiences has several `[[partner]]` tables of the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from partners import mapping
from partners.failure import Failure
from partners.mapping import BadMap, Map
from partners.proposal import read_proposal
from partners.protocol import PublicKeys
from partners.terms_file import BadTermsFile, read_toml, terms_from_table
from policies import request
from policies.agreement import Measure
from policies.purpose import Purpose
from policies.question import BadQuestion
from policies.request import Request
from policies.terms import Terms

_TABLES = ("collaboration", "partner", "report")
NO_KEYS = PublicKeys(bytes(32), bytes(32))


class BadScenario(ValueError):
    """A scenario that does not parse; the message says what to change and is safe to print."""


@dataclass(frozen=True, slots=True)
class Player:
    """One `[[partner]]`: its map, and its own terms as the scenario writes them."""

    map: Map
    terms: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Asked:
    """One `[[report]]`: who asks, and what."""

    asked_by: str
    request: Request


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is rehearsed. `head` is the `[collaboration]` table, as an AGREEMENT.toml has it."""

    name: str
    head: Mapping[str, Any]
    players: tuple[Player, ...]
    reports: tuple[Asked, ...]

    @property
    def partners(self) -> tuple[str, ...]:
        """Every partner once, in the order of the file."""
        return tuple(dict.fromkeys(player.map.name for player in self.players))

    def terms_of(self, partner: str) -> Mapping[str, Any]:
        """The own terms of a partner, from whichever of its tables states them."""
        return next((player.terms for player in self.players if player.map.name == partner and player.terms), {})


def load(path: Path) -> Scenario:
    """The scenario of a TOML file; its files are relative to its folder. Raises `BadScenario`."""
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise BadScenario(f"there is no scenario {path.name} here") from None
    except BadTermsFile as problem:
        raise BadScenario(str(problem)) from None
    try:
        return _scenario(table, path.parent)
    except (BadMap, BadQuestion, Failure) as problem:
        raise BadScenario(f"{path.name}: {problem}") from None


def _scenario(table: Mapping[str, Any], folder: Path) -> Scenario:
    for name in table:
        if name not in _TABLES:
            raise BadScenario(f"a scenario has {', '.join(_TABLES)}; [{name[:64]}] is none of them")
    head = table.get("collaboration")
    if not isinstance(head, dict) or not isinstance(head.get("name"), str):
        raise BadScenario("the scenario lacks its table [collaboration] with a name")
    players = tuple(_player(item, folder) for item in _tables(table, "partner"))
    reports = tuple(_asked(item) for item in _tables(table, "report"))
    scenario = Scenario(head["name"], _with_purposes(head, players), players, reports)
    if len(scenario.partners) < 2:
        raise BadScenario("a scenario has two partners at least")
    # Whatever an agreement can be wrong in is told before a room starts; the keys come later.
    read_proposal(proposal(scenario, [_closed(player.map) for player in players]), Terms(), lambda _: NO_KEYS)
    for asked in reports:
        if asked.asked_by not in scenario.partners:
            raise BadScenario("a report is asked_by somebody who is not one of the partners")
    return scenario


def proposal(scenario: Scenario, maps: list[Map]) -> dict[str, Any]:
    """The scenario as the table of an AGREEMENT.toml; `maps` have a code-list for every attribute."""
    partners = [{"name": name, "terms": dict(scenario.terms_of(name))} for name in scenario.partners]
    return {
        "collaboration": dict(scenario.head),
        "partner": partners,
        "audience": [
            {
                "owner": item.name,
                "name": item.audience,
                "keys": [key.key for key in item.keys],
                "attributes": {each.name: list(each.values or ()) for each in item.attributes},
                "measures": {each.measure.name: _bounds(each.measure) for each in item.measures},
            }
            for item in maps
        ],
    }


def _bounds(measure: Measure) -> dict[str, Any]:
    lower, upper = (Decimal(units).scaleb(-measure.decimals) for units in (measure.lower, measure.upper))
    return {"lower": lower, "upper": upper, "decimals": measure.decimals}


def _closed(item: Map) -> Map:
    """The map with a stand-in where a code-list is read from the file later."""
    attributes = tuple(replace(each, values=each.values or ("any",)) for each in item.attributes)
    return replace(item, attributes=attributes)


def _player(value: Mapping[str, Any], folder: Path) -> Player:
    own = value.get("terms", {})
    if not isinstance(own, dict):
        raise BadScenario("[partner.terms] is a table")
    terms_from_table(own, "[partner.terms]")
    return Player(mapping.parse(value, folder), own)


def _asked(value: Mapping[str, Any]) -> Asked:
    rest = dict(value)
    asked_by = rest.pop("asked_by", None)
    if not isinstance(asked_by, str):
        raise BadScenario("a [[report]] says who asks: asked_by")
    return Asked(asked_by, request.from_json(rest))


def _with_purposes(head: Mapping[str, Any], players: tuple[Player, ...]) -> Mapping[str, Any]:
    """Where neither the file nor a preset states the purposes, they are those that some file has consent for."""
    if "purposes" in head or "preset" in head:
        return head
    found = 0
    for player in players:
        found |= player.map.consent.stated
        for _, purposes in player.map.consent.columns:
            found |= purposes
    return {**head, "purposes": [purpose.value for purpose in Purpose if found & purpose.bit]}


def _tables(table: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    value = table.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadScenario(f"[[{name}]] is written with double brackets")
    return value

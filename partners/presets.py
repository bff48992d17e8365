"""Presets: terms for all under one name, as data files of `policies/presets/`, and the check of an agreement on one.

    summary = "…"                [[requirement]]
    [terms]                      says = "an audience has at least 1,000 people"
    minimum_size = 50            terms = ["minimum_audience"]
                                 remains = "what no term can promise"

Rules: a file that names a preset may tighten its terms, never loosen one. A requirement is met where the agreement's
terms in force are at least as strict as the preset's in every term that it names; what `remains` is told beside it.
"""

import importlib.resources
import tomllib
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from typing import Any

from partners.failure import Failure, plain
from partners.terms_file import terms_from_table
from policies import terms
from policies.agreement import Agreement
from policies.terms import Terms

NAMES = ("default", "pair")


class LooserThanPreset(Failure):
    """A file that names a preset and loosens it, or names one that there is not."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing that a preset promises, by which terms, and what remains for people to do."""

    says: str
    terms: tuple[str, ...]
    remains: str | None


@dataclass(frozen=True, slots=True)
class Preset:
    """A preset as it is on the disk."""

    name: str
    summary: str
    terms: Terms
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class Met:
    """A requirement held to an agreement. `looser`: the terms in which the agreement is looser than the preset."""

    requirement: Requirement
    looser: tuple[str, ...]


def load(name: object) -> Preset:
    """A preset by its name. Raises `LooserThanPreset`."""
    if not isinstance(name, str) or name not in NAMES:
        raise LooserThanPreset(f"`preset` is one of {', '.join(NAMES)}")
    source = importlib.resources.files("policies") / "presets" / f"{name}.toml"
    table = tomllib.loads(source.read_text(encoding="utf-8"), parse_float=Decimal)
    requirements = tuple(
        Requirement(each["says"], tuple(each["terms"]), each.get("remains")) for each in table["requirement"]
    )
    return Preset(name, table["summary"], terms_from_table(table["terms"], f"preset {name}"), requirements)


def under(name: object, stated: Terms) -> Terms:
    """The terms of a preset, tightened by those that a file states. Raises `LooserThanPreset` for a looser one."""
    preset = load(name)
    given = {field.name: getattr(stated, field.name) for field in fields(Terms)}
    filled = replace(preset.terms, **{term: value for term, value in given.items() if value is not None})
    if loosened := terms.looser(filled, preset.terms):
        raise LooserThanPreset(
            f"{', '.join(map(plain, loosened))}: looser than preset {preset.name}; tighten, or leave the preset out"
        )
    return filled


def check(agreement: Agreement, preset: Preset) -> tuple[Met, ...]:
    """Each requirement of a preset, held to the terms in force."""
    force = agreement.terms
    looser = terms.looser(Terms(**{field.name: getattr(force, field.name) for field in fields(Terms)}), preset.terms)
    return tuple(Met(each, tuple(name for name in each.terms if name in looser)) for each in preset.requirements)


def to_json(preset: Preset, found: tuple[Met, ...]) -> dict[str, Any]:
    """The check for programs."""
    return {
        "preset": preset.name,
        "met": not any(each.looser for each in found),
        "requirements": [
            {
                "says": each.requirement.says,
                "terms": list(each.requirement.terms),
                "met": not each.looser,
                "looser": list(each.looser),
                "remains": each.requirement.remains,
            }
            for each in found
        ],
    }

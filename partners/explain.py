"""An agreement in plain words, as values: what it allows, whose term each figure comes from, what it cannot stop.

Pure. Text of other partners (code-lists) passes through `plain`, because it goes to a terminal.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any

from partners import presets
from partners.failure import plain
from partners.words import counted, epsilon, listed
from policies import rates, terms
from policies.agreement import Agreement, Audience, Measure
from policies.explanations import BASE, stated_by
from policies.terms import MICRO, Figures, InForce, Mode, Terms

SHOWN_VALUES = 12

DIFFERENCING = (
    "A minimum size does not stop differencing: whoever subtracts two reports, or plants identities, may learn about"
    " one person. Nothing bounds what many reports tell together."
)


@dataclass(frozen=True, slots=True)
class Line:
    """One term in force: its name, its value and its meaning in plain words, and whose term it is.

    Terms for all that are at least as strict as a preset name it.
    """

    term: str
    value: str
    meaning: str
    sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """`about` are sentences on who and what, `terms` the table, `caveats` what the agreement does not stop."""

    title: str
    about: tuple[str, ...]
    terms: tuple[Line, ...]
    caveats: tuple[str, ...]


def explain(agreement: Agreement) -> Explanation:
    """The agreement in plain words."""
    names = _listed(party.name for party in agreement.parties)
    profile = {
        "uid2": "In e-mail addresses of gmail.com, dots and everything from + are dropped (profile uid2).",
        "plain": "E-mail addresses are compared as they are, apart from case and spaces (profile plain).",
    }[agreement.email_profile]
    about = [
        f"{agreement.name} is a collaboration between {names}. Its id is {agreement.id}.",
        f"People are matched by {_then(agreement.match_keys)}.",
        *([profile] if "email" in agreement.match_keys else []),
        *(sentence for audience in agreement.audiences for sentence in _audience(audience)),
    ]
    return Explanation(
        agreement.name,
        tuple(about),
        tuple(_lines(agreement)),
        (
            DIFFERENCING if agreement.terms.mode is Mode.THRESHOLD else _guessing(agreement.terms),
            "The operator together with one partner holds the secret and could test identifiers against the others'.",
        ),
    )


def to_json(explanation: Explanation) -> dict[str, Any]:
    """The same for programs."""
    return {
        "title": explanation.title,
        "about": list(explanation.about),
        "terms": [
            {"term": line.term, "value": line.value, "meaning": line.meaning, "sources": list(line.sources)}
            for line in explanation.terms
        ],
        "caveats": list(explanation.caveats),
    }


def _guessing(force: InForce) -> str:
    """What ε means: the accuracy of the best guess at even odds, e^ε / (1 + e^ε)."""
    one, total = (
        f"{100 * odds / (1 + odds):.1f} %"
        for odds in ((Decimal(micro) / MICRO).exp() for micro in (force.epsilon_per_report, force.epsilon_total))
    )
    return (
        "Noise bounds what figures tell of a row: a guess, at even odds, whether it is in an audience is right at most"
        f" {one} of the time after one report, and {total} of the time after all that ε in total allows."
    )


def _lines(agreement: Agreement) -> Iterator[Line]:
    force = agreement.terms
    kept = [name for name in presets.NAMES[1:] if not terms.looser(agreement.base, presets.load(name).terms)]
    base = f"{BASE} (preset {', '.join(kept)})" if kept else BASE
    private = force.mode is Mode.PRIVATE
    for field in fields(Terms):
        name = field.name
        if (name == "rounding" and private) or (name.startswith("epsilon") and not private):
            continue  # without effect in this mode
        if (name, getattr(force, name)) in (("figures", Figures.ALL), ("minimum_audience", None)):
            continue  # nothing is asked for
        value, meaning = words(name, force)
        yield Line(name, value, meaning, tuple(base if each == BASE else each for each in stated_by(name, agreement)))


def words(name: str, force: InForce) -> tuple[str, str]:
    """A term's value, and what it means."""
    match name:
        case "minimum_size":
            extra = ", and clearly so after noise" if force.mode is Mode.PRIVATE else ""
            return str(force.minimum_size), f"a figure shows only for at least {force.minimum_size} people{extra}"
        case "rounding":
            return str(force.rounding), f"counts are rounded down to multiples of {force.rounding}"
        case "epsilon_per_report":
            value = epsilon(force.epsilon_per_report)
            return f"ε {value}", "the most that one report may tell about a person of an owner"
        case "epsilon_total":
            reports = counted(force.epsilon_total // force.epsilon_per_report, "report", "reports")
            value = epsilon(force.epsilon_total)
            return f"ε {value}", f"the most that the whole collaboration may tell: {reports} at the full price"
        case "mode":
            meaning = {
                Mode.PRIVATE: "differential privacy: noise on every figure, and a budget for each owner",
                Mode.THRESHOLD: "a minimum size and rounding, nothing more",
            }
            return force.mode.value, meaning[force.mode]
        case "purposes":
            return _set(item.value for item in force.purposes), "why people may be counted; a row needs consent to it"
        case "kinds":
            return _set(item.value for item in force.kinds), "the reports that may be asked for"
        case "columns":
            if force.columns is None:
                return "all", "every column of the audiences may be asked about"
            return _set(map(plain, force.columns)), "the columns that may be asked about"
        case "figures":
            cap = f"and no higher than “at least {rates.CAP}”"
            return "match rates", f"only match rates of overlaps leave the room, in whole percents, {cap}"
        case "minimum_audience":
            people = f"at least {force.minimum_audience} people"
            return str(force.minimum_audience), f"a figure shows only where the question counts {people} in all"
        case "retention_days":
            return counted(force.retention_days, "day", "days"), "the room keeps an uploaded version no longer"
    raise AssertionError("every term has its words")


def _audience(audience: Audience) -> Iterator[str]:
    yield f"{audience.ref.owner} brings {audience.ref}: people with {_listed(audience.keys)}."
    for attribute in audience.attributes:
        shown = [listed(value) for value in attribute.values[:SHOWN_VALUES]]
        more = f" and {len(attribute.values) - SHOWN_VALUES} more" if len(attribute.values) > SHOWN_VALUES else ""
        yield f"  {attribute.name}: {', '.join(shown)}{more}; anything else counts as other, nothing as unknown."
    for measure in audience.measures:
        yield f"  {measure.name}: amounts from {_amount(measure, measure.lower)} to {_amount(measure, measure.upper)}."


def _amount(measure: Measure, units: int) -> str:
    return f"{Decimal(units).scaleb(-measure.decimals):f}"


def _set(names: Any) -> str:
    return ", ".join(sorted(names)) or "none"


def _listed(names: Any) -> str:
    """`a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else str(last)


def _then(keys: tuple[str, ...]) -> str:
    return ", then by ".join(keys)

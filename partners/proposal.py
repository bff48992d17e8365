"""AGREEMENT.toml -> the agreement that a partner proposes. Pure but for the functions that it is given.

    [collaboration]                     [[partner]]               [[audience]]
    name = "drive-2026"                 name = "fresh"            owner = "fresh"
    match_keys = ["email", "phone"]     [partner.terms]           name = "drive"
    email_profile = "uid2"              minimum_size = 100        keys = ["email", "phone"]
    mode = "private"                                              [audience.attributes]
    minimum_size = 50                   [[partner]]               tier = ["gold", "silver"]
    epsilon_per_report = 0.25           name = "tasty"            [audience.measures]
    epsilon_total = 5.0                                           spend = { lower = 0, upper = 500 }

Rules: what the file leaves open of `[collaboration]`'s terms comes from `policies.terms.DEFAULTS`, or from the preset
that it names (`preset = "pair"`), whose terms it may only tighten; unknown names are refused, never ignored; bounds of
a measure are written in its own unit and kept in whole units of 10^-decimals.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

from partners import presets
from partners.failure import Failure, plain
from partners.protocol import PROTOCOL_VERSION, PublicKeys
from partners.terms_file import NAMES, terms_from_table
from policies import agreement, terms
from policies.agreement import Agreement, Attribute, Audience, BadAgreement, Measure, Party
from policies.question import NAME, AudienceRef
from policies.terms import Terms

DECIMALS = 2
_MAX_NAME = 64 - 9  # the id adds a hyphen and 8 digits


class BadProposal(Failure):
    """An agreement file that cannot be proposed; the message says what to change."""


def read_proposal(table: Mapping[str, Any], floor: Terms, keys_of: Callable[[str], PublicKeys]) -> Agreement:
    """The agreement of a parsed AGREEMENT.toml, under a new id.

    `floor` are the room's terms; `keys_of` gives a partner's public keys by its name. Raises `BadProposal`, and what
    `keys_of` raises.
    """
    _only(table, ("collaboration", "partner", "audience"), "the agreement file")
    head = _table(table.get("collaboration"), "[collaboration]")
    _only(head, ("name", "match_keys", "email_profile", "preset", *NAMES), "[collaboration]")
    name = _name(head.get("name"), "[collaboration] name")
    if len(name) > _MAX_NAME:
        raise BadProposal(f"[collaboration] name has more than {_MAX_NAME} characters; shorten it")
    base = terms_from_table({key: head[key] for key in NAMES if key in head}, "[collaboration]")
    parties = tuple(_party(item, keys_of) for item in _tables(table.get("partner"), "[[partner]]"))
    proposed = Agreement(
        id=f"{name}-{secrets.token_hex(4)}",
        name=name,
        protocol=PROTOCOL_VERSION,
        match_keys=_texts(head.get("match_keys"), "[collaboration] match_keys"),
        email_profile=_text(head.get("email_profile", agreement.EMAIL_PROFILES[0]), "[collaboration] email_profile"),
        parties=parties,
        audiences=tuple(_audience(item) for item in _tables(table.get("audience"), "[[audience]]")),
        base=presets.under(head["preset"], base) if "preset" in head else _filled(base),
        floor=floor,
    )
    return checked(proposed)


def checked(proposed: Agreement) -> Agreement:
    """The same agreement, once it has passed every rule of its own format. Raises `BadProposal`."""
    try:
        return agreement.from_json(agreement.to_json(proposed))
    except BadAgreement as problem:
        raise BadProposal(f"the agreement file: {problem}") from None


def _filled(base: Terms) -> Terms:
    """Terms with the defaults where they are open."""
    stated = {field.name: getattr(base, field.name) for field in fields(Terms)}
    return replace(terms.DEFAULTS, **{name: value for name, value in stated.items() if value is not None})


def _party(value: Any, keys_of: Callable[[str], PublicKeys]) -> Party:
    table = _table(value, "[[partner]]")
    _only(table, ("name", "terms"), "[[partner]]")
    name = _name(table.get("name"), "[[partner]] name")
    own = terms_from_table(_table(table.get("terms", {}), f"terms of {name}"), f"terms of {name}")
    keys = keys_of(name)
    return Party(name, keys.signing, keys.sealing, own)


def _audience(value: Any) -> Audience:
    table = _table(value, "[[audience]]")
    _only(table, ("owner", "name", "keys", "attributes", "measures"), "[[audience]]")
    ref = AudienceRef(_name(table.get("owner"), "[[audience]] owner"), _name(table.get("name"), "[[audience]] name"))
    attributes = _table(table.get("attributes", {}), f"attributes of {ref}")
    measures = _table(table.get("measures", {}), f"measures of {ref}")
    return Audience(
        ref,
        _texts(table.get("keys"), f"keys of {ref}"),
        tuple(
            Attribute(_name(name, f"an attribute of {ref}"), _texts(values, f"{ref}.{name}"))
            for name, values in attributes.items()
        ),
        tuple(measure_from_table(name, bounds, f"{ref}.{name}") for name, bounds in measures.items()),
    )


def measure_from_table(name: str, value: Any, where: str) -> Measure:
    """A measure of `{ lower, upper, decimals = 2 }` with bounds in its own unit. Raises `BadProposal`."""
    table = _table(value, where)
    _only(table, ("lower", "upper", "decimals"), where)
    decimals = table.get("decimals", DECIMALS)
    if type(decimals) is not int or not 0 <= decimals <= 6:
        raise BadProposal(f"{where}: decimals is a whole number, 0 to 6")
    lower, upper = (_units(table.get(bound), decimals, f"{where}: {bound}") for bound in ("lower", "upper"))
    return Measure(_name(name, where), lower, upper, decimals)


def _units(value: Any, decimals: int, where: str) -> int:
    """A bound in units of 10^-decimals, exactly."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise BadProposal(f"{where} is a number in the measure's own unit, such as 500")
    exact = Decimal(str(value))
    if not exact.is_finite() or abs(exact) > agreement.MAX_BOUND:
        raise BadProposal(f"{where} is too large; a bound has at most {agreement.MAX_BOUND:,} units")
    units = exact.scaleb(decimals)
    if units != units.to_integral_value():
        raise BadProposal(f"{where} has more decimals than the measure; write `decimals`, or round the bound")
    return int(units)


def _only(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for name in table:
        if name not in known:
            raise BadProposal(f"{where} has `{plain(name, 40)}`, unknown here; it can have: {', '.join(known)}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadProposal(f"{where} is missing or is not a table; see `cleanroom-partner propose --help`")
    return value


def _tables(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list) or not value:
        raise BadProposal(f"the agreement file needs at least one {where}; see `cleanroom-partner propose --help`")
    return value


def _name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadProposal(f"{where} is 1 to 64 letters, digits, - and _, and begins with a letter or a digit")
    return value


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise BadProposal(f"{where} is text in quotes")
    return value


def _texts(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadProposal(f'{where} is a list of texts, such as ["one", "two"]')
    return tuple(value)

"""Terms as people write them in TOML: ε as 0.25, sets as lists; the same names as `policies.terms.Terms`.

Used for `[collaboration]` and `[partner.terms]` of an agreement file, and for a partner's own `terms.toml`.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

from partners.failure import Failure, plain
from policies import terms
from policies.terms import BadTerms, Terms

NAMES = tuple(field.name for field in fields(Terms))
_EPSILONS = ("epsilon_per_report", "epsilon_total")


class BadTermsFile(Failure):
    """A TOML table that holds no terms; the message says which term and what it can be."""


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, its decimal numbers exact. Raises `BadTermsFile` with the line that is wrong."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except UnicodeDecodeError:
        raise BadTermsFile(f"{path.name} is not a text file in UTF-8; save it as one") from None
    except tomllib.TOMLDecodeError as problem:
        raise BadTermsFile(f"{path.name} is not TOML: {problem}; correct it there") from None


def terms_from_table(table: Mapping[str, Any], where: str) -> Terms:
    """The terms in a TOML table that holds nothing else; `where` names it in messages. Raises `BadTermsFile`."""
    for name in table:
        if name not in NAMES:
            raise BadTermsFile(f"{where}: `{plain(name, 40)}` is not a term; the terms are {', '.join(NAMES)}")
    value = dict(table)
    try:
        for name in _EPSILONS:
            if name in value:
                value[name] = terms.micro(value[name])
        return terms.from_json(value)
    except BadTerms as problem:
        raise BadTermsFile(f"{where}: {problem}") from None

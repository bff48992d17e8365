"""TOML as people write it, by any editor. Terms in it: ε as 0.25, sets as lists; the names of `policies.terms.Terms`.

Used for `[collaboration]` and `[partner.terms]` of an agreement file, and for a partner's own `terms.toml`.
"""

import re
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
_LINE = re.compile(r"at line ([0-9]+)")
_EPSILONS = ("epsilon_per_report", "epsilon_total")


class BadTermsFile(Failure):
    """A file that is not TOML, by its line; or a table that holds no terms, by the term and what it can be."""


def read_text(path: Path) -> str:
    """A text file in UTF-8, with or without the mark that Windows puts before it. Raises `BadTermsFile`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise BadTermsFile(f"{path.name} is not a text file in UTF-8; save it as one") from None


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file, its decimal numbers exact. Raises `BadTermsFile` with the line that is wrong."""
    text = read_text(path)
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as problem:
        at = _LINE.search(str(problem))
        line = text.splitlines()[int(at[1]) - 1 : int(at[1])] if at else []
        hint = "in a path write / or put it in single quotes" if "\\" in "".join(line) else "correct it there"
        raise BadTermsFile(f"{path.name} is not TOML: {plain(str(problem))}; {hint}") from None


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

"""A first `[[audience]]` of an AGREEMENT.toml, from one's own map: to be edited, never sent as it is. Pure."""

import json
from decimal import Decimal

from partners.mapping import Map


def draft_audience(mapping: Map) -> str:
    """The TOML of an audience whose code-lists are those of the map; an attribute without one is left out."""
    keys = ", ".join(_text(key.key) for key in mapping.keys)
    lines = [
        "# Every partner of the agreement reads these lists: take out what names a person or only a few people have;",
        "# a value that is not listed counts as `other`.",
        "[[audience]]",
        f"owner = {_text(mapping.name)}",
        f"name = {_text(mapping.audience)}",
        f"keys = [{keys}]",
    ]
    if mapping.attributes:
        lines += ["", "[audience.attributes]"]
        lines += [
            f"{item.name} = [{', '.join(map(_text, item.values))}]"
            for item in mapping.attributes
            if item.values is not None
        ]
    if mapping.measures:
        lines += ["", "[audience.measures]"]
        for item in mapping.measures:
            measure = item.measure
            lower, upper = (f"{Decimal(units).scaleb(-measure.decimals):f}" for units in (measure.lower, measure.upper))
            lines.append(f"{measure.name} = {{ lower = {lower}, upper = {upper}, decimals = {measure.decimals} }}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML basic string: JSON's escapes, and DEL, which TOML escapes too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")

"""A collaboration as the operator names it: its id, or its name where that can mean only one.

Rules: an id goes before a name. What is closed has given its name free, as on the partners' side.
"""

from collections.abc import Iterable

from cleanroom.catalog import collaborations
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.collaborations import Collaboration


class NotNamed(Exception):
    """No collaboration, or several, are meant; the message is safe to print."""


def find(catalog: Catalog, text: str) -> Collaboration:
    """The collaboration that is meant. Raises `NotNamed`."""
    named = collaborations.named(catalog, text)
    named = [each for each in named if each.state != "closed"] or named
    if not named:
        raise NotNamed("there is no such collaboration; `cleanroom status` lists them")
    if len(named) > 1:
        raise NotNamed(f"several collaborations have this name; give the id: {', '.join(each.id for each in named)}")
    return named[0]


def ids(catalog: Catalog, texts: Iterable[str]) -> tuple[str, ...]:
    """The ids of those that are meant, each once. Raises `NotNamed`."""
    return tuple(dict.fromkeys(find(catalog, each).id for each in texts))

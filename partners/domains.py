"""Code-lists from a customer file: the distinct values of attributes that the map leaves open.

Rules:
* For drafts and rehearsals. The code-lists that count are those of the signed agreement, where cells come from, so that
  no cell depends on data.
* An attribute has few values: more than 1,000, or a long one, is refused, as it may well be an identifier.
"""

from dataclasses import replace

from partners.mapping import MAX_VALUE_CHARACTERS, AttributeColumn, Map
from partners.reading import BadFile, Progress, read_all
from policies.agreement import MAX_VALUES, OTHER, UNKNOWN, is_one_line


def read_domains(mapping: Map, progress: Progress) -> Map:
    """The map with a sorted code-list for every attribute. Reads the file only where one is open. Raises `BadFile`."""
    values: dict[str, set[str]] = {item.column: set() for item in mapping.attributes if item.values is None}
    if not values:
        return mapping
    wanted = tuple(values)
    for file, chunk in read_all(mapping.file, mapping.encoding, mapping.delimiter, wanted, frozenset(), progress):
        for column, found in values.items():
            found.update(chunk.column(column))
            found.difference_update(("", OTHER, UNKNOWN))  # blank is `unknown`; these two are in every code-list
            _check(column, found, file)
    for column, found in values.items():
        if not found:
            raise BadFile(f"{mapping.file.name}: column {column} has no value at all; leave the attribute out")
    return replace(mapping, attributes=tuple(_closed(item, values) for item in mapping.attributes))


def _closed(item: AttributeColumn, values: dict[str, set[str]]) -> AttributeColumn:
    return item if item.values is not None else replace(item, values=tuple(sorted(values[item.column])))


def _check(column: str, found: set[str], file: str) -> None:
    if len(found) > MAX_VALUES:
        raise BadFile(
            f"{file}: column {column} has more than {MAX_VALUES} different values, and an attribute has few; "
            "list the ones that count as `values`, or choose another column"
        )
    if any(len(value) > MAX_VALUE_CHARACTERS for value in found):
        raise BadFile(f"{file}: column {column} holds values of more than {MAX_VALUE_CHARACTERS} characters")
    if not all(map(is_one_line, found)):
        raise BadFile(
            f"{file}: column {column} holds values with control characters; is its `encoding` right? "
            "windows-1252 is often taken for iso-8859-1"
        )

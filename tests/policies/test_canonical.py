"""Canonical JSON: one spelling for every value, and no other spelling is read."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from policies.canonical import NotCanonical, dumps, loads
from tests.policies.strategies import IDENTIFIER, LAW, is_safe, parsed

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=10,
)


@LAW
@given(VALUES)
def test_there_and_back(value: Any) -> None:
    assert loads(dumps(value)) == value
    assert dumps(loads(dumps(value))) == dumps(value)


@LAW
@given(VALUES)
def test_the_order_of_keys_does_not_matter(value: Any) -> None:
    def backwards(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: backwards(item) for key, item in reversed(node.items())}
        return [backwards(item) for item in node] if isinstance(node, list) else node

    assert dumps(backwards(value)) == dumps(value)


@LAW
@given(VALUES, VALUES)
def test_different_values_have_different_bytes(one: Any, other: Any) -> None:
    assume(json.dumps(one, sort_keys=True) != json.dumps(other, sort_keys=True))
    assert dumps(one) != dumps(other)


@LAW
@given(VALUES)
def test_every_other_spelling_is_refused(value: Any) -> None:
    for spelling in (json.dumps(value), json.dumps(value, indent=1), json.dumps(value, ensure_ascii=False) + "\n"):
        data = spelling.encode()
        if data == dumps(value):
            assert loads(data) == value
        else:
            with pytest.raises(NotCanonical):
                loads(data)


@LAW
@given(st.binary() | TEXT.map(str.encode))
def test_bytes_are_canonical_or_refused(data: bytes) -> None:
    value = parsed(loads, data, NotCanonical)
    assert value is None or dumps(value) == data


def test_bytes_are_pinned() -> None:
    value = {"b": [1, -2, True, None], "a": 'é"\n\x7f', "É": {}, "😀": 10**30, "\uffff": []}
    assert dumps(value) == (
        '{"a":"é\\"\\n\x7f","b":[1,-2,true,null],"É":{},"\uffff":[],"😀":1000000000000000000000000000000}'.encode()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"\xef\xbb\xbf1",  # a byte order mark
        b" 1",
        b"1 ",
        b"1\n",
        b"-0",
        b"01",
        b"1.0",
        b"1e2",
        b"NaN",
        b"Infinity",
        b"[1, 2]",
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b'{"a":{"b":1,"b":2}}',
        b'"\\u0041"',
        b'"\\/"',
        b'"\\ud800"',  # half a character
        b"'a'",
        b"[1,]",
        b"1" * 5_000,
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        f'"{IDENTIFIER}'.encode(),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_not_canonical_is_refused(data: bytes) -> None:
    with pytest.raises(NotCanonical) as problem:
        loads(data)
    assert is_safe(str(problem.value))


@pytest.mark.parametrize(
    ("data", "says"),
    [(b'{"a":1,"a":1}', "canonical form"), (b"1.5", "float"), (b"[1, 2]", "canonical form"), (b"{", "not JSON")],
)
def test_the_refusal_says_why(data: bytes, says: str) -> None:
    with pytest.raises(NotCanonical, match=says):
        loads(data)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        *(1.0, float("nan"), [0.5], {"a": {"b": 1e9}}, {1: "a"}, {"a": {None: 1}}, "\ud800"),
        pytest.param(10**5_000, id="digits"),
        pytest.param(nested(5_000), id="nested"),
    ],
)
def test_values_without_a_canonical_form(value: Any) -> None:
    with pytest.raises(NotCanonical) as problem:
        dumps(value)
    assert is_safe(str(problem.value))

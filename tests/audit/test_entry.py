"""Entries and bodies: fixed bytes, one spelling, the commitment between them."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanroom.audit.events import Event, EventKind
from partners.transparency.entry import MAX_BODY_BYTES, Body, Entry, EntryError, commitment

COMMIT = "ab" * 32
ENTRY = b'{"commit":"%s","seq":7,"time":1760000000000,"version":1}' % COMMIT.encode()
BODY = b'{"actor":"key-1","collaboration":"drive","details":{"reason":"budget"},"event":"decision:refuse","version":1}'


def test_the_bytes_of_an_entry() -> None:
    assert Entry(7, 1_760_000_000_000, COMMIT).encode() == ENTRY
    assert Entry.parse(ENTRY) == Entry(7, 1_760_000_000_000, COMMIT)


def test_the_bytes_of_a_body() -> None:
    body = Body("decision:refuse", "drive", "key-1", {"reason": "budget"})
    assert body.encode() == BODY
    assert Body.parse(BODY) == body
    assert Event(EventKind.DECISION_REFUSE, "drive", "key-1", {"reason": "budget"}).body() == BODY
    assert Body.parse(Event(EventKind.ROOM_START).body()) == Body("room:start", None, None, {})


def test_the_commitment() -> None:
    assert commitment(b"n" * 32, BODY) == sha256(b"\x02" + b"n" * 32 + BODY).hexdigest()
    with pytest.raises(EntryError, match="32 bytes"):
        commitment(b"n" * 31, BODY)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        ENTRY + b"\n",
        b" " + ENTRY,
        ENTRY.replace(b":7", b":7.0"),
        ENTRY.replace(b":7", b":-1"),
        ENTRY.replace(b":7", b":true"),
        ENTRY.replace(b":7", b':"7"'),
        ENTRY.replace(b":7", b":9223372036854775808"),
        ENTRY.replace(b":7", b":" + b"9" * 5000),
        ENTRY.replace(b'"seq":7,', b'"seq":7,"seq":7,'),
        ENTRY.replace(b'"seq":7,', b""),
        ENTRY.replace(b'"seq":7,', b'"seq":7,"set":7,'),
        ENTRY.replace(b'"version":1', b'"version":2'),
        ENTRY.replace(b'"version":1', b'"version":true'),
        ENTRY.replace(b"ab", b"AB", 1),
        ENTRY.replace(b"ab", b"", 1),
        ENTRY.replace(b'"' + COMMIT.encode() + b'"', b"null"),
        b'{"seq":7,' + ENTRY[1:].replace(b'"seq":7,', b""),
    ],
)
def test_refuses_entries(data: bytes) -> None:
    with pytest.raises(EntryError):
        Entry.parse(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BODY + b"\n",
        BODY.replace(b"decision:refuse", b"decision"),
        BODY.replace(b"decision:refuse", b"Decision:refuse"),
        BODY.replace(b"decision:refuse", b"decision:refuse:more"),
        BODY.replace(b'"decision:refuse"', b"1"),
        BODY.replace(b'"key-1"', b"1"),
        BODY.replace(b'"drive"', b"[]"),
        BODY.replace(b'{"reason":"budget"}', b"[]"),
        BODY.replace(b'"budget"', b"0.5"),
        BODY.replace(b'"version":1', b'"version":2'),
        BODY.replace(b"budget", b"b" * MAX_BODY_BYTES),
    ],
)
def test_refuses_bodies(data: bytes) -> None:
    with pytest.raises(EntryError):
        Body.parse(data)


@pytest.mark.parametrize("value", [0.5, b"bytes", {1: 2}, "\ud800", "x" * MAX_BODY_BYTES])
def test_refuses_details_without_canonical_form(value: object) -> None:
    with pytest.raises(EntryError):
        Event(EventKind.DECISION_RELEASE, details={"value": value}).body()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda of: st.lists(of, max_size=3) | st.dictionaries(st.text(max_size=5), of, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(EventKind), st.none() | st.text(), st.dictionaries(st.text(max_size=5), json_values, max_size=3))
def test_bodies_round_trip(kind: EventKind, text: str | None, details: dict[str, object]) -> None:
    data = Event(kind, text, text, details).body()
    assert Body.parse(data) == Body(kind.value, text, text, details)
    assert Body.parse(data).encode() == data


def test_the_grammar_of_events() -> None:
    for kind in EventKind:
        subject, action = kind.value.split(":")
        assert subject.isalpha()
        assert action.isalpha()
        assert kind.value.islower()
        assert kind.name == f"{subject}_{action}".upper()

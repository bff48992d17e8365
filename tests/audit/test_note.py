"""Signed notes: the cases of Go's note package and of C2SP, and the spellings that are refused."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.transparency.note import NoteError, SigningKey, VerifierKey, open_note, split_note

FACTS: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "signed_note.json").read_text())
TEXT: str = FACTS["text"]
PETER, ENOCH, FALSE = (FACTS["signatures"][name] for name in ("PeterNeumann", "EnochRoot", "false"))
PETER_KEY, ENOCH_KEY = (VerifierKey.parse(FACTS["verifier_keys"][name]) for name in ("PeterNeumann", "EnochRoot"))
OTHER_KEY = SigningKey("other.example", bytes(32)).verifier


def note(*lines: str, text: str = TEXT) -> bytes:
    return (text + "\n" + "".join(f"{line}\n" for line in lines)).encode()


@pytest.mark.parametrize(
    ("message", "keys", "verified", "unverified"),
    [
        (note(PETER, ENOCH), [PETER_KEY], ["PeterNeumann"], ["EnochRoot"]),
        (note(PETER, ENOCH), [PETER_KEY, ENOCH_KEY], ["PeterNeumann", "EnochRoot"], []),
        (note(PETER), [ENOCH_KEY, PETER_KEY, ENOCH_KEY], ["PeterNeumann"], []),
        (note(PETER, PETER, ENOCH, ENOCH), [PETER_KEY], ["PeterNeumann"], ["EnochRoot", "EnochRoot"]),
        (note(*[PETER] * 100), [PETER_KEY], ["PeterNeumann"], []),
    ],
)
def test_opens(message: bytes, keys: list[VerifierKey], verified: list[str], unverified: list[str]) -> None:
    opened = open_note(message, keys)
    assert opened.text == TEXT
    assert [signature.name for signature in opened.verified] == verified
    assert [signature.name for signature in opened.unverified] == unverified


@pytest.mark.parametrize(
    ("message", "keys", "why"),
    [
        (note(PETER, ENOCH), [], "none of the given keys"),
        (note(PETER), [OTHER_KEY], "none of the given keys"),
        (note(FALSE), [PETER_KEY], "false signature"),
        (note(PETER, FALSE), [PETER_KEY], "false signature"),
        (note(ENOCH, FALSE), [ENOCH_KEY, PETER_KEY], "false signature"),
        (note(ENOCH), [ENOCH_KEY, PETER_KEY, ENOCH_KEY], "two of the given keys"),
        (note(PETER, text="Another text.\n"), [PETER_KEY], "false signature"),
        (note(*[PETER] * 101), [PETER_KEY], "more than 100"),
        (TEXT.encode() + b"\n", [PETER_KEY], "malformed"),
        (TEXT.encode(), [PETER_KEY], "malformed"),
        (b"", [PETER_KEY], "malformed"),
        (note(PETER)[:-1], [PETER_KEY], "malformed"),
        (b"\x01" + note(PETER), [PETER_KEY], "control character"),
        (note(PETER, text=TEXT.replace("\n", "\r\n")), [PETER_KEY], "control character"),
        (b"\xff" + note(PETER), [PETER_KEY], "UTF-8"),
        (note(PETER.replace("PeterNeumann", "Bad Name")), [PETER_KEY], "form"),
        (note(PETER.replace("PeterNeumann", "Bad+Name")), [PETER_KEY], "form"),
        (note(PETER.replace("PeterNeumann", "Bad\u2003Name")), [PETER_KEY], "form"),
        (note(PETER.replace("PeterNeumann", "")), [PETER_KEY], "form"),
        (note(PETER, "Unexpected line."), [PETER_KEY], "form"),
        (note(PETER.replace("—", "-")), [PETER_KEY], "form"),
        (note(PETER + " "), [PETER_KEY], "form"),
        (note(PETER + "="), [PETER_KEY], "base64"),
        (note(PETER.removesuffix("=")), [PETER_KEY], "base64"),
        (note(PETER.replace("nAM=", "nAN=")), [PETER_KEY], "canonical"),
        (note("— PeterNeumann x08g/w=="), [PETER_KEY], "too short"),
        (note("— PeterNeumann x08gowo="), [PETER_KEY], "false signature"),
        (note(PETER, text="x" * 1_000_000 + "\n"), [PETER_KEY], "larger"),
    ],
)
def test_refuses(message: bytes, keys: list[VerifierKey], why: str) -> None:
    with pytest.raises(NoteError, match=why):
        open_note(message, keys)


def test_a_text_may_hold_empty_lines() -> None:
    key = SigningKey("room.example/audit-v1", bytes(range(32)))
    for text in ("\n", "a\n\n", "a\n\nb\n", "\n\na\n"):
        assert open_note(key.sign(text), [key.verifier]).text == text


def test_signs_as_go_does() -> None:
    key = SigningKey.parse(FACTS["signing_key"])
    assert key.verifier == PETER_KEY
    assert key.sign(TEXT) == note(PETER)
    assert key.secret_text() == FACTS["signing_key"]


def test_the_examples_of_c2sp() -> None:
    example = FACTS["c2sp_note"]
    assert open_note(example["message"].encode(), [VerifierKey.parse(example["vkey"])]).verified
    _, signatures = split_note(FACTS["c2sp_cosigned"]["message"].encode())
    assert [signature.name for signature in signatures] == FACTS["c2sp_cosigned"]["signers"]


GOOD = str(PETER_KEY)


@pytest.mark.parametrize(
    "text",
    [
        *FACTS["bad_verifier_keys"],
        "",
        GOOD + "\n",
        " " + GOOD,
        GOOD.replace("c74f20a3", "C74F20A3"),
        GOOD.replace("c74f20a3", "c74f20a4"),
        GOOD.replace("c74f20a3", "c74f20a"),
        GOOD.replace("Peter", "Beter"),
        GOOD.replace("Peter", "Pe ter"),
        GOOD.replace("PeterNeumann", ""),
        GOOD.replace("10TW", "10T"),
        GOOD + "A===",
        FACTS["signing_key"],
    ],
)
def test_refuses_verifier_keys(text: str) -> None:
    with pytest.raises(NoteError):
        VerifierKey.parse(text)


def test_refuses_keys_of_another_type() -> None:
    raw = b"\x04" + PETER_KEY.public
    text = f"PeterNeumann+{PETER_KEY.id.hex()}+{base64.b64encode(raw).decode()}"
    with pytest.raises(NoteError, match="type"):
        VerifierKey.parse(text)


def test_refuses_signing_keys() -> None:
    good = FACTS["signing_key"]
    for text in (good + "\n", good.replace("c74f20a3", "c74f20a4"), good.replace("PRIVATE", "private"), GOOD):
        with pytest.raises(NoteError) as raised:
            SigningKey.parse(text)
        assert good[-44:] not in str(raised.value)


def test_refuses_names_and_sizes() -> None:
    for name in ("", "a b", "a+b", "a\nb"):
        with pytest.raises(NoteError, match="name"):
            SigningKey(name, bytes(32))
    with pytest.raises(NoteError, match="32 bytes"):
        VerifierKey("a", bytes(31))


def test_a_signing_key_does_not_show_its_seed() -> None:
    assert repr(SigningKey("a", b"s" * 32)) == "SigningKey(name='a')"


@pytest.mark.parametrize("text", ["", "no newline", "tab\t\n", "return\r\n"])
def test_refuses_to_sign(text: str) -> None:
    with pytest.raises(NoteError, match="must end in a newline"):
        SigningKey("a", bytes(32)).sign(text)


@given(st.binary(max_size=300))
def test_any_bytes_open_or_are_refused(message: bytes) -> None:
    with pytest.raises(NoteError):
        open_note(message, [PETER_KEY])


@given(st.integers(0, len(note(PETER)) - 1), st.integers(1, 255))
def test_no_changed_byte_passes(position: int, change: int) -> None:
    message = bytearray(note(PETER))
    message[position] ^= change
    with pytest.raises(NoteError):
        open_note(bytes(message), [PETER_KEY])

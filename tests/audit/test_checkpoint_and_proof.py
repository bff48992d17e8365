"""Checkpoints and proofs as text: one spelling each, everything else refused."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partners.transparency.checkpoint import Checkpoint, open_checkpoint, read_unverified
from partners.transparency.encoding import decode_decimal
from partners.transparency.note import NoteError, SigningKey
from partners.transparency.proof import Proof, ProofError
from tests.audit.test_note import FACTS

KEY = SigningKey("room.example/audit-v1", bytes(range(32)))
ROOT = bytes(range(32))
TEXT = f"room.example/audit-v1\n300\n{base64.b64encode(ROOT).decode()}\n"


def test_the_example_of_c2sp() -> None:
    facts = FACTS["c2sp_cosigned"]
    checkpoint = read_unverified(facts["message"].encode())
    assert (checkpoint.origin, checkpoint.size) == (facts["origin"], facts["size"])
    assert checkpoint.root == base64.b64decode(facts["root_b64"])
    assert facts["message"].startswith(checkpoint.text() + "\n")


def test_opens_only_its_own_log() -> None:
    checkpoint = Checkpoint(KEY.name, 300, ROOT)
    assert checkpoint.text() == TEXT
    assert open_checkpoint(KEY.sign(TEXT), KEY.verifier) == checkpoint
    with pytest.raises(NoteError, match="another log"):
        open_checkpoint(KEY.sign(TEXT.replace("room", "shop")), KEY.verifier)
    with pytest.raises(NoteError, match="none of the given keys"):
        open_checkpoint(KEY.sign(TEXT), SigningKey(KEY.name, bytes(32)).verifier)


def test_extension_lines_are_kept() -> None:
    checkpoint = Checkpoint.parse(TEXT + "one\ntwo\n")
    assert checkpoint.extensions == ("one", "two")
    assert checkpoint.text() == TEXT + "one\ntwo\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        TEXT[:-1],
        TEXT + "\n",
        "\n" + TEXT,
        TEXT + "\nextension\n",
        "room.example/audit-v1\n300\n",
        TEXT.replace("300", "0300"),
        TEXT.replace("300", "+300"),
        TEXT.replace("300", "-1"),
        TEXT.replace("300", "3_0"),
        TEXT.replace("300", "٣"),
        TEXT.replace("300", " 300"),
        TEXT.replace("300", str(2**63)),
        TEXT.replace("Hh8=", "Hh8"),
        TEXT.replace("Hh8=", "Hh9="),
        TEXT.replace("Hh8=", "Hg=="),
    ],
)
def test_refuses_checkpoints(text: str) -> None:
    with pytest.raises(NoteError, match="malformed checkpoint"):
        Checkpoint.parse(text)


@given(st.integers(0, 2**63 - 1), st.binary(min_size=32, max_size=32))
def test_checkpoints_round_trip(size: int, root: bytes) -> None:
    checkpoint = Checkpoint("log.example", size, root)
    assert Checkpoint.parse(checkpoint.text()) == checkpoint


@given(st.text(max_size=20))
def test_decimals_have_one_spelling(text: str) -> None:
    try:
        assert str(decode_decimal(text)) == text
    except ValueError:
        assert not (text.isascii() and text.isdigit() and text == str(int(text)) and int(text) < 2**63)


HASHES = (b"a" * 32, b"b" * 32)
LINES = [base64.b64encode(digest).decode() for digest in HASHES]


def test_the_form_of_a_proof() -> None:
    note = KEY.sign(TEXT).decode()
    text = f"c2sp.org/tlog-proof@v1\nindex 7\n{LINES[0]}\n{LINES[1]}\n\n{note}"
    assert Proof(7, HASHES, note).encode() == text
    assert Proof.parse(text) == Proof(7, HASHES, note)
    assert Proof(0, (), note).encode() == f"c2sp.org/tlog-proof@v1\nindex 0\n\n{note}"
    assert Proof.parse(Proof(0, (), note).encode()) == Proof(0, (), note)


@pytest.mark.parametrize("extra", [b"", b"data"])
def test_a_proof_may_carry_extra_data(extra: bytes) -> None:
    proof = Proof(7, HASHES, "note\n", extra)
    assert proof.encode().split("\n")[1] == "extra " + base64.b64encode(extra).decode()
    assert Proof.parse(proof.encode()) == proof


GOOD = f"c2sp.org/tlog-proof@v1\nindex 7\n{LINES[0]}\n\nnote\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "c2sp.org/tlog-proof@v1",
        "c2sp.org/tlog-proof@v1\n\nnote\n",
        GOOD.replace("v1", "v2"),
        GOOD.replace("\n", "\r\n"),
        " " + GOOD,
        GOOD.replace("index 7", "index 07"),
        GOOD.replace("index 7", "index  7"),
        GOOD.replace("index 7", "index -7"),
        GOOD.replace("index 7", "index"),
        GOOD.replace("index 7", "extra YQ==\nextra YQ==\nindex 7"),
        GOOD.replace("index 7", "extra YQ=\nindex 7"),
        GOOD.replace("index 7", f"index 7\nindex 7\n{LINES[1]}"),
        GOOD.replace(LINES[0], "YQ=="),
        GOOD.replace(LINES[0], "\n".join(LINES * 32)),
        GOOD.removesuffix("note\n"),
    ],
)
def test_refuses_proofs(text: str) -> None:
    with pytest.raises(ProofError, match="malformed proof"):
        Proof.parse(text)


@given(st.text())
def test_any_text_is_refused_or_round_trips(text: str) -> None:
    for candidate in (text, "c2sp.org/tlog-proof@v1\n" + text, GOOD.replace("index 7", text)):
        with suppress(ProofError):
            assert Proof.parse(candidate).encode() == candidate

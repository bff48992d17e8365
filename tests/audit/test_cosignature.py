"""Cosignatures: bytes worked out by hand from the text of C2SP tlog-cosignature, and what is not counted."""

import base64
import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from partners.transparency.cosignature import WitnessKey, WitnessSigner, cosigned, with_cosignatures
from partners.transparency.note import NoteError, SigningKey, split_note

LOG = SigningKey("room.example/audit-v1", bytes(range(32)))
SIGNER = WitnessSigner("tasty/witness", bytes(range(32, 64)))
OTHER = WitnessSigner("fresh/witness", bytes(range(64, 96)))
TEXT = "room.example/audit-v1\n300\nLExmXcfXTcQ0FVOLGJzrSk6Fu1ju36gM6diMJ1T0860=\n"
NOTE = LOG.sign(TEXT)
TIME = 1_679_315_147

# The example of C2SP tlog-cosignature; its witness's public key is not given.
EXAMPLE = (
    "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— example.com/behind-the-sofa"
    " Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    "— witness.example.com/w1"
    " jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def by_hand(seed: bytes, name: str, text: str, time: int) -> str:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    public = private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(name.encode() + b"\x0a\x04" + public).digest()[:4]
    signature = private.sign(b"cosignature/v1\ntime " + str(time).encode() + b"\n" + text.encode())
    stamped = base64.b64encode(key_id + struct.pack(">Q", time) + signature).decode()
    return f"\N{EM DASH} {name} {stamped}\n"


def test_the_bytes_of_a_cosignature() -> None:
    assert SIGNER.cosign(TEXT, TIME) == by_hand(SIGNER.seed, SIGNER.name, TEXT, TIME)
    message = NOTE + SIGNER.cosign(TEXT, TIME).encode()
    assert cosigned(message, [SIGNER.key, OTHER.key]) == {SIGNER.key: TIME}


def test_the_example_of_the_specification_has_this_form() -> None:
    (_, witness) = split_note(EXAMPLE.encode())[1]
    assert (witness.name, len(witness.signature)) == ("witness.example.com/w1", 72)
    assert int.from_bytes(witness.signature[:8], "big") == TIME


def test_a_key_and_its_text() -> None:
    text = str(SIGNER.key)
    assert WitnessKey.parse(text) == SIGNER.key
    name, key_id, rest = text.split("+", 2)
    assert base64.b64decode(rest)[:1] == b"\x04"
    for wrong in (text[:-1], f"{name}x+{key_id}+{rest}", str(LOG.verifier), "", f"{text}\n", f"{name}+{key_id}+!"):
        with pytest.raises(NoteError):
            WitnessKey.parse(wrong)
    assert "x" * 40 not in repr(WitnessSigner("a", b"x" * 32))


@pytest.mark.parametrize(
    "line",
    [
        by_hand(SIGNER.seed, SIGNER.name, TEXT.replace("300", "301"), TIME),
        by_hand(OTHER.seed, SIGNER.name, TEXT, TIME),
        by_hand(SIGNER.seed, "somebody/else", TEXT, TIME),
        by_hand(SIGNER.seed, SIGNER.name, TEXT, 0),
        LOG.sign(TEXT).decode().rpartition("\n\n")[2].replace(LOG.name, SIGNER.name),
    ],
    ids=["another text", "another key", "another name", "no time", "no cosignature"],
)
def test_what_is_not_counted(line: str) -> None:
    assert cosigned(NOTE + line.encode(), [SIGNER.key]) == {}
    assert with_cosignatures(NOTE, line.encode(), [SIGNER.key]) == NOTE


def test_a_changed_time_is_not_counted() -> None:
    data = bytearray(base64.b64decode(SIGNER.cosign(TEXT, TIME).split(" ")[2]))
    data[11] ^= 1
    line = f"— {SIGNER.name} {base64.b64encode(data).decode()}\n"
    assert cosigned(NOTE + line.encode(), [SIGNER.key]) == {}


def test_cosignatures_are_added_once() -> None:
    lines = "".join(each.cosign(TEXT, TIME) for each in (OTHER, SIGNER, SIGNER))
    note = with_cosignatures(NOTE, lines.encode(), [SIGNER.key, OTHER.key])
    assert note == NOTE + (SIGNER.cosign(TEXT, TIME) + OTHER.cosign(TEXT, TIME)).encode()
    assert with_cosignatures(note, SIGNER.cosign(TEXT, TIME + 1).encode(), [SIGNER.key, OTHER.key]) == note
    with pytest.raises(NoteError):
        with_cosignatures(NOTE, b"no line\n", [SIGNER.key])

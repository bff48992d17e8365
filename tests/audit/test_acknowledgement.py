"""Acknowledgements: the room's signed word about a batch, which is never a checkpoint."""

from pathlib import Path

import pytest

from cleanroom.audit import signer
from partners.transparency.acknowledgement import Acknowledgement, open_acknowledgement
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.note import NoteError, SigningKey

ORIGIN = "room.example/audit-v1"
KEY = SigningKey(ORIGIN, bytes(range(32)))
DIGEST = "5d" * 32
GOOD = Acknowledgement(ORIGIN, "drive-1", "fresh", "2026-03-14", DIGEST)


def test_the_signer_acknowledges(tmp_path: Path) -> None:
    signing = signer.create(tmp_path / "keys", ORIGIN)
    note = signing.acknowledge("drive-1", "fresh", "2026-03-14", DIGEST)
    assert note == signing.acknowledge("drive-1", "fresh", "2026-03-14", DIGEST)
    assert open_acknowledgement(note, signing.verifier) == GOOD
    with pytest.raises(NoteError):
        open_acknowledgement(note, KEY.verifier)
    with pytest.raises(NoteError):
        open_checkpoint(note, signing.verifier)


def test_the_text_is_fixed() -> None:
    assert GOOD.text() == f"cleanroom/acknowledgement/v1\n{ORIGIN}\ndrive-1\nfresh\n2026-03-14\n{DIGEST}\n"


def test_a_checkpoint_acknowledges_nothing() -> None:
    with pytest.raises(NoteError, match="no acknowledgement"):
        open_acknowledgement(KEY.sign(Checkpoint(ORIGIN, 3, bytes(32)).text()), KEY.verifier)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v1\n", "v2\n"),
        ("fresh", "fr esh"),
        ("drive-1", ""),
        ("2026-03-14", "2026-3-14"),
        (DIGEST, DIGEST[1:]),
        (DIGEST, f"{DIGEST}\nmore"),
        (f"{DIGEST}\n", f"{DIGEST}\n\n"),
        (ORIGIN, "other.example/audit-v1"),
    ],
)
def test_another_form_is_refused(old: str, new: str) -> None:
    with pytest.raises(NoteError):
        open_acknowledgement(KEY.sign(GOOD.text().replace(old, new, 1)), KEY.verifier)

"""Every transcript is what the commands answer. After a change on purpose: `python -m tests.transcripts --write`."""

import difflib
from pathlib import Path

import pytest

from tests.transcripts.__main__ import FOLDER
from tests.transcripts.script import played


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.txt")), ids=lambda path: path.stem)
def test_the_commands_answer_as_it_is_written(path: Path, tmp_path: Path) -> None:
    now, before = played(path, tmp_path), path.read_text(encoding="utf-8")
    assert list(difflib.unified_diff(before.splitlines(), now.splitlines(), "written", "now", n=1, lineterm="")) == []

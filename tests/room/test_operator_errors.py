"""What the system refuses the operator: one line that names the file, no folder of the machine, and never a trace."""

import sys
from pathlib import Path

import pytest

from cleanroom.cli import main
from tests.room.conftest import Collaboration


def ends(arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of a command that fails."""
    monkeypatch.setattr(sys, "argv", ["cleanroom", *arguments])
    capsys.readouterr()
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 1
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(("command", "about"), [(["backup"], "copy: "), (["audit", "export"], "")])
def test_a_folder_that_is_not_there(
    published: Collaboration,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    about: str,
) -> None:
    settings = published.stage.room.settings
    folders = ["--data", str(settings.data), "--keys", str(settings.keys)]
    line = ends([*command, str(tmp_path / "nowhere" / "copy"), *folders], monkeypatch, capsys)
    assert line == f"error: {about}No such file or directory; check the path, its rights and the free space"


def test_a_room_where_none_can_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a-file").write_text("")
    place = str(tmp_path / "a-file" / "room")
    line = ends(["init", "x", "--data", place], monkeypatch, capsys)
    assert line == "error: room: Not a directory; check the path, its rights and the free space"

"""The commands about keys, a partner's and the operator's."""

import json
import re
from datetime import datetime
from typing import Any

import pytest
from click.testing import CliRunner

from cleanroom.cli import cli
from partners import keys as key_files
from partners.cli import main
from partners.commands.terminal import NEW_PASSPHRASE, PASSPHRASE
from partners.key_change import Role
from partners.keys import key_id
from partners.room.connection import RoomRefused
from partners.steps import keys as steps
from partners.steps.keys import KeysRefused
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, URL, Stage
from tests.room.test_keys import now


def command(stage: Stage, folder: str, *arguments: str) -> str:
    """What a command of a partner's folder prints, on stdout and stderr."""
    home = str(stage.folder / "partners" / folder)
    done = CliRunner().invoke(main, ["--home", home, *arguments], obj=stage.transport())
    assert done.exit_code == 0, done.output
    return done.output


def test_the_commands(joined: Stage) -> None:
    """As docs/keys.md tells it: show, add, enter, list, rotate, revoke."""
    identifier = joined.agree(DRIVE, READERS)
    command(joined, "ada", "keygen")
    file = joined.folder / "ada.pub"
    home = str(joined.folder / "partners" / "ada")
    done = CliRunner().invoke(main, ["--home", home, "key", "show"], obj=joined.transport())
    file.write_text(done.stdout)
    (shown,) = re.findall(r"key ([0-9a-f]{16}):", done.stderr)
    assert f"added key {shown} as marketer" in command(joined, "fresh", "key", "add", str(file), "--role", "marketer")
    assert "acts for fresh" in command(joined, "ada", "key", "enter", URL, "fresh")
    assert identifier in command(joined, "ada", "status")
    listed = json.loads(command(joined, "fresh", "key", "list", "--json"))
    assert [(each["role"], each["counts"], each["ends"]) for each in listed["keys"]] == [
        ("owner", True, None),
        ("marketer", True, None),
    ]
    said = command(joined, "fresh", "key", "rotate", "--yes")
    assert f"The agreement {identifier} names the old key" in said
    assert "compare fresh" in said
    assert "this folder" in command(joined, "fresh", "key", "list")
    assert f"the key {shown} counts no longer" in command(joined, "fresh", "key", "revoke", shown, "--yes")
    owner, ada, new = json.loads(command(joined, "fresh", "key", "list", "--json"))["keys"]
    assert (owner["counts"], owner["ends"]) == (True, "2026-03-21 12:00Z")
    assert (ada["counts"], ada["ends"]) == (False, "2026-03-14 12:00Z")
    assert (new["role"], new["ends"]) == ("owner", None)


def test_what_is_no_public_key(joined: Stage) -> None:
    fresh, file = joined.players["fresh"], joined.folder / "some.pub"
    for content in (b"", b"[]", b"{}", b'{"signing_key": "AAAA"}', b'{"signing_key": 7}', b"\xff"):
        file.write_bytes(content)
        with pytest.raises(KeysRefused, match="holds no public key"):
            steps.add(fresh.home, fresh.room, Role.MARKETER, file, now(joined))


def test_rotated_keys_keep_their_passphrase(joined: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (PASSPHRASE, NEW_PASSPHRASE):
        monkeypatch.setenv(variable, "four words and more")
    monkeypatch.setattr(key_files, "SCRYPT", {"n": 2**4, "r": 8, "p": 1})
    command(joined, "fresh", "passphrase")
    command(joined, "fresh", "key", "rotate", "--yes")
    assert joined.players["fresh"].home.protected()
    command(joined, "fresh", "key", "list")


def operator(stage: Stage, *arguments: str) -> Any:
    folders = ["--data", str(stage.room.settings.data), "--keys", str(stage.room.settings.keys)]
    return CliRunner().invoke(cli, [*arguments, *folders])


def test_the_operator_ends_a_stolen_key(published: Collaboration) -> None:
    stage = published.stage
    identity = stage.players["fresh"].identity
    identifier = key_id(identity.public.signing)
    done = operator(stage, "revoke-key", "fresh", identifier)
    assert done.exit_code == 0, done.output
    assert "no owner key left" in done.output
    stage.clock.now = datetime.fromtimestamp(stage.rows("select max(ends) from keys")[0][0], stage.clock.now.tzinfo)
    assert stage.sign_in(stage.assertion("fresh")).status_code == 401
    assert stage.leaves()[-1] == ("key:revoke", {"partner": "fresh", "key": identifier})
    again = operator(stage, "revoke-key", "fresh", identifier)
    assert (again.exit_code, "nothing was done" in again.output) == (1, True)
    tasty = stage.players["tasty"]
    with pytest.raises(RoomRefused) as caught:
        tasty.room.keys_of("fresh")
    assert caught.value.problem.code == "not-found"

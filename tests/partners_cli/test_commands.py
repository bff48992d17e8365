"""The commands: what they print, how they end, and that nobody ever sees a trace."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from partners import keys
from partners.cli import main
from partners.commands.terminal import NEW_PASSPHRASE, PASSPHRASE
from tests.partners_cli.conftest import AGREEMENT
from tests.partners_cli.fake_room import URL, FakeRoom
from tests.partners_cli.test_audiences import customer_file
from tests.partners_cli.test_tables import figure

Run = Callable[..., Result]
OVERLAP = 'collaboration = "drive-2026"\nkind = "overlap"\naudiences = ["fresh/drive", "tasty/readers"]\n'


@dataclass
class Terminal:
    """Runs commands as one partner after another, with files in one folder."""

    fake: FakeRoom
    folder: Path

    def __call__(self, partner: str, *arguments: str, answer: str | None = None) -> Result:
        home = ["--home", str(self.folder / partner)]
        return CliRunner().invoke(main, [*home, *arguments], input=answer, obj=self.fake.transport())

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def done(self, partner: str, *arguments: str, answer: str | None = None) -> str:
        result = self(partner, *arguments, answer=answer)
        assert result.exit_code == 0, result.output
        return result.stdout


@pytest.fixture
def terminal(fake: FakeRoom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    monkeypatch.setattr("partners.room.client.FIRST_WAIT_SECONDS", 0.0)
    hook = sys.excepthook
    yield Terminal(fake, tmp_path)
    sys.excepthook = hook


@pytest.fixture
def joined_terminal(terminal: Terminal) -> Terminal:
    for name in ("fresh", "tasty"):
        terminal.done(name, "keygen")
        terminal.done(name, "join", URL, terminal.fake.invite(name))
    return terminal


def failed(result: Result, code: int = 1) -> str:
    """The one line on stderr that a failed command ends with."""
    assert result.exit_code == code, result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert "Traceback" not in result.output
    return line


def test_the_whole_way_from_keys_to_a_proven_report(joined_terminal: Terminal) -> None:
    run = joined_terminal
    proposed = run.done("fresh", "propose", run.file("agreement.toml", AGREEMENT))
    assert "tasty run `cleanroom-partner agree drive-2026-" in proposed
    explained = run.done("tasty", "explain", "drive-2026")
    assert "a figure shows only for at least 100 people" in explained
    assert "waiting for tasty" in explained
    checked = run("tasty", "explain", "drive-2026", "--check", "pair")
    assert (checked.exit_code, checked.stderr) == (1, "")
    assert "not met: minimum_audience" in checked.stdout
    assert "tighten" in checked.stdout
    assert json.loads(run.done("tasty", "explain", "drive-2026", "--check", "default", "--json"))["met"] is True
    assert "signed drive-2026-" in run.done("tasty", "agree", "drive-2026", answer="yes\n")
    assert "compare tasty" in failed(run("fresh", "secret", "make", "drive-2026"))
    ours, theirs = (
        run.done(one, "compare", other, answer="yes\n") for one, other in (("fresh", "tasty"), ("tasty", "fresh"))
    )
    digits = [line for line in ours.splitlines() if line.startswith("  ")]
    assert len(digits) == 3
    assert len("".join(digits).replace(" ", "")) == 60
    assert digits == [line for line in theirs.splitlines() if line.startswith("  ")]
    assert "dishonest" in ours
    run.done("fresh", "secret", "make", "drive-2026")
    assert "accepted the secret of drive-2026-" in run.done("tasty", "secret", "accept")
    assert "no new secret" in run.done("tasty", "secret", "accept")
    customer_file(run.folder)
    (identifier,) = run.fake.agreements
    preparing = ("prepare", str(run.folder / "map.toml"), "--out", str(run.folder / "out"))
    assert json.loads(run.done("fresh", *preparing, "--json"))["collaboration"] == identifier
    prepared = run.done("fresh", *preparing)
    assert "fresh/drive" in prepared
    assert f"prepared for {identifier}\n" in prepared
    uploading = ("upload", str(run.folder / "out" / "drive.manifest.json"))
    uploaded = run.done("fresh", *uploading)
    assert "published: fresh/drive, 40 rows, version v-0 in " + identifier in uploaded
    assert json.loads(run.done("fresh", *uploading, "--json"))["collaboration"] == identifier
    run.fake.figures = [figure(1200), figure(None, where={"matched": "tasty/readers"})]
    request = run.file("request.toml", OVERLAP)
    assert "0.25" in run.done("fresh", "ask", request, "--dry-run")
    asked = run.done("fresh", "ask", request)
    assert "overlap report r-0" in asked
    assert "± 60" in asked
    report, table = run.folder / "report.json", run.folder / "figures.csv"
    run.done("fresh", "report", "r-0", "--json", str(report), "--csv", str(table))
    assert json.loads(report.read_text())["figures"] == run.fake.figures
    assert report.stat().st_mode & 0o077 == 0
    assert table.read_text().startswith("counted,where,measure")
    verified = run.done("fresh", "verify", str(report))
    assert "decision:release" in verified
    assert "passed" in verified
    again = json.loads(run.done("auditor", "verify", str(report), "--vkey", str(run.fake.signer.verifier), "--json"))
    assert again["ok"] is True
    assert again["root"] == json.loads(report.read_text())["receipt"]["proof"].splitlines()[6]  # of the checkpoint
    assert not (run.folder / "auditor").exists()
    (line,) = json.loads(run.done("fresh", "status", "--json"))["collaborations"]
    assert (line["state"], line["signed"]) == ("open", ["fresh", "tasty"])
    assert "keys compared with: tasty" in run.done("fresh", "status")


def test_agreeing_again_says_what_is_next_as_status_does(joined_terminal: Terminal) -> None:
    run = joined_terminal
    run.done("fresh", "propose", run.file("agreement.toml", AGREEMENT))

    def following(partner: str) -> str:
        """What `agree` says is next, which is what `status` says."""
        said = run.done(partner, "agree", "drive-2026", "--yes")
        (line,) = json.loads(run.done(partner, "status", "--json"))["collaborations"]
        assert said.endswith(f"The agreement is open. Next: {line['next']}\n")
        assert ("before" in said) == (partner in signed)
        signed.add(partner)
        return str(line["next"]).replace(line["id"], "ID")

    signed = {"fresh"}
    assert following("tasty") == "`compare fresh`, then one of you runs `secret make ID`"
    run.done("fresh", "compare", "tasty", "--yes")
    assert following("fresh") == "one of you runs `secret make ID`"
    run.done("fresh", "secret", "make", "drive-2026")
    assert following("fresh") == "`prepare` your map, then `upload`"
    assert following("tasty") == "`compare fresh`, then `secret accept ID`"
    run.done("tasty", "compare", "fresh", "--yes")
    assert following("tasty") == "`secret accept ID`"


def test_proposing_again_says_how_the_older_proposal_goes_away(joined_terminal: Terminal) -> None:
    run = joined_terminal
    file = run.file("agreement.toml", AGREEMENT)
    first = json.loads(run.done("fresh", "propose", file, "--json"))
    assert first["older"] == []
    said = run.done("fresh", "propose", file)
    assert said.endswith(f"  cleanroom-partner leave {first['id']} --yes\n")
    _, second = run.fake.agreements
    for command in (("agree", "drive-2026", "--yes"), ("leave", "drive-2026", "--yes"), ("explain", "drive-2026")):
        refused = failed(run("tasty", *command))
        assert first["id"] in refused
        assert second in refused
    run.done("tasty", "agree", second, "--yes")
    assert f"Its id is {second}." in run.done("tasty", "explain", "drive-2026")
    assert "give the id" in failed(run("tasty", "agree", "drive-2026", "--yes"))
    assert run.fake.agreements[first["id"]][1].keys() == {"fresh"}
    # What is open is not an older proposal, and that of somebody else is not one's own to take away.
    assert json.loads(run.done("tasty", "propose", file, "--json"))["older"] == []
    assert json.loads(run.done("fresh", "propose", file, "--json"))["older"] == [first["id"]]


def test_reports_go_to_stdout_alone_with_a_dash(joined_terminal: Terminal) -> None:
    run = joined_terminal
    run.done("fresh", "propose", run.file("agreement.toml", AGREEMENT))
    asked = json.loads(run.done("fresh", "ask", run.file("request.toml", OVERLAP), "--json"))
    assert json.loads(run.done("fresh", "report", "r-0", "--json", "-")) == asked
    quote = json.loads(run.done("fresh", "ask", run.file("request.toml", OVERLAP), "--json", "--dry-run"))
    assert quote["cost"] == {"fresh": 250_000}
    assert list(run.fake.reports) == ["r-0"]


def test_grant_and_ledger(joined_terminal: Terminal) -> None:
    run = joined_terminal
    assert "did not type yes" in failed_after_question(run("fresh", "grant", "1.5", answer="no\n"))
    assert run.fake.grants == []
    assert "granted ε 1.5" in run.done("fresh", "grant", "1.5", "--yes")
    assert [each["epsilon"] for each in run.fake.grants] == [1_500_000]
    assert json.loads(run.done("fresh", "ledger", "--json"))["allowance"] == 5_000_000
    assert "lifetime" in run.done("fresh", "ledger")


def failed_after_question(result: Result) -> str:
    """The question has no line of its own, so the error follows it."""
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    return line.partition("Type yes: ")[2]


def test_nobody_answering_is_not_a_yes(joined_terminal: Terminal) -> None:
    run = joined_terminal
    assert "--yes" in failed_after_question(run("fresh", "compare", "tasty", answer=""))
    assert "nobody yet" in run.done("fresh", "status")
    run.done("fresh", "propose", run.file("agreement.toml", AGREEMENT))
    assert "--yes" in failed_after_question(run("tasty", "agree", "drive-2026", answer=""))
    assert run.fake.agreements.popitem()[1][1].keys() == {"fresh"}


def test_a_draft_is_printed_and_nothing_sent(terminal: Terminal) -> None:
    customer_file(terminal.folder)
    text = terminal.done("fresh", "propose", "--draft-domains", str(terminal.folder / "map.toml"))
    assert '\ntier = ["gold"]' in text
    assert terminal.fake.requests == []


def test_a_draft_goes_into_a_file_as_it_is(terminal: Terminal) -> None:
    """Whatever encoding the terminal has, and behind what is there, of any editor; or nothing is changed."""
    customer_file(terminal.folder)
    place = str(terminal.folder / "map.toml")
    rows = (terminal.folder / "fresh.csv").read_text().replace("gold", "złoty")
    (terminal.folder / "złoty.csv").write_text(rows, encoding="utf-8")
    Path(place).write_text(Path(place).read_text().replace("fresh.csv", "złoty.csv"), encoding="utf-8")
    out = terminal.folder / "my agreement.toml"
    draft = ["propose", "--draft-domains", place, "--into", str(out)]
    said = terminal.done("fresh", *draft)
    assert f"propose '{out}'" in said
    first = out.read_bytes()
    assert "złoty".encode() in first
    out.write_bytes(b"\xef\xbb\xbf" + AGREEMENT.encode().rstrip())
    terminal.done("fresh", *draft)
    assert out.read_bytes() == AGREEMENT.encode().rstrip() + b"\n\n" + first
    out.write_bytes(AGREEMENT.encode("utf-16"))
    assert "UTF-8" in failed(terminal("fresh", *draft))
    assert out.read_bytes() == AGREEMENT.encode("utf-16")
    assert "--draft-domains" in failed(terminal("fresh", "propose", "--into", str(out)), 2)
    for other in ("fresh.csv", "map.toml"):  # no file of an agreement
        before = (terminal.folder / other).read_bytes()
        assert terminal("fresh", *draft[:-1], str(terminal.folder / other)).exit_code
        assert (terminal.folder / other).read_bytes() == before
    (terminal.folder / "link.toml").symlink_to(out)
    assert "plain file" in failed(terminal("fresh", *draft[:-1], str(terminal.folder / "link.toml")), 2)

    environment = {**os.environ, "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    program = f"from partners.cli import main\nmain(['propose', '--draft-domains', {place!r}])\n"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=True)
    assert printed.stdout == first


FAILURES = {
    "no keys": (["join", URL, "code"], "keygen"),
    "no room": (["status"], "cleanroom-partner join"),
    "plain http": (["join", "http://room.example", "code"], "plain http:// is refused"),
    "a wrong ε": (["grant", "a lot"], "an ε is a number"),
    "a damaged vkey": (["verify", "FILE", "--vkey", "x"], "verifier key"),
    "no receipt": (["verify", "FILE", "--vkey", "VKEY"], "not JSON"),
    "no map": (["prepare", "FILE"], "not TOML"),
    "no request": (["ask", "FILE"], "is not TOML"),
    "no collaboration": (["ask", "EMPTY"], "names no collaboration"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failure_is_one_line_that_says_what_to_do(terminal: Terminal, name: str) -> None:
    arguments, words = FAILURES[name]
    if name == "plain http":
        terminal.done("fresh", "keygen")
    files = {
        "FILE": terminal.file("file", "[x"),
        "EMPTY": terminal.file("empty.toml", "kind = 'overlap'"),
        "VKEY": str(terminal.fake.signer.verifier),
    }
    assert words in failed(terminal("fresh", *(files.get(argument, argument) for argument in arguments)))


USAGE = {
    "no such command": (["agrree"], "No such command"),
    "no such option": (["status", "--jsn"], "No such option"),
    "an argument is missing": (["join", URL], "Missing argument 'CODE'"),
    "no agreement at all": (["propose"], "Missing argument 'AGREEMENT'"),
    "a file that is not there": (["ask", "nowhere.toml"], "does not exist"),
    "no command": ([], "Missing command"),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_one_line_and_exits_2(terminal: Terminal, name: str) -> None:
    arguments, words = USAGE[name]
    result = terminal("fresh", *arguments)
    if name == "no command":
        assert result.exit_code == 2
        return
    line = failed(result, code=2)
    assert words in line
    assert "--help" in line


def test_what_the_room_says_is_printed_as_one_line(joined_terminal: Terminal) -> None:
    line = failed(joined_terminal("fresh", "report", "r-9"))
    assert line.startswith("error: you have no report with this id;")
    assert failed(joined_terminal("fresh", "report", "../secrets"))
    assert failed(joined_terminal("fresh", "explain", "nothing"))


def test_a_second_keygen_keeps_the_keys(terminal: Terminal) -> None:
    terminal.done("fresh", "keygen")
    before = (terminal.folder / "fresh" / "identity.json").read_bytes()
    assert "move it away" in failed(terminal("fresh", "keygen"))
    assert (terminal.folder / "fresh" / "identity.json").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["verify", "receipt.json"], "join URL CODE"),
        (["status"], "join URL CODE"),
        (["accept-log", "A" * 43 + "="], "join URL CODE"),
        (["join", URL, "code"], "keygen"),
        (["key", "enter", URL, "fresh"], "keygen"),
        (["key", "show"], "keygen"),
        (["passphrase"], "keygen"),
        (["witness", "--key"], "join URL CODE"),
        (["prepare", "map.toml"], "agree"),
    ],
    ids=lambda given: " ".join(given[:2]) if isinstance(given, list) else "",
)
def test_only_keygen_makes_the_folder(terminal: Terminal, arguments: list[str], wanted: str) -> None:
    """Also where the name of the folder is mistyped."""
    customer_file(terminal.folder)
    terminal.file("receipt.json", "{}")
    there = [str(terminal.folder / each) if (terminal.folder / each).is_file() else each for each in arguments]
    assert wanted in failed(terminal("nothing", *there))
    assert not (terminal.folder / "nothing").exists()
    terminal.done("nothing", "keygen")
    assert (terminal.folder / "nothing").stat().st_mode & 0o777 == 0o700


def test_ctrl_c_leaves_nothing_and_says_so(joined_terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("partners.commands.joining.read_status", interrupted)
    result = joined_terminal("fresh", "status")
    assert result.exit_code == 130
    assert result.stderr.strip() == "stopped; nothing half-written is left"


def test_a_disk_that_refuses_is_one_line(joined_terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "/home/somebody/secret-1.json")

    monkeypatch.setattr("partners.commands.joining.read_status", full)
    line = failed(joined_terminal("fresh", "status"))
    assert line == "error: secret-1.json: No space left on device; check the path, its rights and the free space"


def test_a_bug_is_one_line_too(tmp_path: Path) -> None:
    """In a process of its own: the hook is what a user meets."""
    program = (
        "import partners.commands.joining as joining\n"
        "def broken(*_): raise ValueError('ann@mail.example')\n"
        "joining.keys = broken\n"
        "joining.key_id = broken\n"
        "from partners.cli import main\n"
        f"main(['--home', {str(tmp_path / 'home')!r}, 'keygen'])\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith("error: unexpected ValueError at ")
    assert "ann@" not in line


def test_a_terminal_without_greek_letters_gets_an_answer(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    program = "from partners.cli import main\nmain(['grant', '--help'])\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, env=environment, check=False)
    assert ended.returncode == 0
    assert ended.stderr == b""


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))
        else:
            yield (*path, name)


@pytest.mark.parametrize("command", list(every_command(main)), ids=" ".join)
def test_every_command_has_an_example(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(main, [*command, "--help"])
    assert result.exit_code == 0
    assert f"cleanroom-partner {' '.join(command)}" in result.stdout


def test_the_folder_comes_from_the_environment_too(tmp_path: Path) -> None:
    environment = {"CLEANROOM_PARTNER_HOME": str(tmp_path / "elsewhere")}
    assert CliRunner().invoke(main, ["keygen"], env=environment).exit_code == 0
    assert (tmp_path / "elsewhere" / "identity.json").is_file()


def test_a_passphrase_on_request(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made with the keys or later, changed, taken away; without it nothing is signed; scripts have a variable."""
    monkeypatch.setitem(keys.SCRYPT, "n", 2**7)
    monkeypatch.setenv(PASSPHRASE, "short")
    assert "12 characters or more" in terminal("fresh", "keygen", "--passphrase").stderr
    monkeypatch.setenv(PASSPHRASE, "correct horse battery")
    terminal.done("fresh", "keygen", "--passphrase")
    monkeypatch.delenv(PASSPHRASE)
    code = terminal.fake.invite("fresh")
    assert PASSPHRASE in terminal("fresh", "join", URL, code).stderr
    monkeypatch.setenv(PASSPHRASE, "another horse battery")
    assert "not the passphrase" in terminal("fresh", "join", URL, code).stderr
    monkeypatch.setenv(PASSPHRASE, "correct horse battery")
    terminal.done("fresh", "join", URL, code)
    terminal.done("fresh", "passphrase", "--remove")
    monkeypatch.delenv(PASSPHRASE)
    terminal.done("fresh", "status")
    assert NEW_PASSPHRASE in terminal("fresh", "passphrase").stderr


def test_another_passphrase_from_a_script(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one before and the new one have a variable each; what changes nothing does not say that it did."""
    monkeypatch.setitem(keys.SCRYPT, "n", 2**7)
    monkeypatch.setenv(PASSPHRASE, "correct horse battery")
    terminal.done("fresh", "keygen", "--passphrase")
    assert NEW_PASSPHRASE in failed(terminal("fresh", "passphrase"))
    monkeypatch.setenv(NEW_PASSPHRASE, "correct horse battery")
    assert "have this passphrase already" in failed(terminal("fresh", "passphrase"))
    monkeypatch.setenv(NEW_PASSPHRASE, os.fsdecode(b"another horse \xff\xfe"))
    assert "text in UTF-8" in failed(terminal("fresh", "passphrase"))
    monkeypatch.setenv(NEW_PASSPHRASE, "another horse battery")
    terminal.done("fresh", "passphrase")
    assert "not the passphrase" in failed(terminal("fresh", "passphrase"))
    monkeypatch.setenv(PASSPHRASE, "another horse battery")
    terminal.done("fresh", "join", URL, terminal.fake.invite("fresh"))

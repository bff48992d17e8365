"""withdraw, reinstate, erase and consents, as a partner types them, against a real room."""

import json
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from partners.cli import main
from partners.room.answers import Acknowledged
from partners.room.client import Room
from partners.room.connection import RoomUnreachable
from partners.steps import withdrawals as steps
from partners.withdrawal import Action, SignedBatch
from tests.room.conftest import Collaboration
from tests.room.stage import READERS, Brand, Stage
from tests.room.versions import restart
from tests.room.withdrawing import emails, matched, overlap, send


def run(at: Collaboration, *arguments: str, answer: str | bytes = "", name: str = "tasty") -> Result:
    home = at.stage.folder / "partners" / name
    return CliRunner().invoke(main, ["--home", str(home), *arguments], input=answer, obj=at.stage.transport())


def folder(at: Collaboration, name: str = "tasty") -> Path:
    return at.stage.folder / "partners" / name / "collaborations" / at.id / "withdrawals"


def test_a_list_from_a_file(exact: Collaboration, tmp_path: Path) -> None:
    listed = tmp_path / "gone.txt"
    lines = ["\N{BYTE ORDER MARK}P100@Mail.Example ", *emails(range(101, 110)), "info@mail.example", "?"]
    listed.write_text("\n".join(lines), encoding="utf-8")
    result = run(exact, "withdraw", exact.id, str(listed), "--key", "email")
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    for said in ("read 12", "usable 10", "not an e-mail address. 1 12", "several people share. 1 11", "sent 10"):
        assert said in words, said
    assert "not counted for: activation, insights, measurement, modelling." in words
    assert "cleanroom-partner consents 2026-03-14" in words
    assert "@" not in result.output
    assert matched(exact) == 190
    result = run(exact, "reinstate", f"{exact.id}", str(listed), "--key", "email", "--purpose", "insights")
    assert "undone for: insights." in result.stdout
    assert (matched(exact), overlap(exact, purpose="measurement")) == (200, 190)


def test_a_list_from_stdin_as_json(exact: Collaboration) -> None:
    arguments = ("withdraw", f"{exact.id}/readers", "-", "--key", "id.card", "--purpose", "measurement", "--json")
    result = run(exact, *arguments, answer="card-100\ncard-100\n\ncard-399\n")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert (told["read"], told["usable"], told["sent"], told["batches"]) == (3, 3, 2, 1)
    assert matched(exact, purpose="measurement") == 199


def test_erase_asks_first(exact: Collaboration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "ERASURE_SECONDS", -1.0)
    (tmp_path / "list.txt").write_text("p100@mail.example\n")
    asking = ("erase", exact.id, str(tmp_path / "list.txt"), "--key", "email")
    result = run(exact, *asking, answer="yes\n")
    assert (result.exit_code, "you did not type erase" in result.stderr) == (1, True)
    arguments = ("erase", exact.id, "-", "--key", "email")
    result = run(exact, *arguments, answer="erase\np100@mail.example\n")
    assert (result.exit_code, "give --yes" in result.stderr) == (2, True)
    assert not folder(exact).exists()
    result = run(exact, *asking, answer="erase\n")
    assert result.exit_code == 0, result.output
    assert "It is not done yet" in result.stdout
    restart(exact.stage)
    assert matched(exact) == 199
    result = run(exact, *arguments, "--yes", "--json", answer="p100@mail.example\n")
    assert json.loads(result.stdout)["erased"] is False


def test_erase_waits_for_the_room(exact: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    def working(*_: object) -> bool:
        restart(exact.stage)
        return exact.stage.rows("select count(erased) from batches") == [(1,)]

    monkeypatch.setattr(Room, "erased", working)
    result = run(exact, "erase", exact.id, "-", "--key", "email", "--yes", answer="p100@mail.example\n")
    assert "The log says that it is done." in result.stdout


def test_a_list_without_an_identifier_sends_nothing(exact: Collaboration) -> None:
    result = run(exact, "withdraw", exact.id, "-", "--key", "email", answer="name\n\nAda\n")
    assert (result.exit_code, "nothing was sent" in result.stderr) == (1, True)
    assert "1, 3" in result.stdout, "the lines to look at"
    result = run(exact, "withdraw", exact.id, "-", "--key", "email", "--json", answer="name\n")
    assert (result.exit_code, json.loads(result.stdout)["sent"]) == (1, 0)
    assert exact.stage.rows("select count(*) from batches") == [(0,)]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("withdraw", "{id}", "-", "--key", "maid"), "its match keys are email, id.card"),
        (("withdraw", "{id}/drive", "-", "--key", "email"), "you have no audience drive in it"),
        (("withdraw", "nowhere", "-", "--key", "email"), "you have no such collaboration"),
        (("withdraw", "{id}", "no-such-file", "--key", "email"), "no-such-file"),
        (("consents", "2026-03-14"), "Not found"),
    ],
)
def test_what_does_not_fit_is_one_line(exact: Collaboration, arguments: tuple[str, ...], said: str) -> None:
    result = run(exact, *(each.format(id=exact.id) for each in arguments), answer="p1@mail.example\n")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1
    assert said in result.stderr


def test_a_day_that_is_none_is_wrong_usage(exact: Collaboration) -> None:
    result = run(exact, "consents", "yesterday")
    assert (result.exit_code, "DAY is a date" in result.stderr) == (2, True)


def test_consents_holds_the_log_to_the_acknowledgements(exact: Collaboration) -> None:
    run(exact, "withdraw", exact.id, "-", "--key", "email", answer="p100@mail.example\n")
    exact.stage.clock.forward(days=1)
    restart(exact.stage)
    result = run(exact, "consents", "2026-03-14")
    assert "the log commits to 1 of your batches" in result.stdout
    result = run(exact, "consents", "2026-03-14", "--json", name="fresh")
    assert json.loads(result.stdout) == {"day": "2026-03-14", "batches": 0, "unknown": 0}


@pytest.mark.parametrize("day", ["2026-03-14", "2026-03-13", "2099-01-01"])
def test_a_day_without_a_commitment_says_why(exact: Collaboration, day: str) -> None:
    """Today, a day before the partner joined, a day to come."""
    result = run(exact, "consents", day)
    assert result.exit_code == 1
    assert f"no commitment of yours for {day}: that UTC day has not ended, or you had not joined" in result.stderr


def test_a_lost_answer_is_asked_for_again(exact: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    withdraw = Room.withdraw

    def cut(self: Room, signed: SignedBatch) -> Acknowledged:
        withdraw(self, signed)
        raise RoomUnreachable("the connection broke; run the command again")

    monkeypatch.setattr(Room, "withdraw", cut)
    arguments = ("withdraw", exact.id, "-", "--key", "email")
    result = run(exact, *arguments, answer="p100@mail.example\n")
    assert (result.exit_code, "run the command again" in result.stderr) == (1, True)
    assert [path.name for path in folder(exact).iterdir()] == ["000001.waiting.json"]
    monkeypatch.setattr(Room, "withdraw", withdraw)
    result = run(exact, *arguments, answer="p101@mail.example\n")
    assert "Sent first: 1 batch of an earlier run" in result.stdout
    assert sorted(path.name for path in folder(exact).iterdir()) == ["000001.json", "000002.json"]
    assert exact.stage.rows("select count(*) from batches") == [(2,)]
    assert matched(exact) == 198


def test_a_long_list_goes_in_batches_and_is_kept_for_a_rotation(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "MAX_TOKENS", 7)
    assert (send(exact, emails(range(100, 120))).batches, matched(exact)) == (3, 180)
    kept = list(exact.stage.players["tasty"].home.suppressions(exact.id))
    assert [text for each in kept for text in each.texts] == emails(range(100, 120))
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder(exact).iterdir())
    assert stat.S_IMODE(folder(exact).stat().st_mode) == 0o700


@pytest.mark.parametrize("change", ["batch", "day", "signature"])
def test_only_the_rooms_own_word_counts(exact: Collaboration, monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    withdraw = Room.withdraw

    def forged(self: Room, signed: SignedBatch) -> Acknowledged:
        answer = withdraw(self, signed)
        note = answer.acknowledgement.decode()
        if change == "day":
            return replace(answer, day="2026-03-15")
        if change == "batch":
            return withdraw(self, earlier)
        return replace(answer, acknowledgement=note.replace("2026-03-14", "2026-03-15").encode())

    send(exact, emails([1]))
    earlier = next(iter(exact.stage.players["tasty"].home.suppressions(exact.id))).signed
    monkeypatch.setattr(Room, "withdraw", forged)
    with pytest.raises(steps.NotAcknowledged):
        send(exact, emails([2]))


def test_help_has_an_example() -> None:
    for name in ("withdraw", "reinstate", "erase", "consents"):
        result = CliRunner().invoke(main, [name, "--help"])
        assert f"cleanroom-partner {name} " in result.output


def test_the_map_says_how_the_list_is_written(stage_of_phones: Collaboration, tmp_path: Path) -> None:
    at = stage_of_phones
    (tmp_path / "map.toml").write_text(
        'name = "fresh"\naudience = "calls"\nfile = "x.csv"\nregion = "FR"\nencoding = "windows-1252"\n'
        'keys = { phone = "p" }\nconsent = { purposes = ["insights"] }\n'
    )
    for arguments, usable in (((), 1), (("--region", "FR"), 2), (("--map", str(tmp_path / "map.toml")), 2)):
        answer = "06 12 34 56 79\n+33 6 12 34 57 80\n"
        result = run(at, "withdraw", at.id, "-", "--key", "phone", "--json", *arguments, answer=answer, name="fresh")
        assert json.loads(result.stdout)["usable"] == usable, result.output


@pytest.fixture
def stage_of_phones(joined: Stage) -> Collaboration:

    calls = Brand("fresh", "calls", ("phone",))
    identifier = joined.agree(calls, replace(READERS, keys=("email",)), match_keys=["email", "phone"])
    joined.share_secret(identifier)
    return Collaboration(joined, identifier)


def test_the_client_checks_an_erasure_against_the_log(exact: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "ERASURE_SECONDS", -1.0)
    send(exact, emails([100]), Action.ERASE)
    send(exact, emails([101]), Action.ERASE)
    restart(exact.stage)
    one, other = (kept.signed.batch.sha256() for kept in exact.stage.players["tasty"].home.suppressions(exact.id))
    room = exact.stage.players["tasty"].room
    assert room.erased(exact.id, one, -1.0)
    with exact.stage.http("tasty") as client:
        wrong = client.get(f"/v1/collaborations/{exact.id}/withdrawals/{other}").json()
    monkeypatch.setattr(type(room._connection), "get", lambda *_: {**wrong, "batch": one})
    with pytest.raises(Exception, match="something else"):
        room.erased(exact.id, one, -1.0)

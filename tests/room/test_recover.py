"""A restored backup releases nothing until it is recovered; then no charge is forgotten, and partners are told."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from cleanroom import exporting, recovery, setup
from cleanroom.audit import log, verify
from cleanroom.audit import signer as signers
from cleanroom.audit import state as states
from cleanroom.audit.signer import Behind, SignerRefused
from cleanroom.catalog import keys as partner_keys
from cleanroom.catalog import reports
from cleanroom.cli import cli
from cleanroom.recovery import RecoveryFailed
from cleanroom.replay.judge import Judge
from partners.cli import main
from partners.known_log import LogRefused
from partners.reports import Report
from partners.room.connection import RoomRefused
from partners.steps import reporting
from partners.steps.status import notices
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.encoding import decode_base64
from partners.transparency.merkle import root
from policies.terms import MICRO
from tests.room.conftest import Collaboration
from tests.room.losing import OVERLAP, Lost, charged, decided, follow, lose, of_catalog, of_export
from tests.room.served import Served, set_clock
from tests.room.stage import DRIVE, READERS, URL, Stage, people
from tests.room.test_departures import tighten
from tests.room.test_key_commands import command


@pytest.fixture
def lost(published: Collaboration, tmp_path: Path) -> Lost:
    (tmp_path / "lost").mkdir()
    return lose(published, tmp_path / "lost", decided)


def refused(lost: Lost) -> str:
    with pytest.raises(RoomRefused) as caught:
        lost.stage.ask("fresh", lost.id, OVERLAP)
    return caught.value.problem.code


@pytest.mark.parametrize(
    ("had", "taken", "signed", "first"),
    [
        (1, 1, 2, "The backup has 1 entry of the log; 2 were signed. 1 was taken over."),
        (3, 0, 1, "The backup has 3 entries of the log; 1 was signed. 0 were taken over."),
    ],
)
def test_one_entry_is_told_as_one(had: int, taken: int, signed: int, first: str) -> None:
    made = recovery.Recovered(had, taken, signed, True, "", {}, {}, ())
    assert next(recovery.told(made)) == first


def test_nothing_is_released_and_nothing_is_written_until_it_is_recovered(lost: Lost) -> None:
    """Every way of asking says so, and the copy stays as it was: an entry of its own could not be taken back."""
    folders = ["--data", str(lost.data), "--keys", str(lost.stage.room.settings.keys)]
    before = len(lost.stage.leaves())
    with pytest.raises(Behind, match="cleanroom recover"):
        setup.start(lost.stage.room.settings)
    for asked in (["status"], ["invite", "newer"]):
        said = CliRunner().invoke(cli, [*asked, *folders])
        assert isinstance(said.exception, Behind)
    assert refused(lost) == "restored"
    with lost.stage.anybody() as client:
        answer = client.get("/v1/ready")
    assert (answer.status_code, answer.json()["type"]) == (503, "/problems/not-ready")
    assert "cleanroom recover" in answer.json()["detail"]
    assert len(lost.stage.leaves()) == before
    assert lost.spent() == {"fresh": 0, "tasty": 0}


@pytest.mark.parametrize("source", [of_catalog, of_export])
def test_where_no_body_is_missing_the_log_goes_on(lost: Lost, tmp_path: Path, source: Callable[[Lost], Path]) -> None:
    """Same log, same key, every charge and grant again; partners notice nothing of it."""
    vkey = lost.stage.room.vkey
    made = lost.recover(source(lost))
    assert made is not None
    assert (made.complete, made.vkey, made.taken) == (True, vkey, 4)
    stage = lost.reopened()
    assert stage.room.vkey == vkey
    assert notices(stage.players["fresh"].home, stage.players["fresh"].room) == ()
    assert lost.spent() == charged(stage) == made.debits
    assert [event for event, _ in stage.leaves()][-1] == "room:restore"
    with stage.room.catalog() as catalog:
        assert reports.last_grant(catalog.connection, "fresh") == 1
        account = reports.account(catalog.connection, "fresh", lost.id, 0, 5 * MICRO)
    assert account.allowance == 7 * MICRO
    stage.players["fresh"].room.log.refresh()
    stage.players["tasty"].room.log.refresh()
    report = stage.ask("fresh", lost.id, OVERLAP)
    assert (report.released, report.free) == (True, False)
    assert lost.spent() == charged(stage)
    fresh = stage.players["fresh"]
    reporting.grant(fresh.home, fresh.room, MICRO, stage.clock())
    replayed(stage, tmp_path)
    assert lost.recover() is None


def replayed(stage: Stage, folder: Path) -> None:
    """The export holds, and the policies say the same of every decision."""
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, folder / "after.tar")
    verdict = verify.verify(folder / "after.tar", stage.room.signer.verifier, replay=Judge)
    assert (verdict.ok, verdict.findings) == (True, ())


def test_documents_that_the_backup_lacks_are_not_in_an_export(published: Collaboration, tmp_path: Path) -> None:
    """Terms that were tightened since, and what was decided under them: taken over, and not derivable any more."""

    def tightened(stage: Stage) -> None:
        stage.ask("fresh", published.id, OVERLAP)
        tighten(published, minimum_size=120)
        stage.clock.forward(days=1)
        stage.ask("fresh", published.id, OVERLAP)

    (tmp_path / "lost").mkdir()
    lost = lose(published, tmp_path / "lost", tightened)
    made = lost.recover(of_catalog(lost))
    assert made is not None
    assert made.complete
    stage = lost.reopened()
    stage.publish(lost.id, DRIVE, people(range(400)))
    stage.ask("tasty", lost.id, OVERLAP)
    replayed(stage, tmp_path)


def test_a_restore_that_forgets_what_ended_is_found_out(published: Collaboration, tmp_path: Path) -> None:
    """Terms were tightened since the backup: a room that answers on as before is no honest one."""
    (tmp_path / "lost").mkdir()
    lost = lose(published, tmp_path / "lost", lambda _: tighten(published, minimum_size=120))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recovery._Effects, "_end", lambda *_: None)
        lost.recover(of_catalog(lost))
    stage = lost.reopened()
    assert stage.ask("fresh", lost.id, OVERLAP).released
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, tmp_path / "after.tar")
    verdict = verify.verify(tmp_path / "after.tar", stage.room.signer.verifier, replay=Judge)
    assert [finding.what for finding in verdict.findings] == ["retired"]


def test_a_backup_from_before_the_last_recovery_is_refused(published: Collaboration, tmp_path: Path) -> None:
    """The key would sign a log that has ended a second time, and other than before."""
    (tmp_path / "lost").mkdir()
    lost = lose(published, tmp_path / "lost", decided)
    shutil.copytree(lost.data, tmp_path / "backup")
    made = lost.recover()
    assert made is not None
    assert not made.complete
    last = lost.reopened().room.signer.last()
    shutil.rmtree(lost.data)
    shutil.copytree(tmp_path / "backup", lost.data)
    with pytest.raises(RecoveryFailed, match="before the last recovery"):
        lost.recover()
    with pytest.raises(SignerRefused, match="comes next"):
        signers.succeed(lost.stage.room.settings.keys, "room.example/audit-v1")
    assert signers.Signer(lost.stage.room.settings.keys).last() == last


def test_where_bodies_are_missing_a_new_log_begins(lost: Lost, tmp_path: Path) -> None:
    """It names what was signed last; nothing of anybody is left to spend until a signed grant."""
    old, ended = lost.stage.room.signer.verifier, lost.stage.room.signer.last()
    made = lost.recover()
    assert made is not None
    assert (made.complete, made.signed, made.taken) == (False, ended.size, 0)
    stage = lost.reopened()
    assert stage.room.vkey == made.vkey != str(old)
    assert made.vkey.startswith("room.example/audit-v2+")
    (event, details), *forfeits = stage.leaves()[-4:]
    assert (event, details["size"], details["log"]) == ("room:restore", ended.size, old.name)
    assert {event for event, _ in forfeits} == {"budget:forfeit"}
    assert [details["partner"] for _, details in forfeits] == ["fresh", "sunny", "tasty"]
    report = follow_and_ask(lost)
    assert (report.released, report.reason) == (False, "budget_spent")
    for name in ("fresh", "tasty"):
        player = stage.players[name]
        (wanted,) = notices(player.home, player.room)
        assert "lost entries of its log at a restore" in wanted
        assert "`grant EPSILON`" in wanted
        reporting.grant(player.home, player.room, MICRO, stage.clock())
        assert notices(player.home, player.room) == ()
    report = stage.ask("fresh", lost.id, OVERLAP)
    assert (report.released, report.free) == (True, False)
    assert stage.players["fresh"].room.ledger().allowance == MICRO
    replayed(stage, tmp_path)
    assert lost.recover() is None


def follow_and_ask(lost: Lost) -> Report:
    """Both partners follow the new log, as a command of theirs would; fresh asks.

    fresh saw the end of the old log. tasty saw entries that are gone, and not the last one: that takes a person.
    """
    for name in ("fresh", "tasty"):
        player, confirmed = lost.stage.players[name], None
        if name == "tasty":
            with pytest.raises(LogRefused, match="accept-log") as caught:
                player.room.log.refresh()
            confirmed = decode_base64(str(caught.value).rpartition(" ")[2].strip("`"))
        player.room.log.refresh(confirmed)
        assert len(player.room.log.news) == 1
        assert str(player.home.room().vkey) == lost.stage.room.vkey
        assert [key.name for key in player.home.room().former] == ["room.example/audit-v1"]
    return lost.stage.ask("fresh", lost.id, OVERLAP)


def test_a_part_of_what_is_missing_is_taken_over_too(lost: Lost) -> None:
    """The newer catalog is damaged in the middle: what can be read of it is charged."""
    with sqlite3.connect(of_catalog(lost)) as connection:
        connection.executescript("drop trigger log_entries_no_update")
        (last,) = connection.execute("select max(seq) from log_entries").fetchone()
        connection.execute("update log_entries set body = x'7b7d' where seq = ?", (last - 1,))
    made = lost.recover(of_catalog(lost))
    assert made is not None
    assert (made.complete, made.taken) == (False, 2)
    lost.reopened()
    assert lost.spent() == made.debits == charged(lost.stage)


def test_no_new_log_begins_that_nobody_asked_for(lost: Lost, tmp_path: Path) -> None:
    """What is missing is said; the catalog, the signer and the published log stay as they were."""
    state = lost.stage.room.settings.keys / "log.state"
    signed = lost.stage.room.signer.last()
    had = signed.size - 4
    damaged = tmp_path / "damaged.sqlite"
    shutil.copyfile(of_catalog(lost), damaged)
    with sqlite3.connect(damaged) as connection:
        connection.executescript("drop trigger log_entries_no_delete")
        connection.execute("delete from log_entries where seq = ?", (signed.size - 1,))
    before = len(lost.stage.leaves()), state.read_bytes()
    missing = {None: f"entries {had} to {signed.size - 1} are missing", damaged: f"entry {signed.size - 1} is missing"}
    for source, said_missing in missing.items():
        with pytest.raises(RecoveryFailed, match="nothing was done") as caught:
            lost.recover(source, new_log=False)
        assert said_missing in str(caught.value)
        assert "--new-log" in str(caught.value)
        assert (len(lost.stage.leaves()), state.read_bytes()) == before
        assert lost.spent() == {"fresh": 0, "tasty": 0}
    assert refused(lost) == "restored"
    folders = ["--data", str(lost.data), "--keys", str(lost.stage.room.settings.keys)]
    said = CliRunner().invoke(cli, ["recover", "--from", str(damaged), *folders])
    assert isinstance(said.exception, RecoveryFailed)
    said = CliRunner().invoke(cli, ["recover", "--from", str(damaged), "--new-log", *folders])
    assert said.exit_code == 0, said.output
    assert "A new log begins" in said.stdout


def test_an_unknown_end_takes_a_word_too(lost: Lost) -> None:
    """The signer's state is gone: partners' checkpoints say what they saw, and not what was signed last."""
    (lost.stage.room.settings.keys / "log.state").unlink()
    kept = [lost.stage.players[name].home.checkpoint.read_bytes() for name in ("tasty", "fresh")]
    with pytest.raises(RecoveryFailed, match=r"checkpoints cover is here; .* nobody knows whether others are missing"):
        lost.recover(of_catalog(lost), *kept, new_log=False)
    with pytest.raises(RecoveryFailed, match=r"are missing; .* nobody knows whether others are missing"):
        lost.recover(None, *kept, new_log=False)
    assert lost.spent() == {"fresh": 0, "tasty": 0}


@pytest.mark.parametrize("given", [True, False])
def test_a_state_that_was_put_back_too_is_not_said_to_be_gone(lost: Lost, given: bool) -> None:
    """It is older than what a partner, or else the published log, has from it."""
    settings = lost.stage.room.settings
    newest = lost.stage.players["tasty"].home.checkpoint.read_bytes()
    with lost.stage.room.catalog() as catalog:
        size = log.size(catalog.connection)
        older = Checkpoint(lost.stage.room.signer.verifier.name, size, root(size, log.node_reader(catalog.connection)))
    states.begin(settings.keys / "log.state", older)
    if not given:
        settings.log.mkdir(exist_ok=True)
        (settings.log / "checkpoint").write_bytes(newest)
    for source, said in ((of_catalog(lost), "that the known checkpoints cover is here"), (None, "missing")):
        with pytest.raises(
            RecoveryFailed, match=f"{said}; the signer's state is older than a checkpoint, so"
        ) as caught:
            lost.recover(source, *([newest] if given else []), new_log=False)
        assert "gone" not in str(caught.value)
        assert "given" not in str(caught.value)


def test_a_complete_recovery_takes_no_word(lost: Lost) -> None:
    made = lost.recover(of_catalog(lost), new_log=False)
    assert made is not None
    assert made.complete
    assert lost.recover(new_log=False) is None


def test_who_joins_after_a_loss_begins_with_a_grant(lost: Lost) -> None:
    """Under its name somebody may have spent all before."""
    lost.recover()
    stage = lost.reopened()
    newer = stage.join("newer")
    assert newer.room.ledger().allowance == 0
    assert "`grant EPSILON`" in notices(newer.home, newer.room)[0]


def granted(stage: Stage, micro: int) -> None:
    for name in ("fresh", "tasty"):
        player = stage.players[name]
        reporting.grant(player.home, player.room, micro, stage.clock())


def test_a_later_grant_that_is_used_up_is_not_told_as_a_loss(lost: Lost) -> None:
    """After it, what is spent is spent; and after another loss, that is told again."""
    lost.recover()
    lost.reopened()
    follow(lost)
    granted(lost.stage, MICRO // 4)
    assert lost.stage.ask("fresh", lost.id, OVERLAP).released
    for name in ("fresh", "tasty"):
        player = lost.stage.players[name]
        ledger = player.room.ledger()
        assert (ledger.spent, ledger.forfeited) == (ledger.allowance, False)
        assert notices(player.home, player.room) == ()


def test_a_loss_after_a_grant_is_told_again(lost: Lost, tmp_path: Path) -> None:
    lost.recover()
    lost.reopened()
    follow(lost)
    granted(lost.stage, MICRO)
    (tmp_path / "again").mkdir()
    again = lose(Collaboration(lost.stage, lost.id), tmp_path / "again", lambda stage: granted(stage, MICRO))
    again.recover()
    player = again.reopened().players["fresh"]
    assert player.room.ledger().forfeited
    assert "`grant EPSILON`" in notices(player.home, player.room)[0]


def test_a_loss_costs_nothing_where_nothing_is_charged(joined: Stage, tmp_path: Path) -> None:
    """In threshold mode there is no budget. Who has no agreement yet is told: the next one may be private."""
    identifier = joined.agree(DRIVE, READERS, mode="threshold")
    lost = lose(Collaboration(joined, identifier), tmp_path, lambda stage: granted(stage, MICRO))
    lost.recover()
    lost.reopened()
    follow(lost)
    told = {name: notices(each.home, each.room) for name, each in joined.players.items()}
    assert all(each.room.ledger().forfeited for each in joined.players.values())
    assert (told["fresh"], told["tasty"]) == ((), ())
    assert "`grant EPSILON`" in told["sunny"][0]
    joined.agree(DRIVE, READERS)
    fresh = joined.players["fresh"]
    assert "`grant EPSILON`" in notices(fresh.home, fresh.room)[0]


def test_a_marketer_is_told_who_can_grant_after_a_loss(published: Collaboration, tmp_path: Path) -> None:
    stage = published.stage
    command(stage, "ada", "keygen")
    key = tmp_path / "ada.pub"
    home = str(stage.folder / "partners" / "ada")
    key.write_text(CliRunner().invoke(main, ["--home", home, "key", "show"], obj=stage.transport()).stdout)
    command(stage, "fresh", "key", "add", str(key), "--role", "marketer")
    command(stage, "ada", "key", "enter", URL, "fresh")
    lost = lose(published, tmp_path, lambda stage: stage.ask("fresh", published.id, OVERLAP))
    lost.recover()
    said = command(lost.reopened(), "ada", "status")
    assert "an owner key of fresh signs another one with `grant EPSILON`" in said


@pytest.mark.parametrize("step", ["rename", "state", "key"])
def test_a_recovery_that_is_cut_off_is_run_again(lost: Lost, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """After the catalog's transaction: before the old files are aside, before the signer's state, before its key."""

    class Cut(BaseException):
        pass

    def cut(*_: object, **__: object) -> None:
        raise Cut

    places = {"rename": (recovery, "_end_published"), "state": (states, "begin"), "key": (signers, "write_file")}
    with monkeypatch.context() as patch:
        patch.setattr(*places[step], cut)
        with pytest.raises(Cut):
            lost.recover()
    assert lost.recover() is None
    stage = lost.reopened()
    assert stage.room.origin == stage.room.signer.verifier.name == "room.example/audit-v2"
    assert not follow_and_ask(lost).released


def test_another_rooms_log_is_refused(lost: Lost, tmp_path: Path) -> None:
    with Stage.make(tmp_path / "other", "fresh") as other:
        other_catalog = other.room.settings.catalog
        with pytest.raises(RecoveryFailed, match="does not begin with this backup"):
            lost.recover(other_catalog)
    broken = tmp_path / "broken.tar"
    broken.write_bytes(b"no export")
    with pytest.raises(RecoveryFailed, match="does not hold"):
        lost.recover(broken)
    assert lost.spent() == {"fresh": 0, "tasty": 0}


def test_a_room_that_serves_is_not_recovered(lost: Lost) -> None:
    with recovery._stopped(lost.data / "jobs.lock"), pytest.raises(RecoveryFailed, match="stop it first"):
        lost.recover()


def test_a_damaged_published_checkpoint_says_nothing(lost: Lost) -> None:
    """Published files that a crash cut off: the signer's state says what was signed."""
    lost.stage.room.settings.log.mkdir(exist_ok=True)
    (lost.stage.room.settings.log / "checkpoint").write_bytes(b"")
    made = lost.recover(of_catalog(lost))
    assert made is not None
    assert made.complete


def test_without_the_signers_state_a_partners_checkpoint_names_the_end(lost: Lost) -> None:
    """The whole machine is lost: the backup and the log key are all there is. Nobody here knows what was signed."""
    keys = lost.stage.room.settings.keys
    ended = lost.stage.room.signer.last()
    (keys / "log.state").unlink()
    with pytest.raises(RecoveryFailed, match="ask every partner"):
        lost.recover()
    kept = [lost.stage.players[name].home.checkpoint.read_bytes() for name in ("tasty", "fresh")]
    made = lost.recover(of_catalog(lost), *kept)
    assert made is not None
    assert (made.complete, made.signed, made.taken) == (False, ended.size, 4)
    stage = lost.reopened()
    for name in ("fresh", "tasty"):  # every entry that they saw is there
        assert stage.players[name].room.log.refresh().origin == "room.example/audit-v2"
    assert not stage.ask("fresh", lost.id, OVERLAP).released


def test_what_ended_since_the_backup_ends_again(published: Collaboration, tmp_path: Path) -> None:
    """A newer version had taken an older one's place, a partner had left, a stolen key was revoked."""

    def ended(stage: Stage) -> None:
        with stage.room.catalog() as catalog, catalog.transaction() as connection:
            (key, *_) = partner_keys.every(catalog, "sunny")
            partner_keys.end(connection, "sunny", key.id, stage.room.now)
            details = {"partner": "sunny", "key": key.id}
            stage.room.record(connection, recovery.EventKind.KEY_REVOKE, None, None, details)
        stage.room.publish()
        stage.publish(published.id, DRIVE, people(range(200)))

    lost = lose(published, tmp_path, ended)
    made = lost.recover(of_catalog(lost))
    assert made is not None
    assert made.complete
    assert made.retired == (DRIVE.ref,)
    assert (made.lost["audience:publish"], "key:revoke" in made.lost) == (1, False)
    stage = lost.reopened()
    with stage.room.catalog() as catalog:
        assert partner_keys.current(catalog, "sunny", stage.room.now) is None
    report = stage.ask("fresh", published.id, OVERLAP)
    assert report.reason == "audience_not_published"
    stage.publish(published.id, DRIVE, people(range(200)))
    assert stage.ask("fresh", published.id, OVERLAP).released


def test_served_refused_recovered_served(published: Collaboration, tmp_path: Path) -> None:
    """With real processes and the commands."""
    set_clock(published.stage)
    lost = lose(published, tmp_path, lambda stage: stage.ask("fresh", published.id, OVERLAP))
    folders = ["--data", str(lost.data), "--keys", str(lost.stage.room.settings.keys)]
    with Served(lost.stage, tmp_path / "hooks") as served:
        with pytest.raises(AssertionError, match="cleanroom recover"):
            served.start()
        said = CliRunner().invoke(cli, ["recover", "--from", str(of_catalog(lost)), *folders])
        assert said.exit_code == 0, said.output
        assert "Charged again: 0.25 ε of fresh." in said.stdout
        assert "goes on as it was" in said.stdout
        served.start()
        assert httpx.get(f"{served.url}/v1/health").is_success
        with served.room("fresh") as room:
            room.log.refresh()
            assert room.ledger().spent == 250_000


def test_a_source_that_adds_nothing_begins_no_new_log(lost: Lost, tmp_path: Path) -> None:
    """An export that is older than the backup was named in place of the newer catalog: nothing is done."""
    shutil.copyfile(lost.data / "catalog.sqlite", tmp_path / "same.sqlite")
    with pytest.raises(RecoveryFailed, match="no entry that this backup lacks"):
        lost.recover(tmp_path / "same.sqlite")
    made = lost.recover(of_catalog(lost))
    assert made is not None
    assert made.complete

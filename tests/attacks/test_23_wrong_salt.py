"""23. Wrong salt: files that would silently match nobody.

A partner prepares its audience with another secret, another e-mail profile, for another epoch or with another version
of the protocol, by mistake or to spoil the figures. Each is refused before anything is released, with its own reason.
In the control the room believes what it gets, and tells the others that they have nobody in common.

What is not stopped: a client of another make that lies, and gives the right key check beside wrong tokens. It matches
nobody, tells its owner nothing and can be had by uploading made-up people as well.
"""

from dataclasses import replace
from pathlib import Path
from unittest import mock

from cleanroom.intake import check
from partners import manifest
from partners.manifest import Manifest
from partners.prepare import prepare
from partners.protocol import PROTOCOL_VERSION, SECRET_BYTES
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena, people_of, shown
from tests.attacks.rules import in_process, twin
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 23, "wrong salt"
DRIVE, PLANTS = Crowd(OWNER, "drive"), Crowd(ATTACKER, "plants")
PEOPLE = 100
REASONS = ("wrong_secret", "wrong_profile", "wrong_epoch", "wrong_protocol", "published")
SILENT = ("wrong_secret", "wrong_profile", "wrong_protocol")
"""What only the check stops: the engine itself never links two epochs."""


def play(folder: Path, mode: Mode, reasons: tuple[str, ...] = REASONS) -> tuple[list[bool], list[bool]]:
    """For each mistake, whether it got through; and whether anybody was told wrong figures."""
    through, misled = [], []
    with arena(folder / "made", DRIVE, PLANTS, seed=0, mode=mode) as fight:
        fight.publish(DRIVE, map(Person, range(PEOPLE)))
        for reason in reasons:
            with twin(fight, folder / reason) as room:
                told = _upload(room, reason)
                asked = {"count": PLANTS.ref, "where": {"matched": DRIVE.ref}}
                report = room.ask(OWNER, kind="statistics", **asked)
                if reason == "published":  # nothing was wrong with it
                    assert (shown(people_of(report)) or 0) > PEOPLE // 2
                    assert told == "published"
                    continue
                through.append(told != reason)
                misled.append(report.released)
                releases = room.stage.rows("select count(*) from releases")
                assert releases == [(int(report.released),)]
    return through, misled


def _upload(fight: Arena, reason: str) -> str:
    """Prepares and uploads with one mistake; what became of it."""
    player, agreed, out = fight.stage.players[ATTACKER], fight.stage.agreement(fight.id), fight.stage.folder / "out"
    out.mkdir()
    PLANTS.write(out, map(Person, range(PEOPLE)))
    stored = player.home.secret(fight.id, 1)
    assert stored is not None
    secret = bytes(SECRET_BYTES) if reason == "wrong_secret" else stored.value
    profile = "plain" if reason == "wrong_profile" else agreed.email_profile
    epoch = 2 if reason == "wrong_epoch" else 1
    made = prepare(
        PLANTS.map(out),
        replace(agreed, email_profile=profile),
        epoch,
        secret,
        player.identity,
        out,
        now=fight.stage.clock(),
        progress=lambda *_: None,
    )
    signed = made.manifest
    if reason == "wrong_protocol":
        signed = manifest.sign(player.identity, replace(signed.manifest, protocol=PROTOCOL_VERSION + 1))
    upload = player.room.begin_upload(signed.manifest.bytes)
    player.room.upload(upload, made.audience_path, lambda *_: None)
    version = player.room.create_version(signed, upload).id
    fight.stage.work()
    with fight.stage.http(ATTACKER) as client:
        told = client.get(f"/v1/collaborations/{fight.id}/audiences/{PLANTS.name}/versions/{version}").json()
    return str(told["problem"]["reason"] if told["problem"] else told["state"])


def _believed(signed: manifest.SignedManifest, *_: object) -> None:
    """A room that takes what it gets."""
    assert isinstance(signed.manifest, Manifest)


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    del worlds  # each mistake once: nothing here is left to chance
    lines = []
    for mode in Mode:
        through, misled = play(folder / mode.value, mode)
        with mock.patch.object(check, "check_manifest", _believed):
            _, fooled = play(folder / f"control-{mode.value}", mode, SILENT)
        broken = sum(through) + sum(misled)
        control = sum(fooled) / len(fooled)
        lines.append(rule_row(NUMBER, NAME, mode.value, len(through), broken, "refused, with the reason", control))
    return lines


def test_wrong_salt(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

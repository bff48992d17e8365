"""Plays a scenario against a running room: every partner, from its keys to its reports.

Rules: what a partner does here is what its commands do (`partners.steps`), over HTTP. A step that fails raises
`StepFailed`, which names the step and the partner; its text is safe to print.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cleanroom import exporting
from cleanroom.audit import verify
from cleanroom.catalog import partners as invitations
from cleanroom.rehearsal.results import Audit, Results
from cleanroom.rehearsal.scenario import Player, Scenario, proposal
from cleanroom.rehearsal.server import Running
from cleanroom.replay.judge import Judge
from partners import prepare as preparing
from partners import receipts
from partners.domains import read_domains
from partners.failure import Failure
from partners.home import Home
from partners.mapping import AttributeColumn, BadMap, Map
from partners.prepare import NotAgreed, Prepared
from partners.quality import Quality
from partners.reading import BadFile
from partners.reports import Report
from partners.room.client import Room
from partners.steps import agreements, audiences, joining, reporting, secret
from partners.steps.agreements import Standing
from policies.terms import Mode

KNOWN = (Failure, BadFile, BadMap, NotAgreed)
"""What a step can fail with for a reason outside the program: one safe line each."""

Reported = Callable[[tuple[AttributeColumn, ...], Quality], None]
Tell = Callable[[str, str | None, int, int], None]
"""Told a step, the partner that does it (None: the room), what is done of it, and the whole."""


class StepFailed(Exception):
    """A step that failed: `step`, the `partner` whose step it was (or None), the `kind` of failure."""

    def __init__(self, step: str, partner: str | None, kind: str, detail: str) -> None:
        super().__init__(detail)
        self.step = step
        self.partner = partner
        self.kind = kind

    def to_json(self) -> dict[str, Any]:
        return {"error": {"step": self.step, "partner": self.partner, "type": self.kind, "detail": str(self)}}


@dataclass(frozen=True, slots=True)
class Partner:
    """One partner at play: its folder, its connection."""

    name: str
    home: Home
    room: Room


def play(scenario: Scenario, running: Running, workspace: Path, tell: Tell, prepared: Reported) -> Results:
    """Plays the scenario. `workspace` takes the partners' folders and files.

    `prepared` is told, for each file, the code-lists that were read from it, and its quality report.
    """
    clock = _Clock()
    with clock.step("join"):
        players = {name: _join(name, running, workspace, tell) for name in scenario.partners}
    try:
        with clock.step("read"):
            maps = [_domains(player, tell) for player in scenario.players]
        with clock.step("agree"):
            standing = _agree(scenario, maps, players)
        with clock.step("secret"):
            _share_secret(standing, players)
        with clock.step("prepare"):
            audiences_made = [_prepare(item, standing, players[item.name], workspace, tell) for item in maps]
            for player, item, made in zip(scenario.players, maps, audiences_made, strict=True):
                prepared(_read_lists(player.map, item), made.quality)
        with clock.step("upload"):
            for ready in audiences_made:
                _upload(ready, players[ready.quality.name], tell)
        with clock.step("ask"):
            reports = tuple(_ask(scenario, standing, players, tell))
        with clock.step("verify"):
            checked = _check_receipts(reports, players)
            audit = _audit(running, workspace)
            ledgers = tuple(each.room.ledger() for each in players.values())
    finally:
        for each in players.values():
            each.room.close()
    qualities = tuple(each.quality for each in audiences_made)
    return Results(scenario.name, qualities, reports, ledgers, clock.seconds, audit, checked)


class _Clock:
    """Seconds per step, in the order of the steps."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[name] = time.monotonic() - began


@contextmanager
def _failing(step: str, partner: str | None) -> Iterator[None]:
    """Turns what a step can fail with into `StepFailed`."""
    try:
        yield
    except KNOWN as problem:
        raise StepFailed(step, partner, type(problem).__name__, str(problem)) from None
    except OSError as problem:
        raise StepFailed(step, partner, "OSError", problem.strerror or "a file cannot be read or written") from None


def _join(name: str, running: Running, workspace: Path, tell: Tell) -> Partner:
    tell("join", name, 0, 1)
    with _failing("join", name):
        with running.room.catalog() as catalog:
            code = invitations.invite(catalog, name, running.room.now)
        home = Home.open(workspace / "partners" / name)
        home.create_identity()
        joining.join(home, running.url, code)
        return Partner(name, home, joining.open_room(home))


def _domains(player: Player, tell: Tell) -> Map:
    """The partner's map, with a code-list for every attribute."""
    with _failing("read", player.map.name):
        return read_domains(player.map, lambda done, whole: tell("read", player.map.name, done, whole))


def _agree(scenario: Scenario, maps: list[Map], players: Mapping[str, Partner]) -> Standing:
    """The first partner proposes, every other one signs the same bytes; allowances are raised where they must be."""
    proposer, *others = players.values()
    with _failing("agree", proposer.name):
        standing = agreements.propose(proposer.home, proposer.room, proposal(scenario, maps))
    for each in others:
        with _failing("agree", each.name):
            agreements.agree(each.home, each.room, agreements.read(each.home, each.room, standing.agreement.id))
    terms = standing.agreement.terms
    for each in players.values():
        with _failing("grant", each.name):
            missing = terms.epsilon_total - each.room.ledger().allowance
            if terms.mode is Mode.PRIVATE and missing > 0:
                reporting.grant(each.home, each.room, missing, datetime.now(UTC))
    with _failing("agree", proposer.name):
        return agreements.read(proposer.home, proposer.room, standing.agreement.id)


def _share_secret(standing: Standing, players: Mapping[str, Partner]) -> None:
    """Every pair compares its keys (here the command does), the first partner makes the secret, the others accept."""
    identifier = standing.agreement.id
    for each in players.values():
        for other in players.values():
            if other is not each:
                with _failing("compare", each.name):
                    ours = joining.compare(each.home, each.room, other.name)
                    theirs = joining.compare(other.home, other.room, each.name)
                    if ours.digits != theirs.digits:
                        raise StepFailed("compare", each.name, "DigitsDiffer", "the 60 digits of two partners differ")
                    joining.confirm(each.home, ours)
    maker, *others = players.values()
    with _failing("secret", maker.name):
        secret.make(maker.home, maker.room, identifier)
    for each in others:
        with _failing("secret", each.name):
            secret.accept(each.home, each.room, identifier)


def _read_lists(before: Map, after: Map) -> tuple[AttributeColumn, ...]:
    """The attributes whose code-list the file gave."""
    pairs = zip(before.attributes, after.attributes, strict=True)
    return tuple(closed for opened, closed in pairs if opened.values is None)


def _prepare(item: Map, standing: Standing, partner: Partner, workspace: Path, tell: Tell) -> Prepared:
    with _failing("prepare", partner.name):
        epoch = standing.collaboration.epoch
        known = partner.home.secret(standing.agreement.id, epoch)
        assert known is not None, "the secret was shared before"
        folder = workspace / "audiences" / partner.name / item.audience
        folder.mkdir(parents=True, mode=0o700)
        return preparing.prepare(
            item,
            standing.agreement,
            epoch,
            known.value,
            partner.home.identity(),
            folder,
            now=datetime.now(UTC),
            progress=lambda step, count, whole: tell(step, partner.name, count, whole),
        )


def _upload(made: Prepared, partner: Partner, tell: Tell) -> None:
    with _failing("upload", partner.name):
        audiences.upload(
            partner.home,
            partner.room,
            made.manifest_path,
            lambda step, count, whole: tell(step, partner.name, count, whole),
        )


def _ask(scenario: Scenario, standing: Standing, players: Mapping[str, Partner], tell: Tell) -> Iterator[Report]:
    for number, asked in enumerate(scenario.reports):
        tell("ask", asked.asked_by, number, len(scenario.reports))
        with _failing("ask", asked.asked_by):
            player = players[asked.asked_by]
            yield reporting.ask(player.home, player.room, standing.agreement.id, asked.request)


def _check_receipts(reports: tuple[Report, ...], players: Mapping[str, Partner]) -> int:
    """Verifies the receipt of every report against the pinned key; how many there were."""
    for report in reports:
        with _failing("verify", report.asked_by):
            key = players[report.asked_by].home.room().vkey
            if report.receipt is None or not receipts.check(report.receipt, key).ok:
                raise StepFailed("verify", report.asked_by, "ReceiptRefused", "a report's receipt does not hold")
    return len(reports)


def _audit(running: Running, workspace: Path) -> Audit:
    """Exports the log as the operator does, and verifies the archive offline."""
    room, archive = running.room, workspace / "log.tar"
    with room.catalog() as catalog:
        exporting.write(room, catalog, archive)
    verdict = verify.verify(archive, room.signer.verifier, replay=Judge)
    if not verdict.ok or verdict.size is None or verdict.root is None:
        failed = ", ".join(check.name for check in verdict.checks if not check.passed)
        raise StepFailed("verify", None, "LogRefused", f"the exported log does not verify: {failed}")
    return Audit(verdict.size, verdict.root, room.vkey, verdict.ok)

"""A room that loses its data folder after a backup, for the tests of what happens then."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cleanroom import backup, recovery, setup
from cleanroom.audit.export import export
from cleanroom.catalog import documents, reports
from cleanroom.catalog.catalog import Catalog
from cleanroom.recovery import Recovered
from partners.known_log import LogRefused
from partners.steps import reporting
from partners.transparency.encoding import decode_base64
from policies.terms import MICRO
from tests.room.conftest import Collaboration
from tests.room.stage import Stage

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
STATISTICS = {"kind": "statistics", "count": "fresh/drive"}


def quiet(*_: object) -> None:
    """Progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Lost:
    """A room whose data folder was lost after a backup: `newer` is what it was. The keys are as they were."""

    stage: Stage
    id: str
    newer: Path

    @property
    def data(self) -> Path:
        return self.stage.room.settings.data

    def spent(self) -> dict[str, int]:
        with self.stage.room.catalog() as catalog:
            return {
                owner: reports.account(catalog.connection, owner, self.id, 0, 0).spent_ever
                for owner in ("fresh", "tasty")
            }

    def recover(self, source: Path | None = None, *checkpoints: bytes, new_log: bool = True) -> Recovered | None:
        """As the operator recovers it who lets a new log begin where that has to be."""
        return recovery.recover(self.stage.room.settings, source, checkpoints, self.stage.clock, new_log=new_log)

    def reopened(self) -> Stage:
        """The stage, with the room as it is now."""
        self.stage.room = setup.open_room(self.stage.room.settings, self.stage.clock)
        self.stage.reopen()
        return self.stage


def charged(stage: Stage) -> dict[str, int]:
    """What the log's decisions cost, summed."""
    found: dict[str, int] = {}
    for event, details in stage.leaves():
        if event.startswith("decision:"):
            for owner, cost in details.get("cost", {}).items():
                found[owner] = found.get(owner, 0) + cost["micro"]
    return found


def lose(at: Collaboration, folder: Path, meanwhile: Callable[[Stage], object]) -> Lost:
    """Backs a room up, lets it work on, and puts the backup in the place of its data folder."""
    stage, data = at.stage, at.stage.room.settings.data
    backup.backup(stage.room, folder / "copy", quiet)
    meanwhile(stage)
    data.rename(folder / "newer")
    shutil.copytree(folder / "copy", data)
    return Lost(stage, at.id, folder / "newer")


def decided(stage: Stage) -> None:
    """Two reports, one refusal, one grant, since the backup."""
    identifier = stage.players["fresh"].room.collaborations()[0].id
    stage.ask("fresh", identifier, OVERLAP)
    stage.ask("tasty", identifier, STATISTICS)
    stage.ask("fresh", identifier, {**OVERLAP, "purpose": "modelling"})
    fresh = stage.players["fresh"]
    reporting.grant(fresh.home, fresh.room, 2 * MICRO, stage.clock())


def of_catalog(lost: Lost) -> Path:
    return lost.newer / "catalog.sqlite"


def of_export(lost: Lost) -> Path:
    out = lost.newer.with_name("newer.tar")
    with Catalog(of_catalog(lost)) as catalog:
        export(catalog.connection, lost.newer / "log", out, lambda _: True, documents.every(catalog))
    return out


def follow(lost: Lost) -> None:
    """Every partner follows the new log: fresh saw the end of the old one, tasty is told so by a person."""
    for name in ("fresh", "tasty"):
        room = lost.stage.players[name].room
        try:
            room.log.refresh()
        except LogRefused as problem:
            room.log.refresh(decode_base64(str(problem).rpartition(" ")[2].strip("`")))

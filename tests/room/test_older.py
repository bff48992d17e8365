"""A checkpoint that an auditor kept, held against an export: also where a restore ended the log that it is of."""

import shutil
from pathlib import Path

import pytest

from cleanroom import exporting
from cleanroom.audit.verify import verify
from cleanroom.replay.judge import Judge
from partners.transparency.check import Check, Outcome
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.merkle import EMPTY_ROOT
from partners.transparency.note import SigningKey
from tests.room.conftest import Collaboration
from tests.room.losing import Lost, follow, lose
from tests.room.stage import Stage
from tests.room.test_gate import MATCHED, OVERLAP


class Kept(list[bytes]):
    """Checkpoints as the room published them, one after the other."""

    def keep(self, stage: Stage) -> None:
        self.append(stage.room.publish())


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def lost(published: Collaboration, tmp_path: Path, kept: Kept) -> Lost:
    """Kept: of the backup's time; two releases later; one release after that, which was the last."""

    def meanwhile(stage: Stage) -> None:
        for asked in (OVERLAP, MATCHED, OVERLAP):
            stage.ask("fresh", published.id, asked)
            kept.keep(stage)

    kept.keep(published.stage)
    return lose(published, tmp_path, meanwhile)


def older(stage: Stage, message: bytes, only: tuple[str, ...] | None = None) -> Check:
    """The verdict on a kept checkpoint; everything else holds."""
    path = stage.folder / "log.tar"
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, path, only)
    verdict = verify(path, stage.room.signer.verifier, message, Judge)
    (found,) = (each for each in verdict.checks if each.name == "older")
    failed = [each.name for each in verdict.checks if each.outcome is Outcome.FAILED]
    assert failed == ([] if found.passed else ["older"]), verdict.findings
    return found


def test_of_a_log_that_ended(lost: Lost, kept: Kept) -> None:
    made = lost.recover()
    assert made is not None
    stage = lost.reopened()
    follow(lost)
    told = [older(stage, each) for each in kept]
    assert [each.passed for each in told] == [True, False, False, True]
    assert f"ended with {made.signed} entries" in told[0].detail
    assert f"all that your checkpoint covers is here: {made.had} entries" in told[0].detail
    assert f"only {made.had} of them are here, too few to compare" in told[1].detail
    assert f"your checkpoint; {made.had} are here, the others were lost" in told[3].detail
    assert older(stage, kept[0], (lost.id,)).passed, "a reader of one collaboration is told, too"


def test_of_a_log_that_ended_twice(lost: Lost, kept: Kept, tmp_path: Path) -> None:
    """The first log's checkpoint is held against what both restores left of it."""
    shutil.copytree(lost.data, tmp_path / "backup")
    lost.recover()
    stage = lost.reopened()
    follow(lost)
    second = stage.room.publish()
    (tmp_path / "again").mkdir()
    again = lose(Collaboration(stage, lost.id), tmp_path / "again", lambda stage: stage.ask("fresh", lost.id, OVERLAP))
    assert again.recover() is not None
    stage = again.reopened()
    assert stage.room.origin.endswith("-v3")
    assert [older(stage, each).passed for each in kept] == [True, False, False, True]
    assert "all that your checkpoint covers is here" in older(stage, second).detail


@pytest.mark.parametrize("grown", [0, 1])
def test_of_a_log_that_ended_otherwise_than_it_says(lost: Lost, kept: Kept, grown: int) -> None:
    """The room signed more, or something else, than the entry about its end admits."""
    stage = lost.stage
    text = (stage.room.settings.keys / "log.key").read_text().removesuffix("\n")
    key = SigningKey.parse(text)
    made = lost.recover()
    assert made is not None
    stage = lost.reopened()
    forged = key.sign(Checkpoint(key.name, made.signed + grown, EMPTY_ROOT).text())
    assert "your checkpoint says something else" in older(stage, forged).detail
    follow(lost)
    other = SigningKey("room.example/audit-v1", bytes(32))
    assert not older(stage, other.sign(Checkpoint(other.name, 1, EMPTY_ROOT).text())).passed
    another = SigningKey("other.example/audit-v1", key.seed)
    assert "another log" in older(stage, another.sign(Checkpoint(another.name, 1, EMPTY_ROOT).text())).detail


def test_nothing_missing_nothing_ended(lost: Lost, kept: Kept) -> None:
    lost.recover(lost.newer / "catalog.sqlite")
    stage = lost.reopened()
    assert all(older(stage, each).detail.startswith("the first ") for each in kept)

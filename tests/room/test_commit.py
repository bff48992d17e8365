"""Debit, release, report and leaf commit together; nothing leaves before its leaf is published; no crash loses any."""

import errno
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest

from cleanroom import gate
from cleanroom.audit import log, publisher
from cleanroom.audit.signer import SignerRefused
from cleanroom.catalog import collaborations, partners, reports
from cleanroom.engine.sealed import Sealed, open_sealed
from partners import receipts
from partners.room.connection import RoomRefused
from policies import budget, request
from policies.decision import Reason, Refuse
from policies.disclose import Measured
from tests.room.conftest import Collaboration
from tests.room.stage import Stage

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
REFUSED = {**OVERLAP, "purpose": "modelling"}
TABLES = ("reports", "releases", "ledger", "log_entries", "log_nodes")
PLACES: dict[str, tuple[Any, str]] = {
    "before the leaf": (log, "append"),
    "before the report": (reports, "keep"),
    "before a release": (reports, "keep_release"),
}


def counts(stage: Stage) -> list[Any]:
    return [stage.rows(f"select count(*) from {table}") for table in TABLES]


def asked(at: Collaboration, body: dict[str, Any]) -> tuple[int, str]:
    """The status and the problem of a question that is not answered."""
    with pytest.raises(RoomRefused) as caught:
        at.stage.ask("fresh", at.id, body)
    return caught.value.problem.status, caught.value.problem.code


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("last", [False, True], ids=["at first", "at last"])
def test_what_fails_before_the_commit_did_not_happen(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch, place: str, last: bool
) -> None:
    """Whether it fails before that step, or once that step has written everything of its own."""
    (module, name), stage = PLACES[place], published.stage
    real: Callable[..., Any] = getattr(module, name)

    def fails(*arguments: Any) -> None:
        if last:
            real(*arguments)
        raise RuntimeError

    before = counts(stage)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, fails)
        assert asked(published, OVERLAP) == (500, "internal")
    assert counts(stage) == before
    report = stage.ask("fresh", published.id, OVERLAP)
    assert (report.released, report.free) == (True, False)
    assert stage.rows("select owner, micro from ledger order by owner") == [("fresh", 250_000), ("tasty", 250_000)]


def test_a_catalog_that_cannot_be_written_fails_closed(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    before = counts(published.stage)
    monkeypatch.setattr(reports, "keep", full)
    assert asked(published, OVERLAP) == asked(published, REFUSED) == (503, "disk-unavailable")
    assert counts(published.stage) == before


@pytest.mark.parametrize("body", [OVERLAP, REFUSED], ids=["released", "refused"])
@pytest.mark.parametrize(
    "error",
    [SignerRefused("the key is gone"), PermissionError(errno.EACCES, "no"), OSError(errno.ENOSPC, "no space")],
    ids=["signer", "rights", "disk"],
)
def test_what_is_not_published_is_not_answered(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch, body: dict[str, Any], error: Exception
) -> None:
    """The decision stands and is charged once; it is there to be read as soon as the log can be published again."""
    stage, room = published.stage, published.stage.players["tasty"].room
    told = (507, "disk-full") if getattr(error, "errno", None) == errno.ENOSPC else (503, "log-unavailable")

    def fails(*_: Any, **__: Any) -> bytes:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(publisher, "_publish", fails)
        assert asked(published, body) == told
        (summary,) = room.reports(published.id)
        assert summary.id is not None
        with pytest.raises(RoomRefused) as caught:
            room.report(summary.id)
        assert caught.value.problem.code == told[1]
    report = room.report(summary.id)
    assert report.receipt is not None
    assert receipts.check(report.receipt, stage.room.signer.verifier).ok
    assert report.released == (body is OVERLAP)
    charged = stage.rows("select count(*) from ledger")
    again = stage.ask("fresh", published.id, body)
    assert again.figures == report.figures
    assert stage.rows("select count(*) from ledger") == charged == [(2 if body is OVERLAP else 0,)]


def test_a_signer_without_its_state_answers_nothing(published: Collaboration) -> None:
    stage, before = published.stage, counts(published.stage)
    state = stage.room.settings.keys / "log.state"
    hidden = state.rename(state.with_name("hidden"))
    assert asked(published, OVERLAP) == asked(published, REFUSED) == (503, "log-unavailable")
    assert counts(stage) == before
    hidden.rename(state)
    report = stage.ask("fresh", published.id, OVERLAP)
    assert (report.released, report.free) == (True, False)


def test_a_catalog_that_was_set_back_answers_nothing(published: Collaboration) -> None:
    """Restored from a backup: what was charged since is forgotten, and the signer knows better."""
    stage = published.stage
    with stage.room.catalog() as catalog:
        catalog.connection.execute("pragma wal_checkpoint(truncate)")
    backup = stage.room.settings.catalog.read_bytes()
    stage.ask("fresh", published.id, OVERLAP)
    for path in stage.room.settings.data.glob("catalog.sqlite*"):
        path.unlink()
    stage.room.settings.catalog.write_bytes(backup)
    assert stage.rows("select * from ledger") == []
    before = counts(stage)
    assert asked(published, OVERLAP) == asked(published, REFUSED) == (503, "restored")
    assert counts(stage) == before


def test_a_crash_after_the_commit_keeps_the_report(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies between the commit and the publication; the room starts again and mends its log."""

    class Killed(BaseException):
        pass

    def killed(*_: Any, **__: Any) -> bytes:
        raise Killed

    stage = published.stage
    with monkeypatch.context() as patch:
        patch.setattr(publisher, "publish", killed)
        with pytest.raises(Killed), stage.http("fresh") as client:
            client.post(f"/v1/collaborations/{published.id}/reports", json=OVERLAP)
    stage.room.publish(whole=True)
    (summary,) = stage.players["tasty"].room.reports(published.id)
    assert stage.ask("tasty", published.id, OVERLAP).free
    assert stage.players["tasty"].room.report(summary.id or "").released


def test_the_gate_itself_publishes_before_it_answers(published: Collaboration) -> None:
    room = published.stage.room
    with room.catalog() as catalog:
        for body in (OVERLAP, REFUSED):
            collaboration = collaborations.find(catalog, published.id, "fresh")
            asker = partners.find(catalog, "fresh", room.now)
            assert collaboration is not None
            assert asker is not None
            report = gate.ask(room, catalog, collaboration, asker, request.from_json(body))
            checkpoint = (room.settings.log / "checkpoint").read_text()
            assert int(checkpoint.splitlines()[1]) == report.leaf + 1


def test_only_the_gate_opens_what_was_measured(published: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused request is not even measured, and a budget that is spent opens nothing."""
    opened: list[Sealed] = []

    def opening(sealed: Sealed) -> Measured:
        opened.append(sealed)
        return open_sealed(sealed)

    monkeypatch.setattr(gate, "open_sealed", opening)
    published.stage.ask("fresh", published.id, REFUSED)
    with monkeypatch.context() as patch:
        patch.setattr(budget, "affordable", lambda *_: Refuse(Reason.BUDGET, "fresh"))
        published.stage.ask("fresh", published.id, OVERLAP)
    assert opened == []
    published.stage.ask("fresh", published.id, OVERLAP)
    assert len(opened) == 2

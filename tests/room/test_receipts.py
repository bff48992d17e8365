"""Receipts and exports: every decision is in the log, and can be checked with the log's key alone."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cleanroom import __version__, exporting
from cleanroom.audit import verify
from cleanroom.replay.judge import Judge
from partners import receipts
from partners.cli import main
from partners.known_log import LogRefused
from partners.receipts import Receipt
from partners.transparency.entry import Body
from partners.transparency.note import SigningKey, VerifierKey
from policies import agreement as documents
from tests.room.conftest import CUSTOMERS, Collaboration, Trio
from tests.room.losing import decided, follow, lose
from tests.room.stage import DRIVE, Stage

OVERLAP = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}


def key(stage: Stage) -> VerifierKey:
    """The key that a partner pinned when it joined."""
    return stage.players["tasty"].home.room().vkey


def body_of(receipt: Receipt) -> Body:
    return Body.parse(receipt.body)


def test_a_reports_receipt_tells_the_decision(published: Collaboration) -> None:
    stage = published.stage
    report = stage.ask("tasty", published.id, OVERLAP)
    assert report.receipt is not None
    verdict = receipts.check(report.receipt, key(stage))
    assert (verdict.ok, verdict.event, verdict.decision) == (True, "decision:release", "release")
    assert verdict.time_ms == int(stage.clock().timestamp() * 1000)
    body = body_of(report.receipt)
    agreement = stage.agreement(published.id)
    versions = {str(ref): version for ref, version in stage.players["fresh"].room.collaboration(published.id).audiences}
    assert body.collaboration == published.id
    evidence = body.details["evidence"]
    assert body.details == {
        "report": report.id,
        "request": {**OVERLAP, "purpose": "insights"},
        "questions": [
            {
                "count": one,
                "where": None,
                "by": [{"matched": other}],
                "sum": [],
                "purpose": "insights",
            }
            for one, other in (OVERLAP["audiences"], OVERLAP["audiences"][::-1])
        ],
        "agreement": agreement.sha256(),
        "terms": agreement.sha256(),
        "mode": "private",
        "minimum_size": 50,
        "rounding": None,
        "day": "2026-03-14",
        "versions": versions,
        "software": __version__,
        "cost": {name: {"micro": 250_000, "before": 0, "after": 250_000} for name in ("fresh", "tasty")},
        "scales": [{"people": 20}, {"people": 20}],
        "evidence": evidence,
    }
    (nonce,) = stage.rows("select evidence_nonce from reports")[0]
    (release,) = stage.rows("select count(*) from releases where report = ?", report.id)[0]
    assert (isinstance(evidence, str), len(nonce), release) == (True, 32, 2)


def test_no_figure_is_in_the_log(trio: Trio) -> None:
    report = trio.stage.ask("tasty", trio.private, OVERLAP)
    assert report.receipt is not None
    figures = json.loads(report.document)["figures"]
    values = {each["value"] for each in figures if each["value"] is not None and each["value"] > 100}
    assert values
    text = report.receipt.body.decode()
    assert "figures" not in text
    for value in values:
        assert f":{value}," not in text


@pytest.mark.parametrize("mode", ["private", "threshold"])
def test_publications_have_receipts(trio: Trio, mode: str) -> None:
    identifier = trio.private if mode == "private" else trio.threshold
    for brand in CUSTOMERS:
        versions = dict(trio.stage.players[brand.owner].room.collaboration(identifier).audiences)
        version = next(each for ref, each in versions.items() if str(ref) == brand.ref)
        assert version is not None
        found = trio.stage.players[brand.owner].room.version(identifier, brand.name, version)
        assert found.receipt is not None
        verdict = receipts.check(found.receipt, key(trio.stage))
        assert (verdict.ok, verdict.event) == (True, "audience:publish")
        details = body_of(found.receipt).details
        kept = {"prepared": "2026-03-14", "expires": "2027-03-14"}
        assert details == {"version": version, "audience": brand.ref, "epoch": 1, "retired": [], **kept}


def test_a_receipt_holds_under_one_key_only(published: Collaboration) -> None:
    report = published.stage.ask("tasty", published.id, OVERLAP)
    assert report.receipt is not None
    other = SigningKey("room.example/audit-v1", bytes(32)).verifier
    assert not receipts.check(report.receipt, other).ok


def test_a_receipt_that_was_changed_does_not_hold(published: Collaboration) -> None:
    report = published.stage.ask("tasty", published.id, OVERLAP)
    assert report.receipt is not None
    good = report.receipt.to_json()
    changes: dict[str, Any] = {
        "body": good["body"].replace("250000", "150000"),
        "entry": good["entry"].replace('"version":1', '"version":2'),
        "nonce": "A" * 43 + "=",
        "proof": good["proof"].replace("index ", "index 1"),
    }
    for part, changed in changes.items():
        assert changed != good[part]
        assert not receipts.check(Receipt.from_json(good | {part: changed}), key(published.stage)).ok


def test_the_client_refuses_a_receipt_of_another_report(
    published: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = published.stage.ask("tasty", published.id, OVERLAP)
    leaf = published.stage.rows("select leaf from reports where id = ?", first.id)[0][0]
    published.stage.ask("fresh", published.id, OVERLAP)
    real = type(published.stage.room).receipt
    monkeypatch.setattr(type(published.stage.room), "receipt", lambda room, catalog, _: real(room, catalog, leaf))
    with pytest.raises(LogRefused, match="about something else"):
        published.stage.ask("tasty", published.id, OVERLAP)


def test_the_exported_log_verifies_and_has_every_body(trio: Trio, tmp_path: Path) -> None:
    stage = trio.stage
    older = stage.room.publish()
    for identifier in (trio.private, trio.threshold):
        stage.ask("sunny", identifier, {**OVERLAP, "purpose": "measurement"})
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, tmp_path / "log.tar")
    verdict = verify.verify(tmp_path / "log.tar", key(stage), older, Judge)
    assert [check.name for check in verdict.checks if not check.passed] == []
    assert verdict.opened == verdict.size == len(stage.leaves())


def test_agreements_are_named_by_the_bytes_that_were_signed(trio: Trio) -> None:
    for identifier in (trio.private, trio.threshold):
        agreement = trio.stage.agreement(identifier)
        named = [
            details["agreement"]
            for event, details in trio.stage.leaves()
            if event.startswith("agreement") and details["agreement"] == agreement.sha256()
        ]
        assert len(named) == 4, "proposed, signed by two more, opened"
        assert documents.from_json(documents.to_json(agreement)) == agreement


def test_a_full_tile_is_asked_for_again(joined: Stage) -> None:
    """After a restore that lost entries, it may have other bytes, and a proxy would show the old ones."""
    tile = joined.room.settings.log / "tile" / "0" / "000"
    tile.write_bytes(bytes(256 * 32))
    with joined.anybody() as client:
        answer = client.get("/v1/log/tile/0/000")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-cache"


def test_a_checkpoint_is_served_as_it_was_published(published: Collaboration) -> None:
    published.stage.ask("tasty", published.id, OVERLAP)
    with published.stage.anybody() as client:
        answer = client.get("/v1/log/checkpoint")
        assert answer.content == published.stage.room.publish()
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-cache"
        size = int(answer.text.splitlines()[1])
        entries = client.get(f"/v1/log/tile/entries/000.p/{size}")
        assert (entries.status_code, entries.headers["Content-Type"]) == (200, "application/octet-stream")
        assert client.get(f"/v1/log/tile/0/000.p/{size}").content == b"".join(
            row[0] for row in published.stage.rows("select hash from log_nodes where level = 0 order by number")
        )


def test_what_a_partner_uploads_is_gone_once_it_is_published(published: Collaboration) -> None:
    """Tokens as the partners have them lie on the room's disk only until the version is decided."""
    assert list(published.stage.room.settings.incoming.iterdir()) == []
    assert published.stage.players["fresh"].room.collaboration(published.id).audiences[0][0].name == DRIVE.name


def test_a_receipt_of_the_ended_log_still_holds(published: Collaboration, tmp_path: Path) -> None:
    """The folder pinned the new log, and has the key of the one that its reports are in."""
    fresh, file = published.stage.players["fresh"], tmp_path / "report.json"
    file.write_text(published.stage.ask("fresh", published.id, OVERLAP).document)
    lost = lose(published, tmp_path, decided)
    lost.recover()
    stage = lost.reopened()
    follow(lost)
    assert [key.name for key in fresh.home.room().former] == ["room.example/audit-v1"]
    verify = ["--home", str(fresh.home.path), "verify", str(file)]
    said = CliRunner().invoke(main, verify)
    assert said.exit_code == 0, said.output
    assert "room.example/audit-v1, a log of this room that a restore ended since" in said.stdout
    assert json.loads(CliRunner().invoke(main, [*verify, "--json"]).stdout)["log"] == "room.example/audit-v1"
    assert CliRunner().invoke(main, [*verify, "--vkey", stage.room.vkey]).exit_code == 1

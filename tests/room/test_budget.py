"""Budgets: spent to the last micro-ε and not beyond, one by one and all at once; grants that owners sign."""

import threading
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import Any

import httpx
import pytest

from cleanroom import exporting, setup
from cleanroom.audit import verify
from cleanroom.replay.judge import Judge
from partners import receipts
from partners.receipts import Receipt
from partners.steps import reporting
from partners.transparency.encoding import encode_base64
from policies import canonical, request
from policies.terms import MICRO
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS, Stage, people

OVERLAP: dict[str, Any] = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
QUARTER = MICRO // 4
"""What an overlap costs each owner under the default terms."""


def different(count: int) -> list[dict[str, Any]]:
    """Questions that have no release in common; each costs tasty a quarter and fresh half of that."""
    values = ("gold", "silver", "other", "unknown")
    subsets = [subset for size in (1, 2, 3) for subset in combinations(values, size)]
    every: dict[str, Any] = {"kind": "statistics", "count": "fresh/drive", "where": {"matched": "tasty/readers"}}
    asked: list[dict[str, Any]] = [
        {**every, "where": {"all": [every["where"], {"is": ["fresh/drive.tier", list(subset)]}]}} for subset in subsets
    ]
    return [*asked, every, {**every, "by": ["fresh/drive.tier"]}][-count:]


def ledger(stage: Stage) -> dict[str, int]:
    return dict(stage.rows("select owner, sum(micro) from ledger group by owner"))


def test_a_collaboration_spends_its_part_exactly(published: Collaboration) -> None:
    """5 ε in quarters are twenty reports; the next one is refused, and is a decision like the others."""
    stage = published.stage
    for _ in range(20):
        stage.clock.forward(days=1)
        assert stage.ask("tasty", published.id, OVERLAP).released
    assert ledger(stage) == {"fresh": 5 * MICRO, "tasty": 5 * MICRO}
    again = stage.ask("fresh", published.id, OVERLAP)
    assert (again.released, again.free) == (True, True), "what stands is still read"
    stage.clock.forward(days=1)
    refused = stage.ask("tasty", published.id, OVERLAP)
    assert (refused.released, refused.reason, refused.cost) == (False, "budget_spent", ())
    event, details = stage.leaves()[-1]
    assert (event, details["reason"], details["about"]) == ("decision:refuse", "budget_spent", "fresh")
    assert ledger(stage) == {"fresh": 5 * MICRO, "tasty": 5 * MICRO}
    quote = stage.players["tasty"].room.quote(published.id, request.from_json(OVERLAP))
    assert (quote.refused, dict(quote.left)) == ("budget_spent", {"fresh": 0, "tasty": 0})
    for player in (stage.players["fresh"], stage.players["tasty"]):
        reporting.grant(player.home, player.room, MICRO, stage.clock())
    assert not stage.ask("tasty", published.id, OVERLAP).released, "a grant is for the lifetime, not for this agreement"


def test_the_lifetime_counts_over_all_collaborations(published: Collaboration, tmp_path: Path) -> None:
    """An allowance below the collaboration's part is what binds; a grant of exactly what lacks opens one more."""
    with published.stage.copy(tmp_path / "less", allowance=3 * QUARTER - 1) as stage:
        player, questions = stage.players["tasty"], different(4)
        answers = [stage.ask("fresh", published.id, asked) for asked in questions[:3]]
        assert [answer.released for answer in answers] == [True, True, False]
        assert stage.leaves()[-1][1]["about"] == "tasty"
        assert reporting.grant(player.home, player.room, 1, stage.clock()) is not None
        assert stage.ask("fresh", published.id, questions[2]).released
        assert not stage.ask("fresh", published.id, questions[3]).released
        told = player.room.ledger()
        assert (told.allowance, told.spent, told.grants) == (3 * QUARTER, 3 * QUARTER, 1)
        (line,) = told.collaborations
        assert (line.allotted, line.spent, line.unbounded) == (5 * MICRO, 3 * QUARTER, False)


def test_each_collaboration_has_its_own_part(published: Collaboration) -> None:
    stage, room = published.stage, published.stage.players["fresh"].room
    other = stage.agree(DRIVE, READERS, epsilon_total=1)
    waiting = stage.propose(DRIVE, READERS)
    stage.ask("fresh", published.id, OVERLAP)
    told = {line.id: (line.allotted, line.spent) for line in room.ledger().collaborations}
    assert told == {published.id: (5 * MICRO, QUARTER), other: (MICRO, 0)}
    assert waiting not in told
    assert room.ledger().spent == QUARTER


def test_sixteen_at_once_get_what_the_budget_has(published: Collaboration, tmp_path: Path) -> None:
    with published.stage.copy(tmp_path / "less", allowance=3 * QUARTER) as stage:
        answers = at_once(stage, published.id, different(16))
        assert Counter((answer.status_code, answer.json()["reason"]) for answer in answers) == {
            (201, None): 3,
            (201, "budget_spent"): 13,
        }
        assert ledger(stage) == {"fresh": 3 * QUARTER // 2, "tasty": 3 * QUARTER}
        events = Counter(event for event, _ in stage.leaves() if event.startswith("decision"))
        assert events == {"decision:release": 3, "decision:refuse": 13}
        charged = sorted(
            details["cost"]["tasty"]["after"] for event, details in stage.leaves() if event == "decision:release"
        )
        assert charged == [QUARTER, 2 * QUARTER, 3 * QUARTER]
        for answer in answers:
            assert receipts.check(Receipt.from_json(answer.json()["receipt"]), stage.room.signer.verifier).ok
        with stage.room.catalog() as catalog:
            exporting.write(stage.room, catalog, tmp_path / "log.tar")
        assert verify.verify(tmp_path / "log.tar", stage.room.signer.verifier, replay=Judge).ok


def test_eight_who_ask_the_same_at_once_pay_once(published: Collaboration) -> None:
    answers = at_once(published.stage, published.id, 8 * [OVERLAP])
    assert len({str(answer.json()["figures"]) for answer in answers}) == 1
    assert Counter(answer.json()["free"] for answer in answers) == {False: 1, True: 7}
    assert ledger(published.stage) == {"fresh": QUARTER, "tasty": QUARTER}


def at_once(stage: Stage, identifier: str, asked: list[dict[str, Any]]) -> list[httpx.Response]:
    """Asks every question in a thread of its own, all let loose together."""
    answers: list[httpx.Response] = []
    tokens = {name: stage.token(name) for name in ("fresh", "tasty")}
    together = threading.Barrier(len(asked))

    def ask(number: int, body: dict[str, Any]) -> None:
        with stage.anybody() as client:
            client.headers["Authorization"] = f"Bearer {tokens[('fresh', 'tasty')[number % 2]]}"
            together.wait(60)
            answers.append(client.post(f"/v1/collaborations/{identifier}/reports", json=body))

    threads = [threading.Thread(target=ask, args=each) for each in enumerate(asked)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == len(asked)
    return answers


# Grants


def grant(stage: Stage, name: str = "fresh", signer: str | None = None, **changes: Any) -> httpx.Response:
    document = {"partner": name, "epsilon": MICRO, "serial": 1, "created": "2026-03-14T12:00:00Z", **changes}
    signature = stage.players[signer or name].identity.sign("grant/v1", canonical.dumps(document))
    with stage.http(name) as client:
        return client.post("/v1/grants", json={"grant": document, "signature": encode_base64(signature)})


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["type"]) == (status, f"/problems/{code}"), answer.text


def test_a_grant_counts_once_and_has_a_receipt(joined: Stage) -> None:
    first = grant(joined)
    assert first.status_code == 201
    verdict = receipts.check(Receipt.from_json(first.json()["receipt"]), joined.room.signer.verifier)
    assert (verdict.ok, verdict.event) == (True, "budget:grant")
    refused(grant(joined), 409, "conflict")
    refused(grant(joined, serial=3), 409, "conflict")
    refused(grant(joined, serial=0), 409, "conflict")
    refused(grant(joined, serial=10**30), 409, "conflict")
    assert grant(joined, serial=2, epsilon=1).status_code == 201
    told = joined.players["fresh"].room.ledger()
    assert (told.allowance, told.spent, told.grants) == (6 * MICRO + 1, 0, 2)
    assert joined.players["tasty"].room.ledger().allowance == 5 * MICRO
    granted = [details for event, details in joined.leaves() if event == "budget:grant"]
    documents = [sha256(document).hexdigest() for (document,) in joined.rows("select document from grants")]
    assert granted == [
        {"partner": "fresh", "micro": MICRO, "serial": 1, "grant": documents[0]},
        {"partner": "fresh", "micro": 1, "serial": 2, "grant": documents[1]},
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"partner": "tasty"},
        {"epsilon": 0},
        {"epsilon": -1},
        {"epsilon": 1000 * MICRO + 1},
        {"epsilon": True},
        {"epsilon": "1"},
        {"serial": True},
        {"serial": "1"},
        {"created": None},
        {"more": 1},
    ],
)
def test_what_is_no_grant(shared_joined: Stage, changes: dict[str, Any]) -> None:
    refused(grant(shared_joined, **changes), 422, "invalid")
    assert shared_joined.rows("select * from grants") == []


def test_a_grant_is_signed_by_its_owner(shared_joined: Stage) -> None:
    refused(grant(shared_joined, signer="tasty"), 403, "bad-signature")
    with shared_joined.http("fresh") as client:
        document = {"partner": "fresh", "epsilon": 1.0, "serial": 1, "created": "x"}
        answer = client.post("/v1/grants", json={"grant": document, "signature": encode_base64(bytes(64))})
        refused(answer, 422, "invalid")
    assert shared_joined.rows("select * from grants") == []


def test_the_same_grant_twice_at_once_counts_once(joined: Stage) -> None:
    answers: list[int] = []
    threads = [threading.Thread(target=lambda: answers.append(grant(joined).status_code)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers) == [201, 409, 409, 409]
    assert joined.players["fresh"].room.ledger().allowance == 6 * MICRO


def test_a_part_of_the_log_accuses_nobody_of_what_it_cannot_know(
    shared_published: Collaboration, tmp_path: Path
) -> None:
    """fresh has spent its lifetime elsewhere, tasty its part here: the refusal names fresh, which comes first."""
    with shared_published.stage.copy(tmp_path, allowance=300_000) as stage:
        small = stage.agree(DRIVE, READERS, name="small", epsilon_total=0.3)
        stage.share_secret(small)
        for brand, numbers in ((DRIVE, range(300)), (READERS, range(100, 400))):
            stage.publish(small, brand, people(numbers))
        first, second, third = different(3)
        assert stage.ask("fresh", small, first).released
        assert grant(stage, "tasty", epsilon=5 * MICRO).status_code == 201
        assert stage.ask("fresh", shared_published.id, second).released
        assert stage.ask("fresh", small, third).reason == "budget_spent"
        assert stage.leaves()[-1][1]["about"] == "fresh"
        for only in (None, (small,)):
            with stage.room.catalog() as catalog:
                exporting.write(stage.room, catalog, tmp_path / "log.tar", only)
            verdict = verify.verify(tmp_path / "log.tar", stage.room.signer.verifier, replay=Judge)
            assert verdict.findings == ()
            assert ("1 not" in verdict.checks[-1].detail) is (only is not None)


def test_a_server_with_another_allowance_says_so_in_the_log_first(published: Collaboration, tmp_path: Path) -> None:
    """`gunicorn wsgi:app` opens the room so; `serve` has recorded its start before."""
    stage = published.stage
    changed = replace(stage.room.settings, allowance=100_000)
    for _ in range(2):
        stage.room = setup.open_serving(changed, stage.clock)
    assert [event for event, _ in stage.leaves()].count("room:start") == 1
    stage.reopen()
    assert stage.ask("fresh", published.id, OVERLAP).reason == "budget_spent"
    with stage.room.catalog() as catalog:
        exporting.write(stage.room, catalog, tmp_path / "log.tar")
    assert verify.verify(tmp_path / "log.tar", stage.room.signer.verifier, replay=Judge).ok

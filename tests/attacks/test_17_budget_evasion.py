"""17. Budget evasion: make the room forget what was spent.

An owner's lifetime allowance is spent to the last report. The attacker turns the clock back and on, asks for another
purpose, has a new version, a new audience, a new collaboration, comes again under a second account, forges a grant, and
lays its hands on the operator's backup of the catalog. What the ledger says never falls, and nothing more is released.
In the control the room does not look at its ledger.

What is not stopped, and asserted so that it is no secret: an owner whom the operator invites a second time, under
another name, has a second allowance for the same people. Who is who is the operator's to know.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from partners.transparency.encoding import encode_base64
from policies import budget, canonical
from policies.terms import MICRO, Mode
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import Desk, in_process, twin
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 17, "budget evasion"
TIERS = tuple(f"t{number}" for number in range(20))
DRIVE, PLANTS = Crowd(OWNER, "drive", (("tier", TIERS),)), Crowd(ATTACKER, "plants")
CROWD = [Person(number, {"tier": TIERS[number % 20]}) for number in range(200)]
SECOND_ACCOUNT, SECOND_NAME = "mallory-two", "fresh-two"
REPORTS = 4


def _ask(fight: Arena, tier: str, who: str = ATTACKER, owner: str = OWNER, **more: Any) -> bool:
    """Whether a question that nobody has asked yet is released."""
    (ref,) = (crowd.ref for crowd in fight.crowds if crowd.owner == owner)
    with Desk(fight, who) as desk:
        answer = desk.post(kind="statistics", count=ref, where={"is": [f"{ref}.tier", [tier]]}, **more)
    return answer.status_code == 201 and bool(answer.json()["status"] == "released")


def _clock(days: int) -> Callable[[Arena], bool]:
    def trick(fight: Arena) -> bool:
        fight.stage.clock.forward(days=days)
        return _ask(fight, "t5")

    return trick


def _other_purpose(fight: Arena) -> bool:
    return _ask(fight, "t5", purpose="measurement")


def _owner_asks(fight: Arena) -> bool:
    return _ask(fight, "t5", who=OWNER)


def _new_version(fight: Arena) -> bool:
    fight.publish(DRIVE, CROWD[:-1])
    return _ask(fight, "t1")


def _between(fight: Arena, drive: Crowd, other: Crowd) -> Arena:
    """A new collaboration over these audiences, with its secret and the owner's people."""
    head = {"minimum_size": 10, "epsilon_total": 100, "purposes": ["insights"]}
    identifier = fight.stage.agree(drive, other, match_keys=["email"], **head)  # type: ignore[arg-type]  # as in arena
    fight.stage.share_secret(identifier)
    new = replace(fight, id=identifier, crowds=(drive, other))
    new.publish(drive, CROWD)
    return new


def _new_collaboration(fight: Arena) -> bool:
    return _ask(_between(fight, DRIVE, PLANTS), "t1")


def _new_audience(fight: Arena) -> bool:
    return _ask(_between(fight, replace(DRIVE, name="elsewhere"), PLANTS), "t1")


def _second_account(fight: Arena) -> bool:
    fight.stage.join(SECOND_ACCOUNT)
    return _ask(_between(fight, DRIVE, replace(PLANTS, owner=SECOND_ACCOUNT)), "t1", who=SECOND_ACCOUNT)


def _forged_grant(fight: Arena) -> bool:
    grant = {"partner": OWNER, "epsilon": MICRO, "serial": 1, "created": "2026-03-14T12:00:00Z"}
    signed = fight.stage.players[ATTACKER].identity.sign("grant/v1", canonical.dumps(grant))
    for who in (ATTACKER, OWNER):
        with fight.stage.http(who) as client:
            answer = client.post("/v1/grants", json={"grant": grant, "signature": encode_base64(signed)})
            assert answer.status_code in (403, 422), answer.text
    return _ask(fight, "t5")


TRICKS: tuple[Callable[[Arena], bool], ...] = (
    _clock(-1),
    _clock(-40),
    _clock(1),
    _other_purpose,
    _owner_asks,
    _new_version,
    _new_collaboration,
    _new_audience,
    _second_account,
    _forged_grant,
)


def play(folder: Path) -> tuple[int, int, float]:
    """How many tricks there were, how many were broken, and the share of them that a room without a check falls for."""
    broken, fell = 0, []
    more: dict[str, Any] = {"purposes": ["insights", "measurement"]}
    with arena(folder / "made", DRIVE, PLANTS, seed=0, **more) as fight:
        fight.publish(DRIVE, CROWD)
        fight.publish(PLANTS, CROWD)
        for number, trick in enumerate(TRICKS):
            with twin(fight, folder / f"trick-{number}", allowance=REPORTS * MICRO // 4) as room:
                assert [_ask(room, f"t{n}") for n in range(REPORTS + 1)] == [True] * REPORTS + [False]
                before = room.spent(OWNER)
                broken += trick(room) or room.spent(OWNER) < before
                with mock.patch.object(budget, "affordable", return_value=None):
                    fell.append(_ask(room, "t9"))
        with twin(fight, folder / "restored", allowance=MICRO // 4) as room:
            broken += _restored(room)
        with twin(fight, folder / "renamed", allowance=MICRO // 4) as room:
            _renamed(room)
    return len(TRICKS) + 1, broken, sum(fell) / len(fell)


def _restored(fight: Arena) -> bool:
    """Whether a room whose catalog is older than its log answers anything."""
    settings = fight.stage.room.settings
    with fight.stage.room.catalog() as catalog:
        catalog.connection.execute("pragma wal_checkpoint(truncate)")
    backup = settings.catalog.read_bytes()
    assert _ask(fight, "t1")
    for path in settings.data.glob("catalog.sqlite*"):
        path.unlink()
    settings.catalog.write_bytes(backup)
    return _ask(fight, "t2") or _ask(fight, "t1")


def _renamed(fight: Arena) -> None:
    """Not stopped: the same people under another name have another allowance. The old ledger stays as it was."""
    assert _ask(fight, "t1")
    assert not _ask(fight, "t2")
    fight.stage.join(SECOND_NAME)
    other = _between(fight, replace(DRIVE, owner=SECOND_NAME), PLANTS)
    assert _ask(other, "t2", owner=SECOND_NAME)
    assert fight.spent(OWNER) == 1 / 4


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    del worlds  # each trick once: nothing here is left to chance
    tricks, broken, control = play(folder)
    return [rule_row(NUMBER, NAME, Mode.PRIVATE.value, tricks, broken, "spent ε never falls", control)]


def test_budget_evasion(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, 1)
    assert row.verdict is Verdict.HOLDS, row
    assert (row.control or 0) >= CONTROL

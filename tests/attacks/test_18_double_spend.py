"""18. Double spend: everything at once, and the plug pulled in between.

An owner's budget is good for ten reports. Thirty-two questions arrive at the same moment at a real server of several
processes; after the first answers every process is killed. The room is started again and all thirty-two are asked
again; that twice. Exactly ten were ever released and charged, whoever was in the middle of what. In the control the
room does not look at what is left.
"""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from policies.terms import MICRO, Mode
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row
from tests.room.served import Served, set_clock

NUMBER, NAME = 18, "double spend"
AT_ONCE, AFFORDABLE = 32, 10
VALUES = tuple(f"v{number}" for number in range(AT_ONCE))
DRIVE, PLANTS = Crowd(OWNER, "drive", (("tier", VALUES),)), Crowd(ATTACKER, "plants")
UNCHECKED = "from policies import budget\nbudget.affordable = lambda *_: None\n"


def play(folder: Path, kills: int, hook: str = "") -> tuple[int, int]:
    """Kills the room so many times; how many questions were released, and the reports' worth that was charged."""
    with arena(folder / "room", DRIVE, PLANTS, seed=0, epsilon_total=AFFORDABLE / 4) as fight:
        set_clock(fight.stage)
        fight.publish(DRIVE, [Person(number, {"tier": VALUES[number % AT_ONCE]}) for number in range(320)])
        with Served(fight.stage, folder / "hooks", hook, workers=2) as served:
            served.start()
            for number in range(kills + 1):
                answers = _at_once(fight, served, kill_after=2 + 3 * number if number < kills else None)
                if number < kills:
                    served.kill()
                    served.start()
        released = {each["request"] for each in answers if each["status"] == "released"}
        charged = fight.stage.rows("select coalesce(sum(micro), 0) from ledger where owner = ?", OWNER)[0][0]
        decided = Counter(event for event, _ in fight.stage.leaves())["decision:release"]
        assert decided * MICRO // 4 == charged, "what the log says is what the ledger says"
        return len(released), charged * 4 // MICRO


def _at_once(fight: Arena, served: Served, kill_after: int | None) -> list[dict[str, Any]]:
    """Asks everything together; the answers that came. After some of them every process is killed."""
    answers: list[dict[str, Any]] = []
    together = threading.Barrier(AT_ONCE)
    with served.http(ATTACKER) as signed_in:
        token = signed_in.headers["Authorization"]

    def ask(number: int) -> None:
        where = {"is": [f"{DRIVE.ref}.tier", [VALUES[number]]]}
        with httpx.Client(base_url=served.url, headers={"Authorization": token}, timeout=60, trust_env=False) as client:
            together.wait(60)
            try:
                body = {"kind": "statistics", "count": DRIVE.ref, "where": where}
                answer = client.post(f"/v1/collaborations/{fight.id}/reports", json=body)
            except httpx.HTTPError:
                return  # killed under it
        if answer.status_code == 201:
            answers.append({**answer.json(), "request": number})
        if kill_after is not None and len(answers) >= kill_after:
            served.kill()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    unchecked, _ = play(folder / "control", 0, UNCHECKED)
    cases = [play(folder / f"world-{number}", 2) for number in range(max(1, worlds // 5))]
    broken = sum(case != (AFFORDABLE, AFFORDABLE) for case in cases)
    control = float(unchecked == AT_ONCE)
    rule = f"exactly {AFFORDABLE} of {AT_ONCE}"
    return [rule_row(NUMBER, NAME, Mode.PRIVATE.value, 3 * AT_ONCE * len(cases), broken, rule, control)]


def test_double_spend(tmp_path: Path) -> None:
    (row,) = rows(tmp_path, 1)
    assert row.verdict is Verdict.HOLDS, row
    assert (row.control or 0) >= CONTROL

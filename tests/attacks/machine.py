"""Random histories of a real room, held step by step to a model that is a few sets: played for attacks 7 and 20.

    steps, broken = play(folder, examples=20)

Rules: the model knows files, withdrawals, days, releases and charges, and nothing of how the room keeps them. After
every step: an answer is what its date, its versions and the withdrawals before it say; the same question on the same
day is the same answer, free; nobody is charged twice, nor beyond its allowance; what was spent never falls. Steps
happen between questions, and in the middle of one, after it was measured and before it is decided.
"""

import traceback
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar
from unittest import mock

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from cleanroom.engine.embedded import EmbeddedEngine
from partners.consent import ConsentRule
from partners.mapping import Map
from partners.steps import reporting
from partners.withdrawal import Action
from policies.decision import Reason
from policies.purpose import Purpose, mask
from policies.terms import MICRO
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena, without_noise
from tests.attacks.rules import Desk, in_process, twin
from tests.room.conftest import Collaboration
from tests.room.withdrawing import send

STEPS = 14
EPSILON = 1
"""Of a report: as much as a count can cost, so that figures show from some twenty people on. No noise is drawn."""
AFFORDABLE = 1
SHOWN_FROM = 30
"""No count of so many is withheld: the minimum size of 10, and a margin of 10 for the noise at this ε."""
FILES = (range(60), range(20, 90), range(40, 120))
PURPOSES = (Purpose.INSIGHTS, Purpose.MEASUREMENT)


class Willing(Crowd):
    """An audience whose people consented to both purposes."""

    __slots__ = ()

    def map(self, folder: Path) -> Map:
        return replace(Crowd.map(self, folder), consent=ConsentRule(mask(frozenset(PURPOSES)), (), None))


CROWDS = {OWNER: Willing(OWNER, "drive"), ATTACKER: Willing(ATTACKER, "plants")}
QUESTIONS: dict[str, dict[str, Any]] = {
    "owner": {"count": CROWDS[OWNER].ref},
    "matched": {"count": CROWDS[OWNER].ref, "where": {"matched": CROWDS[ATTACKER].ref}},
    "attacker": {"count": CROWDS[ATTACKER].ref},
}
TAKES_PART = {"owner": (OWNER,), "matched": (OWNER, ATTACKER), "attacker": (ATTACKER,)}

owners = st.sampled_from((OWNER, ATTACKER))
purposes = st.sampled_from(PURPOSES)
numbers = st.frozensets(st.integers(20, 89), min_size=1, max_size=8)
kinds = st.sampled_from(sorted(QUESTIONS))
Step = tuple[str, str, Any]


@dataclass(slots=True)
class Model:
    """What is true, in sets. `released`: value by question, purpose, versions and day."""

    files: dict[str, tuple[str, frozenset[int]]] = field(default_factory=dict)
    gone: dict[str, set[tuple[int, Purpose]]] = field(default_factory=lambda: {name: set() for name in CROWDS})
    released: dict[tuple[Any, ...], int | None] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)
    allowance: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CROWDS, AFFORDABLE * EPSILON * MICRO))
    day: int = 0

    def people(self, owner: str, purpose: Purpose) -> set[int]:
        return {number for number in self.files[owner][1] if (number, purpose) not in self.gone[owner]}

    def value(self, kind: str, purpose: Purpose) -> int:
        return len(set.intersection(*(self.people(owner, purpose) for owner in TAKES_PART[kind])))

    def name(self, kind: str, purpose: Purpose) -> tuple[Any, ...]:
        return (kind, purpose, *(self.files[owner][0] for owner in TAKES_PART[kind]), self.day)


class History(RuleBasedStateMachine):
    """One room from its opening on."""

    base: ClassVar[Arena]
    folder: ClassVar[Path]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        place = Path(mkdtemp(dir=self.folder)) / "room"
        self.room = self._stack.enter_context(twin(self.base, place, allowance=AFFORDABLE * EPSILON * MICRO))
        self.model = Model()
        for owner in CROWDS:
            self._do(("publish", owner, FILES[0]))

    def teardown(self) -> None:
        self._stack.close()

    @rule(owner=owners, numbers=st.sampled_from(FILES))
    def publish(self, owner: str, numbers: range) -> None:
        """A file, often one from before somebody withdrew."""
        self._do(("publish", owner, numbers))

    @rule(owner=owners, numbers=numbers, purposes=st.frozensets(purposes, min_size=1))
    def withdraw(self, owner: str, numbers: frozenset[int], purposes: frozenset[Purpose]) -> None:
        self._do(("withdraw", owner, (numbers, purposes)))

    @rule(owner=owners, numbers=numbers, purposes=st.frozensets(purposes, min_size=1))
    def reinstate(self, owner: str, numbers: frozenset[int], purposes: frozenset[Purpose]) -> None:
        self._do(("reinstate", owner, (numbers, purposes)))

    @rule(owner=owners)
    def retire(self, owner: str) -> None:
        self._do(("retire", owner, None))

    @rule(owner=owners)
    def grant(self, owner: str) -> None:
        self._do(("grant", owner, None))

    @rule()
    def tomorrow(self) -> None:
        self.room.stage.clock.forward(days=1)
        self.model.day += 1
        History.steps += 1

    @rule(who=owners, kind=kinds, purpose=purposes)
    def ask(self, who: str, kind: str, purpose: Purpose) -> None:
        self._ask(who, kind, purpose)

    @rule(who=owners, kind=kinds, purpose=purposes, owner=owners, numbers=numbers)
    def ask_while_somebody_withdraws(
        self, who: str, kind: str, purpose: Purpose, owner: str, numbers: frozenset[int]
    ) -> None:
        self._ask(who, kind, purpose, ("withdraw", owner, (numbers, frozenset(PURPOSES))))

    @rule(who=owners, kind=kinds, purpose=purposes, owner=owners, what=st.sampled_from(("publish", "retire")))
    def ask_while_versions_change(self, who: str, kind: str, purpose: Purpose, owner: str, what: str) -> None:
        self._ask(who, kind, purpose, (what, owner, FILES[1]))

    def _do(self, step: Step) -> None:
        what, owner, given = step
        room, model = self.room, self.model
        player = room.stage.players[owner]
        match what:
            case "publish":
                model.files[owner] = (room.publish(CROWDS[owner], map(Person, given)), frozenset(given))
            case "withdraw" | "reinstate":
                listed, which = given
                pairs = {(number, purpose) for number in listed for purpose in which}
                send(
                    Collaboration(room.stage, room.id),
                    [Person(number).email for number in listed],
                    Action(what),
                    owner=owner,
                    purposes=which,
                )
                model.gone[owner] = model.gone[owner] | pairs if what == "withdraw" else model.gone[owner] - pairs
            case "retire" if owner in model.files:
                version, _ = model.files.pop(owner)
                with room.stage.http(owner) as client:
                    path = f"/v1/collaborations/{room.id}/audiences/{CROWDS[owner].name}/versions/{version}"
                    assert client.delete(path).status_code == 200
            case "grant":
                reporting.grant(player.home, player.room, EPSILON * MICRO, room.stage.clock())
                model.allowance[owner] += EPSILON * MICRO
        History.steps += 1

    def _ask(self, who: str, kind: str, purpose: Purpose, meanwhile: Step | None = None) -> None:
        """Asks and compares; `meanwhile` happens once, when something was measured and nothing is decided yet."""
        measure, waiting = EmbeddedEngine.measure, [meanwhile] if meanwhile else []

        def measured(*given: Any) -> Any:
            found = measure(*given)
            if waiting:
                self._do(waiting.pop())
            return found

        with mock.patch.object(EmbeddedEngine, "measure", measured), Desk(self.room, who) as desk:
            told = desk.post(kind="statistics", **QUESTIONS[kind], purpose=purpose.value)
        assert told.status_code == 201, told.text
        self._compare(kind, purpose, told.json())
        History.steps += 1

    def _compare(self, kind: str, purpose: Purpose, report: dict[str, Any]) -> None:
        model, taking_part = self.model, TAKES_PART[kind]
        if any(owner not in model.files for owner in taking_part):
            assert report["reason"] == Reason.NOT_PUBLISHED.value
        elif (name := model.name(kind, purpose)) in model.released:
            assert (self._count(report), report["free"], report["cost"]) == (model.released[name], True, {})
        else:
            price = dict.fromkeys(taking_part, EPSILON * MICRO)
            if any(model.spent[owner] + micro > model.allowance[owner] for owner, micro in price.items()):
                assert report["reason"] == Reason.BUDGET.value
            else:
                assert {owner: micro * MICRO for owner, micro in report["cost"].items()} == price
                model.spent.update(price)
                true = model.value(kind, purpose)
                model.released[name] = self._count(report)
                assert model.released[name] == true or (model.released[name] is None and true < SHOWN_FROM)
        ledger = dict(self.room.stage.rows("select owner, sum(micro) from ledger group by owner"))
        assert ledger == {owner: micro for owner, micro in model.spent.items() if micro}

    @staticmethod
    def _count(report: dict[str, Any]) -> int | None:
        """The figure; None where it is withheld."""
        (value,) = [each["value"] for each in report["figures"] if each["measure"] == "people"]
        return None if value is None else int(value)


def play(folder: Path, examples: int, tell: bool = True) -> tuple[int, int]:
    """How many steps there were, and how many histories broke the model: the first one ends it, and is told."""
    folder.mkdir(parents=True)
    History.steps = 0
    terms: dict[str, Any] = {"epsilon_per_report": EPSILON, "epsilon_total": 1000}
    terms["purposes"] = [each.value for each in PURPOSES]
    with without_noise(), in_process(), arena(folder / "base", *CROWDS.values(), seed=0, **terms) as base:
        History.base, History.folder = base, folder
        try:
            run_state_machine_as_test(
                History,
                settings=settings(
                    max_examples=examples,
                    stateful_step_count=STEPS,
                    deadline=None,
                    database=None,
                    derandomize=True,
                    phases=(Phase.generate,),
                    report_multiple_bugs=False,
                    print_blob=False,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        except AssertionError:
            if tell:
                traceback.print_exc()
            return History.steps, 1
        return History.steps, 0

"""Withdrawals: what they reach, when they act, what they survive; also amid questions and publications."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cleanroom import reach as reaching
from cleanroom import withdrawals
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.sealed import Sealed
from partners.withdrawal import Action
from policies.purpose import Purpose
from tests.room.conftest import FRESH, MORE, TASTY, Collaboration
from tests.room.stage import DRIVE, READERS, Customer, people
from tests.room.versions import restart
from tests.room.withdrawing import cards, emails, matched, overlap, send


def test_a_withdrawal_acts_on_the_next_measurement_and_for_its_purposes(exact: Collaboration) -> None:
    assert overlap(exact) == 200
    sent = send(exact, [*emails(range(100, 110)), "no address", "", *emails([100, 3, 399])])
    assert (sent.tally.lines, sent.tally.usable, sent.sent) == (14, 13, 12)
    assert {reason.value: count for reason, count in sent.tally.invalid.items()} == {"not_an_address": 1}
    assert overlap(exact, purpose="measurement") == 190
    assert overlap(exact) == 200, "asked again the same day, the stored answer returns"
    assert matched(exact) == 190
    send(exact, emails(range(110, 120)), purposes=frozenset({Purpose.MEASUREMENT}))
    assert (matched(exact), overlap(exact, purpose="measurement")) == (190, 180)


def test_it_is_as_if_the_rows_had_never_been_uploaded(exact: Collaboration, tmp_path: Path) -> None:
    """Against a room in which a fresh file without them was published instead."""
    gone = range(95, 140)
    asked: list[dict[str, Any]] = [
        {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]},
        {"kind": "statistics", "count": "fresh/drive", "by": ["tasty/readers.genre"], "sum": ["tasty/readers.clicks"]},
        {"kind": "statistics", "count": "tasty/readers", "by": ["fresh/drive.tier"]},
    ]
    asked[1]["where"] = {"matched": "tasty/readers"}
    send(exact, emails(gone))

    def answers(at: Collaboration) -> list[Any]:
        return [[(str(f.by), f.value) for f in at.stage.ask("fresh", at.id, each).figures] for each in asked]

    (tmp_path / "other").mkdir()
    with exact.stage.copy(tmp_path / "other") as stage:
        other = Collaboration(stage, exact.id)
        send(other, emails(gone), Action.REINSTATE)
        stage.publish(
            other.id, READERS, [each for n, each in zip(range(100, 400), TASTY, strict=True) if n not in gone]
        )
        assert answers(other) == answers(exact)


def test_the_same_question_on_the_same_day_has_the_same_bytes_and_costs_nothing(published: Collaboration) -> None:
    asked = {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]}
    first = published.stage.ask("fresh", published.id, asked)
    send(published, emails(range(100, 250)))
    again = published.stage.ask("tasty", published.id, asked)
    assert again.free
    assert [(f.by, f.value, f.margin95) for f in again.figures] == [(f.by, f.value, f.margin95) for f in first.figures]
    published.stage.clock.forward(days=1)
    tomorrow = published.stage.ask("tasty", published.id, asked)
    assert (tomorrow.free, tomorrow.cost) == (False, first.cost)


def test_every_token_of_a_row_is_withdrawn_in_every_audience_of_its_owner(exact: Collaboration) -> None:
    assert matched(exact, count="fresh/more") == 20
    send(exact, emails(range(100, 105)), owner="fresh")  # `more` has cards only
    assert (matched(exact, count="fresh/more"), overlap(exact)) == (15, 195)
    # Another address, the same card: a later file does not bring anybody back.
    exact.stage.publish(exact.id, DRIVE, [replace(each, email=f"new-{each.email}") for each in FRESH])
    assert matched(exact) == 195
    exact.stage.publish(exact.id, DRIVE, [replace(each, card="") for each in FRESH])
    assert matched(exact) == 195
    send(exact, emails(range(100, 105)), Action.REINSTATE, owner="fresh")
    assert (matched(exact, count="fresh/more"), overlap(exact)) == (20, 200)


def test_one_audience_may_be_named(exact: Collaboration) -> None:
    send(exact, cards(range(100, 105)), owner="fresh", key="id.card", audience="/more")
    assert (matched(exact, count="fresh/more"), overlap(exact)) == (15, 200)
    exact.stage.publish(exact.id, MORE, people(range(100, 120)))
    assert matched(exact, count="fresh/more") == 15
    send(exact, cards([100]), Action.REINSTATE, owner="fresh", key="id.card", audience="/drive")
    assert matched(exact, count="fresh/more") == 15
    send(exact, cards([100]), Action.REINSTATE, owner="fresh", key="id.card")
    assert matched(exact, count="fresh/more") == 16


def test_a_stale_file_brings_nobody_back(exact: Collaboration) -> None:
    send(exact, emails(range(100, 120)), purposes=frozenset({Purpose.INSIGHTS}))
    for _ in range(2):
        exact.stage.publish(exact.id, READERS, TASTY)
        assert (matched(exact), overlap(exact, purpose="measurement")) == (180, 200)
    restart(exact.stage)
    assert matched(exact) == 180


def test_purposes_that_are_withdrawn_one_after_the_other_add_up(exact: Collaboration) -> None:
    for purpose in (Purpose.INSIGHTS, Purpose.MEASUREMENT):
        send(exact, emails(range(100, 120)), purposes=frozenset({purpose}))
    exact.stage.publish(exact.id, READERS, TASTY)
    assert (matched(exact), overlap(exact, purpose="measurement")) == (180, 180)


def test_before_anything_is_published(opened: Collaboration) -> None:
    send(opened, emails(range(100, 120)))
    stored = opened.stage.rows("select count(*) from withdrawn where mask = 15")
    opened.stage.publish(opened.id, READERS, TASTY)
    assert stored == [(20,)]
    assert opened.stage.rows("select count(*) from withdrawn") == [(40,)]
    assert opened.stage.rows("select length(gone) from absences") == [(20 * 5,)]


def test_reinstating_undoes_what_the_same_identifiers_withdrew(exact: Collaboration) -> None:
    send(exact, emails(range(100, 120)))
    send(exact, cards(range(110, 120)), key="id.card")
    assert matched(exact) == 180
    send(exact, emails(range(100, 120)), Action.REINSTATE)
    assert matched(exact) == 190, "ten of them were withdrawn by their cards as well"
    send(exact, cards(range(100, 120)), Action.REINSTATE, key="id.card", purposes=frozenset({Purpose.INSIGHTS}))
    assert (matched(exact), overlap(exact, purpose="measurement")) == (200, 190)
    send(exact, cards(range(110, 120)), Action.REINSTATE, key="id.card")
    assert overlap(exact, purpose="measurement") == 190, "the stored answer"
    assert matched(exact, purpose="measurement") == 200
    assert exact.stage.rows("select * from withdrawn") == []
    assert exact.stage.rows("select * from absences") == []


def test_the_other_owner_keeps_its_own_rows(exact: Collaboration) -> None:
    """Fresh's people are tasty's people, too; only fresh's rows go."""
    send(exact, emails(range(100, 150)), owner="fresh")
    count = {"kind": "statistics", "count": "tasty/readers"}
    exact.stage.clock.forward(days=1)
    assert [int(f.value or 0) for f in exact.stage.ask("fresh", exact.id, count).figures] == [300]
    assert overlap(exact, by="fresh/drive", count="tasty/readers") == 150


def test_a_question_that_was_measured_before_a_withdrawal_committed_is_measured_again(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure, times = EmbeddedEngine.measure, []

    def withdrawn_meanwhile(self: EmbeddedEngine, *arguments: Any) -> Sealed:
        sealed = measure(self, *arguments)
        times.append(1)
        if len(times) == 1:
            send(exact, emails(range(100, 120)))
        return sealed

    monkeypatch.setattr(EmbeddedEngine, "measure", withdrawn_meanwhile)
    assert overlap(exact) == 180
    assert len(times) == 2


def test_a_withdrawal_between_the_facts_and_the_reading_of_rows(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The question reads which rows are absent later than their digest."""
    send(exact, emails(range(100, 110)))
    absent, times = withdrawals.absent, []

    def withdrawn_meanwhile(*arguments: Any) -> Any:
        found = absent(*arguments)
        times.append(1)
        if len(times) == 1:
            send(exact, emails(range(110, 120)))
        return found

    monkeypatch.setattr(withdrawals, "absent", withdrawn_meanwhile)
    assert overlap(exact) == 180


@pytest.mark.parametrize("moment", ["publish", "prepare"])
def test_a_version_that_is_published_while_somebody_withdraws_has_it(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    step, times = getattr(EmbeddedEngine, moment), []

    def withdrawn_meanwhile(self: EmbeddedEngine, *arguments: Any) -> None:
        step(self, *arguments)
        times.append(1)
        if len(times) == 1:
            send(exact, emails(range(100, 120)))

    monkeypatch.setattr(EmbeddedEngine, moment, withdrawn_meanwhile)
    exact.stage.publish(exact.id, READERS, [*TASTY, Customer("another@mail.example")])
    assert matched(exact) == 180


def test_a_version_that_was_published_while_a_batch_was_worked_out(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach, times = reaching.reach, []

    def published_meanwhile(*arguments: Any) -> Any:
        reached = reach(*arguments)
        times.append(1)
        if len(times) == 1:
            exact.stage.publish(exact.id, READERS, TASTY[::-1])
        return reached

    monkeypatch.setattr("cleanroom.withdrawals.reach", published_meanwhile)
    send(exact, emails(range(100, 120)))
    assert matched(exact) == 180


def test_the_worker_works_ahead_after_a_batch(exact: Collaboration, monkeypatch: pytest.MonkeyPatch) -> None:
    restart(exact.stage)
    send(exact, emails(range(100, 120)))
    restart(exact.stage)
    monkeypatch.setattr("cleanroom.engine.views._make", lambda *_: pytest.fail("a view was missing"))
    assert overlap(exact) == 180


def renamed(numbers: range) -> list[Customer]:
    """The same people, their cards the same, with other addresses."""
    return [replace(each, email=each.email.replace("p", "q", 1)) for each in (TASTY[n - 100] for n in numbers)]


WITHDRAWN = range(200, 220)


@pytest.mark.parametrize("action", [Action.WITHDRAW, Action.ERASE])
def test_a_second_withdrawal_reaches_what_the_first_one_led_to(exact: Collaboration, action: Action) -> None:
    """First from one purpose, then from all, or erased: although the file has the people under other addresses now."""
    send(exact, emails(WITHDRAWN), purposes=frozenset({Purpose.MEASUREMENT}))
    exact.stage.publish(exact.id, READERS, [*TASTY[:100], *renamed(WITHDRAWN), *TASTY[100 + len(WITHDRAWN) :]])
    before = matched(exact)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("partners.steps.withdrawals.ERASURE_SECONDS", -1.0)
        send(exact, emails(WITHDRAWN), action)
    with_cards = sum(bool(each.card) for each in renamed(WITHDRAWN))
    assert matched(exact) == before - with_cards < before
    restart(exact.stage)
    waiting = exact.stage.rows("select count(*) from absences where erase = 1")
    assert waiting == [(0,)]
    absent = sum(len(gone) // 5 for (gone,) in exact.stage.rows("select gone from absences"))
    assert absent == (0 if action is Action.ERASE else with_cards)


def test_it_does_not_lead_on_from_row_to_row(exact: Collaboration) -> None:
    """Whoever shares a card with somebody who withdrew is absent; whoever shares an address with that one is not."""
    household = [
        Customer("a@mail.example", "card-200"),
        Customer("b@mail.example", "card-201"),
    ]
    exact.stage.publish(exact.id, READERS, [*household, *people(range(202, 300))])
    send(exact, ["a@mail.example"])
    exact.stage.publish(exact.id, READERS, [Customer("b@mail.example", "card-200"), *people(range(201, 300))])
    assert matched(exact) == 99, "the row that has the card now is absent"
    exact.stage.publish(exact.id, READERS, [Customer("b@mail.example", "card-201"), *people(range(202, 300))])
    assert matched(exact) == 99, "its address was not withdrawn"


def test_an_erasure_that_ends_while_a_question_is_measured(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The absent rows are the same afterwards as before it began: none. The question is measured again all the same."""
    measure, times = EmbeddedEngine.measure, []
    monkeypatch.setattr("partners.steps.withdrawals.ERASURE_SECONDS", -1.0)

    def erased_meanwhile(self: EmbeddedEngine, *arguments: Any) -> Sealed:
        sealed = measure(self, *arguments)
        times.append(1)
        if len(times) == 1:
            send(exact, emails(range(200, 220)), Action.ERASE)
            restart(exact.stage)
        return sealed

    monkeypatch.setattr(EmbeddedEngine, "measure", erased_meanwhile)
    released = overlap(exact)
    assert len(times) == 2
    assert exact.stage.rows("select count(*) from absences") == [(0,)]
    monkeypatch.setattr(EmbeddedEngine, "measure", measure)
    assert released == matched(exact) < 200

"""Batches of withdrawals over the API: what is taken, once, what is refused, and what the answer does not tell."""

from dataclasses import replace

import pytest

from cleanroom import withdrawals
from partners import withdrawal
from partners.withdrawal import Action, SignedBatch
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, READERS
from tests.room.withdrawing import code, emails, last, matched, post, send, signed


def test_the_answer_does_not_tell_whether_anybody_was_hit(exact: Collaboration) -> None:
    answers = []
    for texts in (emails(range(100, 110)), emails(range(9000, 9010))):
        send(exact, texts)
        answers.append(post(exact, "tasty", signed(exact)))
    one, other = answers
    assert one.status_code == other.status_code == 201
    assert len(one.content) == len(other.content)
    assert list(one.json()) == list(other.json())
    assert {name for name, _ in exact.stage.leaves() if name.startswith(("consent", "erasure"))} == set()


def test_a_batch_is_taken_once(exact: Collaboration) -> None:
    send(exact, emails(range(100, 120)))
    batch = last(exact)
    send(exact, emails(range(100, 120)), Action.REINSTATE)
    first, again = post(exact, "tasty", batch), post(exact, "tasty", batch)
    assert (first.status_code, again.status_code) == (200, 200)
    assert first.content == again.content
    assert matched(exact) == 200, "sent again, it withdraws nobody anew"
    assert exact.stage.rows("select count(*) from batches") == [(2,)]


def test_what_is_refused(exact: Collaboration) -> None:
    send(exact, emails([5]))
    good = last(exact)
    stage = exact.stage
    assert code(post(exact, "fresh", good)) == (403, "bad-signature")
    assert code(post(exact, "fresh", withdrawal.sign(stage.players["fresh"].identity, good.batch))) == (
        422,
        "bad-withdrawal",
    )
    forged = SignedBatch(replace(good.batch, nonce=withdrawal.nonce()), good.signature)
    assert code(post(exact, "tasty", forged)) == (403, "bad-signature")
    assert code(post(exact, "tasty", signed(exact, epoch=2))) == (409, "wrong-epoch")
    assert code(post(exact, "tasty", signed(exact, key_check="0" * 32))) == (409, "wrong-secret")
    assert code(post(exact, "tasty", signed(exact, collaboration="other"))) == (422, "bad-withdrawal")
    assert code(post(exact, "tasty", signed(exact, match_key="maid"))) == (422, "bad-withdrawal")
    assert code(post(exact, "tasty", signed(exact, audience="drive"))) == (422, "bad-withdrawal")
    broken = {**good.to_json(), "batch": {**good.batch.to_json(), "tokens": ""}}
    assert code(post(exact, "tasty", broken)) == (422, "bad-withdrawal")
    assert code(post(exact, "sunny", good)) == (404, "not-found")
    with stage.http("fresh") as client:
        assert client.get(f"/v1/collaborations/{exact.id}/withdrawals/{good.batch.sha256()}").status_code == 404
    assert stage.rows("select count(*) from batches") == [(1,)]


def test_an_agreement_that_is_not_open(exact: Collaboration) -> None:
    send(exact, emails([5]))
    proposed = Collaboration(exact.stage, exact.stage.propose(DRIVE, READERS))
    assert code(post(proposed, "tasty", signed(exact))) == (409, "not-open")


def test_a_lost_key_is_never_replaced(exact: Collaboration) -> None:
    send(exact, emails([5]))
    (key,) = exact.stage.room.settings.keys.glob("*.rekey")
    key.unlink()
    assert code(post(exact, "tasty", signed(exact))) == (503, "room-key-missing")
    assert list(exact.stage.room.settings.keys.glob("*.rekey")) == []


def test_no_token_and_no_text_is_stored(exact: Collaboration) -> None:
    send(exact, ["somebody.secret@mail.example", *emails(range(100, 105))])
    batch = last(exact).batch
    room = exact.stage.room.settings.data
    stored = b"".join(path.read_bytes() for path in room.rglob("*") if path.is_file())
    for form in (b"somebody.secret", *batch.tokens):
        assert form not in stored
        assert form.hex().encode() not in stored


def test_when_the_audiences_keep_changing_nothing_is_taken(
    exact: Collaboration, monkeypatch: pytest.MonkeyPatch
) -> None:
    send(exact, emails([5]))
    numbers = iter(range(100))
    facts = withdrawals._facts
    monkeypatch.setattr(withdrawals, "_facts", lambda *given: (next(numbers), facts(*given)[1]))
    assert code(post(exact, "tasty", signed(exact))) == (503, "unsettled")
    assert exact.stage.rows("select count(*) from batches") == [(1,)]

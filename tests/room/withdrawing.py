"""What tests of withdrawals do: an owner's lists, batches sent as they are, and how many people are matched then."""

from collections.abc import Iterable
from dataclasses import replace
from io import BytesIO
from typing import Any

import httpx

from partners import withdrawal
from partners.steps import withdrawals as steps
from partners.steps.withdrawals import Listed, Sent
from partners.withdrawal import Action, SignedBatch
from policies.purpose import Purpose
from tests.room.conftest import Collaboration

EVERY = frozenset(Purpose)


def emails(numbers: Iterable[int]) -> list[str]:
    return [f"p{n}@mail.example" for n in numbers]


def cards(numbers: Iterable[int]) -> list[str]:
    return [f"card-{n}" for n in numbers]


def send(
    at: Collaboration,
    texts: Iterable[str],
    action: Action = Action.WITHDRAW,
    *,
    owner: str = "tasty",
    key: str = "email",
    purposes: frozenset[Purpose] = EVERY,
    audience: str = "",
) -> Sent:
    player = at.stage.players[owner]
    listed = Listed(key, BytesIO("\n".join(texts).encode()))
    return steps.send(player.home, player.room, at.id + audience, action, purposes, listed, at.stage.clock())


def matched(at: Collaboration, by: str = "tasty/readers", count: str = "fresh/drive", **asked: Any) -> int:
    """How many people of an audience are matched; the day is moved on first, so that it is measured anew."""
    at.stage.clock.forward(days=1)
    return overlap(at, by, count, **asked)


def overlap(at: Collaboration, by: str = "tasty/readers", count: str = "fresh/drive", **asked: Any) -> int:
    asked = {"kind": "statistics", "count": count, "where": {"matched": by}, **asked}
    (figure,) = [each for each in at.stage.ask("fresh", at.id, asked).figures if each.measure == "people"]
    return int(figure.value or 0)


def post(at: Collaboration, name: str, signed: SignedBatch | dict[str, Any]) -> httpx.Response:
    with at.stage.http(name) as client:
        body = signed if isinstance(signed, dict) else signed.to_json()
        return client.post(f"/v1/collaborations/{at.id}/withdrawals", json=body)


def last(at: Collaboration, owner: str = "tasty") -> SignedBatch:
    """The batch that an owner sent last."""
    return list(at.stage.players[owner].home.suppressions(at.id))[-1].signed


def signed(at: Collaboration, owner: str = "tasty", **changes: Any) -> SignedBatch:
    """Another batch like the last one, signed by its owner."""
    batch = replace(last(at, owner).batch, **{"nonce": withdrawal.nonce(), **changes})
    return withdrawal.sign(at.stage.players[owner].identity, batch)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("/problems/")

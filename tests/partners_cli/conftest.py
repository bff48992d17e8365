"""Two partners, fresh and tasty, who joined one fake room."""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from partners.home import Home
from partners.room.client import Room
from partners.steps import joining
from tests.partners_cli.fake_room import URL, FakeRoom

AGREEMENT = """
[collaboration]
name = "drive-2026"
match_keys = ["email", "phone"]
[[partner]]
name = "fresh"
[[partner]]
name = "tasty"
terms = { minimum_size = 100 }
[[audience]]
owner = "fresh"
name = "drive"
keys = ["email", "phone"]
attributes = { tier = ["gold", "silver"] }
measures = { spend = { lower = 0, upper = 499.99 } }
[[audience]]
owner = "tasty"
name = "readers"
keys = ["email"]
"""


def agreement_table(text: str = AGREEMENT) -> dict[str, Any]:
    return tomllib.loads(text, parse_float=Decimal)


@dataclass(frozen=True, slots=True)
class Partner:
    home: Home
    room: Room


@pytest.fixture
def fake() -> FakeRoom:
    return FakeRoom()


@pytest.fixture
def joined(fake: FakeRoom, tmp_path: Path) -> Callable[[str], Partner]:
    """A function that makes a partner: keys, joined, its room open."""

    def make(name: str) -> Partner:
        home = Home.open(tmp_path / name)
        home.create_identity()
        joining.join(home, URL, fake.invite(name), fake.transport())
        return Partner(home, joining.open_room(home, fake.transport()))

    return make


@pytest.fixture
def fresh(joined: Callable[[str], Partner]) -> Partner:
    return joined("fresh")


@pytest.fixture
def tasty(joined: Callable[[str], Partner]) -> Partner:
    return joined("tasty")

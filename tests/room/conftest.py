"""Stages of this area, each made once, and closed after the last test of it.

`joined`, `opened` and `published` are copies, for tests that change anything; `shared_…` are for those that only look.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from policies.terms import MICRO
from tests.room.stage import DRIVE, READERS, START, VISITS, Brand, Customer, Stage, people

TODAY = START.date()
CUSTOMERS: dict[Brand, list[Customer]] = {
    # Some have no address, some no card; some do not consent to a purpose; some consent until today only.
    DRIVE: [
        Customer(
            "" if n % 5 == 0 else f"p{n}@mail.example",
            f"card-{n}",
            ("gold", "silver", "bronze", "")[n % 4] if n >= 40 else "gold",
            None if n % 9 == 0 else n % 100 + n % 4 * 100,
            insights=n % 10 != 3,
            measurement=n % 10 != 5,
            until=TODAY + timedelta(days=0 if n % 20 == 7 else 400),
        )
        for n in range(400)
    ],
    READERS: [
        Customer(
            f"p{n}@mail.example",
            "" if n % 7 == 0 else f"card-{n}",
            ("food", "news")[n % 2],
            n % 21,
            insights=n % 11 != 4,
            measurement=n % 2 == 0,
        )
        for n in range(200, 600)
    ],
    VISITS: [Customer(f"p{n}@mail.example", insights=n % 13 != 1) for n in range(100, 500)],
}
MORE = Brand("fresh", "more", ("id.card",))
FRESH, TASTY = people(range(300)), people(range(100, 400))


@dataclass(frozen=True, slots=True)
class Collaboration:
    """A stage and the id of a collaboration on it."""

    stage: Stage
    id: str


@dataclass(frozen=True, slots=True)
class Trio:
    """Three partners in two collaborations over `CUSTOMERS`: `private` with hardly any noise, `threshold` without."""

    stage: Stage
    private: str
    threshold: str


@pytest.fixture(scope="package")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """Reports are asked of it, nothing else is changed."""
    with Stage.make(tmp_path_factory.mktemp("trio"), "fresh", "tasty", "sunny", allowance=1000 * MICRO) as stage:
        private = stage.agree(
            *CUSTOMERS,
            minimum_size=10,
            epsilon_per_report=100,
            epsilon_total=1000,
            purposes=["insights", "measurement"],
        )
        threshold = stage.agree(
            *CUSTOMERS, mode="threshold", minimum_size=10, rounding=1, purposes=["insights", "measurement"]
        )
        for identifier in (private, threshold):
            stage.share_secret(identifier)
            for brand, customers in CUSTOMERS.items():
                stage.publish(identifier, brand, customers)
        yield Trio(stage, private, threshold)


@pytest.fixture(scope="package")
def shared_joined(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """Three partners who have joined, and nothing more."""
    with Stage.make(tmp_path_factory.mktemp("joined"), "fresh", "tasty", "sunny") as stage:
        yield stage


@pytest.fixture
def joined(shared_joined: Stage, tmp_path: Path) -> Iterator[Stage]:
    with shared_joined.copy(tmp_path) as stage:
        yield stage


@pytest.fixture(scope="package")
def shared_opened(shared_joined: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """fresh and tasty under an open agreement with the default terms, with their secret; sunny is not part of it."""
    with shared_joined.copy(tmp_path_factory.mktemp("opened")) as stage:
        identifier = stage.agree(DRIVE, READERS)
        stage.share_secret(identifier)
        yield Collaboration(stage, identifier)


@pytest.fixture
def opened(shared_opened: Collaboration, tmp_path: Path) -> Iterator[Collaboration]:
    with shared_opened.stage.copy(tmp_path) as stage:
        yield Collaboration(stage, shared_opened.id)


@pytest.fixture(scope="package")
def shared_published(shared_opened: Collaboration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """As `opened`, with both audiences published: 300 people each, 200 of them the same."""
    with shared_opened.stage.copy(tmp_path_factory.mktemp("published")) as stage:
        stage.publish(shared_opened.id, DRIVE, people(range(300)))
        stage.publish(shared_opened.id, READERS, people(range(100, 400)))
        yield Collaboration(stage, shared_opened.id)


@pytest.fixture
def published(shared_published: Collaboration, tmp_path: Path) -> Iterator[Collaboration]:
    with shared_published.stage.copy(tmp_path) as stage:
        yield Collaboration(stage, shared_published.id)


@pytest.fixture(scope="package")
def shared_exact(shared_joined: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collaboration]:
    """Figures without noise: 300 people each, 200 of them the same; `more` has twenty of fresh's cards."""
    with shared_joined.copy(tmp_path_factory.mktemp("exact")) as stage:
        terms: dict[str, Any] = {"mode": "threshold", "minimum_size": 10, "rounding": 1}
        identifier = stage.agree(DRIVE, READERS, MORE, **terms, purposes=["insights", "measurement"])
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, FRESH)
        stage.publish(identifier, READERS, TASTY)
        stage.publish(identifier, MORE, people(range(100, 120)))
        yield Collaboration(stage, identifier)


@pytest.fixture
def exact(shared_exact: Collaboration, tmp_path: Path) -> Iterator[Collaboration]:
    with shared_exact.stage.copy(tmp_path) as stage:
        yield Collaboration(stage, shared_exact.id)

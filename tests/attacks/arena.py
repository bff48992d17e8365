"""Where attacks are fought: a real room in one process, an honest owner, attackers, and coins that nobody told them.

    with arena(folder, seed=1, mode=Mode.PRIVATE) as fight:
        fight.publish(OWNER, people_with_coins)
        report = fight.ask(ATTACKER, {"kind": "statistics", …})
        fight.spent(OWNER)

Rules: an attacker acts through the partner's client and the public API alone, and knows everything but the coins: it
may read the files that it made, not the owner's. A defence is switched off by name (`without_noise`), for a positive
control only. Worlds are made from a seed.
"""

import csv
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from math import isnan, nan
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

from cleanroom import noise
from partners import mapping
from partners.mapping import Map
from partners.reports import Figure, Report
from partners.steps import audiences
from policies.cells import Value
from policies.terms import MICRO, Mode, Terms
from tests.attacks.score import Guesses, Row, private_row, threshold_row
from tests.room.served import Served
from tests.room.stage import Stage

OWNER, ATTACKER, SECOND = "fresh", "mallory", "trudy"
MINIMUM_SIZE = 10
FILLERS = 60
"""Known people beside each target: enough that a cell shows in private mode at ε = 0.25 and a minimum size of 10."""
ALLOWANCE = 10_000 * MICRO
_DRAW = noise.draw


@dataclass(frozen=True, slots=True)
class Person:
    """A row of a customer file. A number is the same person everywhere; a person without consent is dropped."""

    number: int
    values: Mapping[str, str] = field(default_factory=dict)
    amount: int | None = None
    consent: bool = True

    @property
    def email(self) -> str:
        return f"p{self.number}@mail.example"


@dataclass(frozen=True, slots=True)
class Crowd:
    """An audience of a partner: its attributes with their code-lists, its measure's bounds."""

    owner: str
    name: str
    attributes: tuple[tuple[str, tuple[str, ...]], ...] = ()
    measure: tuple[int, int] | None = None

    @property
    def ref(self) -> str:
        return f"{self.owner}/{self.name}"

    def agreed(self) -> dict[str, Any]:
        """Its `[[audience]]` table."""
        return {
            "owner": self.owner,
            "name": self.name,
            "keys": ["email"],
            "attributes": {name: list(values) for name, values in self.attributes},
            "measures": self._measures(),
        }

    def map(self, folder: Path) -> Map:
        """Its MAP.toml, for the customer file in `folder`."""
        return mapping.parse(
            {
                "name": self.owner,
                "audience": self.name,
                "file": "customers.csv",
                "keys": {"email": "email"},
                "attributes": {name: name for name, _ in self.attributes},
                "measures": {name: {"column": "amount", **bounds} for name, bounds in self._measures().items()},
                "consent": {"insights": "insights"},
            },
            folder,
        )

    def write(self, folder: Path, people: Iterable[Person]) -> None:
        """Its customer file."""
        names = [name for name, _ in self.attributes]
        with (folder / "customers.csv").open("w", newline="", encoding="utf-8") as file:
            out = csv.writer(file)
            out.writerow(["email", "amount", "insights", *names])
            for each in people:
                consent = "yes" if each.consent else "no"
                amount = "" if each.amount is None else each.amount
                out.writerow([each.email, amount, consent, *(each.values.get(name, "") for name in names)])

    def _measures(self) -> dict[str, dict[str, int]]:
        return {"spend": dict(zip(("lower", "upper"), self.measure, strict=True))} if self.measure else {}


@dataclass(slots=True)
class Arena:
    """An open collaboration. `random` makes the world; `crowds` are its audiences."""

    stage: Stage
    id: str
    random: Random
    mode: Mode
    crowds: tuple[Crowd, ...]

    def publish(self, crowd: Crowd, people: Iterable[Person]) -> str:
        """Prepares, uploads and publishes a customer file of `crowd`; the id of the version."""
        folder = self.stage.folder / "files" / secrets.token_hex(4)
        folder.mkdir(parents=True)
        crowd.write(folder, people)
        player = self.stage.players[crowd.owner]
        made = audiences.prepare(player.home, crowd.map(folder), folder, self.stage.clock(), lambda *_: None, self.id)
        manifest = made.manifest.manifest
        upload = player.room.begin_upload(manifest.bytes)
        player.room.upload(upload, made.audience_path, lambda *_: None)
        version = player.room.create_version(made.manifest, upload).id
        self.stage.work()
        return version

    def ask(self, who: str, **asked: Any) -> Report:
        """What the API answers to a request."""
        return self.stage.ask(who, self.id, asked)

    def spent(self, owner: str) -> float:
        """What an owner has been charged in all, as its ledger says, in ε."""
        with self.stage.http(owner) as client:
            return float(client.get("/v1/ledger").json()["spent"]) / MICRO


@contextmanager
def arena(folder: Path, *crowds: Crowd, seed: int, mode: Mode = Mode.PRIVATE, **terms: Any) -> Iterator[Arena]:
    """A new room in `folder`, made for this fight; `terms` go into the agreement."""
    owners = tuple(dict.fromkeys(crowd.owner for crowd in crowds))
    head = {"mode": mode.value, "minimum_size": MINIMUM_SIZE, "epsilon_total": 100, **terms}
    if mode is Mode.THRESHOLD:
        head = {key: value for key, value in head.items() if not key.startswith("epsilon")}
    folder.mkdir(parents=True, exist_ok=True)
    with Stage.make(folder, *owners, allowance=ALLOWANCE, floor=Terms(minimum_size=MINIMUM_SIZE)) as stage:
        identifier = stage.agree(*crowds, match_keys=["email"], **head)  # type: ignore[arg-type]  # shaped like Brand
        stage.share_secret(identifier)
        yield Arena(stage, identifier, Random(seed), mode, crowds)


Play = Callable[[Path, int, Mode], tuple[Guesses, float]]
"""One world of an attack, made in a folder from a seed: the guesses, and the ε that the owner was charged in all."""


def contest(number: int, name: str, play: Play, folder: Path, worlds: int, threshold: bool = True) -> list[Row]:
    """The lines of an attack that guesses coins: in private mode over `worlds`, with its control; in threshold mode."""
    with without_noise():
        control, _ = play(folder / "control", 0, Mode.PRIVATE)
    fights = [play(folder / f"private-{seed}", seed, Mode.PRIVATE) for seed in range(1, worlds + 1)]
    (epsilon,) = {spent for _, spent in fights}
    guesses = sum((each for each, _ in fights), Guesses(0, 0, 0, 0))
    private = private_row(number, name, guesses, epsilon, control.accuracy)
    if not threshold:
        return [private]
    listed, _ = play(folder / "threshold", 0, Mode.THRESHOLD)
    return [private, threshold_row(number, name, listed)]


def blocks(count: int) -> tuple[str, ...]:
    """The code-list of an attribute that keeps `count` targets apart."""
    return tuple(f"b{number}" for number in range(count))


def in_blocks(names: Sequence[str], each: int, first: int, **values: str) -> list[Person]:
    """`each` people for every block, numbered from `first`, with `values` beside their block."""
    return [
        Person(first + place * each + number, {"block": block, **values})
        for place, block in enumerate(names)
        for number in range(each)
    ]


@contextmanager
def over_http(fight: Arena) -> Iterator[None]:
    """Whoever asks meanwhile asks a real room: gunicorn and the worker take over the folders, on a loopback port."""
    players = fight.stage.players
    before = dict(players)
    with Served(fight.stage, fight.stage.folder / "hooks") as served, ExitStack() as rooms:
        served.start()
        for name, player in before.items():
            players[name] = replace(player, room=rooms.enter_context(served.room(name)))
        try:
            yield
        finally:
            players.update(before)


@contextmanager
def without_noise() -> Iterator[None]:
    """For positive controls: the room draws zeros."""
    with mock.patch.object(noise, "draw", lambda _, count: (0,) * count):
        yield


def silent(mode: Mode) -> bool:
    """Whether figures come without noise; an attacker knows, for margins are published."""
    return mode is Mode.THRESHOLD or noise.draw is not _DRAW


def people_of(report: Report) -> dict[tuple[Value, ...], Figure]:
    """The counts of a statistics report by the values of their cell."""
    return {tuple(value for _, value in each.by): each for each in report.figures if each.measure == "people"}


def guess(random: Random, estimate: float, above: float = 0) -> bool:
    """Whether an estimate is above a line; a toss where something that it is made of is withheld (NaN)."""
    return random.random() < 0.5 if isnan(estimate) else estimate > above


def seen(figures: Mapping[tuple[Value, ...], Figure], *cell: Value) -> float:
    """As `shown`, for arithmetic: NaN where it is withheld."""
    value = shown(figures, *cell)
    return nan if value is None else value


def shown(figures: Mapping[tuple[Value, ...], Figure], *cell: Value) -> int | None:
    """The value of a cell; None where it is withheld."""
    found = figures.get(cell)
    return None if found is None or found.value is None else int(found.value)

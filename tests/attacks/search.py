"""An automated search for attacks: random questions of the request's grammar, against a planted target.

    python -m tests.attacks.search --minutes 10

A world has three partners with a thousand people each, two match keys, attributes and measures. One person of one of
them is the target. Random partners ask random questions, then the target's owner publishes the same audience without
the target and the same questions are asked again, all through the API. Beside the answers the search sees what the room
measured, so it can say exactly what an ideal attacker would win: a question's loss is the change of every figure that
is measured, divided by its scale of noise, added up. The rule: no loss is above what the owner was charged. What comes
nearest to its charge with the fewest figures is the best attack, alone; two questions whose figures are added or
subtracted are scored by the accuracy of the best guess from that one number.

Rules: everything random but the noise comes from the seed. A finding is printed with its seed, so it can be repeated.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cache
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import numpy as np

from partners.reports import Report
from policies import disclose
from policies.agreement import Agreement
from policies.budget import Scales
from policies.disclose import Measured
from policies.question import ColumnRef, Question
from policies.terms import Terms
from tests.attacks.arena import ALLOWANCE, ATTACKER, MINIMUM_SIZE, OWNER, SECOND
from tests.attacks.score import bound
from tests.room.stage import Brand, Customer, Stage

PEOPLE, POOL = 1_000, 1_300
"""Rows of an audience, and the people that they are taken from: most rows have partners, many two different ones."""
QUESTIONS = 40
STRONGEST = 12
"""Figures that are tried in pairs."""
BRANDS = (
    Brand(OWNER, "drive", ("email", "id.card"), ("status", ("gold", "silver")), ("spend", 0, 9)),
    Brand(ATTACKER, "plants", ("email", "id.card"), ("group", ("one", "two")), ("points", -3, 5)),
    Brand(SECOND, "panel", ("email",), ("region", ("north",)), ("visits", 1, 4)),
)
VALUES = ("gold", "silver", "one", "two", "north", "elsewhere", "")

Key = tuple[Question, ColumnRef | None, int]
"""A figure that is measured: the question, people or a measure, and the place in the vector."""


@dataclass(frozen=True, slots=True)
class Vectors:
    """What the room measured for one question, and the scales of its noise."""

    question: Question
    measured: Measured
    scales: Scales

    def figures(self) -> Iterator[tuple[Key, int, int]]:
        """Every figure: its key, its value, its scale."""
        for place, value in enumerate(self.measured.counts):
            yield (self.question, None, place), value, self.scales.counts
        for measure, values in self.measured.sums.items():
            for place, value in enumerate(values):
                yield (self.question, measure, place), value, self.scales.sums[measure]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A request, as an attack. `changes`: the figures that the target changes, by how much, with their scale."""

    asker: str
    asked: Mapping[str, Any]
    changes: Mapping[Key, tuple[int, int]]
    charged: Fraction

    @property
    def loss(self) -> Fraction:
        """What the answer tells of the target at most, in ε."""
        return sum((Fraction(abs(change), scale) for change, scale in self.changes.values()), Fraction(0))

    def __str__(self) -> str:
        asked = json.dumps(self.asked, ensure_ascii=False)
        return f"loss {float(self.loss):.4f} of {float(self.charged):.4f}: {self.asker} asks {asked}"


@dataclass(frozen=True, slots=True)
class World:
    """A published collaboration. `victim` is whose audience has the target, its first row."""

    stage: Stage
    id: str
    people: Mapping[str, list[Customer]]
    victim: Brand

    def publish(self, *, target: bool) -> None:
        """Publishes the victim's audience with or without the target."""
        people = self.people[self.victim.ref]
        self.stage.publish(self.id, self.victim, people if target else people[1:])


@contextmanager
def world(folder: Path, seed: int) -> Iterator[World]:
    """A new room with every audience published, the target in it."""
    random = Random(seed)
    people = {each.ref: _customers(random) for each in BRANDS}
    victim = random.choice(BRANDS)
    names = [each.owner for each in BRANDS]
    with Stage.make(folder, *names, allowance=ALLOWANCE, floor=Terms(minimum_size=MINIMUM_SIZE)) as stage:
        identifier = stage.agree(*BRANDS, minimum_size=MINIMUM_SIZE, epsilon_total=1_000)
        stage.share_secret(identifier)
        for each in BRANDS:
            stage.publish(identifier, each, people[each.ref])
        yield World(stage, identifier, people, victim)


def _customers(random: Random) -> list[Customer]:
    """Rows in random order; half of them have another person's card, some have none. A token stands in one row only."""
    addresses = random.sample(range(POOL), PEOPLE)
    others = random.sample(addresses[PEOPLE // 2 :], PEOPLE // 2)
    cards = addresses[: PEOPLE // 2] + others
    return [
        Customer(
            f"p{address}@mail.example",
            f"card-{card}" if random.random() < 0.9 else "",
            random.choice(VALUES),
            random.randint(-5, 12) if random.random() < 0.9 else None,
            measurement=random.random() < 0.8,
            until=date(2100, 1, 1),
        )
        for address, card in random.sample(list(zip(addresses, cards, strict=True)), PEOPLE)
    ]


def question(random: Random, asker: str) -> dict[str, Any]:
    """A random request that the agreement may admit."""
    refs = [each.ref for each in BRANDS]
    purpose = random.choice(("insights", "measurement"))
    if random.random() < 0.15:
        return {"kind": "overlap", "audiences": random.sample(refs, random.choice((2, 3))), "purpose": purpose}
    attributes = [f"{each.ref}.{each.attribute[0]}" for each in BRANDS if each.attribute]
    measures = [f"{each.ref}.{each.measure[0]}" for each in BRANDS if each.measure and each.owner != asker]
    dimensions: list[Any] = [*attributes, *({"matched": ref} for ref in refs)]
    return {
        "kind": "statistics",
        "count": random.choice(refs),
        "where": _where(random, 3) if random.random() < 0.8 else None,
        "by": random.sample(dimensions, random.choice((0, 0, 1, 1, 2, 3))),
        "sum": random.sample(measures, random.choice((0, 0, 1, 2))),
        "purpose": purpose,
    }


def _where(random: Random, depth: int) -> dict[str, Any]:
    kind = random.choice(("matched", "is", "not", "all", "any")) if depth else random.choice(("matched", "is"))
    match kind:
        case "matched":
            return {"matched": random.choice(BRANDS).ref}
        case "is":
            brand = random.choice(BRANDS)
            assert brand.attribute is not None, "each brand has one"
            name, values = brand.attribute
            domain = [*values, "other", "unknown"]
            return {"is": [f"{brand.ref}.{name}", random.sample(domain, random.randint(1, len(domain) - 1))]}
        case "not":
            return {"not": _where(random, depth - 1)}
    return {kind: [_where(random, depth - 1) for _ in range(2)]}


def ask(world: World, asker: str, asked: Mapping[str, Any]) -> tuple[Report, list[Vectors]]:
    """What the API answers, and what the room measured for it."""
    kept: list[Vectors] = []

    def private(asked: Question, agreement: Agreement, measured: Measured, noise: Measured, scales: Scales) -> Any:
        kept.append(Vectors(asked, measured, scales))
        return original(asked, agreement, measured, noise, scales)

    original = disclose.private
    with mock.patch.object(disclose, "private", private):
        return world.stage.ask(asker, world.id, asked), kept


def _charged(report: Report, owner: str) -> Fraction:
    return sum((Fraction(cost) for name, cost in report.cost if name == owner), Fraction(0))


def candidates(world: World, seed: int, questions: int) -> list[Candidate]:
    """Asks random questions with and without the target. Leaves the audience without the target published."""
    random = Random(seed)
    drawn = [(asker, question(random, asker)) for asker in random.choices([b.owner for b in BRANDS], k=questions)]
    before = [(asker, asked, *ask(world, asker, asked)) for asker, asked in drawn]
    world.publish(target=False)
    found = []
    for asker, asked, report, kept in before:
        again, then = ask(world, asker, asked)
        if not kept or len(kept) != len(then):
            continue  # refused, or asked before and so free: nothing new was measured
        charged, same = (_charged(each, world.victim.owner) for each in (report, again))
        assert charged == same, "the price follows from the question alone"
        both = zip(kept, then, strict=True)
        pairs = [pair for one, other in both for pair in zip(one.figures(), other.figures(), strict=True)]
        changes = {key: (value - less, scale) for (key, value, scale), (_, less, _) in pairs if value != less}
        found.append(Candidate(asker, asked, changes, charged))
    return found


@dataclass(frozen=True, slots=True)
class Combination:
    """One or two figures, added or subtracted so that the target's effects add up; the best guess from that number."""

    parts: tuple[tuple[Candidate, Key], ...]

    @property
    def charged(self) -> Fraction:
        return sum({id(each): each.charged for each, _ in self.parts}.values(), Fraction(0))

    @property
    def accuracy(self) -> float:
        effects = [candidate.changes[key] for candidate, key in self.parts]
        return accuracy(sum(abs(change) for change, _ in effects), tuple(sorted(scale for _, scale in effects)))

    @property
    def score(self) -> float:
        """The accuracy above a toss, as a share of what the charge allows."""
        return round((self.accuracy - 0.5) / (bound(float(self.charged)) - 0.5), 6)

    @property
    def rank(self) -> tuple[float, float]:
        """What is more is worse for the room: the score, then the accuracy."""
        return self.score, self.accuracy

    def __str__(self) -> str:
        return f"accuracy {self.accuracy:.4f}, bound {bound(float(self.charged)):.4f}"


@cache
def accuracy(shift: int, scales: tuple[int, ...]) -> float:
    """How often a guess is right from one number, that is shifted or not, with draws of noise of these scales added."""
    noise = np.ones(1)
    for scale in scales:
        reach = np.arange(-20 * scale, 20 * scale + 1)
        chances = np.exp(-np.abs(reach) / scale)
        size = len(noise) + len(chances) - 1
        noise = np.fft.irfft(np.fft.rfft(noise, size) * np.fft.rfft(chances / chances.sum(), size), size)
    zero = len(noise) // 2
    below = noise[: min(len(noise), zero + (shift + 1) // 2)].sum()
    middle = noise[zero + shift // 2] if shift % 2 == 0 and zero + shift // 2 < len(noise) else 0.0
    return float(below + middle / 2)


def _strength(single: Combination) -> Fraction:
    ((candidate, key),) = single.parts
    change, scale = candidate.changes[key]
    return Fraction(abs(change), scale) / candidate.charged


def best(found: list[Candidate], figures: int) -> Combination | None:
    """The best guess from so many figures, of those that the target changes most for what they cost."""
    singles = [Combination(((each, key),)) for each in found for key in each.changes]
    strongest = [part for single in sorted(singles, key=_strength)[-STRONGEST:] for part in single.parts]
    tried = (Combination(parts) for parts in combinations(strongest, figures))
    return max(tried, key=lambda combination: combination.rank, default=None)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attacks.search", description="Searches for attacks.")
    parser.add_argument("--minutes", type=float, default=1, help="for how long worlds are begun")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the first world")
    options = parser.parse_args()
    until, seed, asked, worst = time.monotonic() + 60 * options.minutes, options.seed, 0, Fraction(0)
    top: dict[int, tuple[float, float]] = {}
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory(prefix="search-") as folder, world(Path(folder), seed) as fought:
            found = candidates(fought, seed, QUESTIONS)
        asked += len(found)
        for each in found:
            if each.loss > each.charged:
                print(f"BROKEN, seed {seed}, target of {fought.victim.ref}: {each}")
            worst = max(worst, each.loss / each.charged)
        for figures in (1, 2):
            combination = best(found, figures)
            if combination and combination.rank > top.get(figures, (0.0, 0.0)):
                top[figures] = combination.rank
                print(f"best of {figures}, seed {seed}, target of {fought.victim.ref}: {combination}")
                for each, key in combination.parts:
                    print(f"    figure {key[2]} of {key[1] or 'people'}: {each}")
        seed += 1
    print(f"{seed - options.seed} worlds, {asked} questions; the largest loss is {float(worst):.4f} of its charge")
    return int(worst > 1)


if __name__ == "__main__":
    sys.exit(main())

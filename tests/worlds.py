"""Small worlds for tests: an agreement, its audiences' rows, who withdrew, and questions about them.

`random_world` and `random_question` take any `random.Random`, so that Hypothesis can drive and shrink them and a plain
seed can repeat them. `stage` writes what intake would, `audience_table` what a partner's `prepare` would.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pyarrow as pa

from cleanroom.engine import columns
from cleanroom.engine.columns import EPOCH_DAY, Meta, Writer
from policies.agreement import Agreement, Attribute, Audience, Measure, Party
from policies.purpose import Purpose
from policies.question import All, AnyOf, AudienceRef, By, ColumnRef, Is, Matched, Not, Question, Where
from policies.terms import DEFAULTS, Terms

DAY = date(2026, 3, 14)
EVERY_PURPOSE = 15


@dataclass(frozen=True, slots=True)
class Row:
    """One person of an audience. `expires` is None for all rows of an audience or for none of them."""

    tokens: Mapping[str, bytes]
    attributes: Mapping[str, str]
    measures: Mapping[str, int]
    consent: int = EVERY_PURPOSE
    expires: date | None = None


@dataclass(frozen=True, slots=True)
class World:
    """Everything that a question's answer depends on. `withdrawn`: row numbers per audience.

    `withdrawn_from`: the mask of purposes for a withdrawn row; one that is not named is withdrawn from all.
    """

    agreement: Agreement
    rows: Mapping[AudienceRef, tuple[Row, ...]]
    withdrawn: Mapping[AudienceRef, frozenset[int]]
    day: date = DAY
    withdrawn_from: Mapping[AudienceRef, Mapping[int, int]] = field(default_factory=dict)

    def without(self, ref: AudienceRef, index: int) -> "World":
        """The neighbouring world in which one row was never uploaded."""
        kept = tuple(row for number, row in enumerate(self.rows[ref]) if number != index)
        gone = frozenset(number - (number > index) for number in self.withdrawn[ref] if number != index)
        masks = self.withdrawn_from.get(ref, {})
        moved = {number - (number > index): mask for number, mask in masks.items() if number != index}
        return replace(
            self,
            rows={**self.rows, ref: kept},
            withdrawn={**self.withdrawn, ref: gone},
            withdrawn_from={**self.withdrawn_from, ref: moved},
        )


def agreement(audiences: Iterable[Audience], match_keys: tuple[str, ...], base: Terms = DEFAULTS) -> Agreement:
    """An agreement of the owners of these audiences, under the default terms."""
    listed = tuple(audiences)
    owners = sorted({audience.ref.owner for audience in listed})
    parties = tuple(
        Party(owner, owner.encode().ljust(32, b"s"), owner.encode().ljust(32, b"x"), Terms()) for owner in owners
    )
    return Agreement("col-1", "Spring", 1, match_keys, "uid2", parties, listed, base, Terms())


def random_world(random: Random, most_rows: int = 7, outside_bounds: bool = False) -> World:
    """2 to 4 audiences of up to three owners on 1 to 3 match keys, with tokens from a pool small enough to collide.

    `outside_bounds`: measures may break their bounds, as only a damaged store could have them.
    """
    match_keys = tuple(random.sample(("email", "phone", "id.card"), random.randint(1, 3)))
    refs = [
        AudienceRef("ada", "main"),
        AudienceRef("bea", "main"),
        AudienceRef("cid", "main"),
        AudienceRef("bea", "more"),
    ]
    audiences = [_random_audience(random, ref, match_keys) for ref in refs[: random.randint(2, 4)]]
    pool = random.randint(2, 8)
    rows = {
        each.ref: _random_rows(random, each, pool, random.randint(0, most_rows), outside_bounds) for each in audiences
    }
    withdrawn = {
        ref: frozenset(number for number in range(len(people)) if random.random() < 0.1) for ref, people in rows.items()
    }
    masks = {ref: {number: random.randint(1, EVERY_PURPOSE) for number in gone} for ref, gone in withdrawn.items()}
    return World(agreement(audiences, match_keys), rows, withdrawn, withdrawn_from=masks)


BOUNDS = ((0, 7), (-5, 10), (3, 9), (-9, -2), (0, 10**12), (-(10**12), 10**12))


def _random_audience(random: Random, ref: AudienceRef, match_keys: tuple[str, ...]) -> Audience:
    keys = tuple(key for key in match_keys if random.random() < 0.85) or match_keys[:1]
    attributes = tuple(
        Attribute(name, ("red", "green", "other")[: random.randint(1, 3)])
        for name in ("colour", "size")[: random.randint(0, 2)]
    )
    measures = tuple(Measure(name, *random.choice(BOUNDS), 2) for name in ("spend", "visits")[: random.randint(0, 2)])
    return Audience(ref, keys, attributes, measures)


def _random_rows(random: Random, audience: Audience, pool: int, size: int, outside_bounds: bool) -> tuple[Row, ...]:
    expiring = random.random() < 0.4
    # A token stands in one row only: each key's pool is dealt out, and some rows get none of it.
    hands = {key: random.sample(range(pool), pool) for key in audience.keys}
    rows = []
    for _ in range(size):
        tokens = {key: token(key, hand.pop()) for key, hand in hands.items() if hand and random.random() < 0.8}
        if tokens:
            rows.append(_random_row(random, audience, tokens, expiring, outside_bounds))
    return tuple(rows)


def _random_row(random: Random, audience: Audience, tokens: Mapping[str, bytes], expiring: bool, outside: bool) -> Row:
    def amount(measure: Measure) -> int:
        low, high = measure.lower, measure.upper
        if outside and random.random() < 0.2:
            return random.choice((low - 5, high + 5, -(2**63), 2**63 - 1))
        return random.choice((low, high, random.randint(low, high)))

    return Row(
        tokens,
        {each.name: random.choice(each.domain) for each in audience.attributes},
        {each.name: amount(each) for each in audience.measures if random.random() < 0.8},
        random.choice((EVERY_PURPOSE, EVERY_PURPOSE, random.randint(1, 15))),
        DAY + timedelta(random.choice((-1, 0, 1, 300))) if expiring else None,
    )


def token(key: str, number: int) -> bytes:
    """A token for tests; number 0 is all zeros, which is a token like any other."""
    return bytes(16) if number == 0 else f"{key[:7]:>7}{number:>9}".encode()


def random_question(random: Random, world: World, admitted: bool = True) -> Question:
    """A canonical question over the world's audiences.

    `admitted`: as the gate admits it, every audience shares a match key with the counted one.
    """
    count = random.choice(world.agreement.audiences).ref
    near = [
        each
        for each in world.agreement.audiences
        if each.ref == count or not admitted or world.agreement.common_keys(count, each.ref)
    ]
    columns_ = [ColumnRef(each.ref, item.name) for each in near for item in each.attributes]
    measures = [ColumnRef(each.ref, item.name) for each in near for item in each.measures]
    matches = [Matched(each.ref) for each in near]
    where = _random_where(random, world, columns_, matches, 3) if random.random() < 0.7 else None
    items: list[By] = [*columns_, *matches]
    by = tuple(random.sample(items, min(len(items), random.randint(0, 3))))
    sums = tuple(random.sample(measures, min(len(measures), random.randint(0, 2))))
    return Question(count, where, by, sums, random.choice(list(Purpose))).canonical()


def _random_where(
    random: Random, world: World, attributes: list[ColumnRef], matches: list[Matched], depth: int
) -> Where:
    shape = random.choice(("is", "matched", "not", "all", "any")) if depth else random.choice(("is", "matched"))
    match shape:
        case "is" if attributes:
            column = random.choice(attributes)
            attribute = world.agreement.attribute(column)
            assert attribute is not None
            return Is(column, frozenset(value for value in attribute.domain if random.random() < 0.5))
        case "not":
            return Not(_random_where(random, world, attributes, matches, depth - 1))
        case "all" | "any":
            terms = tuple(
                _random_where(random, world, attributes, matches, depth - 1) for _ in range(random.randint(0, 3))
            )
            return All(terms) if shape == "all" else AnyOf(terms)
    return random.choice(matches)


def stage(folder: Path, collaboration: str, audience: Audience, rows: tuple[Row, ...], epoch: int = 1) -> Path:
    """Writes rows as intake would, tokens as they are; the folder is made."""
    folder.mkdir(parents=True)
    expiring = any(row.expires for row in rows)
    meta = Meta(
        collaboration, audience.ref, epoch, len(rows), audience.keys, audience.attributes, audience.measures, expiring
    )
    with Writer(folder, meta) as writer:
        for key in audience.keys:
            tokens = b"".join(row.tokens.get(key, bytes(16)) for row in rows)
            writer.append(f"token.{key}", np.frombuffer(tokens, np.uint8).reshape(-1, 16))
            writer.append(f"present.{key}", np.array([key in row.tokens for row in rows], np.bool_))
        for attribute in audience.attributes:
            codes = [attribute.domain.index(row.attributes[attribute.name]) for row in rows]
            writer.append(f"attribute.{attribute.name}", np.array(codes, np.uint16))
        for measure in audience.measures:
            amounts = [row.measures.get(measure.name, 0) for row in rows]
            writer.append(f"measure.{measure.name}", np.array(amounts, np.int64))
            writer.append(
                f"measured.{measure.name}", np.array([measure.name in row.measures for row in rows], np.bool_)
            )
        writer.append("consent", np.array([row.consent for row in rows], np.uint8))
        if expiring:
            days = [(row.expires - EPOCH_DAY).days for row in rows if row.expires]
            writer.append("expires", np.array(days, np.int32))
    columns.write_meta(folder, meta)
    return folder


def audience_table(audience: Audience, rows: tuple[Row, ...]) -> pa.Table:
    """The rows as the table of an audience file."""
    fields, arrays = [], []

    def add(name: str, array: pa.Array, nullable: bool) -> None:
        fields.append(pa.field(name, array.type, nullable))
        arrays.append(array)

    for key in audience.keys:
        add(f"token.{key}", pa.array([row.tokens.get(key) for row in rows], pa.binary(16)), nullable=True)
    for attribute in audience.attributes:
        codes = pa.array([attribute.domain.index(row.attributes[attribute.name]) for row in rows], pa.int32())
        add(
            f"attribute.{attribute.name}",
            pa.DictionaryArray.from_arrays(codes, pa.array(attribute.domain)),
            nullable=False,
        )
    for measure in audience.measures:
        add(
            f"measure.{measure.name}",
            pa.array([row.measures.get(measure.name) for row in rows], pa.int64()),
            nullable=True,
        )
    add("consent", pa.array([row.consent for row in rows], pa.uint8()), nullable=False)
    if any(row.expires for row in rows):
        add("expires", pa.array([row.expires for row in rows], pa.date32()), nullable=False)
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))

"""The embedded engine: one process and its files, for a room on one machine.

Rules: links between audiences are built once, when a version is published, and only for pairs that the new version is
part of. A question is array work over mapped files; it compares no tokens and writes nothing.
"""

from collections.abc import Mapping
from datetime import date
from functools import cache
from pathlib import Path

import numpy as np

from cleanroom.engine import columns
from cleanroom.engine.columns import Columns, Damaged
from cleanroom.engine.interface import Absent, NotPublished, Staged
from cleanroom.engine.linking import Sorted, link, sort
from cleanroom.engine.population import Population, match, taking_part
from cleanroom.engine.sealed import Sealed
from cleanroom.engine.store import Store
from cleanroom.engine.tally import Table
from policies.agreement import Agreement, Attribute
from policies.cells import cells
from policies.disclose import Measured
from policies.question import AudienceRef, ColumnRef, Is, Question, leaves


class EmbeddedEngine:
    """An `Engine` over the data folder. It holds nothing in memory.

    Any number of processes may measure on one folder; publishing and retiring is for one at a time.
    """

    def __init__(self, data: Path) -> None:
        self._store = Store(data)

    def publish(self, staged: Staged) -> None:
        """See `Engine.publish`. Raises `columns.Damaged` for files that are not what intake writes.

        Raises ValueError for versions that may not be linked, `NotPublished` for an unknown one in `against`.
        """
        store = self._store
        published = store.has(staged.id)
        if not published:
            store.remove(staged.id)
        own = store.open(staged.id) if published else columns.read(staged.folder)
        own.check()

        @cache
        def own_sorted(key: str) -> Sorted:
            return _sorted(own, key)

        for other_id in staged.against:
            if store.linked(staged.id, other_id) and store.linked(other_id, staged.id):
                continue
            other = store.open(other_id)
            _check_pair(own, other)
            links = {key: link(own_sorted(key), _sorted(other, key)) for key in own.meta.keys if key in other.meta.keys}
            store.add_links(staged.id, other_id, {key: forward for key, (forward, _) in links.items()})
            store.add_links(other_id, staged.id, {key: backward for key, (_, backward) in links.items()})
        if not published:
            store.adopt(staged.id, staged.folder)

    def retire(self, version: str) -> None:
        """See `Engine.retire`."""
        self._store.remove(version)

    def measure(
        self, question: Question, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent
    ) -> Sealed:
        """See `Engine.measure`."""
        try:
            return self._measured(question, agreement, versions, day, absent)
        except Damaged:
            if all(self._store.has(version) for version in versions.values()):
                raise
            raise NotPublished("a version of the question was retired while it was measured; ask again") from None

    def _measured(
        self, question: Question, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent
    ) -> Sealed:
        everybody = self._everybody(question, agreement, versions, day, absent)
        attributes = _attributes(question, agreement)
        people = everybody.only(everybody.holds(question.where, attributes))
        table = Table(people, question.by, attributes, cells(question, agreement))
        sums = {}
        for column in question.sum:
            measure = agreement.measure(column)
            assert measure is not None, "the gate admits only measures of the agreement"
            sums[column] = table.sums(people.amounts(column, measure))
        return Sealed(Measured(table.counts(), sums))

    def _everybody(
        self, question: Question, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent
    ) -> Population:
        """Everybody of the counted audience who takes part, matched to every linked audience."""
        linked = question.linked()
        audiences = {ref: self._audience(ref, agreement, versions) for ref in (question.count, *linked)}
        takes_part = {
            ref: taking_part(audience, question.purpose, day, absent.get(versions[ref]))
            for ref, audience in audiences.items()
        }
        people = np.flatnonzero(takes_part[question.count])
        rows = {question.count: people}
        for ref in linked:
            links = tuple(
                self._store.links(versions[question.count], versions[ref], key, audiences[question.count].meta.rows)
                for key in agreement.common_keys(question.count, ref)
            )
            rows[ref] = match(people, links, takes_part[ref])
        return Population(audiences, rows, len(people))

    def _audience(self, ref: AudienceRef, agreement: Agreement, versions: Mapping[AudienceRef, str]) -> Columns:
        """The published columns of an audience, checked to be those of the agreement."""
        if ref not in versions:
            raise NotPublished("an audience of the question has no published version")
        audience, agreed = self._store.open(versions[ref]), agreement.audience(ref)
        assert agreed is not None, "the gate admits only audiences of the agreement"
        meta = audience.meta
        stored = (meta.collaboration, meta.audience, meta.keys, meta.attributes, meta.measures)
        if stored != (agreement.id, ref, agreed.keys, agreed.attributes, agreed.measures):
            raise ValueError("a published version was made for another agreement or audience")
        return audience


def _attributes(question: Question, agreement: Agreement) -> dict[ColumnRef, Attribute]:
    """Every attribute that the question names."""
    named = [leaf.column for leaf in leaves(question.where) if isinstance(leaf, Is)]
    named += [item for item in question.by if isinstance(item, ColumnRef)]
    attributes = {}
    for column in named:
        attribute = agreement.attribute(column)
        assert attribute is not None, "the gate admits only columns of the agreement"
        attributes[column] = attribute
    return attributes


def _sorted(audience: Columns, key: str) -> Sorted:
    return sort(audience.tokens(key), audience.present(key))


def _check_pair(own: Columns, other: Columns) -> None:
    """Raises ValueError for two versions that may not meet: tokens under two keys would silently never match."""
    if (own.meta.collaboration, own.meta.epoch) != (other.meta.collaboration, other.meta.epoch):
        raise ValueError("two versions of different collaborations or epochs are never linked")
    if own.meta.audience == other.meta.audience:
        raise ValueError("two versions of the same audience are never linked")

"""The embedded engine: one process and its files, for a room on one machine.

Rules: links between audiences are built once, when a version is published, and only for pairs that the new version is
part of. A question compares no tokens: it is array work over mapped columns and views, and writes nothing but views
that were missing. Only `erase` writes into what was published.
"""

from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from functools import cache, partial
from itertools import count
from pathlib import Path

import numpy as np

from cleanroom.engine import columns
from cleanroom.engine.bits import Mask
from cleanroom.engine.columns import Array, Columns, Damaged
from cleanroom.engine.interface import Absent, NotPublished, Progress, Rows, Staged, Tokens, ignore
from cleanroom.engine.linking import UNMATCHED, Links, Sorted, find, link, sort
from cleanroom.engine.population import Codes, Population
from cleanroom.engine.sealed import Sealed
from cleanroom.engine.store import Store
from cleanroom.engine.tally import tally
from cleanroom.engine.views import PairViews, Presence, keep, own_amounts, own_columns, presence
from policies.agreement import Agreement
from policies.cells import cells
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Is, Question, leaves

THREADS = 2  # each needs some 0.6 GiB at ten million rows


class EmbeddedEngine:
    """An `Engine` over the data folder. It holds nothing in memory.

    Any number of processes may measure on one folder; publishing and retiring is for one at a time.
    """

    def __init__(self, data: Path) -> None:
        self._store = Store(data)

    def publish(self, staged: Staged, progress: Progress = ignore) -> None:
        """See `Engine.publish`. Raises `columns.Damaged` for files that are not what intake writes.

        Raises ValueError for versions that may not be linked, `NotPublished` for an unknown one in `against`.
        """
        store = self._store
        published = store.has(staged.id)
        if not published:
            store.remove(staged.id)
        own = store.open(staged.id) if published else columns.read(staged.folder)
        own.check()
        others = {
            other_id: store.open(other_id)
            for other_id in staged.against
            if not (store.linked(staged.id, other_id) and store.linked(other_id, staged.id))
        }
        for other in others.values():
            _check_pair(own, other)
        steps = sum(1 + len(_shared(own, other)) for other in others.values()) + 1
        done = count(1)

        def step() -> None:
            progress(100 * next(done) // steps)

        @cache  # one key is in one thread at a time
        def own_sorted(key: str) -> Sorted:
            return _sorted(own, key)

        def linked(other: Columns, key: str) -> tuple[Links, Links]:
            return link(own_sorted(key), _sorted(other, key))

        with ThreadPoolExecutor(THREADS) as threads:  # numpy lets go of the interpreter while it sorts and searches
            for other_id, other in others.items():
                keys, links = _shared(own, other), {}
                for key, both in zip(keys, threads.map(partial(linked, other), keys), strict=True):
                    links[key] = both
                    step()
                store.add_links(staged.id, other_id, {key: forward for key, (forward, _) in links.items()})
                store.add_links(other_id, staged.id, {key: backward for key, (_, backward) in links.items()})
                step()
        if not published:
            store.adopt(staged.id, staged.folder)
        step()

    def retire(self, version: str) -> None:
        """See `Engine.retire`."""
        self._store.remove(version)

    def measure(
        self, question: Question, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent
    ) -> Sealed:
        """See `Engine.measure`."""
        asked = _Asked(self._store, agreement, versions, day, absent, question.purpose)
        with self._still_published([versions[ref] for ref in (question.count, *question.linked()) if ref in versions]):
            return Sealed(tally(question, asked.people(question), cells(question, agreement)))

    def prepare(self, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent) -> None:
        """See `Engine.prepare`."""
        purposes = sorted(agreement.terms.purposes, key=lambda purpose: purpose.value)
        asked = [_Asked(self._store, agreement, versions, day, absent, purpose) for purpose in purposes]
        with self._still_published(versions.values()):
            for ref, version in versions.items():
                folder = self._store.views(version)
                keep(folder, {own_columns(folder), *(each.presence(ref).path for each in asked)})
                for other in versions:
                    if other != ref and agreement.common_keys(ref, other):
                        views = [each.views(ref, other) for each in asked]
                        for each in views:
                            each.matched()
                        keep(self._store.views(version, versions[other]), {each.folder for each in views})

    def find(self, version: str, key: str, tokens: Tokens) -> Links:
        """See `Engine.find`."""
        audience = self._store.open(version)
        if key not in audience.meta.keys:
            return np.full(len(tokens), UNMATCHED, np.int32)
        return find(audience.tokens(key), audience.present(key), tokens)

    def tokens(self, version: str, rows: Rows) -> dict[str, tuple[Tokens, Mask]]:
        """See `Engine.tokens`."""
        audience = self._store.open(version)
        return {key: (audience.tokens(key)[rows], audience.present(key)[rows]) for key in audience.meta.keys}

    def erase(self, version: str, rows: Rows) -> None:
        """See `Engine.erase`."""
        if self._store.has(version):
            self._store.erase(version, rows)

    @contextmanager
    def _still_published(self, versions: Collection[str]) -> Iterator[None]:
        """Work on published versions. Raises `NotPublished` where one was retired meanwhile, whatever came of it."""
        try:
            yield
        except Damaged:
            if all(map(self._store.has, versions)):
                raise
        if not all(map(self._store.has, versions)):
            self._store.remove_orphans()
            raise NotPublished("a version of the question was retired while it was measured; ask again")


class _Asked:
    """What questions of one purpose on one day read; each thing is opened once."""

    def __init__(
        self,
        store: Store,
        agreement: Agreement,
        versions: Mapping[AudienceRef, str],
        day: date,
        absent: Absent,
        purpose: Purpose,
    ) -> None:
        self._store, self._agreement, self._versions = store, agreement, versions
        self._day, self._absent, self._purpose = day, absent, purpose
        self.audience = cache(self._audience)
        self.presence = cache(self._presence)
        self.views = cache(self._views)

    def people(self, question: Question) -> Population:
        """Everybody of the counted audience who takes part, with all that the question asks about them."""
        counted = question.count
        present = self.presence(counted).words
        matched = {ref: self.views(counted, ref).matched() for ref in question.linked()}
        named = [leaf.column for leaf in leaves(question.where) if isinstance(leaf, Is)]
        named += [item for item in question.by if isinstance(item, ColumnRef)]
        return Population(
            self.audience(counted).meta.rows,
            present,
            {counted: present, **matched},
            {column: self._codes(counted, column) for column in set(named)},
            {column: self._amounts(counted, column) for column in question.sum},
        )

    def _codes(self, counted: AudienceRef, column: ColumnRef) -> Codes:
        attribute = self._agreement.attribute(column)
        assert attribute is not None, "the gate admits only columns of the agreement"
        audience = self.audience(column.audience)
        if column.audience == counted:
            return Codes(attribute, audience.codes(column.column))
        return Codes(attribute, self.views(counted, column.audience).codes(audience, attribute))

    def _amounts(self, counted: AudienceRef, column: ColumnRef) -> Array:
        measure = self._agreement.measure(column)
        assert measure is not None, "the gate admits only measures of the agreement"
        audience = self.audience(column.audience)
        if column.audience == counted:
            return own_amounts(self._store.views(self._versions[counted]), audience, measure)
        return self.views(counted, column.audience).amounts(audience, measure)

    def _views(self, counted: AudienceRef, other: AudienceRef) -> PairViews:
        version, other_version, rows = self._versions[counted], self._versions[other], self.audience(counted).meta.rows
        links = {
            key: self._store.links(version, other_version, key, rows)
            for key in self._agreement.common_keys(counted, other)
        }
        return PairViews(self._store.views(version, other_version), rows, links, self.presence(other))

    def _presence(self, ref: AudienceRef) -> Presence:
        audience, version = self.audience(ref), self._versions[ref]
        return presence(self._store.views(version), audience, self._purpose, self._day, self._absent.get(version))

    def _audience(self, ref: AudienceRef) -> Columns:
        """The published columns of an audience, checked to be those of the agreement."""
        if ref not in self._versions:
            raise NotPublished("an audience of the question has no published version")
        audience, agreed = self._store.open(self._versions[ref]), self._agreement.audience(ref)
        assert agreed is not None, "the gate admits only audiences of the agreement"
        meta = audience.meta
        stored = (meta.collaboration, meta.audience, meta.keys, meta.attributes, meta.measures)
        if stored != (self._agreement.id, ref, agreed.keys, agreed.attributes, agreed.measures):
            raise ValueError("a published version was made for another agreement or audience")
        return audience


def _shared(own: Columns, other: Columns) -> list[str]:
    """The match keys that two versions have in common."""
    return [key for key in own.meta.keys if key in other.meta.keys]


def _sorted(audience: Columns, key: str) -> Sorted:
    return sort(audience.tokens(key), audience.present(key))


def _check_pair(own: Columns, other: Columns) -> None:
    """Raises ValueError for two versions that may not meet: tokens under two keys would silently never match."""
    if (own.meta.collaboration, own.meta.epoch) != (other.meta.collaboration, other.meta.epoch):
        raise ValueError("two versions of different collaborations or epochs are never linked")
    if own.meta.audience == other.meta.audience:
        raise ValueError("two versions of the same audience are never linked")

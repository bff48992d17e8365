"""Withdrawals: takes an owner's signed batch, and keeps what is absent true when a version is published.

Rules.
* A batch acts from its transaction on: whatever is measured afterwards, or was measured before and not yet released,
  counts without the rows. It is taken once; the same batch again is the same answer.
* The answer is the same whether the batch named a row or nobody.
* Tokens are re-keyed before anything is stored. What follows from them is worked out outside the transaction, which
  holds only if the owner's batches and versions are still those that it was worked out from; else it is done again.
* A version that is published while somebody withdraws has it: see `publishing`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import partial

from cleanroom.absence import ERASE, ERASED, EVERY_PURPOSE, Gone
from cleanroom.catalog import collaborations, keys, versions, withdrawals
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.catalog.keys import Partner
from cleanroom.catalog.versions import Version
from cleanroom.catalog.withdrawals import EVERY_AUDIENCE, Batch, Entry, Holder, Root
from cleanroom.engine.interface import Masks, NotPublished, Rows, Withdrawn
from cleanroom.engine.rekey import NoKey, Rekeyer
from cleanroom.reach import Reached, reach
from cleanroom.rekeying import rekey_key
from cleanroom.room import Room
from partners import withdrawal
from partners.protocol import TOKEN_BYTES
from partners.withdrawal import Action, SignedBatch
from policies.purpose import mask
from policies.question import AudienceRef

ATTEMPTS = 5


class Refused(Enum):
    """Why a batch is not taken."""

    SIGNATURE = "the signature is not the owner's"
    NOT_YOURS = "the batch is not yours, or not for this collaboration"
    UNKNOWN = "you have no such audience here, or none with this match key"
    EPOCH = "the batch was made for another epoch"
    SECRET = "the batch was made with another secret"  # noqa: S105 - a sentence
    ROOM_KEY = "the room cannot compare tokens"


class Unsettled(Exception):
    """The owner's audiences kept changing; nothing was taken. Sending the batch again is safe."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A batch that acts. `known`: it was taken earlier."""

    batch: Batch
    known: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes true: entries to add, and per version the rows that are absent.

    `taken_back`: roots, and the mask that their entries lose. Then `gone` is all that is left.
    """

    added: tuple[Entry, ...]
    gone: Mapping[str, Gone]
    taken_back: tuple[tuple[Root, ...], int] | None = None


def absent(catalog: Catalog, collaboration: str) -> dict[str, Withdrawn]:
    """The withdrawn rows of the published versions of a collaboration, as engines take them. None is read yet."""
    found = withdrawals.digests(catalog, collaboration)
    return {version: Withdrawn(digest, partial(_read, catalog, version, digest)) for version, digest in found.items()}


def latest(catalog: Catalog, collaboration: str) -> int:
    """A number that grows with every batch: equal numbers, the same people withdrawn, whatever was erased meanwhile."""
    return withdrawals.latest_of(catalog, collaboration)


def take(room: Room, catalog: Catalog, found: Collaboration, owner: Partner, signed: SignedBatch) -> Taken | Refused:
    """Takes a batch. Raises `Unsettled`, `columns.Damaged`."""
    batch, sha256 = signed.batch, signed.batch.sha256()
    if refused := _refused(room, catalog, found, owner, signed):
        return refused
    if known := withdrawals.find_batch(catalog.connection, owner.name, sha256):
        return Taken(known, known=True)
    holder = Holder(found.id, owner.name, batch.epoch)
    try:
        key = rekey_key(room, catalog, found.id, batch.epoch)
    except NoKey:
        return Refused.ROOM_KEY
    images = Rekeyer(key).tokens(b"".join(batch.tokens))
    audience = EVERY_AUDIENCE if batch.audience is None else batch.audience
    roots = tuple(
        Root(batch.match_key, images[start : start + TOKEN_BYTES], audience)
        for start in range(0, len(images), TOKEN_BYTES)
    )
    for _ in range(ATTEMPTS):
        facts = _facts(catalog, holder)
        try:
            change = _change(room, catalog, holder, facts[1], batch, roots)
        except NotPublished:  # retired in between
            continue
        with catalog.transaction() as connection:
            if known := withdrawals.find_batch(connection, owner.name, sha256):  # sent twice at the same time
                return Taken(known, known=True)
            if _facts(catalog, holder) != facts:
                continue
            keep(catalog, holder, change)
            action, today = batch.action.value, room.today.isoformat()
            return Taken(withdrawals.keep_batch(connection, holder, sha256, action, today), known=False)
    raise Unsettled("the owner's audiences kept changing; send the batch again")


def publishing(room: Room, catalog: Catalog, version: Version) -> tuple[int, Change]:
    """What a version has to keep to that is about to be published, and the serial that this holds for.

    The engine has the version already. In the transaction that publishes it, `serial` must still be the same.
    """
    holder = holder_of(version)
    before, published = _facts(catalog, holder)
    others = {other: audience for other, audience in published.items() if audience != version.audience}
    reached = reach(
        room.engine, {**others, version.id: version.audience}, withdrawals.entries(catalog.connection, holder)
    )
    return before, Change(reached.added, reached.gone)


def serial(catalog: Catalog, version: Version) -> int:
    """The serial of the batches that a version has to keep to."""
    return withdrawals.serial(catalog.connection, holder_of(version))


def holder_of(version: Version) -> Holder:
    return Holder(version.collaboration, version.owner, version.epoch)


def keep(catalog: Catalog, holder: Holder, change: Change) -> None:
    """Stores a change within a transaction."""
    connection = catalog.connection
    touched = dict(change.gone)
    if change.taken_back:
        roots, less = change.taken_back
        withdrawals.take_back(connection, holder, roots, less, EVERY_PURPOSE)
        touched = {version: change.gone.get(version, _NOBODY) for version in _published(catalog, holder)}
    withdrawals.add_entries(connection, holder, change.added)
    for version, gone in touched.items():
        stored = withdrawals.gone(connection, version)
        before = Gone.read(stored[1]) if stored else _NOBODY
        store(catalog, version, gone.and_also(before.to_erase() if change.taken_back else before))


def store(catalog: Catalog, version: str, gone: Gone) -> None:
    """Stores the absent rows of a version within a transaction, in place of others."""
    if len(gone.rows):
        written, erase = gone.write(), len(gone.to_erase().rows) > 0
        withdrawals.keep_gone(catalog.connection, version, gone.digest, erase, written)
    else:
        withdrawals.forget_gone(catalog.connection, version)


def in_memory(gone: Mapping[str, Gone]) -> dict[str, Withdrawn]:
    """Absent rows that are not stored yet, as engines take them."""
    return {version: Withdrawn(each.digest, partial(_pair, each)) for version, each in gone.items()}


_NOBODY = Gone.of({})


def _refused(room: Room, catalog: Catalog, found: Collaboration, owner: Partner, signed: SignedBatch) -> Refused | None:
    batch = signed.batch
    if not any(withdrawal.verify(signed, key) for key in keys.owner_keys(catalog, owner.name, room.now)):
        return Refused.SIGNATURE
    if (batch.partner, batch.collaboration) != (owner.name, found.id):
        return Refused.NOT_YOURS
    own = [each for each in found.agreement.audiences if each.ref.owner == owner.name]
    about = [each for each in own if batch.audience is None or each.ref == AudienceRef(owner.name, batch.audience)]
    if not any(batch.match_key in each.keys for each in about):
        return Refused.UNKNOWN
    if batch.epoch not in found.epochs:
        return Refused.EPOCH
    maker = collaborations.secret_maker(catalog, found.id, batch.epoch)
    if maker is None or not hmac.compare_digest(batch.key_check, maker[1]):
        return Refused.SECRET
    return None


def _facts(catalog: Catalog, holder: Holder) -> tuple[int, dict[str, str]]:
    """What a change is worked out from: the owner's batches and published versions, each with its audience."""
    return withdrawals.serial(catalog.connection, holder), _published(catalog, holder)


def _published(catalog: Catalog, holder: Holder) -> dict[str, str]:
    return versions.published_by(catalog, holder.collaboration, holder.owner, holder.epoch)


def _change(
    room: Room,
    catalog: Catalog,
    holder: Holder,
    audiences: Mapping[str, str],
    batch: withdrawal.Batch,
    roots: tuple[Root, ...],
) -> Change:
    purposes = ERASED if batch.action is Action.ERASE else mask(batch.purposes)
    if batch.action is not Action.REINSTATE:
        named = {(root.key, root.image): Entry(root.key, root.image, root, purposes) for root in roots}
        # What the same identifiers led to earlier, perhaps in files that are gone: it is meant, too.
        known = withdrawals.reached_by(catalog.connection, holder, named)
        led = {(each.key, each.image, named[each.root.key, each.root.image].root) for each in known}
        meant = (*named.values(), *(Entry(key, image, root, purposes) for key, image, root in led))
        reached: Reached = reach(room.engine, audiences, meant)
        return Change((*meant, *reached.added), reached.gone)
    # What is reinstated for one purpose must not be overwritten for the sake of the others.
    less = purposes | ERASE
    listed = withdrawals.entries(catalog.connection, holder)
    names = {(root.key, root.image) for root in roots}
    undone = {
        each.root
        for each in listed
        if (each.root.key, each.root.image) in names and batch.audience in (None, each.root.audience)
    }
    left = [replace(each, mask=each.mask & ~less) if each.root in undone else each for each in listed]
    reached = reach(room.engine, audiences, [each for each in left if each.mask & EVERY_PURPOSE])
    return Change(reached.added, reached.gone, (tuple(undone), less))


def _read(catalog: Catalog, version: str, digest: str) -> tuple[Rows, Masks]:
    stored = withdrawals.gone(catalog.connection, version)
    if stored is None or stored[0] != digest:
        raise NotPublished("somebody withdrew while the question was measured; ask again")
    return _pair(Gone.read(stored[1]))


def _pair(gone: Gone) -> tuple[Rows, Masks]:
    return gone.rows, gone.masks

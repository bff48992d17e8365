"""Withdrawing, reinstating, erasing: from a plain list to the room's acknowledgement; checking a day in the log.

Rules: identifiers are read as `prepare` reads them, hashed here, and sent as tokens in batches. Each batch is kept in
the partner's folder before it is sent; one that has no answer is sent again first, and the room takes it once. An
acknowledgement counts only with the signature of the pinned log key, for exactly this batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

from partners import protocol, withdrawal
from partners.failure import Failure
from partners.hashing import tokens
from partners.home import Home, Secret
from partners.identifiers import DateOrder, EmailProfile, Rules
from partners.known_log import About
from partners.listing import Tally, read_list
from partners.lost import read_batches, withdrawals_file
from partners.prepare import NotAgreed
from partners.room.answers import Acknowledged
from partners.room.client import Room
from partners.room.collaborations import Collaboration, CollaborationState
from partners.room.connection import RoomRefused
from partners.steps.agreements import parsed
from partners.steps.naming import find
from partners.suppression import Kept, Suppressions
from partners.transparency.acknowledgement import open_acknowledgement
from partners.transparency.entry import commitment
from partners.transparency.note import NoteError, split_note
from partners.withdrawal import MAX_TOKENS, Action, Batch, SignedBatch, ascending, committed
from partners.words import counted
from policies.agreement import Agreement
from policies.purpose import Purpose
from policies.question import AudienceRef

ERASURE_SECONDS = 60.0
"""How long `erase` waits for the room to say that it is done."""


class NotAcknowledged(Failure):
    """An answer, or a day of the log, that does not say what the room has to say."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A list and how it is read: one identifier a line. `region`, `date_order` as in a map."""

    match_key: str
    file: BinaryIO
    region: str | None = None
    date_order: DateOrder = DateOrder.YMD
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class Sent:
    """What was read and sent. `earlier`: batches of earlier runs that got their answer only now.

    `days`: the room's days whose commitments have the batches. `erased`: whether the room said that it is done.
    """

    collaboration: str
    tally: Tally
    sent: int
    batches: int
    earlier: int
    days: tuple[str, ...]
    erased: bool


@dataclass(frozen=True, slots=True)
class Day:
    """A day of the log: how many batches it commits to, and how many of them were not sent from this folder."""

    day: str
    batches: int
    unknown: int


def send(
    home: Home,
    room: Room,
    text: str,
    action: Action,
    purposes: frozenset[Purpose],
    listed: Listed,
    now: datetime,
    progress: Callable[[int], None] = lambda sent: None,
) -> Sent:
    """Sends a list of any length. `text` is a collaboration's id or name, with `/AUDIENCE` for one audience only.

    `progress` is told the identifiers sent so far. Raises `NotAgreed`, `NotAcknowledged`, `reading.BadFile`.
    """
    name, _, audience = text.partition("/")
    found = find(room, name)
    identifier, me = found.id, home.room().partner
    document = home.agreement(identifier)
    if document is None:
        raise NotAgreed(f"you have not signed this agreement; run `cleanroom-partner agree {identifier}`")
    agreement, epoch = parsed(document), home.highest_epoch(identifier)
    # While a rotation is under way, questions are answered under the epoch before the newest one, too.
    secrets = [home.secret(identifier, each) for each in sorted({epoch, min(epoch, found.epoch)})]
    under = [each for each in secrets if each is not None]
    if not under:
        raise NotAgreed("there is no secret yet; run `cleanroom-partner secret accept`")
    own = [each for each in agreement.audiences if each.ref.owner == me]
    about = [each for each in own if not audience or each.ref == AudienceRef(me, audience)]
    if not any(listed.match_key in each.keys for each in about):
        keys = sorted({key for each in about for key in each.keys})
        known = f"its match keys are {', '.join(keys)}" if about else f"you have no audience {audience} in it"
        raise NotAgreed(f"nobody can be named like this in the agreement: {known}")
    rules = Rules(EmailProfile(agreement.email_profile), listed.region, listed.date_order)
    kept, tally = home.suppressions(identifier), Tally()
    send_again(home, room, found)
    earlier = [_deliver(home, room, kept, *each) for each in kept.waiting()]
    answers: list[Acknowledged] = []
    sent = 0
    for texts in read_list(listed.file, listed.match_key, rules, listed.encoding, MAX_TOKENS, tally):
        distinct = tuple(sorted(set(texts)))
        named = _Named(identifier, me, audience or None, action, purposes, listed.match_key)
        for secret in under:
            signed = withdrawal.sign(home.identity(), _batch(named, secret, distinct, now))
            answers.append(_deliver(home, room, kept, *kept.add(signed, distinct)))
        sent += len(distinct)
        progress(sent)
    days = tuple(sorted({answer.day for answer in answers}))
    erased = action is Action.ERASE and bool(answers) and room.erased(identifier, answers[-1].batch, ERASURE_SECONDS)
    return Sent(identifier, tally, sent, len(answers), len(earlier), days, erased)


def deliver(home: Home, room: Room, identifier: str, folder: Path, audience: str) -> int:
    """Sends the withdrawals that `prepare` left beside a manifest, and removes the file; how many there were.

    Raises `reading.BadFile`, `NotAcknowledged`.
    """
    kept, batches = home.suppressions(identifier), read_batches(folder, audience)
    known = {each.signed.batch.sha256() for each in kept} if batches else set()
    for path, each in kept.waiting() if batches else ():
        _deliver(home, room, kept, path, each)
        known.add(each.signed.batch.sha256())
    for waiting in batches:
        if waiting.signed.batch.sha256() not in known:
            _deliver(home, room, kept, *kept.add(waiting.signed, waiting.texts))
    withdrawals_file(folder, audience).unlink(missing_ok=True)
    return len(batches)


def send_again(home: Home, room: Room, found: Collaboration) -> int:
    """Sends again what the room acknowledged and has no more: it was restored from a backup. How many batches.

    What it lost is what came last, so it is sent in its order, signed with the keys of now; an older batch that the
    room still has changes nothing.
    """
    if found.state is not CollaborationState.OPEN or home.room().partner in found.left:
        return 0
    kept, lost = home.suppressions(found.id), list[tuple[Path, Kept]]()
    for path, each in reversed(
        [(path, each) for path, each in kept.answered() if each.signed.batch.epoch >= found.epoch]
    ):
        if room.has_batch(found.id, each.signed.batch.sha256()):
            break
        lost.insert(0, (path, each))
    for path, each in lost:
        _deliver(home, room, kept, path, replace(each, signed=withdrawal.sign(home.identity(), each.signed.batch)))
    return len(lost)


def renew(home: Home, room: Room, agreement: Agreement, secret: Secret, now: datetime) -> int:
    """Sends this partner's whole list again under a new secret, in its order; how many batches.

    Sent again after a cut, it ends in the same state. Batches whose match key is not agreed any more are left out.
    """
    kept, identifier = home.suppressions(agreement.id), agreement.id
    agreed = {key for each in agreement.audiences if each.ref.owner == home.room().partner for key in each.keys}
    for path, waiting in list(kept.waiting()):
        _deliver(home, room, kept, path, waiting)
    before = [each for each in kept if each.signed.batch.epoch == secret.epoch - 1]
    count = 0
    for each in before:
        old = each.signed.batch
        if old.match_key not in agreed:
            continue
        named = _Named(identifier, old.partner, old.audience, old.action, old.purposes, old.match_key)
        signed = withdrawal.sign(home.identity(), _batch(named, secret, each.texts, now))
        _deliver(home, room, kept, *kept.add(signed, each.texts))
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Named:
    """What a batch says beside its tokens."""

    collaboration: str
    partner: str
    audience: str | None
    action: Action
    purposes: frozenset[Purpose]
    match_key: str


def _batch(named: _Named, secret: Secret, texts: tuple[str, ...], now: datetime) -> Batch:
    key = protocol.token_key(secret.value, named.collaboration, secret.epoch, named.match_key)
    return Batch(
        collaboration=named.collaboration,
        partner=named.partner,
        audience=named.audience,
        epoch=secret.epoch,
        key_check=protocol.key_check(secret.value, named.collaboration, secret.epoch),
        action=named.action,
        purposes=named.purposes,
        match_key=named.match_key,
        tokens=ascending(row.tobytes() for row in tokens(key, (each.encode() for each in texts))),
        created=now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        nonce=withdrawal.nonce(),
    )


def check_day(home: Home, room: Room, day: str) -> Day:
    """Checks that the log commits to every batch of a day that the room acknowledged here. Raises `NotAcknowledged`."""
    try:
        found = room.consents(day)
    except RoomRefused as refused:
        if refused.problem.status != HTTPStatus.NOT_FOUND:
            raise
        raise NotAcknowledged(
            f"Not found: the log has no commitment of yours for {day}: that UTC day has not ended, or you had not "
            "joined; ask for a day that has ended since you joined"
        ) from None
    me = home.room().partner
    expected = commitment(found.nonce, committed(me, day, found.batches))
    room.log.check(found.receipt, About("consent", None, ("commitment", expected)))
    own = set()
    for identifier in home.collaborations():
        for kept in home.suppressions(identifier):
            if kept.acknowledgement and _day(home, kept.acknowledgement) == day:
                own.add(kept.signed.batch.sha256())
    if missing := len(own - set(found.batches)):
        raise NotAcknowledged(
            f"the room acknowledged {counted(missing, 'batch', 'batches')} of {day} to which its log does not commit;"
            " keep this folder, it is the evidence, and tell the other partners"
        )
    return Day(day, len(found.batches), len(set(found.batches) - own))


def _day(home: Home, note: bytes) -> str:
    """The day of an acknowledgement, also under the key of a log that ended."""
    pinned = home.room()
    signers = {each.name for each in split_note(note)[1]}
    keys = [key for key in (pinned.vkey, *pinned.former) if key.name in signers]
    return open_acknowledgement(note, keys[0] if keys else pinned.vkey).day


def _deliver(home: Home, room: Room, into: Suppressions, path: Path, kept: Kept) -> Acknowledged:
    """Sends a kept batch and keeps its acknowledgement, once that was verified."""
    answer = room.withdraw(kept.signed)
    _check(home, kept.signed, answer)
    into.acknowledged(path, kept, answer.acknowledgement)
    return answer


def _check(home: Home, signed: SignedBatch, answer: Acknowledged) -> None:
    batch = signed.batch
    try:
        note = open_acknowledgement(answer.acknowledgement, home.room().vkey)
    except NoteError as problem:
        raise NotAcknowledged(f"the room's acknowledgement does not hold: {problem}; tell the operator") from None
    said = (note.collaboration, note.partner, note.batch, note.day)
    if said != (batch.collaboration, batch.partner, batch.sha256(), answer.day) or answer.batch != batch.sha256():
        raise NotAcknowledged("the room acknowledged something else than what was sent; tell the operator")

"""What an operator sees: partners, collaborations, what waits and for whom, the log. No figure, no token."""

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from cleanroom import readiness
from cleanroom.catalog import (
    appointments,
    changes,
    collaborations,
    keys,
    partners,
    replacements,
    versions,
    withdrawals,
)
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.changes import Amendment
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.room import Room
from partners.transparency.checkpoint import read_unverified
from partners.words import counted
from policies import agreement as agreements


@dataclass(frozen=True, slots=True)
class Amending:
    """An amendment that waits for signatures: its number, and of whom."""

    number: int
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rotating:
    """A rotation of the secret: the new epoch, who began it, its ISO deadline, the audiences that have not moved."""

    epoch: int
    by: str
    deadline: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CollaborationStatus:
    """One collaboration: its state, how many signed, which audiences are published, what changes it, who audits it."""

    id: str
    state: str
    partners: tuple[str, ...]
    signed: int
    published: tuple[str, ...]
    missing: tuple[str, ...]
    amendment: Amending | None
    rotation: Rotating | None
    auditors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NewKeys:
    """New keys of a partner that lost its own: the new key's id, whose consent is missing."""

    partner: str
    key: str
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The room at a glance. `log_size` in leaves, the disk in bytes.

    `lacks`: what keeps it from releasing. `without_key`: partners whose owner keys have all ended. `uploads` wait for
    their check, `erasures` to be done. `commitments_behind`: days that have ended without the log's commitment.
    """

    room: str
    url: str
    vkey: str
    log_size: int
    lacks: tuple[str, ...]
    partners: tuple[str, ...]
    without_key: tuple[str, ...]
    new_keys: tuple[NewKeys, ...]
    uploads: int
    erasures: int
    commitments_behind: int
    disk_used: int
    disk_free: int
    collaborations: tuple[CollaborationStatus, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(room: Room) -> Status:
    """The status now."""
    with room.catalog() as catalog:
        names = partners.names(catalog)
        found = {each.id: each for name in names for each in collaborations.of_partner(catalog, name)}
        asked = [(each.replacement, each.missing) for each in replacements.waiting(catalog, room.now)]
        status = Status(
            room=room.origin,
            url=room.settings.url,
            vkey=room.vkey,
            log_size=read_unverified(room.publish()).size,
            lacks=readiness.lacks(room),
            partners=tuple(names),
            without_key=tuple(name for name in names if keys.current(catalog, name, room.now) is None),
            new_keys=tuple(NewKeys(each.partner, each.id, missing) for each, missing in asked),
            uploads=versions.unchecked(catalog),
            erasures=len(withdrawals.to_erase(catalog)),
            commitments_behind=_behind(catalog, room.today),
            disk_used=_bytes(room.settings.data),
            disk_free=readiness.free_bytes(room),
            collaborations=tuple(_collaboration(catalog, each) for each in found.values()),
        )
    return status


def _collaboration(catalog: Catalog, found: Collaboration) -> CollaborationStatus:
    published = versions.published(catalog, found.id)
    refs = [audience.ref for audience in found.agreement.audiences]
    amending = changes.pending(catalog.connection, found.id)
    rotating = None
    if found.rotating and found.state == "open":
        rotation = found.rotating.rotation
        behind = published.keys() - versions.published(catalog, found.id, rotation.epoch).keys()
        rotating = Rotating(rotation.epoch, rotation.partner, rotation.deadline, tuple(sorted(map(str, behind))))
    return CollaborationStatus(
        id=found.id,
        state=found.state,
        partners=tuple(party.name for party in found.agreement.parties),
        signed=len(found.signatures),
        published=tuple(str(ref) for ref in refs if ref in published),
        missing=tuple(str(ref) for ref in refs if ref not in published),
        amendment=Amending(amending.number, _unsigned(amending)) if amending else None,
        rotation=rotating,
        auditors=tuple(each.auditor for each in appointments.of_collaboration(catalog, found.id)),
    )


def _unsigned(waiting: Amendment) -> tuple[str, ...]:
    parties = agreements.from_json(json.loads(waiting.document)).parties
    return tuple(party.name for party in parties if party.name not in waiting.signatures)


def _behind(catalog: Catalog, today: date) -> int:
    first = withdrawals.first_uncommitted(catalog)
    return 0 if first is None else max(0, (today - date.fromisoformat(first)) // timedelta(days=1))


def _bytes(folder: Path) -> int:
    size = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # the worker removes files meanwhile
                size += Path(path, name).stat().st_size
    return size


def render(status: Status, console: Console) -> None:
    """Prints the status as tables, with what to do next."""
    console.print(f"[bold]{status.room.partition('/')[0]}[/]  {status.url}")
    leaves = "leaf" if status.log_size == 1 else "leaves"
    console.print(f"log: {status.log_size:,} {leaves}, key {status.vkey}", soft_wrap=True)
    gibibyte = 2**30
    console.print(f"disk: {status.disk_used / gibibyte:,.2f} GiB used, {status.disk_free / gibibyte:,.2f} GiB free")
    console.print(f"partners: {', '.join(status.partners) or 'none yet; run `cleanroom invite NAME`'}")
    for line in _waits(status):
        console.print(line)
    if not status.collaborations:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("collaboration", "state", "signed", "published", "still missing"):
        table.add_column(heading)
    closed = [each.id for each in status.collaborations if each.state == "closed"]
    for each in status.collaborations:
        if each.id in closed:
            continue
        signed = f"{each.signed} of {len(each.partners)}"
        table.add_row(each.id, each.state, signed, ", ".join(each.published) or "–", ", ".join(each.missing) or "–")
    if table.row_count:
        console.print(table)
    if closed:
        console.print(f"closed: {', '.join(closed)}")
    for each in status.collaborations:
        if each.auditors:
            console.print(f"{each.id} is audited by {', '.join(each.auditors)}; `cleanroom dismiss-auditor` ends that")


def _waits(status: Status) -> list[str]:
    """What waits, a sentence each; nothing where nothing does."""
    found = [f"not ready: {lack}" for lack in status.lacks]
    for name in status.without_key:
        if name not in {each.partner for each in status.new_keys}:
            found.append(f"{name} has no owner key; `cleanroom readmit {name}` lets it ask for new ones")
    found += [f"new keys {each.key} of {each.partner} wait for {', '.join(each.waiting)}" for each in status.new_keys]
    if status.uploads:
        found.append(f"uploads that wait for their check: {status.uploads}")
    if status.erasures:
        found.append(f"erasures that wait for the worker: {status.erasures}")
    if status.commitments_behind:
        behind = counted(status.commitments_behind, "day", "days")
        found.append(f"commitments to withdrawals: {behind} behind; the worker makes them good")
    for each in status.collaborations:
        if each.amendment:
            waiting = ", ".join(each.amendment.waiting)
            found.append(f"amendment {each.amendment.number} of {each.id} waits for {waiting}")
        if rotation := each.rotation:
            missing = ", ".join(rotation.missing) or "the worker"
            found.append(
                f"epoch {rotation.epoch} of {each.id}, by {rotation.by}, until {rotation.deadline}: waits for {missing}"
            )
    return found

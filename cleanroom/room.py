"""One room: its settings, its folders, its engine, its signer, its clock. Everything else is handed this value.

Rules: a leaf of the log commits in the caller's transaction (`log`); what was committed is published before the answer
leaves (`publish`). The clock is an argument, so that tests own the day.
"""

import secrets
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime

from cleanroom import __version__, witnesses
from cleanroom.audit import log, publisher, receipts
from cleanroom.audit.events import Event, EventKind
from cleanroom.audit.signer import Signer
from cleanroom.catalog.catalog import Catalog
from cleanroom.engine.interface import Engine
from cleanroom.settings import Settings
from partners.receipts import Receipt
from partners.transparency.checkpoint import read_unverified

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The clock of a running room."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Room:
    """A room that is set up. `origin` names its log; `clock` gives the time in UTC."""

    settings: Settings
    origin: str
    signer: Signer
    engine: Engine
    clock: Clock

    @property
    def vkey(self) -> str:
        """The log's verifier key, as C2SP writes it."""
        return str(self.signer.verifier)

    @property
    def today(self) -> date:
        return self.clock().date()

    @property
    def now(self) -> int:
        """Seconds since 1970, UTC."""
        return int(self.clock().timestamp())

    def stamp(self) -> str:
        """The time as RFC 3339, in whole seconds."""
        return self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")

    def catalog(self) -> Catalog:
        """A new connection to the catalog; the caller closes it."""
        return Catalog(self.settings.catalog)

    def record(
        self,
        connection: sqlite3.Connection,
        kind: EventKind,
        collaboration: str | None,
        actor: str | None,
        details: Mapping[str, object],
    ) -> int:
        """Appends a leaf within the caller's transaction; its number. `actor` is a key id or None for the room.

        Raises `LogUnavailable`, `SignerRefused` where the leaf could not be published: then nothing commits.
        """
        publisher.ready(self.settings.log, self.signer, log.size(connection))
        milliseconds = int(self.clock().timestamp() * 1000)
        event = Event(kind, collaboration=collaboration, actor=actor, details=details)
        return log.append(connection, event, milliseconds, secrets.token_bytes(32))

    def note(self, kind: EventKind) -> None:
        """Records and publishes an event of the room itself, in a transaction of its own."""
        with self.catalog() as catalog:
            with catalog.transaction() as connection:
                self.record(connection, kind, None, None, self.running())
            self.publish()

    def running(self) -> dict[str, object]:
        """What the log says of a room that begins, starts or stops: what decisions depend on and no agreement tells.

        `allowance`: lifetime micro-ε of an owner before its own grants.
        """
        return {"software": __version__, "allowance": self.settings.allowance}

    def publish(self, *, whole: bool = False) -> bytes:
        """Publishes every committed leaf; the signed checkpoint. What cannot be published must not be answered.

        `whole` compares every file of the published log with the catalog: for a room's start.
        """
        return publisher.publish(self.settings.catalog, self.settings.log, self.signer, whole=whole)

    def publish_leaf(self, leaf: int) -> bytes:
        """A signed checkpoint that covers a committed leaf: the one in place if it does, else a new one.

        So of many who commit at once, one publishes for all. With a quorum of witnesses, it carries their cosignatures;
        `NotWitnessed` where too few answer.
        """
        placed = publisher.placed(self.settings.log)
        message = placed if placed and read_unverified(placed).size > leaf else self.publish()
        if not self.settings.witnesses.quorum:
            return message
        return witnesses.witnessed(self.settings.catalog, self.settings.log, self.settings.witnesses, leaf)

    def receipt(self, catalog: Catalog, leaf: int) -> Receipt:
        """The receipt of a committed leaf."""
        return receipts.receipt(catalog.connection, leaf, self.publish_leaf(leaf))

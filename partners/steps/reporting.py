"""Asking for reports, and the owner's budget."""

from datetime import UTC, datetime
from http import HTTPStatus

from partners import evidence
from partners.evidence import Opened
from partners.failure import Failure
from partners.home import Grants, Home
from partners.receipts import Receipt
from partners.reports import Report
from partners.room.answers import Quote
from partners.room.client import Room
from partners.room.connection import RoomRefused
from partners.steps.agreements import follow
from partners.steps.naming import find
from policies import canonical
from policies.request import Request


class NotDisclosed(Failure):
    """Figures that do not prove what they should."""


class GrantWaits(Failure):
    """A grant whose answer was lost must be settled before another one."""


def ask(home: Home, room: Room, text: str, request: Request) -> Report:
    """The report of a collaboration, by its id or its name. A refusal by policy is a report too.

    Nobody asks under other terms than its folder knows: raises `AgreementRefused`.
    """
    return room.ask(_followed(home, room, text), request)


def quote(home: Home, room: Room, text: str, request: Request) -> Quote:
    """What asking would cost now. Raises as `ask` does."""
    return room.quote(_followed(home, room, text), request)


def _followed(home: Home, room: Room, text: str) -> str:
    """The id of a collaboration whose agreement and terms this folder knows as they are in force."""
    found = find(room, text)
    follow(home, room, found)
    return found.id


def disclosed(room: Room, identifier: str) -> Opened:
    """What proves the figures of a released report to an auditor. Raises `NotDisclosed`."""
    opened = room.evidence(identifier)
    if not evidence.check(opened).passed:
        raise NotDisclosed("the room shows other figures than its log commits to; do not go on, ask the operator why")
    return opened


def grant(home: Home, room: Room, micro: int, now: datetime) -> Receipt | None:
    """Adds `micro` ε·10^-6 to this owner's lifetime allowance: a signed decision, logged, each serial once.

    A grant is kept before it is sent. When its answer was lost, the same amount again settles that grant, so that
    nothing is granted twice: None then, where the room had booked it the first time.
    """
    grants, booked = home.grants(), room.ledger().grants
    if booked < grants.last:
        raise GrantWaits("the room has forgotten grants of yours; do not grant again, ask the operator why")
    waiting = grants.waiting
    if waiting is not None and waiting[0].get("epsilon") != micro:
        raise GrantWaits("an earlier grant of another amount has no answer yet; run `grant` with that amount first")
    if waiting is not None and waiting[0].get("serial") == booked:
        home.save_grants(Grants(booked))
        return None
    if waiting is None or waiting[0].get("serial") != booked + 1:
        document = {
            "partner": home.room().partner,
            "epsilon": micro,
            "serial": booked + 1,
            "created": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
        waiting = (document, home.identity().sign("grant/v1", canonical.dumps(document)))
        home.save_grants(Grants(grants.last, waiting))
    try:
        receipt = room.grant(*waiting)
    except RoomRefused as refused:
        if refused.problem.status < HTTPStatus.INTERNAL_SERVER_ERROR:  # above, it may have been booked
            home.save_grants(Grants(grants.last))
        raise
    home.save_grants(Grants(booked + 1))
    return receipt

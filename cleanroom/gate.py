"""The gate: the only way out. Decide, measure, disclose, charge, log; then answer.

Rules.
* Deny by default. Refusals come from public facts only, and are logged like releases.
* Only this module opens a `Sealed`. Noise is drawn here and handed to `policies.disclose`.
* Debit, release, report and log leaf commit in one transaction; the leaf is published before the answer leaves. A crash
  before the commit leaves nothing released and nothing charged; after it, the stored report is there to be read.
* A release stands under (canonical question, versions, UTC day, terms): asked again that day, however it is written
  and whoever asks, it is the same release, free.
* What was measured counts only if the facts it was measured on still hold in the transaction; else it is decided again.
  Who has withdrawn is one of these facts, and no part of a release's name: neither price nor bytes tell of it.
"""

import hashlib
import json
import secrets
import sqlite3
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from cleanroom import __version__, noise, retention, withdrawals
from cleanroom.audit.events import EventKind
from cleanroom.catalog import collaborations, reports, versions
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.catalog.keys import Partner
from cleanroom.catalog.reports import Report
from cleanroom.engine.interface import Absent, NotPublished
from cleanroom.engine.sealed import Sealed, open_sealed
from cleanroom.reports import plan
from cleanroom.room import Room
from partners.keys import key_id
from policies import budget, canonical, cells, decision, disclose, explanations, question, ruling
from policies.agreement import Agreement
from policies.budget import Account, Price
from policies.decision import Refuse, Release
from policies.disclose import Measured
from policies.question import AudienceRef, Question
from policies.request import Request
from policies.ruling import Standing
from policies.terms import Mode

ATTEMPTS = 5
_ONE_AT_A_TIME = threading.Lock()


class Unsettled(Exception):
    """The facts changed at every attempt; nothing was released. Asking again is safe."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What a report would cost now. `cost` and `left` in micro-ε per owner; `left` in this collaboration."""

    cost: Mapping[str, int]
    left: Mapping[str, int]
    refused: Refuse | None
    questions: tuple[Question, ...]
    unbounded: bool


@dataclass(frozen=True, slots=True)
class _Facts:
    """The public facts that a decision rests on, beside the request itself. Equal facts, equal decision.

    `ahead`: audiences with a version under the secret that a rotation brings. `absent`, the withdrawn rows, and
    `withdrawals`, how far their batches had got, are not public: the first is read by measuring only, the second says
    whether it changed meanwhile. An erasure that was finished in between leaves `absent` as it was before it began.
    """

    collaboration: Collaboration
    versions: Mapping[AudienceRef, str]
    ahead: frozenset[AudienceRef]
    day: date
    absent: Absent
    withdrawals: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """One request, with the facts that it is decided on and what follows from them."""

    facts: _Facts
    agreement: Agreement
    asker: Partner
    request: Request
    questions: tuple[Question, ...]
    prices: tuple[Price, ...]
    refused: Refuse | None
    keys: tuple[str, ...]


def ask(room: Room, catalog: Catalog, collaboration: Collaboration, asker: Partner, request: Request) -> Report:
    """Answers a request of a party: a stored report, released or refused. Raises `Unsettled`.

    One at a time in each process: questions are Python work for the most part, and threads that take turns at it
    make each other wait without anybody being done sooner.
    """
    with _ONE_AT_A_TIME:
        return _ask(room, catalog, collaboration, asker, request)


def _ask(room: Room, catalog: Catalog, collaboration: Collaboration, asker: Partner, request: Request) -> Report:
    for _ in range(ATTEMPTS):
        asked = _considered(_facts(room, catalog, collaboration, asker), asker, request)
        try:
            prepared = _prepare(room, catalog, asked)
        except NotPublished:  # retired in between, or other rows withdrawn
            continue
        with catalog.transaction() as connection:
            if _facts(room, catalog, collaboration, asker) != asked.facts:
                continue
            report = _decide(room, connection, asked, prepared)
        if report is None:
            continue
        room.publish_leaf(report.leaf)
        return report
    raise Unsettled("the audiences kept changing while the question was measured; ask again")


def quote(room: Room, catalog: Catalog, collaboration: Collaboration, asker: Partner, request: Request) -> Quote:
    """What the request would cost, from public facts alone; nothing is measured, charged or logged."""
    asked = _considered(_facts(room, catalog, collaboration, asker), asker, request)
    connection = catalog.connection
    if asked.refused:
        return Quote({}, {}, asked.refused, asked.questions, asked.agreement.terms.mode is Mode.THRESHOLD)
    cost = budget.charge(
        price for price, key in zip(asked.prices, asked.keys, strict=True) if reports.release(connection, key) is None
    )
    accounts = _accounts(room, connection, asked, cost)
    left = {owner: max(0, account.allotted_here - account.spent_here) for owner, account in accounts.items()}
    left |= {owner: account.left for owner, account in accounts.items() if owner == asker.name}
    refused = budget.affordable(cost, accounts)
    return Quote(cost, left, refused, asked.questions, asked.agreement.terms.mode is Mode.THRESHOLD)


def _facts(room: Room, catalog: Catalog, collaboration: Collaboration, asker: Partner) -> _Facts:
    found = collaborations.find(catalog, collaboration.id, asker.name)
    if found is None:
        raise Unsettled("the collaboration ended for the asker while the question was read")
    rotating = found.rotating
    ahead = frozenset(versions.published(catalog, found.id, rotating.rotation.epoch)) if rotating else frozenset()
    current = set(versions.published(catalog, found.id).values())
    standing = {
        each.ref: each.id
        for each in versions.all_published(catalog, found.id)
        if each.id in current and not retention.ended(each, found.agreement, room.today)
    }
    absent = withdrawals.absent(catalog, found.id)
    return _Facts(found, standing, ahead, room.today, absent, withdrawals.latest(catalog, found.id))


def _considered(facts: _Facts, asker: Partner, request: Request) -> _Asked:
    agreement = facts.collaboration.agreement
    asked = plan.questions(request, agreement)
    found = facts.collaboration
    standing = Standing(found.state, frozenset(found.left), facts.versions, facts.ahead)
    refused = ruling.refused(standing, agreement, asker.name, request.kind, asked)
    return _Asked(
        facts=facts,
        agreement=agreement,
        asker=asker,
        request=request,
        questions=asked,
        prices=() if refused else budget.price(asked, agreement),
        refused=refused,
        keys=()
        if refused
        else tuple(ruling.release_key(each, facts.versions, facts.day, found.basis) for each in asked),
    )


def _prepare(room: Room, catalog: Catalog, asked: _Asked) -> dict[str, Release]:
    """A release for each question that has none today, by key; nothing for a refused request.

    Outside the transaction, because it takes time. What turns out to be refused, asked before or decided on other facts
    is dropped, noise and all, and never leaves this module.
    """
    if asked.refused:
        return {}
    connection = catalog.connection
    missing = [
        (each, price, key)
        for each, price, key in zip(asked.questions, asked.prices, asked.keys, strict=True)
        if reports.release(connection, key) is None
    ]
    cost = budget.charge(price for _, price, _ in missing)
    if budget.affordable(cost, _accounts(room, connection, asked, cost)):
        return {}
    return {
        key: _disclose(
            asked.agreement,
            each,
            price,
            room.engine.measure(each, asked.agreement, asked.facts.versions, asked.facts.day, asked.facts.absent),
        )
        for each, price, key in missing
    }


def _decide(room: Room, connection: sqlite3.Connection, asked: _Asked, prepared: dict[str, Release]) -> Report | None:
    """The decision and everything that commits with it; None where a release must be prepared first."""
    if asked.refused:
        return _refuse(room, connection, asked, asked.refused)
    stored = {key: reports.release(connection, key) for key in asked.keys}
    cost = budget.charge(price for price, key in zip(asked.prices, asked.keys, strict=True) if stored[key] is None)
    accounts = _accounts(room, connection, asked, cost)
    if refused := budget.affordable(cost, accounts):
        return _refuse(room, connection, asked, refused)
    if any(found is None and key not in prepared for key, found in stored.items()):
        return None  # not affordable a moment ago, and granted since
    releases = tuple(
        prepared[key] if (found := stored[key]) is None else decision.from_json(found["figures"]) for key in asked.keys
    )
    # A release keeps the scales that it was drawn with, whatever a repeat of its question would cost now.
    scales = [
        budget.scales_json(price) if (found := stored[key]) is None else found["scales"]
        for price, key in zip(asked.prices, asked.keys, strict=True)
    ]
    identifier = _report_id()
    evidence, nonce = canonical.dumps([decision.to_json(release) for release in releases]), secrets.token_bytes(32)
    kind = EventKind.DECISION_RELEASE if None in stored.values() else EventKind.DECISION_REPEAT
    leaf = room.record(
        connection,
        kind,
        asked.facts.collaboration.id,
        key_id(asked.asker.signing_key),
        {
            **_logged(asked, identifier),
            "cost": {
                owner: {
                    "micro": micro,
                    "before": accounts[owner].spent_here,
                    "after": accounts[owner].spent_here + micro,
                }
                for owner, micro in cost.items()
            },
            "scales": scales,
            "evidence": hashlib.sha256(b"\x02" + nonce + evidence).hexdigest(),
        },
    )
    shown = [figure.to_json() for figure in plan.figures(asked.request, releases)]
    report = _report(room, asked, identifier, leaf, figures=shown, cost=cost, nonce=nonce)
    reports.keep(connection, report, evidence)
    for each, key, release, used in zip(asked.questions, asked.keys, releases, scales, strict=True):
        if stored[key] is None:
            written = json.dumps(question.to_json(each), ensure_ascii=False)
            kept = {"figures": decision.to_json(release), "scales": used}
            reports.keep_release(connection, key, asked.facts.collaboration.id, written, report.day, identifier, kept)
    return report


def _disclose(agreement: Agreement, asked: Question, price: Price, sealed: Sealed) -> Release:
    measured = open_sealed(sealed)
    if price.scales is None:
        return disclose.threshold(asked, agreement, measured)
    count = len(cells.cells(asked, agreement))
    drawn = Measured(
        noise.draw(price.scales.counts, count),
        {measure: noise.draw(scale, count) for measure, scale in price.scales.sums.items()},
    )
    return disclose.private(asked, agreement, measured, drawn, price.scales)


def _refuse(room: Room, connection: sqlite3.Connection, asked: _Asked, refused: Refuse) -> Report:
    identifier = _report_id()
    leaf = room.record(
        connection,
        EventKind.DECISION_REFUSE,
        asked.facts.collaboration.id,
        key_id(asked.asker.signing_key),
        {**_logged(asked, identifier), "reason": refused.reason.value, "about": refused.about},
    )
    report = _report(room, asked, identifier, leaf, refused=refused)
    reports.keep(connection, report)
    return report


def _report(
    room: Room,
    asked: _Asked,
    identifier: str,
    leaf: int,
    *,
    refused: Refuse | None = None,
    figures: list[dict[str, Any]] | None = None,
    cost: dict[str, int] | None = None,
    nonce: bytes | None = None,
) -> Report:
    return Report(
        id=identifier,
        collaboration=asked.facts.collaboration.id,
        asked_by=asked.asker.name,
        kind=asked.request.kind.value,
        purpose=asked.request.purpose.value,
        request=json.dumps(asked.request.to_json(), ensure_ascii=False),
        mode=asked.agreement.terms.mode.value,
        day=asked.facts.day.isoformat(),
        status="refused" if refused else "released",
        reason=refused.reason.value if refused else None,
        about=refused.about if refused else None,
        figures=json.dumps(figures or [], ensure_ascii=False),
        free=not any((cost or {}).values()),
        created=room.stamp(),
        leaf=leaf,
        evidence_nonce=nonce,
        agreement=asked.facts.collaboration.sha256,
        explanation=(
            explanations.of_refusal(refused, asked.agreement) if refused else explanations.of_release(asked.agreement)
        ),
        cost={owner: micro for owner, micro in (cost or {}).items() if micro},
    )


def _logged(asked: _Asked, identifier: str) -> dict[str, object]:
    """What the log's body says of every decision."""
    return {
        "report": identifier,
        "request": asked.request.to_json(),
        "questions": [question.to_json(each) for each in asked.questions],
        "agreement": asked.facts.collaboration.sha256,
        "terms": asked.facts.collaboration.basis,
        "mode": asked.agreement.terms.mode.value,
        "minimum_size": asked.agreement.terms.minimum_size,
        "rounding": asked.agreement.terms.rounding if asked.agreement.terms.mode is Mode.THRESHOLD else None,
        "day": asked.facts.day.isoformat(),
        "versions": {str(audience): version for audience, version in sorted(asked.facts.versions.items())},
        "software": __version__,
    }


def _accounts(
    room: Room, connection: sqlite3.Connection, asked: _Asked, owners: Mapping[str, int]
) -> dict[str, Account]:
    allotted, base = asked.agreement.terms.epsilon_total, room.settings.allowance
    return {owner: reports.account(connection, owner, asked.facts.collaboration.id, allotted, base) for owner in owners}


def _report_id() -> str:
    return f"r-{secrets.token_hex(8)}"

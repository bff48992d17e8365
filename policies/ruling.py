"""Whether a request is answered, and what is due for it: decided from public facts alone, in one fixed order.

Rules: the gate rules by this module, and an auditor who replays the log derives the same again, so nothing here may
depend on anything but its arguments. Refusals are looked for in this order: the collaboration's state, the asker, the
agreement (`policies.admission`), partners who left, audiences without a version; last, the budget. A release stands
under a key: asked again under the same key it is the same release, free.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from policies import admission, canonical, question
from policies.agreement import Agreement
from policies.decision import Reason, Refuse
from policies.question import AudienceRef, Question
from policies.terms import Kind


@dataclass(frozen=True, slots=True)
class Standing:
    """What a collaboration is at one moment, besides its agreement. `state`: proposed, open or closed.

    `left`: partners who left. `versions`: what is published under the secret in force; `ahead`: audiences with a
    version under the secret that a rotation brings.
    """

    state: str
    left: frozenset[str]
    versions: Mapping[AudienceRef, str]
    ahead: frozenset[AudienceRef]


def refused(
    standing: Standing, agreement: Agreement, asker: str, kind: Kind, asked: tuple[Question, ...]
) -> Refuse | None:
    """Why a party's request, as canonical questions, is refused whatever it costs; None where it is not."""
    if standing.state != "open":
        return Refuse(Reason.CLOSED if standing.state == "closed" else Reason.NOT_OPEN)
    if asker in standing.left:
        return Refuse(Reason.LEFT, asker)
    for each in asked:
        if found := admission.admit(each, kind, asker, agreement):
            return found
    for each in asked:
        for audience in involved(each):
            if found := _absent(standing, audience):
                return found
    return None


def involved(asked: Question) -> tuple[AudienceRef, ...]:
    """The audiences whose versions an answer depends on."""
    return (asked.count, *asked.linked())


def release_key(asked: Question, versions: Mapping[AudienceRef, str], day: date, basis: str) -> str:
    """The name under which a release stands: SHA-256 in hex. `basis`: that of the agreement in force."""
    on = {str(audience): versions[audience] for audience in involved(asked)}
    named = [question.to_json(asked), on, day.isoformat(), basis]
    return hashlib.sha256(canonical.dumps(named)).hexdigest()


def _absent(standing: Standing, audience: AudienceRef) -> Refuse | None:
    if audience.owner in standing.left:
        return Refuse(Reason.LEFT, audience.owner)
    if audience in standing.versions:
        return None
    if audience in standing.ahead:
        behind = sorted({each.owner for each in standing.versions if each not in standing.ahead})
        return Refuse(Reason.HALF_ROTATED, ", ".join(behind))
    return Refuse(Reason.NOT_PUBLISHED, str(audience))

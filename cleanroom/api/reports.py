"""Reports: ask, price, read. Reading a stored report is always free."""

import json
from typing import Any

from flask import Response, jsonify

from cleanroom import gate
from cleanroom.api import schemas
from cleanroom.api.auth import me, require_partner
from cleanroom.api.blueprint import Blueprint
from cleanroom.api.collaborations import collaboration
from cleanroom.api.context import catalog, room
from cleanroom.api.problems import RECEIPT, Problem, fail
from cleanroom.catalog import reports
from cleanroom.catalog.collaborations import Collaboration
from cleanroom.catalog.reports import Report
from partners.transparency.encoding import encode_base64
from policies import canonical, explanations, question, request
from policies.agreement import Agreement
from policies.decision import Reason, Refuse
from policies.question import BadQuestion
from policies.terms import MICRO

blueprint = Blueprint("reports", __name__, url_prefix="/v1", description="Reports")
blueprint.before_request(require_partner)

# The log keeps every question, refused ones too. A code-list of 1,000 long values fits.
LONGEST_REQUEST = 2**18


@blueprint.post("/collaborations/<identifier>/reports")
@blueprint.arguments(schemas.ReportRequestSchema)
@blueprint.response(201, schemas.ReportSchema)
@blueprint.alt_response(200, schema=schemas.QuoteSchema, description="With `dry_run`: what it would cost", success=True)
@blueprint.problems(Problem.BAD_QUESTION, Problem.UNSETTLED, *RECEIPT)
def ask(body: dict[str, Any], identifier: str) -> Response:
    """Asks a report, or prices it. A refusal is an answer too: a report with a reason, logged, with a receipt."""
    found = collaboration(identifier)
    dry_run = body.pop("dry_run")
    try:
        asked = request.from_json(body)
    except BadQuestion as problem:
        fail(Problem.BAD_QUESTION, str(problem))
    if len(canonical.dumps(asked.to_json())) > LONGEST_REQUEST:
        fail(Problem.BAD_QUESTION, f"It is longer than {LONGEST_REQUEST} bytes.")
    try:
        if dry_run:
            return _answer(_quote(gate.quote(room(), catalog(), found, me(), asked), found.agreement), 200)
        answered = gate.ask(room(), catalog(), found, me(), asked)
    except BadQuestion as problem:  # it has no canonical form: nothing was measured, charged or logged
        fail(Problem.BAD_QUESTION, str(problem))
    except gate.Unsettled:
        fail(Problem.UNSETTLED)
    return _answer(_to_json(answered, found.agreement), 201)


@blueprint.get("/collaborations/<identifier>/reports")
@blueprint.response(200, schemas.ReportsSchema)
def every(identifier: str) -> dict[str, Any]:
    """Every report of the collaboration, newest first, without figures."""
    found = collaboration(identifier)
    seen = [each for each in reports.of_collaboration(catalog(), found.id) if _seen(found, each)]
    return {"reports": [_summary(each, found.agreement) for each in seen]}


@blueprint.get("/reports/<identifier>")
@blueprint.response(200, schemas.ReportSchema)
@blueprint.problems(*RECEIPT)
def one(identifier: str) -> dict[str, Any]:
    """A stored report, for every party of its collaboration."""
    found = _mine(identifier)
    return _to_json(found, collaboration(found.collaboration).agreement)


@blueprint.get("/reports/<identifier>/evidence")
@blueprint.response(200, schemas.EvidenceSchema)
@blueprint.problems(Problem.CONFLICT, *RECEIPT)
def evidence(identifier: str) -> dict[str, Any]:
    """The figures of a released report in the bytes that its log entry commits to, and the nonce: for an auditor."""
    found = _mine(identifier)
    document = reports.evidence(catalog(), found.id)
    if document is None or found.evidence_nonce is None:
        fail(Problem.CONFLICT, "A refused report has no figures.")
    receipt = room().receipt(catalog(), found.leaf).to_json()
    return {"evidence": document.decode(), "nonce": encode_base64(found.evidence_nonce), "receipt": receipt}


def _mine(identifier: str) -> Report:
    """A report of a collaboration of the partner that asks; anybody else's looks like none."""
    found = reports.find(catalog(), identifier, me().name)
    if found is None or not _seen(collaboration(found.collaboration), found):
        fail(Problem.NOT_FOUND)
    return found


def _answer(value: dict[str, Any], status: int) -> Response:
    response = jsonify(value)
    response.status_code = status
    return response


def _quote(quoted: gate.Quote, agreement: Agreement) -> dict[str, Any]:
    return {
        "cost": quoted.cost,
        "left": quoted.left,
        "unbounded": quoted.unbounded,
        "refused": quoted.refused.reason.value if quoted.refused else None,
        "explanation": explanations.of_refusal(quoted.refused, agreement) if quoted.refused else None,
        "questions": [question.to_json(each) for each in quoted.questions],
    }


def _seen(found: Collaboration, report: Report) -> bool:
    """Whether the partner that asks may see it: who left sees what was made before."""
    left = found.left.get(me().name)
    return left is None or report.leaf < left


def _explanation(report: Report, agreement: Agreement) -> str:
    """What was said of a report when it was made: the terms may have changed since."""
    if report.explanation is not None:
        return report.explanation
    refused = Refuse(Reason(report.reason), report.about) if report.reason else None
    return explanations.of_refusal(refused, agreement) if refused else explanations.of_release(agreement)


def _summary(report: Report, agreement: Agreement) -> dict[str, Any]:
    return {
        "id": report.id,
        "collaboration": report.collaboration,
        "kind": report.kind,
        "asked_by": report.asked_by,
        "purpose": report.purpose,
        "mode": report.mode,
        "date": report.day,
        "status": report.status,
        "reason": report.reason,
        "explanation": _explanation(report, agreement),
        "agreement_sha256": report.agreement,
        "cost": {owner: micro / MICRO for owner, micro in report.cost.items()},
        "free": report.free,
    }


def _to_json(report: Report, agreement: Agreement) -> dict[str, Any]:
    receipt = room().receipt(catalog(), report.leaf).to_json()
    return {**_summary(report, agreement), "figures": json.loads(report.figures), "receipt": receipt}

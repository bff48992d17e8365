"""The shapes of requests and answers, as marshmallow schemas: what the API description is made from.

Rules: an unknown field is an error. Agreements, manifests and envelopes are signed documents with strict parsers of
their own; here they are objects.
"""

from marshmallow import Schema, fields, validate


def _base64(length: int) -> fields.String:
    return fields.String(required=True, validate=validate.Length(max=4 * ((length + 2) // 3)))


def _object() -> fields.Dict:
    return fields.Dict(keys=fields.String(), required=True)


class ProblemSchema(Schema):
    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    hint = fields.String(required=True)
    error = fields.String(metadata={"description": "OAuth 2 error code, on /v1/token only"})


class RoomSchema(Schema):
    name = fields.String(required=True, metadata={"description": "origin of the audit log"})
    token_audience = fields.String(required=True)
    vkey = fields.String(required=True, metadata={"description": "verifier key of the audit log (C2SP signed note)"})
    floor = fields.Dict(keys=fields.String(), required=True, metadata={"description": "the operator's terms"})
    version = fields.String(required=True)
    allowance = fields.Integer(required=True, metadata={"description": "lifetime allowance before grants, in micro-ε"})
    successions = fields.List(
        fields.String(), required=True, metadata={"description": "signed notes about logs before this one"}
    )


class CosignatureSchema(Schema):
    checkpoint = fields.String(required=True, validate=validate.Length(max=10_000))
    cosignature = fields.String(required=True, validate=validate.Length(max=10_000))


class HealthSchema(Schema):
    status = fields.String(required=True)


class JoinSchema(Schema):
    code = fields.String(required=True, validate=validate.Length(max=64))
    signing_key = _base64(32)
    sealing_key = _base64(32)
    signature = _base64(64)


class JoinedSchema(Schema):
    partner = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf(["owner", "auditor"]))
    waiting = fields.List(
        fields.String(), required=True, metadata={"description": "whose consent new keys of a known partner need"}
    )


class TokenRequestSchema(Schema):
    grant_type = fields.String(required=True)
    client_assertion_type = fields.String(required=True)
    client_assertion = fields.String(required=True, validate=validate.Length(max=4096))


class TokenSchema(Schema):
    access_token = fields.String(required=True)
    token_type = fields.String(required=True)
    expires_in = fields.Integer(required=True)


class PartnerSchema(Schema):
    name = fields.String(required=True)
    signing_key = fields.String(required=True)
    sealing_key = fields.String(required=True)
    rotations = fields.List(fields.Dict(keys=fields.String()), required=True)


class KeySchema(Schema):
    id = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf(["owner", "marketer", "auditor", "waiting"]))
    signing_key = fields.String(required=True)
    sealing_key = fields.String(required=True, allow_none=True)
    counts = fields.Boolean(required=True, metadata={"description": "whether it can be used now"})
    over = fields.Boolean(required=True, metadata={"description": "whether it was revoked or replaced, for good"})
    ends = fields.Integer(required=True, allow_none=True, metadata={"description": "seconds since 1970; null: no end"})


class KeysSchema(Schema):
    partner = fields.String(required=True)
    key = fields.String(required=True, metadata={"description": "id of the key that asks"})
    role = fields.String(required=True, validate=validate.OneOf(["owner", "marketer", "auditor", "waiting"]))
    serial = fields.Integer(required=True, metadata={"description": "number of the last signed change"})
    keys = fields.List(fields.Nested(KeySchema), required=True)
    rotations = fields.List(fields.Dict(keys=fields.String()), required=True)
    changes = fields.List(
        fields.Dict(keys=fields.String()),
        required=True,
        metadata={"description": "every signed change, in order; empty for keys that are no owner's"},
    )


class KeyChangeSchema(Schema):
    change = _object()
    signature = _base64(64)
    proof = fields.String(required=True, allow_none=True, validate=validate.Length(max=88))


class ReplacementSchema(Schema):
    replacement = fields.Dict(keys=fields.String(), required=True, metadata={"description": "what is signed"})
    key = fields.String(required=True, metadata={"description": "id of the new signing key"})
    consents = fields.List(fields.Nested(lambda: SignedBySchema()), required=True)
    waiting = fields.List(fields.String(), required=True, metadata={"description": "who has not consented yet"})
    made = fields.String(required=True, allow_none=True, metadata={"description": "when the keys came in place"})
    rotations = fields.List(fields.Dict(keys=fields.String()), required=True)


class ReplacementsSchema(Schema):
    replacements = fields.List(fields.Nested(ReplacementSchema), required=True)


class ProposalSchema(Schema):
    agreement = _object()
    signature = _base64(64)


class SignatureSchema(Schema):
    signature = _base64(64)


class SignedBySchema(Schema):
    partner = fields.String(required=True)
    signature = fields.String(required=True)


class AudienceStateSchema(Schema):
    owner = fields.String(required=True)
    name = fields.String(required=True)
    version = fields.String(required=True, allow_none=True, metadata={"description": "the published version"})


class AmendmentSchema(Schema):
    number = fields.Integer(required=True)
    sha256 = fields.String(required=True)
    signatures = fields.List(fields.Nested(SignedBySchema), required=True)


class TighteningSchema(Schema):
    tightening = _object()
    signature = _base64(64)


class RotationSchema(Schema):
    rotation = _object()
    signature = _base64(64)


class RotatingSchema(RotationSchema):
    ready = fields.List(
        fields.Nested(AudienceStateSchema), required=True, metadata={"description": "published under the new secret"}
    )


class LeavingSchema(Schema):
    leaving = _object()
    signature = _base64(64)


class AuditorSchema(Schema):
    name = fields.String(required=True)
    appointed = fields.String(required=True)
    read = fields.String(required=True, allow_none=True, metadata={"description": "when it read the log's bodies last"})


class CollaborationSchema(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["proposed", "open", "closed"]))
    epoch = fields.Integer(required=True)
    agreement_sha256 = fields.String(required=True)
    signatures = fields.List(fields.Nested(SignedBySchema), required=True)
    audiences = fields.List(fields.Nested(AudienceStateSchema), required=True)
    key_check = fields.String(required=True, allow_none=True)
    amendment = fields.Nested(AmendmentSchema, required=True, allow_none=True)
    tightened = fields.List(fields.Nested(TighteningSchema), required=True)
    left = fields.List(fields.String(), required=True, metadata={"description": "partners who left"})
    rotation = fields.Nested(RotatingSchema, required=True, allow_none=True)
    auditors = fields.List(fields.Nested(AuditorSchema), required=True, metadata={"description": "who may audit it"})


class CollaborationsSchema(Schema):
    collaborations = fields.List(fields.Nested(CollaborationSchema), required=True)


class EnvelopeSchema(Schema):
    envelope = _object()
    signature = _base64(64)


class EnvelopesSchema(Schema):
    envelopes = fields.List(fields.Nested(EnvelopeSchema), required=True)


class VersionRequestSchema(Schema):
    manifest = _object()
    signature = _base64(64)
    upload = fields.String(load_default=None, allow_none=True, validate=validate.Length(max=64))


class VersionSchema(Schema):
    id = fields.String(required=True)
    state = fields.String(required=True)
    problem = fields.Dict(keys=fields.String(), required=True, allow_none=True)
    progress = fields.Integer(required=True)
    manifest_sha256 = fields.String(required=True)
    receipt = fields.Dict(keys=fields.String(), required=True, allow_none=True)


class ListedVersionSchema(VersionSchema):
    manifest = fields.Dict(keys=fields.String(), required=True)
    signature = fields.String(required=True)


class VersionsSchema(Schema):
    versions = fields.List(fields.Nested(ListedVersionSchema), required=True)


class VersionsQuerySchema(Schema):
    sha256 = fields.String(load_default=None, validate=validate.Length(equal=64))


class ReportRequestSchema(Schema):
    kind = fields.String(required=True, validate=validate.OneOf(["overlap", "statistics"]))
    audiences = fields.List(fields.String(), validate=validate.Length(max=5))
    count = fields.String()
    where = fields.Raw(allow_none=True)
    by = fields.List(fields.Raw(), validate=validate.Length(max=3))
    sum = fields.List(fields.String(), validate=validate.Length(max=3))
    purpose = fields.String()
    dry_run = fields.Boolean(load_default=False)


class FigureSchema(Schema):
    counted = fields.String(required=True)
    where = fields.Raw(required=True, allow_none=True)
    by = fields.Dict(keys=fields.String(), required=True)
    measure = fields.String(required=True)
    value = fields.Raw(required=True, allow_none=True, metadata={"type": "number"})
    margin95 = fields.Raw(required=True, allow_none=True, metadata={"type": "number"})
    withheld = fields.Boolean(required=True)
    at_least = fields.Boolean(required=True)


class ReportSummarySchema(Schema):
    id = fields.String(required=True)
    collaboration = fields.String(required=True)
    kind = fields.String(required=True)
    asked_by = fields.String(required=True)
    purpose = fields.String(required=True)
    mode = fields.String(required=True, validate=validate.OneOf(["private", "threshold"]))
    date = fields.String(required=True)
    status = fields.String(required=True, validate=validate.OneOf(["released", "refused"]))
    reason = fields.String(required=True, allow_none=True)
    explanation = fields.String(required=True)
    agreement_sha256 = fields.String(
        required=True, allow_none=True, metadata={"description": "the signed agreement that it was made under"}
    )
    cost = fields.Dict(
        keys=fields.String(), values=fields.Float(), required=True, metadata={"description": "ε by owner"}
    )
    free = fields.Boolean(required=True)


class ReportSchema(ReportSummarySchema):
    figures = fields.List(fields.Nested(FigureSchema), required=True)
    receipt = fields.Dict(keys=fields.String(), required=True)


class ReportsSchema(Schema):
    reports = fields.List(fields.Nested(ReportSummarySchema), required=True)


class QuoteSchema(Schema):
    cost = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    left = fields.Dict(keys=fields.String(), values=fields.Integer(), required=True)
    unbounded = fields.Boolean(required=True, metadata={"description": "threshold mode: nothing bounds the loss"})
    refused = fields.String(required=True, allow_none=True)
    explanation = fields.String(required=True, allow_none=True)
    questions = fields.List(fields.Dict(keys=fields.String()), required=True)


class GrantRequestSchema(Schema):
    grant = _object()
    signature = _base64(64)


class ReceiptSchema(Schema):
    receipt = fields.Dict(keys=fields.String(), required=True)


class EvidenceSchema(Schema):
    evidence = fields.String(required=True, metadata={"description": "the releases, in the bytes committed to"})
    nonce = fields.String(required=True)
    receipt = fields.Dict(keys=fields.String(), required=True)


class AuditedLineSchema(Schema):
    collaboration = fields.String(required=True)
    owner = fields.String(required=True)
    allotted = fields.Integer(required=True)
    spent = fields.Integer(required=True)
    unbounded = fields.Boolean(required=True)


class AuditedSchema(Schema):
    lines = fields.List(fields.Nested(AuditedLineSchema), required=True)


class LedgerLineSchema(Schema):
    id = fields.String(required=True)
    name = fields.String(required=True)
    allotted = fields.Integer(required=True)
    spent = fields.Integer(required=True)
    unbounded = fields.Boolean(required=True)


class LedgerSchema(Schema):
    partner = fields.String(required=True)
    allowance = fields.Integer(required=True)
    spent = fields.Integer(required=True)
    forfeited = fields.Boolean(
        required=True,
        metadata={"description": "whether a restore that lost entries ended the allowance, with no grant since"},
    )
    grants = fields.Integer(
        required=True, metadata={"description": "serial number of the last grant; 0 before the first"}
    )
    signed_grants = fields.List(
        fields.Dict(keys=fields.String()),
        required=True,
        metadata={"description": "`grant` and `signature` of each that the room has, in order"},
    )
    collaborations = fields.List(fields.Nested(LedgerLineSchema), required=True)


class WithdrawalRequestSchema(Schema):
    batch = _object()
    signature = _base64(64)


class WithdrawalSchema(Schema):
    batch = fields.String(required=True, metadata={"description": "SHA-256 of the signed batch"})
    day = fields.String(required=True, metadata={"description": "UTC day whose commitment has the batch"})
    acknowledgement = fields.String(required=True, metadata={"description": "a note, signed with the log's key"})
    erased = fields.Dict(
        keys=fields.String(),
        required=True,
        allow_none=True,
        metadata={"description": "receipt of a finished erasure; null before it, and for other batches"},
    )


class ConsentsSchema(Schema):
    day = fields.String(required=True)
    batches = fields.List(fields.String(), required=True, metadata={"description": "your batches, in order"})
    nonce = fields.String(required=True)
    receipt = fields.Dict(keys=fields.String(), required=True)

"""Who is asking: client assertions (RFC 7523) for short-lived bearer tokens (RFC 6750); no long-lived key.

Rules: an assertion is an EdDSA JWT signed with one of the partner's keys, which `kid` names (without it, the current
owner key): `iss` = `sub` = its name, `aud` from settings, a life of at most 60 s, each `jti` once. A name that nobody
has, a key that ended and a false signature answer alike; only who signed well is told how far its clock is off.
What a key may do is its role's; a route that is not listed for a role is not for it.
"""

import math
from collections.abc import Mapping
from typing import Any, NoReturn, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask import g, request

from cleanroom import auditors
from cleanroom.api.context import catalog, pace, room
from cleanroom.api.problems import Problem, fail, slow_down
from cleanroom.catalog import keys, partners
from cleanroom.catalog.keys import Partner
from cleanroom.pace import Kind
from partners.key_change import Role
from policies.question import NAME

LIFETIME = 60
SKEW = 30
GRANT = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Verified against when the name is unknown, so that both cases take the same path.
_NOBODY = bytes(31) + b"\x01"

MAY: Mapping[Role, frozenset[str]] = {
    Role.MARKETER: frozenset(
        {
            "keys.mine",
            "collaborations.mine",
            "collaborations.one",
            "collaborations.document",
            "changes.document",
            "reports.ask",
            "reports.every",
            "reports.one",
            "ledger.ledger",
        }
    ),
    Role.AUDITOR: frozenset(
        {
            "keys.mine",
            "collaborations.mine",
            "collaborations.one",
            "collaborations.document",
            "changes.document",
            "audits.export",
            "audits.ledger",
        }
    ),
    Role.WAITING: frozenset({"keys.mine", "collaborations.partner", "replacements.every"}),
}
"""The routes of each role but `owner`, whose keys may use every route but those of auditors."""


def access_token(assertion: str) -> str:
    """An access token for a good assertion; else the request fails with `bad-assertion`."""
    claimed = _claims(assertion, verify=False)
    partner = _signer(claimed.get("sub"), assertion)
    claims = _claims(assertion, verify=True, key=partner.signing_key if partner else _NOBODY)
    issued, expires = claims["iat"], claims["exp"]
    if partner is None or claims["iss"] != claims["sub"] or expires - issued > LIFETIME:
        _refuse()
    _count(partner, Kind.REQUESTS)
    token = partners.issue_token(catalog(), partner, claims["jti"], expires + SKEW, room().now)
    if token is None:
        _refuse()
    if partner.role is Role.AUDITOR:
        auditors.record_entry(room(), catalog(), partner)
    return token


def _signer(named: object, assertion: str) -> Partner | None:
    """The partner that an assertion names, with the key that it names. Nothing is verified."""
    if not (isinstance(named, str) and NAME.fullmatch(named)):
        return None
    try:
        key = jwt.get_unverified_header(assertion).get("kid")
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if key is None:
        return partners.find(catalog(), named, room().now)
    return keys.by_id(catalog(), named, key, room().now) if isinstance(key, str) and NAME.fullmatch(key) else None


def _claims(assertion: str, *, verify: bool, key: bytes = _NOBODY) -> dict[str, Any]:
    try:
        if not verify:
            return jwt.decode(assertion, options={"verify_signature": False})
        now = room().now
        claims = jwt.decode(
            assertion,
            Ed25519PublicKey.from_public_bytes(key),
            algorithms=["EdDSA"],
            audience=room().settings.token_audience,
            # The room's own clock decides, below.
            options={
                "require": ["iss", "sub", "aud", "iat", "exp", "jti"],
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
        begins = max(claims["iat"], claims.get("nbf", claims["iat"]))
        if not (isinstance(claims["jti"], str) and claims["jti"].isprintable()):
            _refuse()
        if not begins - SKEW <= now <= claims["exp"] + SKEW:
            _refuse(_skew(claims["iat"], now))
        return claims
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError):
        _refuse()


def _skew(issued: float, now: int) -> str | None:
    """What the signer of an assertion is told that is not of this time."""
    if not math.isfinite(issued):
        return None
    off = round(issued) - now
    side = "ahead of" if off > 0 else "behind"
    return f"The machine that signed it has a clock {abs(off)} s {side} the room's, or sent it late; set its clock."


def _refuse(detail: str | None = None) -> NoReturn:
    guessed(Problem.BAD_ASSERTION, detail)


def guessed(problem: Problem, detail: str | None = None) -> NoReturn:
    """Ends a request of somebody who has not shown yet who it is, and counts it."""
    if wait := pace().of_address(request.remote_addr, room().clock().timestamp()):
        slow_down(wait)
    fail(problem, detail)


def require_partner() -> None:
    """Before a request: finds the partner and the key that the bearer token speaks for, or ends with `unauthorized`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    found = partners.bearer(catalog(), token, room().now) if scheme.lower() == "bearer" and token else None
    if found is None:
        fail(Problem.UNAUTHORIZED)
    _count(found, _kind())
    if not may(found.role, request.endpoint or ""):
        fail(Problem.ROLE)
    g.partner = found


def may(role: Role, endpoint: str) -> bool:
    """Whether a key of this role may use a route."""
    return not endpoint.startswith("audits.") if role is Role.OWNER else endpoint in MAY[role]


def _kind() -> Kind:
    if request.endpoint == "reports.ask":
        return Kind.QUESTIONS
    return Kind.UPLOADS if request.blueprint == "uploads" else Kind.REQUESTS


def _count(partner: Partner, kind: Kind) -> None:
    if wait := pace().of_partner(partner.number, kind, room().clock().timestamp()):
        slow_down(wait)


def me() -> Partner:
    """The partner that asks, by the key that it asks with."""
    return cast(Partner, g.partner)

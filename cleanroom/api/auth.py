"""Who is asking: client assertions (RFC 7523) for short-lived bearer tokens (RFC 6750); no long-lived key.

Rules: an assertion is an EdDSA JWT signed with the partner's key: `iss` = `sub` = its name, `aud` from settings, a life
of at most 60 s, each `jti` once. A name that nobody has and a false signature answer alike.
"""

from typing import Any, NoReturn, cast

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from flask import g, request

from cleanroom.api.context import catalog, room
from cleanroom.api.problems import Problem, fail
from cleanroom.catalog import partners
from cleanroom.catalog.partners import Partner
from policies.question import NAME

LIFETIME = 60
SKEW = 30
GRANT = "client_credentials"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# Verified against when the name is unknown, so that both cases take the same path.
_NOBODY = bytes(31) + b"\x01"


def access_token(assertion: str) -> str:
    """An access token for a good assertion; else the request fails with `bad-assertion`."""
    claimed = _claims(assertion, verify=False)
    named = claimed.get("sub")
    partner = partners.find(catalog(), named) if isinstance(named, str) and NAME.fullmatch(named) else None
    claims = _claims(assertion, verify=True, key=partner.signing_key if partner else _NOBODY)
    issued, expires = claims["iat"], claims["exp"]
    if partner is None or claims["iss"] != claims["sub"] or expires - issued > LIFETIME:
        _refuse()
    token = partners.issue_token(catalog(), partner.name, claims["jti"], expires + SKEW, room().now)
    if token is None:
        _refuse()
    return token


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
        unique = isinstance(claims["jti"], str) and claims["jti"].isprintable()
        if not (begins - SKEW <= now <= claims["exp"] + SKEW and unique):
            _refuse()
        return claims
    except (jwt.PyJWTError, ValueError, TypeError):
        _refuse()


def _refuse() -> NoReturn:
    fail(Problem.BAD_ASSERTION)


def require_partner() -> None:
    """Before a request: finds the partner that the bearer token speaks for, or ends with `unauthorized`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    name = partners.bearer(catalog(), token, room().now) if scheme.lower() == "bearer" and token else None
    found = partners.find(catalog(), name) if name else None
    if found is None:
        fail(Problem.UNAUTHORIZED)
    g.partner = found


def me() -> Partner:
    """The partner that asks."""
    return cast(Partner, g.partner)

"""Partners: invitations, public keys, access tokens, used assertions.

Rules: codes and tokens are stored as SHA-256 only. A code works once; an assertion's `jti` works once, across workers
and restarts, because the primary key says so.
"""

import hashlib
import secrets
import sqlite3
from dataclasses import dataclass

from cleanroom.catalog.catalog import Catalog

INVITE_SECONDS = 7 * 24 * 3600
TOKEN_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Partner:
    """A partner that joined: its public keys are 32 bytes each (Ed25519, X25519)."""

    name: str
    signing_key: bytes
    sealing_key: bytes


def invite(catalog: Catalog, partner: str, now: int) -> str:
    """A one-time code for `partner`, good for seven days. A new one replaces an unused one."""
    code = secrets.token_urlsafe(16)
    with catalog.transaction() as connection:
        connection.execute("delete from invites where partner = ?", (partner,))
        connection.execute("insert into invites values (?, ?, ?)", (_hash(code), partner, now + INVITE_SECONDS))
    return code


def accept(connection: sqlite3.Connection, code: str, signing_key: bytes, sealing_key: bytes, now: int) -> str | None:
    """Uses up a code within a transaction: the partner's name, or None for a code that is not good (any more)."""
    row = connection.execute(
        "delete from invites where code_hash = ? and expires > ? returning partner", (_hash(code), now)
    ).fetchone()
    if row is None:
        return None
    try:
        connection.execute(
            "insert into partners values (?, ?, ?, datetime(?, 'unixepoch'))",
            (row["partner"], signing_key, sealing_key, now),
        )
    except sqlite3.IntegrityError:
        return None
    return str(row["partner"])


def find(catalog: Catalog, name: str) -> Partner | None:
    """A partner by its name."""
    row = catalog.one("select name, signing_key, sealing_key from partners where name = ?", name)
    return Partner(*tuple(row)) if row else None


def names(catalog: Catalog) -> list[str]:
    """Every partner that joined, sorted."""
    return [str(row["name"]) for row in catalog.all("select name from partners order by name")]


def issue_token(catalog: Catalog, partner: str, jti: str, assertion_expires: int, now: int) -> str | None:
    """An access token for an assertion that was not used before; None for one that was."""
    token = secrets.token_urlsafe(32)
    with catalog.transaction() as connection:
        connection.execute("delete from assertions where expires < ?", (now,))
        connection.execute("delete from access_tokens where expires < ?", (now,))
        try:
            connection.execute("insert into assertions values (?, ?)", (f"{partner}:{jti}", assertion_expires))
        except sqlite3.IntegrityError:
            return None
        connection.execute("insert into access_tokens values (?, ?, ?)", (_hash(token), partner, now + TOKEN_SECONDS))
    return token


def bearer(catalog: Catalog, token: str, now: int) -> str | None:
    """The partner that an access token speaks for, or None. The look-up is by hash, so its time tells nothing."""
    row = catalog.one("select partner from access_tokens where token_hash = ? and expires > ?", _hash(token), now)
    return str(row["partner"]) if row else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()

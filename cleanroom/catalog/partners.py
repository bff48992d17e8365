"""Partners: invitations, access tokens, used assertions. Their keys are in `keys.py`.

Rules: codes and tokens are stored as SHA-256 only. A code works once; an assertion's `jti` works once, across workers
and restarts, because the primary key says so. A token speaks for the key that it was given to, and ends with it.
"""

import hashlib
import secrets
import sqlite3

from cleanroom.catalog import keys
from cleanroom.catalog.catalog import Catalog
from cleanroom.catalog.keys import Partner
from partners.key_change import Role

INVITE_SECONDS = 7 * 24 * 3600
TOKEN_SECONDS = 600


def invite(catalog: Catalog, partner: str, now: int, role: Role = Role.OWNER) -> str:
    """A one-time code for a partner or an auditor, good for seven days. A new one replaces an unused one, also one for
    a name that differs by capital letters only.
    """
    code = secrets.token_hex(16)  # never like an option of a command, and can be read out
    with catalog.transaction() as connection:
        connection.execute("delete from invites where partner = ? collate nocase", (partner,))
        connection.execute(
            "insert into invites values (?, ?, ?, ?)", (_hash(code), partner, now + INVITE_SECONDS, role.value)
        )
    return code


def redeem(connection: sqlite3.Connection, code: str, now: int) -> tuple[str, Role] | None:
    """Uses up a code within a transaction: who it is for, and as what; None for one that is not good (any more)."""
    row = connection.execute(
        "delete from invites where code_hash = ? and expires > ? returning partner, role", (_hash(code), now)
    ).fetchone()
    return (str(row["partner"]), Role(row["role"])) if row else None


def enter(
    connection: sqlite3.Connection, name: str, role: Role, signing_key: bytes, sealing_key: bytes, now: int
) -> bool:
    """Adds a partner, or an auditor, with its keys within a transaction. False where somebody has, or had, this key.

    An auditor's key opens nothing, so its sealing key is not kept.
    """
    connection.execute(
        "insert into partners (name, joined, auditor) values (?, datetime(?, 'unixepoch'), ?)",
        (name, now, role is Role.AUDITOR),
    )
    return keys.add(connection, name, role, signing_key, sealing_key if role is Role.OWNER else None, now)


def joined(catalog: Catalog, name: str) -> bool:
    """Whether a partner or an auditor of this name has joined, also one whose keys were all revoked."""
    return catalog.one("select 1 from partners where name = ?", name) is not None


def lookalike(catalog: Catalog, name: str) -> str | None:
    """A partner that joined, or an auditor, whose name differs from this one by capital letters only."""
    row = catalog.one(
        "select name from (select name from partners union select auditor from appointments where ended is null)"
        " where name <> ?1 and name = ?1 collate nocase",
        name,
    )
    return str(row["name"]) if row else None


def find(catalog: Catalog, name: str, now: int) -> Partner | None:
    """A partner by its name, with its newest owner key; None also where it has no owner key that counts."""
    return keys.current(catalog, name, now)


def names(catalog: Catalog) -> list[str]:
    """Every partner that joined, sorted."""
    return [str(row["name"]) for row in catalog.all("select name from partners where auditor = 0 order by name")]


def issue_token(catalog: Catalog, asker: Partner, jti: str, assertion_expires: int, now: int) -> str | None:
    """An access token for an assertion that was not used before; None for one that was."""
    token = secrets.token_urlsafe(32)
    with catalog.transaction() as connection:
        connection.execute("delete from assertions where expires < ?", (now,))
        connection.execute("delete from access_tokens where expires < ?", (now,))
        try:
            connection.execute("insert into assertions values (?, ?)", (f"{asker.name}:{jti}", assertion_expires))
        except sqlite3.IntegrityError:
            return None
        connection.execute("insert into access_tokens values (?, ?, ?)", (_hash(token), asker.key, now + TOKEN_SECONDS))
    return token


def bearer(catalog: Catalog, token: str, now: int) -> Partner | None:
    """Whom an access token speaks for, or None. The look-up is by hash, so its time tells nothing."""
    row = catalog.one(
        f"select {keys.COLUMNS} from access_tokens t join keys k on k.id = t.key"  # noqa: S608 - constants
        " join partners p on p.name = k.partner"
        f" where t.token_hash = ? and t.expires > ? and {keys.COUNTS}",
        _hash(token),
        now,
        now,
    )
    return keys.read(row) if row else None


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()

"""The tables of the catalog, as migrations. A migration that has landed is never edited; add another."""

import sqlite3
from collections.abc import Iterator

from sqlite_utils import Database, Migrations

from cleanroom.audit import log

migrations = Migrations("cleanroom")


@migrations()
def first(db: Database) -> None:
    """Partners, collaborations, audiences, releases, the ledger and the audit log."""
    for statement in _statements(_FIRST + log.SCHEMA):
        db.execute(statement)


@migrations()
def changes(db: Database) -> None:
    """Amendments, terms tightened alone, partners who left, rotations of the secret; what reports were made under."""
    for statement in _statements(_CHANGES):
        db.execute(statement)


@migrations()
def replacements(db: Database) -> None:
    """New keys of partners that lost theirs, and who consented to them."""
    for statement in _statements(_REPLACEMENTS):
        db.execute(statement)


@migrations()
def recovery(db: Database) -> None:
    """What a restored room takes over from its newer log; logs that ended; allowances that count as spent."""
    for statement in _statements(_RECOVERY):
        db.execute(statement)


@migrations()
def auditors(db: Database) -> None:
    """Auditors: which collaborations each is appointed to; what opens the figures of a report."""
    for statement in _statements(_AUDITORS):
        db.execute(statement)


@migrations()
def over(db: Database) -> None:
    """Keys that are over whatever the clock says, because they were revoked or replaced."""
    db.execute("alter table keys add column over integer not null default 0")
    db.execute("update keys set over = 1 where ends <= cast(strftime('%s', 'now') as integer)")


def _statements(script: str) -> Iterator[str]:
    """The statements of a script, one by one: `executescript` would commit the migration's transaction first."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


_FIRST = """
create table room (
    id integer primary key check (id = 1), name text not null, created text not null
) strict;
create table invites (
    code_hash blob primary key, partner text not null, expires integer not null
) strict;
create table partners (
    number integer primary key, name text not null unique, joined text not null
) strict;
create table keys (
    id text primary key, partner text not null references partners(name), role text not null,
    signing_key blob not null unique, sealing_key blob, added integer not null, ends integer
) strict;
create index keys_by_partner on keys (partner);
create table key_changes (
    partner text not null references partners(name), serial integer not null, action text not null,
    document blob not null, leaf integer not null,
    primary key (partner, serial)
) strict;
create table access_tokens (
    token_hash blob primary key, key text not null references keys(id), expires integer not null
) strict;
create table assertions (
    jti text primary key, expires integer not null
) strict;
create table collaborations (
    id text primary key, name text not null, state text not null, epoch integer not null,
    agreement blob not null, agreement_sha256 text not null, created text not null
) strict;
create table parties (
    collaboration text not null references collaborations(id), partner text not null references partners(name),
    signature blob, signed text,
    primary key (collaboration, partner)
) strict;
create index parties_by_partner on parties (partner);
create table envelopes (
    collaboration text not null references collaborations(id), epoch integer not null,
    sender text not null, recipient text not null, key_check text not null,
    document text not null, created text not null,
    primary key (collaboration, epoch, recipient)
) strict;
create table uploads (
    id text primary key, partner text not null references partners(name),
    length integer not null, expires integer not null
) strict;
create table versions (
    id text primary key, collaboration text not null references collaborations(id),
    owner text not null, audience text not null, epoch integer not null,
    manifest blob not null, manifest_sha256 text not null, signature blob not null,
    upload text, state text not null, reason text, detail text, progress integer not null default 0,
    created text not null, leaf integer
) strict;
create unique index versions_by_manifest on versions (collaboration, owner, audience, manifest_sha256)
    where state != 'refused';
create index versions_by_state on versions (state);
create table reports (
    id text primary key, collaboration text not null references collaborations(id), asked_by text not null,
    kind text not null, purpose text not null, request text not null, mode text not null, day text not null,
    status text not null, reason text, about text, figures text not null, free integer not null,
    created text not null, leaf integer not null, evidence_nonce blob
) strict;
create index reports_by_collaboration on reports (collaboration, created);
create table releases (
    key text primary key, collaboration text not null references collaborations(id),
    question text not null, day text not null, report text not null references reports(id), release text not null
) strict;
create table ledger (
    report text not null references reports(id), owner text not null,
    collaboration text not null references collaborations(id), micro integer not null check (micro > 0),
    primary key (report, owner)
) strict;
create index ledger_by_owner on ledger (owner, collaboration);
create table grants (
    partner text not null references partners(name), serial integer not null, micro integer not null check (micro > 0),
    document blob not null, signature blob not null, created text not null, leaf integer not null,
    primary key (partner, serial)
) strict;
create table batches (
    number integer primary key, sha256 text not null unique,
    owner text not null references partners(name), collaboration text not null references collaborations(id),
    epoch integer not null, action text not null, day text not null, erased integer
) strict;
create index batches_by_owner on batches (owner, day);
create index batches_by_collaboration on batches (collaboration, owner);
create index batches_to_erase on batches (number) where action = 'erase' and erased is null;
create table withdrawn (
    collaboration text not null references collaborations(id), owner text not null references partners(name),
    epoch integer not null, because_key text not null, because blob not null, audience text not null,
    match_key text not null, image blob not null, mask integer not null,
    primary key (collaboration, owner, epoch, because_key, because, audience, match_key, image)
) strict, without rowid;
create table absences (
    version text primary key references versions(id), digest text not null, erase integer not null, gone blob not null
) strict;
create table commitments (
    owner text not null references partners(name), day text not null, nonce blob not null, leaf integer not null,
    primary key (owner, day)
) strict;
"""

_CHANGES = """
create table agreement_versions (
    collaboration text not null references collaborations(id), sha256 text not null, number integer not null,
    document blob not null, state text not null, created text not null, in_force_from text,
    primary key (collaboration, sha256)
) strict;
create table agreement_signatures (
    collaboration text not null, sha256 text not null, partner text not null references partners(name),
    signature blob not null, signed text not null,
    primary key (collaboration, sha256, partner),
    foreign key (collaboration, sha256) references agreement_versions(collaboration, sha256)
) strict;
create table tightenings (
    collaboration text not null references collaborations(id), partner text not null references partners(name),
    serial integer not null, agreement text not null, document text not null, signature blob not null,
    created text not null, leaf integer not null,
    primary key (collaboration, agreement, partner, serial)
) strict;
create table departures (
    collaboration text not null references collaborations(id), partner text not null references partners(name),
    document text not null, signature blob not null, created text not null, leaf integer not null,
    primary key (collaboration, partner)
) strict;
create table rotations (
    collaboration text not null references collaborations(id), epoch integer not null,
    document text not null, signature blob not null, created text not null, moved text,
    primary key (collaboration, epoch)
) strict;
create table destroyed (
    collaboration text not null references collaborations(id), epoch integer not null, leaf integer not null,
    primary key (collaboration, epoch)
) strict;
alter table reports add column agreement text;
alter table reports add column explanation text;
"""

_REPLACEMENTS = """
create table replacements (
    key text primary key references keys(id), partner text not null references partners(name),
    document text not null, created text not null, made text, leaf integer
) strict;
create index replacements_by_partner on replacements (partner);
create table replacement_consents (
    key text not null references replacements(key), partner text not null references partners(name),
    signature blob, signed text,
    primary key (key, partner)
) strict;
"""

_RECOVERY = """
create table carried_debits (
    leaf integer not null, owner text not null, collaboration text, micro integer not null check (micro > 0),
    primary key (leaf, owner)
) strict;
create index carried_by_owner on carried_debits (owner, collaboration);
create table carried_grants (
    partner text not null, serial integer not null, micro integer not null check (micro > 0), leaf integer not null,
    primary key (partner, serial)
) strict;
create table forfeits (
    owner text primary key, spent integer not null, serial integer not null
) strict;
create table successions (
    number integer primary key, origin text not null, note blob not null
) strict;
create view debits as
    select owner, collaboration, micro from ledger union all select owner, collaboration, micro from carried_debits;
create view granted as
    select partner, serial, micro from grants union all select partner, serial, micro from carried_grants;
"""

_AUDITORS = """
alter table invites add column role text not null default 'owner';
alter table partners add column auditor integer not null default 0;
create table appointments (
    auditor text not null, collaboration text not null references collaborations(id),
    appointed text not null, ended text, read text,
    primary key (auditor, collaboration)
) strict;
create index appointments_by_collaboration on appointments (collaboration);
alter table reports add column evidence blob;
"""

"""Writes `protocol-v1.json`, the vectors of the partner protocol. Run from the project's folder:

    .venv/bin/python -m docs.vectors.generate

A test regenerates the file and compares it byte for byte, so it changes only where somebody means it to.
"""

import json
from pathlib import Path

from docs.vectors import identifier_cases as cases
from partners import protocol
from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical
from partners.protocol import PublicKeys

FILE = Path(__file__).with_name("protocol-v1.json")

SECRETS = (bytes(range(32)), bytes([0xA5] * 32))
JANE = "janedoe@gmail.com"

Json = dict[str, object]


def identifiers() -> list[Json]:
    """Every case of `identifier_cases` under its settings, with its canonical text or the reason of its refusal."""

    def rules(profile: str = "uid2", region: str | None = None, order: str = "ymd") -> Rules:
        return Rules(EmailProfile(profile), region, DateOrder(order))

    groups: list[tuple[str, Json, Rules, cases.Cases]] = [
        ("email", {"email_profile": "uid2"}, rules("uid2"), cases.EMAIL),
        ("email", {"email_profile": "plain"}, rules("plain"), cases.EMAIL),
        ("phone", {"region": "FR"}, rules(region="FR"), cases.PHONE_FR),
        ("phone", {"region": "DK"}, rules(region="DK"), cases.PHONE_DK),
        ("phone", {"region": None}, rules(region=None), cases.PHONE_NO_REGION),
        ("maid", {}, rules(), cases.MAID),
        ("person", {"date_order": "ymd"}, rules(order="ymd"), cases.PERSON_YMD),
        ("person", {"date_order": "dmy"}, rules(order="dmy"), cases.PERSON_DMY),
        ("person", {"date_order": "mdy"}, rules(order="mdy"), cases.PERSON_MDY),
        ("id", {}, rules(), cases.OPAQUE),
        ("id.card", {}, rules(), cases.OPAQUE[:2]),
    ]
    vectors: list[Json] = []
    for match_key, settings, file_rules, rows in groups:
        for cells, comment in rows:
            result = canonical(match_key, cells, file_rules)
            answer = {"refused": result.value} if isinstance(result, Invalid) else {"canonical": result}
            vectors.append(
                {"comment": comment, "match_key": match_key, "settings": settings, "cells": list(cells), **answer}
            )
    return vectors


def tokens() -> list[Json]:
    """Keys and tokens: each input of the key changed in turn, then one token of every match key."""
    first, second = SECRETS
    rows: list[tuple[str, bytes, str, int, str, str]] = [
        ("the example of the specification", first, "drive-2026", 1, "email", JANE),
        ("another secret", second, "drive-2026", 1, "email", JANE),
        ("another collaboration", first, "drive-2027", 1, "email", JANE),
        ("another epoch", first, "drive-2026", 2, "email", JANE),
        ("an epoch of two digits", first, "drive-2026", 10, "email", JANE),
        ("another match key", first, "drive-2026", 1, "id", JANE),
        ("a named match key", first, "drive-2026", 1, "id.card", JANE),
        ("lengths are prefixed: the next collaboration and epoch join to the same text", first, "c", 11, "id", "42"),
        ("lengths are prefixed: the last collaboration and epoch join to the same text", first, "c1", 1, "id", "42"),
        ("phone", first, "drive-2026", 1, "phone", "+33199001234"),
        ("maid", first, "drive-2026", 1, "maid", "6d92078a-8246-4ba4-ae5b-76104861e7dc"),
        ("person", first, "drive-2026", 1, "person", "ANNEMARIE|OBRIEN|1990-02-01"),
        ("text beyond ASCII is UTF-8", first, "drive-2026", 1, "person", "SØREN|WAŁESA|1990-02-01"),
        ("text longer than a block of SHA-256", first, "drive-2026", 1, "id", "0123456789" * 10),
    ]
    vectors: list[Json] = []
    for comment, secret, collaboration, epoch, match_key, text in rows:
        key = protocol.token_key(secret, collaboration, epoch, match_key)
        vectors.append(
            {
                "comment": comment,
                "secret": secret.hex(),
                "collaboration": collaboration,
                "epoch": epoch,
                "match_key": match_key,
                "canonical": text,
                "token_key": key.hex(),
                "token": protocol.token(key, text).hex(),
            }
        )
    return vectors


def key_checks() -> list[Json]:
    """Key checks: each input changed in turn."""
    first, second = SECRETS
    rows: list[tuple[str, bytes, str, int]] = [
        ("the example of the specification", first, "drive-2026", 1),
        ("another secret", second, "drive-2026", 1),
        ("another collaboration", first, "drive-2027", 1),
        ("another epoch", first, "drive-2026", 2),
    ]
    return [
        {
            "comment": comment,
            "secret": secret.hex(),
            "collaboration": collaboration,
            "epoch": epoch,
            "key_check": protocol.key_check(secret, collaboration, epoch),
        }
        for comment, secret, collaboration, epoch in rows
    ]


def fingerprints() -> list[Json]:
    """Fingerprints. The keys are patterns: no private key belongs to them."""
    one = PublicKeys(signing=bytes([0x11] * 32), sealing=bytes([0x22] * 32))
    other = PublicKeys(signing=bytes([0x33] * 32), sealing=bytes([0x44] * 32))
    resealed = PublicKeys(signing=one.signing, sealing=bytes([0x23] * 32))
    rows = [
        ("the example of the specification", one, other),
        ("the two sides exchanged: the same digits", other, one),
        ("another sealing key", resealed, other),
        ("the same signing key on both sides: ordered by the sealing key", one, resealed),
    ]
    return [
        {"comment": comment, "a": _keys(a), "b": _keys(b), "fingerprint": protocol.fingerprint(a, b)}
        for comment, a, b in rows
    ]


def document() -> str:
    """The text of the file: ASCII, so that invisible characters show as escapes."""
    value = {
        "protocol": protocol.PROTOCOL_VERSION,
        "schema": "protocol-v1.schema.json",
        "identifiers": identifiers(),
        "tokens": tokens(),
        "key_checks": key_checks(),
        "fingerprints": fingerprints(),
    }
    return json.dumps(value, indent=1) + "\n"


def _keys(keys: PublicKeys) -> Json:
    return {"signing": keys.signing.hex(), "sealing": keys.sealing.hex()}


if __name__ == "__main__":
    FILE.write_text(document(), encoding="ascii")

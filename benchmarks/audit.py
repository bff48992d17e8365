"""How long an auditor waits: an export of n entries verified, every body opened, every decision derived again.

    python -m benchmarks.audit                      # 100,000 and a million entries
    python -m benchmarks.audit --people 10000 --runs 1

Rules: the log is made up, a day of it being one release, six repeats, one refusal and two consent commitments; keys,
hashes and signatures are real. `cleanroom audit verify` and the example verifier of the export run in turn, each in one
process. The example checks less: no policies, no signatures of documents.
"""

import argparse
import contextlib
import io
import json
import random
import runpy
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from benchmarks import common, table
from benchmarks.common import Options, ours, run, timed
from benchmarks.table import Cost, Row, Side
from cleanroom import __version__
from cleanroom.audit import archive, verify
from cleanroom.audit.documents import Document, Signature
from cleanroom.audit.events import EventKind
from cleanroom.audit.export import README_TEXT, VERIFIER_TEXT
from cleanroom.replay.judge import Judge
from cleanroom.reports import plan
from partners.keys import Identity, key_id
from partners.transparency.checkpoint import Checkpoint
from partners.transparency.encoding import encode_base64
from partners.transparency.entry import Body, Entry, commitment
from partners.transparency.merkle import leaf_hash, nodes_of, root
from partners.transparency.note import SigningKey, VerifierKey
from partners.transparency.tiles import WIDTH, encode_bundle, tiles
from policies import budget, canonical, question, request
from policies.agreement import Agreement, Audience, Party
from policies.purpose import Purpose
from policies.question import AudienceRef
from policies.request import OverlapRequest
from policies.terms import DEFAULTS, MICRO, Terms

ORIGIN = "room.example/audit-v1"
FIRST = date(2026, 1, 1)
DRIVE, READERS = AudienceRef("fresh", "drive"), AudienceRef("tasty", "readers")
TERMS = replace(DEFAULTS, epsilon_per_report=MICRO // 1000, epsilon_total=1000 * MICRO)
ASKED = OverlapRequest((DRIVE, READERS), Purpose.INSIGHTS)
MODELLING = OverlapRequest((DRIVE, READERS), Purpose.MODELLING)
TERM = 300
SAME = "the same log"
IN_MEMORY = 200_000
Told = tuple[int, Body]
"""UTC time in ms, and what happened."""


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(*arguments.one)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([measured(Path(folder), common.options(arguments, Path(folder)))], arguments.json)


def measured(folder: Path, options: Options) -> table.Part:
    """Every size, for which `--people` counts entries."""

    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        rows, costs, detail = [], [], {}
        for size in options.people:
            file = folder / f"log-{size}.tar"
            key = make(file, size)
            sides: dict[str, list[common.Answer]] = {"verify": []} | ({"example": []} if size <= IN_MEMORY else {})
            for _ in range(options.runs):
                for who, found in sides.items():
                    found += run(ours("benchmarks.audit", "--one", who, str(file), str(key)))
            room, peer = _side(sides["verify"]), _side(sides["example"]) if "example" in sides else None
            note = "" if peer else "not run: it keeps the whole archive in memory, many times over"
            rows.append(Row("verify and replay a log", size, "s", room, "example verifier", SAME, peer, note))
            detail[str(size)] = {who: [each.value for each in found] for who, found in sides.items()}
            costs.append(Cost("verify and replay, an entry", "µs", size, 1e6 * room.median / size))
            file.unlink()
        return rows, costs, detail

    return table.part("audit", measure)


def one_run(who: str, file: str, key: str) -> dict[str, Any]:
    """Seconds of one verification, which must hold."""
    if who == "verify":
        verdict = None

        def work() -> None:
            nonlocal verdict
            verdict = verify.verify(Path(file), VerifierKey.parse(key), replay=Judge)

        seconds, processor = timed(work), common.processor_seconds()
        assert verdict is not None
        assert verdict.ok, [check for check in verdict.checks if not check.passed]
        return {"seconds": seconds, "processor seconds": processor, "says": verdict.checks[-1].detail}
    program = Path(file).with_name("verify.py")
    program.write_text(VERIFIER_TEXT, encoding="utf-8")
    sys.argv = [str(program), file, key]
    with contextlib.redirect_stdout(io.StringIO()) as told:
        seconds, processor = timed(lambda: runpy.run_path(str(program))), common.processor_seconds()
    return {"seconds": seconds, "processor seconds": processor, "says": told.getvalue()}


def _side(answers: list[common.Answer]) -> Side:
    peaks = [sum(answer.peaks.values()) for answer in answers]
    return Side(tuple(answer.value["seconds"] for answer in answers), max(peaks))


def make(file: Path, size: int) -> VerifierKey:
    """Writes the export of a made-up log of `size` entries; the key of the log."""
    draw = random.Random(size)  # noqa: S311 - made-up nonces, and a key for nothing
    identities = {name: Identity(Ed25519PrivateKey.generate(), X25519PrivateKey.generate()) for name in _NAMES}
    agreement = _agreement(identities)
    signatures = (
        Signature(name, each.public.signing, each.sign("agreement/v1", agreement.canonical()))
        for name, each in identities.items()
    )
    document = Document(agreement.canonical(), tuple(signatures))
    entries: list[bytes] = []
    with tempfile.TemporaryFile() as bodies:
        for seq, (time, body) in zip(range(size), _story(identities, agreement), strict=False):
            nonce, data = draw.randbytes(32), body.encode()
            entries.append(Entry(seq, time, commitment(nonce, data)).encode())
            line = {"body": data.decode(), "nonce": encode_base64(nonce), "seq": seq}
            bodies.write(canonical.dumps(line) + b"\n")
        key = SigningKey(ORIGIN, draw.randbytes(32))
        node = nodes_of([leaf_hash(entry) for entry in entries])
        checkpoint = key.sign(Checkpoint(ORIGIN, size, root(size, node)).text())
        members: dict[str, BinaryIO] = {
            "README": io.BytesIO(README_TEXT.encode()),
            "verify.py": io.BytesIO(VERIFIER_TEXT.encode()),
            "bodies.jsonl": bodies,
            "checkpoint": io.BytesIO(checkpoint),
            "documents.jsonl": io.BytesIO(document.encode() + b"\n"),
        }
        for tile in tiles(size):
            hashes = (node(8 * tile.level, n) for n in range(tile.first, tile.first + tile.width))
            members[tile.path] = io.BytesIO(b"".join(hashes))
            if tile.level == 0:
                members[tile.entries_path] = io.BytesIO(encode_bundle(entries[tile.first : tile.first + WIDTH]))
        with file.open("wb") as out:
            archive.write(out, sorted(members.items()))
    return key.verifier


_NAMES = ("fresh", "tasty")


def _agreement(identities: dict[str, Identity]) -> Agreement:
    parties = (Party(name, each.public.signing, each.public.sealing, Terms()) for name, each in identities.items())
    audiences = (Audience(DRIVE, ("email",), (), ()), Audience(READERS, ("email",), (), ()))
    return Agreement("bench", "bench", 1, ("email",), "uid2", tuple(parties), audiences, TERMS, Terms(minimum_size=10))


def _story(identities: dict[str, Identity], agreement: Agreement) -> Iterator[Told]:
    """The log without end: how it began, then day after day."""
    start = _ms(FIRST)
    keys = {name: key_id(each.public.signing) for name, each in identities.items()}
    named, running = {"agreement": agreement.sha256()}, {"software": __version__, "allowance": 1000 * MICRO}
    yield start, Body(EventKind.ROOM_INIT, None, None, {"origin": ORIGIN, **running})
    for name, key in keys.items():
        yield start, Body(EventKind.PARTNER_JOIN, None, key, {"partner": name, "role": "owner"})
    yield start, Body(EventKind.AGREEMENT_PROPOSE, agreement.id, keys["fresh"], named)
    yield start, Body(EventKind.AGREEMENT_SIGN, agreement.id, keys["tasty"], named)
    yield start, Body(EventKind.AGREEMENT_OPEN, agreement.id, None, named)
    asked = plan.questions(ASKED, agreement)
    prices = budget.price(asked, agreement)
    cost, scales = budget.charge(prices), [budget.scales_json(price) for price in prices]
    spent, day, versions = dict.fromkeys(cost, 0), FIRST, dict[str, str]()
    evidence = sha256(b"evidence").hexdigest()
    while True:
        noon = _ms(day) + 43_200_000
        if (day - FIRST).days % TERM == 0:  # uploaded anew before its retention ends
            for number, audience in enumerate((DRIVE, READERS)):
                retired = [versions[str(audience)]] if str(audience) in versions else []
                version = f"v-{2 * (day - FIRST).days + number:016x}"
                uploaded = {"version": version, "audience": str(audience), "manifest": evidence}
                yield noon, Body(EventKind.UPLOAD_RECEIVE, agreement.id, keys[audience.owner], uploaded)
                ends = day + timedelta(days=agreement.terms.retention_days)
                kept = {"prepared": day.isoformat(), "expires": ends.isoformat(), "retired": retired}
                details = {"version": version, "audience": str(audience), "epoch": 1, **kept}
                yield noon, Body(EventKind.AUDIENCE_PUBLISH, agreement.id, None, details)
                versions = {**versions, str(audience): version}
        said = _said(agreement, ASKED, day, versions)
        after = {owner: spent[owner] + micro for owner, micro in cost.items()}
        paid = {owner: {"micro": micro, "before": spent[owner], "after": after[owner]} for owner, micro in cost.items()}
        spent = after
        told = {**said, "scales": scales, "evidence": evidence}
        yield noon, Body(EventKind.DECISION_RELEASE, agreement.id, keys["fresh"], {**told, "cost": paid})
        for _ in range(6):
            yield noon, Body(EventKind.DECISION_REPEAT, agreement.id, keys["tasty"], {**told, "cost": {}})
        refusal = {**_said(agreement, MODELLING, day, versions), "reason": "purpose_not_agreed", "about": "modelling"}
        yield noon, Body(EventKind.DECISION_REFUSE, agreement.id, keys["fresh"], refusal)
        day += timedelta(days=1)
        for name in keys:
            details = {"commitment": evidence, "day": (day - timedelta(days=1)).isoformat(), "partner": name}
            yield _ms(day), Body(EventKind.CONSENT_COMMIT, None, None, details)


def _said(agreement: Agreement, asked: request.Request, day: date, versions: dict[str, str]) -> dict[str, object]:
    return {
        "report": "r-0000000000000001",
        "request": asked.to_json(),
        "questions": [question.to_json(each) for each in plan.questions(asked, agreement)],
        "agreement": agreement.sha256(),
        "terms": agreement.sha256(),
        "mode": "private",
        "minimum_size": agreement.terms.minimum_size,
        "rounding": None,
        "day": day.isoformat(),
        "versions": versions,
        "software": __version__,
    }


def _ms(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)


if __name__ == "__main__":
    main()

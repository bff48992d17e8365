"""How fast `prepare` is: customer file to audience file, beside the plain ways to do it.

    python -m benchmarks.prepare                  # 100,000 and a million people
    python -m benchmarks.prepare --people 10000000 --runs 1
    python -m benchmarks.prepare --json prepare.json

Rules:
* What is compared runs in turn, in one run, on the same values.
* The plain loop is csv, strip and lower, phonenumbers, hmac.new and a csv file again: no consent, no duplicates, no
  shuffle, no report. It is timed on the first rows of the file, in one process, as it is usually written.
* clkhash makes fuzzy Bloom filters of two fields, not exact tokens: another kind of matching.
"""

import argparse
import csv
import hashlib
import hmac
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import phonenumbers
import pyarrow as pa
import pyarrow.csv as pa_csv
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from benchmarks import common, people, table
from benchmarks.common import PEERS, Options, Unavailable, ours, run, timed
from benchmarks.table import Cost, Row, Side
from partners import mapping, prepare
from partners.identifiers import DateOrder, EmailProfile, Rules
from partners.identifiers.columns import canonical_column
from partners.identifiers.phone_column import phone_column
from partners.keys import Identity
from policies.agreement import Agreement, Audience, Party
from policies.question import AudienceRef
from policies.terms import DEFAULTS, Terms

PLAIN_ROWS = 20_000
PHONES = 200_000
CLK_ROWS = 2_000
KEY = bytes(32)
RULES = Rules(EmailProfile.UID2, "FR", DateOrder.YMD)
SAME = "keyed tokens, as here"
FUZZY = "keyed Bloom filters"


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(arguments.one)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        table.finish([measured(Path(folder), common.options(arguments, Path(folder)))], arguments.json)


def measured(folder: Path, options: Options) -> table.Part:
    """Every size, then phones alone and clkhash at the largest."""

    def measure() -> tuple[list[Row], list[Cost], dict[str, Any]]:
        rows, costs, detail = [], [], {}
        for size in options.people:
            file = folder / f"people-{size}.csv"
            people.write(file, size)
            row, cpu = _whole(file, folder, size, options.runs)
            rows.append(row)
            costs.append(Cost("prepare, a row", "µs", size, 1e6 / row.ours.median))
            detail[f"cpu seconds, {size}"] = cpu
            if size == max(options.people):
                rows += [_phones(file, options.runs), _clkhash(file, folder, row.ours, options)]
            file.unlink()
        return rows, costs, detail

    return table.part("prepare", measure)


def _whole(file: Path, folder: Path, size: int, runs: int) -> tuple[Row, list[float]]:
    mine, plain, cpu, memory = [], [], [], 0
    for _ in range(runs):
        (answer,) = run(ours("benchmarks.prepare", "--one", file))
        mine.append(size / answer.value["seconds"])
        cpu.append(answer.value["cpu"])
        memory = max(memory, answer.peaks.get("all", 0))
        plain.append(min(PLAIN_ROWS, size) / timed(lambda: plain_loop(file, folder / "plain.csv")))
    what = "prepare, e-mail + phone"
    return Row(what, size, "rows/s", Side(tuple(mine), memory), "plain loop", SAME, Side(tuple(plain))), cpu


def _phones(file: Path, runs: int) -> Row:
    read = pa_csv.ConvertOptions(include_columns=["mobile"], column_types={"mobile": pa.string()})
    phones = pa_csv.read_csv(file, convert_options=read).slice(0, PHONES).column("mobile").combine_chunks()
    few = phones.slice(0, PLAIN_ROWS).to_pylist()
    canonical_column("phone", (phones.slice(0, 100),), RULES)  # reads the metadata
    fast, slow = [], []
    for _ in range(runs):
        fast.append(len(phones) / timed(lambda: canonical_column("phone", (phones,), RULES)))
        slow.append(len(few) / timed(lambda: [library(number) for number in few]))
    left = len(phone_column(phones, "FR").open) / len(phones)
    what = f"phones alone, one process ({left:.1%} left to the library)"
    return Row(what, len(phones), "rows/s", Side(tuple(fast)), "phonenumbers", SAME, Side(tuple(slow)))


def _clkhash(file: Path, folder: Path, mine: Side, options: Options) -> Row:
    few = folder / "few.csv"
    with file.open() as source, few.open("w") as target:
        lines = [line for _, line in zip(range(CLK_ROWS + 1), source, strict=False)]
        target.writelines(",".join(line.rstrip("\n").split(",")[:2]) + "\n" for line in lines)
    what, size = "prepare, e-mail + phone", max(options.people)
    try:
        python = options.environments.python("clkhash", "clkhash")
        answers = [run([python, *PEERS, "clkhash", few])[0] for _ in range(options.runs)]
    except Unavailable as problem:
        return Row(what, size, "rows/s", mine, "clkhash", FUZZY, note=str(problem))
    rates = tuple((len(lines) - 1) / answer.value["seconds"] for answer in answers)
    memory = max(answer.peaks.get("all", 0) for answer in answers)
    return Row(what, size, "rows/s", mine, f"clkhash, {len(lines) - 1:,} rows", FUZZY, Side(rates, memory))


def plain_loop(file: Path, out: Path) -> None:
    """What a careful script does with each row."""
    with file.open(newline="") as source, out.open("w", newline="") as target:
        writer = csv.writer(target)
        for number, row in enumerate(csv.DictReader(source)):
            if number == PLAIN_ROWS:
                break
            email = row["email"].strip().lower()
            mobile = library(row["mobile"])
            writer.writerow(
                hmac.new(KEY, value.encode(), hashlib.sha256).hexdigest()[:32] if value else ""
                for value in (email, mobile)
            )


def library(number: str) -> str:
    """E.164 by the library alone; empty where it is no valid number."""
    try:
        parsed = phonenumbers.parse(number, "FR")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def one_run(file: Path) -> dict[str, float]:
    """`prepare` once, in this process and its workers: seconds, and seconds of processors."""
    identity = Identity(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
    mapped = {
        "name": "fresh",
        "audience": "all",
        "file": str(file),
        "region": "FR",
        "keys": {"email": "email", "phone": "mobile"},
        "consent": {"purposes": ["insights"]},
    }
    keys = ("email", "phone")
    agreement = Agreement(
        id="bench",
        name="bench",
        protocol=1,
        match_keys=keys,
        email_profile="uid2",
        parties=tuple(
            Party(name, identity.public.signing, identity.public.sealing, Terms()) for name in ("fresh", "other")
        ),
        audiences=(Audience(AudienceRef("fresh", "all"), keys, (), ()),),
        base=DEFAULTS,
        floor=Terms(),
    )
    with tempfile.TemporaryDirectory(dir=file.parent) as out:
        start, begun = time.perf_counter(), common.processor_seconds()
        parsed = mapping.parse(mapped, file.parent)
        prepare.prepare(parsed, agreement, 1, KEY, identity, Path(out), now=datetime.now(UTC))
        return {"seconds": time.perf_counter() - start, "cpu": common.processor_seconds() - begun}


if __name__ == "__main__":
    main()

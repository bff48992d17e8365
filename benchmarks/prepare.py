"""How fast `prepare` is: customer file to audience file, beside the plain ways to do it.

    python -m benchmarks.prepare                  # a million people; about two minutes on two cores
    python -m benchmarks.prepare --people 10000000 --runs 1
    python -m benchmarks.prepare --json prepare.json

Rules:
* What is compared runs in turn, in one run, on the same values; the ratio of medians comes first.
* The plain loop is csv, strip and lower, phonenumbers, hmac.new and a csv file again: no consent, no duplicates, no
  shuffle, no report. It is timed on the first rows of the file, in one process, as it is usually written.
* Peak memory is that of `prepare`'s process plus, for each worker, that of the largest worker.
"""

import argparse
import csv
import hashlib
import hmac
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import phonenumbers
import pyarrow as pa
import pyarrow.csv as pa_csv
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from benchmarks import people
from partners import mapping, prepare
from partners.identifiers import DateOrder, EmailProfile, Rules
from partners.identifiers.columns import canonical_column
from partners.identifiers.phone_column import phone_column
from partners.keys import Identity
from partners.workers import worker_count
from policies.agreement import Agreement, Audience, Party
from policies.question import AudienceRef
from policies.terms import DEFAULTS, Terms

PLAIN_ROWS = 20_000
PHONES = 200_000
CLK_ROWS = 2_000
KEY = bytes(32)
MIB = 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    parser.add_argument("--clkhash", action="store_true", help="install clkhash into an environment of its own")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(one_run(arguments.one)))
        return
    with tempfile.TemporaryDirectory(prefix="bench-prepare-") as folder:
        result = measured(Path(folder), arguments.people, arguments.runs, arguments.clkhash)
    for row in result["rows"]:
        ratio = f"{row['ratio']:.1f} ×" if row.get("ratio") else "–"
        print(f"{ratio:>10}  {row['what']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


def measured(folder: Path, count: int, runs: int, with_clkhash: bool) -> dict[str, Any]:
    file = folder / "people.csv"
    people.write(file, count)
    ours, plain, fast_phones, slow_phones = [], [], [], []
    numbers = pa_csv.read_csv(file, convert_options=pa_csv.ConvertOptions(include_columns=["mobile"])).slice(0, PHONES)
    phones = numbers.column("mobile").cast(pa.string()).fill_null("").combine_chunks()
    few = phones.slice(0, PLAIN_ROWS).to_pylist()
    rules = Rules(EmailProfile.UID2, "FR", DateOrder.YMD)
    canonical_column("phone", (phones.slice(0, 100),), rules)  # reads the metadata
    load = []
    for _ in range(runs):
        load.append(os.getloadavg()[0])
        ours.append(child(file))
        plain.append(timed(lambda: plain_loop(file, folder / "plain.csv")) / min(PLAIN_ROWS, count))
        fast_phones.append(timed(lambda: canonical_column("phone", (phones,), rules)) / len(phones))
        slow_phones.append(timed(lambda: [library(number) for number in few]) / len(few))
    seconds = statistics.median(run["seconds"] for run in ours)
    memory = max(run["memory"] for run in ours)
    whole, one = seconds / count, statistics.median(plain)
    slow, fast = statistics.median(slow_phones), statistics.median(fast_phones)
    open_share = len(phone_column(phones, "FR").open) / len(phones)
    rows = [
        {
            "ratio": one / whole,
            "what": f"prepare, e-mail + phone, {count:,} rows: {1 / whole:,.0f} rows/s; the plain loop {1 / one:,.0f}",
            "rows_per_second": 1 / whole,
            "plain_rows_per_second": 1 / one,
            "cpu_seconds": statistics.median(run["cpu"] for run in ours),
        },
        {
            "ratio": slow / fast,
            "what": f"phones alone, one core: {1 / fast:,.0f}/s ({open_share:.1%} left to the library); "
            f"phonenumbers {1 / slow:,.0f}/s",
            "phones_per_second": 1 / fast,
            "phonenumbers_per_second": 1 / slow,
        },
        {"what": f"peak memory of prepare, all processes: {memory / MIB:,.0f} MiB", "bytes": memory},
    ]
    rows.append(clkhash_row(folder, file, whole) if with_clkhash else {"what": "clkhash: not asked for (--clkhash)"})
    return {"rows": rows, "people": count, "runs": runs, "load": load, "machine": machine()}


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


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
    try:
        parsed = phonenumbers.parse(number, "FR")
    except phonenumbers.NumberParseException:
        return ""
    if not phonenumbers.is_valid_number(parsed):
        return ""
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def child(file: Path) -> dict[str, float]:
    """`prepare` in a process of its own, so that its memory is its own; starting Python is not counted."""
    ran = subprocess.run(
        [sys.executable, "-m", "benchmarks.prepare", "--one", str(file)], capture_output=True, check=True, text=True
    )
    found: dict[str, float] = json.loads(ran.stdout)
    return found


def one_run(file: Path) -> dict[str, float]:
    identity = Identity(Ed25519PrivateKey.generate(), X25519PrivateKey.generate())
    table = {
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
        start = time.perf_counter()
        mapped = mapping.parse(table, file.parent)
        prepare.prepare(mapped, agreement, 1, KEY, identity, Path(out), now=datetime.now(UTC))
        seconds = time.perf_counter() - start
    own, workers = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": seconds,
        "cpu": sum(usage.ru_utime + usage.ru_stime for usage in (own, workers)),
        "memory": unit * (own.ru_maxrss + worker_count() * workers.ru_maxrss),
    }


_CLKHASH = """
import base64, io, json, sys, time
from clkhash import clk, schema
rows = open(sys.argv[1]).read()
salt = base64.b64encode(bytes(64)).decode()
fields = [
    {
        "identifier": name,
        "format": {"type": "string", "encoding": "utf-8"},
        "hashing": {"comparison": {"type": "ngram", "n": 2}, "strategy": {"bitsPerFeature": 100}},
    }
    for name in ("email", "mobile")
]
kdf = {"type": "HKDF", "hash": "SHA256", "info": "", "salt": salt, "keySize": 64}
made = schema.from_json_dict({"version": 3, "clkConfig": {"l": 1024, "kdf": kdf}, "features": fields})
start = time.perf_counter()
clk.generate_clk_from_csv(io.StringIO(rows), "secret", made, validate=False, progress_bar=False)
print(json.dumps(time.perf_counter() - start))
"""


def clkhash_row(folder: Path, file: Path, ours: float) -> dict[str, Any]:
    """anonlink's clkhash on two fields. It makes fuzzy Bloom filters, not exact tokens: another kind of matching."""
    own, few = folder / "clkhash", folder / "few.csv"
    with file.open() as source, few.open("w") as target:
        for _, line in zip(range(CLK_ROWS + 1), source, strict=False):
            target.write(",".join(line.rstrip("\n").split(",")[:2]) + "\n")
    python = own / ("Scripts" if os.name == "nt" else "bin") / "python"
    commands: tuple[list[str | Path], ...] = (
        [sys.executable, "-m", "venv", own],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "clkhash"],
    )
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True, timeout=300)
        ran = subprocess.run([python, "-c", _CLKHASH, few], check=True, capture_output=True, text=True, timeout=300)
    except (subprocess.SubprocessError, OSError):
        return {"what": "clkhash: skipped, it could not be installed or run here"}
    theirs = json.loads(ran.stdout) / CLK_ROWS
    return {"ratio": theirs / ours, "what": f"prepare against clkhash, two fields: {1 / theirs:,.0f} rows/s"}


def machine() -> dict[str, Any]:
    return {
        "system": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "processors": os.cpu_count(),
        "python": platform.python_version(),
        "libraries": {"numpy": np.__version__, "pyarrow": pa.__version__, "phonenumbers": phonenumbers.__version__},
    }


if __name__ == "__main__":
    main()

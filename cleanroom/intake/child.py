"""The child process that parses one uploaded file: `python -m cleanroom.intake.child`.

Rules: its task comes as JSON on stdin, the re-key key nowhere else: not in the arguments, the environment or a file.
Limits are set before the file is opened, and can only be lowered from then on. It answers with one line of JSON on
stdout: {"ok": true, "rows": n} or {"ok": false, "reason": code, "detail": text}. Anything else, a death included, means
that the file is hostile or broken; it says nothing on stderr, where a value could slip through.
"""

import json
import os
import resource
import sys
from pathlib import Path

from cleanroom.engine.columns import TOKEN_BYTES
from cleanroom.engine.rekey import Rekeyer
from cleanroom.intake.limits import Limits
from cleanroom.intake.translate import Refused, translate
from partners.manifest import Manifest

_HEADER_BYTES = 4096
"""More than the header of an .npy file takes."""


def main() -> None:
    task = json.load(sys.stdin)
    limits, manifest = Limits(**task["limits"]), Manifest.from_json(task["manifest"])
    os.umask(0o077)
    confine(limits, largest_file=manifest.rows * TOKEN_BYTES + _HEADER_BYTES)
    rekeyer = Rekeyer(bytes.fromhex(task.pop("key")))
    try:
        rows = translate(Path(task["file"]), manifest, rekeyer, Path(task["folder"]), limits)
        answer: dict[str, object] = {"ok": True, "rows": rows}
    except Refused as refused:
        answer = {"ok": False, "reason": refused.why.reason.value, "detail": refused.why.detail}
    print(json.dumps(answer), flush=True)


def confine(limits: Limits, largest_file: int) -> None:
    """Lowers this process's limits, soft and hard. `largest_file` in bytes: the most that any file may grow to."""
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_FSIZE, largest_file),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        lower = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(kind, (lower, lower))


if __name__ == "__main__":
    main()

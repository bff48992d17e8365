"""`python -m tests.transcripts [--write]`: plays every transcript; tells, or writes, what is another answer now."""

import difflib
import logging
import sys
import tempfile
from pathlib import Path

from tests.transcripts.script import played

FOLDER = Path(__file__).parent


def main(names: list[str], write: bool) -> int:
    changed = 0
    logging.disable(logging.CRITICAL)
    for path in sorted(FOLDER.glob("*.txt")):
        if names and path.stem not in names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            now, before = played(path, Path(folder).resolve()), path.read_text(encoding="utf-8")
        changed += now != before
        sys.stdout.writelines(
            difflib.unified_diff(before.splitlines(True), now.splitlines(True), path.name, path.name, n=1)
        )
        if write:
            path.write_text(now, encoding="utf-8")
    return 1 if changed and not write else 0


if __name__ == "__main__":
    sys.exit(main([each for each in sys.argv[1:] if not each.startswith("-")], "--write" in sys.argv))

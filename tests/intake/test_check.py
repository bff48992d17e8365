"""The whole of intake, child process included: what is accepted, every refusal, and files that were made to do harm."""

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from cleanroom.engine import columns
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged
from cleanroom.engine.sealed import open_sealed
from cleanroom.intake import sandbox
from cleanroom.intake.check import Accepted, check, check_manifest
from cleanroom.intake.limits import LIMITS, Limits
from cleanroom.intake.rejection import ADVICE, Rejected, Rejection
from partners import keys, manifest
from policies.agreement import Attribute, Measure
from policies.purpose import Purpose
from policies.question import Question
from tests.intake import uploads
from tests.intake.uploads import EXPECTED, IDENTITY, REF, REKEY_KEY, ROWS
from tests.worlds import DAY

KEPT = EXPECTED.agreement.terms.retention_days


def _check(tmp_path: Path, path: Path, limits: Limits = LIMITS, **changes: Any) -> Accepted | Rejected:
    outcome = check(path, uploads.signed(path, **changes), EXPECTED, REKEY_KEY, tmp_path / "staged", limits)
    assert (tmp_path / "staged").exists() == isinstance(outcome, Accepted)
    return outcome


def _reason(outcome: Accepted | Rejected) -> Rejection:
    assert isinstance(outcome, Rejected)
    assert outcome.detail.isprintable()
    return outcome.reason


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return uploads.write(tmp_path / "file", uploads.table())


def test_a_good_file_is_accepted_and_can_be_published(tmp_path: Path, good: Path) -> None:
    (tmp_path / "staged").mkdir()
    (tmp_path / "staged" / "consent.npy").write_bytes(b"what a killed process left")
    outcome = _check(tmp_path, good)
    assert outcome == Accepted(len(ROWS), tmp_path / "staged")
    stored = columns.read(outcome.folder)
    assert stored.meta.audience == REF
    assert {path.stat().st_mode & 0o077 for path in outcome.folder.rglob("*.npy")} == {0}
    engine = EmbeddedEngine(tmp_path / "data")
    engine.publish(Staged("v1", outcome.folder, ()))
    question = Question(REF, None, (), (), Purpose.INSIGHTS)
    measured = open_sealed(engine.measure(question, EXPECTED.agreement, {REF: "v1"}, DAY, {}))
    assert measured.counts == (sum(each.consent & 1 for each in ROWS),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"collaboration": "col-2"}, Rejection.WRONG_AUDIENCE),
        ({"partner": "bea"}, Rejection.WRONG_AUDIENCE),
        ({"audience": "more"}, Rejection.WRONG_AUDIENCE),
        ({"protocol": 2}, Rejection.WRONG_PROTOCOL),
        ({"email_profile": "plain"}, Rejection.WRONG_PROFILE),
        ({"epoch": 2}, Rejection.WRONG_EPOCH),
        ({"key_check": "cd" * 16}, Rejection.WRONG_SECRET),
        # Another protocol or epoch changes the key check as well: the cause is named, not the consequence.
        ({"protocol": 2, "key_check": "cd" * 16}, Rejection.WRONG_PROTOCOL),
        ({"email_profile": "plain", "key_check": "cd" * 16}, Rejection.WRONG_PROFILE),
        ({"epoch": 2, "key_check": "cd" * 16}, Rejection.WRONG_EPOCH),
        ({"expires": DAY.isoformat()}, Rejection.EXPIRED_MANIFEST),
        ({"created": f"{DAY + timedelta(2)}T00:00:00Z"}, Rejection.CREATED_LATER),
        ({"expires": (DAY - timedelta(1)).isoformat()}, Rejection.EXPIRED_MANIFEST),
        ({"expires": None}, Rejection.RETENTION),
        ({"expires": (DAY + timedelta(KEPT + 2)).isoformat()}, Rejection.RETENTION),
        ({"keys": ("email",)}, Rejection.COLUMNS_MISMATCH),
        ({"keys": ("phone", "email")}, Rejection.COLUMNS_MISMATCH),
        ({"attributes": ()}, Rejection.COLUMNS_MISMATCH),
        ({"attributes": (Attribute("colour", ("green", "red")),)}, Rejection.COLUMNS_MISMATCH),
        ({"measures": (Measure("spend", -100, 10_001, 2),)}, Rejection.COLUMNS_MISMATCH),
        ({"measures": (Measure("spend", -100, 10_000, 0),)}, Rejection.COLUMNS_MISMATCH),
        ({"rows": LIMITS.rows + 1}, Rejection.TOO_LARGE),
        ({"bytes": LIMITS.file_bytes + 1}, Rejection.TOO_LARGE),
    ],
)
def test_manifests_that_do_not_fit(good: Path, changes: dict[str, Any], reason: Rejection) -> None:
    signed = uploads.signed(good, changes.pop("rows", len(ROWS)), **changes)
    outcome = check_manifest(signed, EXPECTED)
    assert outcome is not None
    assert outcome.reason is reason


def test_a_manifest_that_fits(good: Path) -> None:
    assert check_manifest(uploads.signed(good), EXPECTED) is None
    for days in (1, KEPT, KEPT + 1):  # the partner's clock may be a day ahead
        assert check_manifest(uploads.signed(good, expires=(DAY + timedelta(days)).isoformat()), EXPECTED) is None
    assert check_manifest(uploads.signed(good, created=f"{DAY + timedelta(1)}T23:59:59Z"), EXPECTED) is None
    few = check_manifest(uploads.signed(good), EXPECTED, replace(LIMITS, columns=5))
    assert few is not None
    assert few.reason is Rejection.TOO_LARGE


def test_a_manifest_that_the_owner_did_not_sign(tmp_path: Path, good: Path) -> None:
    honest = uploads.signed(good)
    for forged in (
        manifest.sign(keys.generate(), honest.manifest),
        replace(honest, manifest=replace(honest.manifest, rows=1)),
        # Signed by the owner, as something else.
        replace(honest, signature=IDENTITY.sign("agreement/v1", honest.manifest.canonical())),
    ):
        outcome = check(good, forged, EXPECTED, REKEY_KEY, tmp_path / "staged")
        assert _reason(outcome) is Rejection.BAD_SIGNATURE


def test_a_file_that_is_not_the_one_that_was_signed(tmp_path: Path, good: Path) -> None:
    signed, data = uploads.signed(good), good.read_bytes()
    good.write_bytes(data[:-1])
    assert _reason(check(good, signed, EXPECTED, REKEY_KEY, tmp_path / "staged")) is Rejection.SIZE_MISMATCH
    good.write_bytes(data[:-1] + b"?")
    assert _reason(check(good, signed, EXPECTED, REKEY_KEY, tmp_path / "staged")) is Rejection.HASH_MISMATCH


def test_a_refusal_of_the_child_arrives(tmp_path: Path) -> None:
    path = uploads.write(tmp_path / "file", uploads.table((*ROWS[:5], *ROWS[:5])))
    assert _check(tmp_path, path, rows=10) == Rejected(Rejection.TOKEN_TWICE, "match key email")


def test_a_page_that_was_cut_out_of_the_middle(tmp_path: Path, good: Path) -> None:
    data = bytearray(good.read_bytes())
    data[4:200] = bytes(196)
    good.write_bytes(data)
    assert _reason(_check(tmp_path, good)) is Rejection.HOSTILE_OR_BROKEN_FILE


@pytest.mark.parametrize("seed", range(6))
def test_bytes_changed_at_random_never_raise(tmp_path: Path, good: Path, seed: int) -> None:
    data = bytearray(good.read_bytes())
    for place in range(seed, len(data), 97):
        data[place] ^= 0x40
    good.write_bytes(data)
    outcome = _check(tmp_path, good)
    assert _reason(outcome) in {Rejection.NOT_PARQUET, Rejection.HOSTILE_OR_BROKEN_FILE, Rejection.COLUMNS_MISMATCH}


def test_a_small_file_that_unpacks_to_a_huge_one(tmp_path: Path) -> None:
    data = uploads.table(ROWS[:1])
    bomb = pa.DictionaryArray.from_arrays(pa.array([0], pa.int32()), pa.array(["x" * (128 * 2**20)]))
    path = uploads.write(tmp_path / "file", data.set_column(2, data.schema.field(2), bomb))
    assert path.stat().st_size < 2**20
    little = _check(tmp_path, path, replace(LIMITS, memory_bytes=2**29), rows=1)
    assert _reason(little) is Rejection.HOSTILE_OR_BROKEN_FILE
    # With memory enough it is refused for what it says: the limit is what stopped it before.
    assert _reason(_check(tmp_path, path, rows=1)) is Rejection.VALUE_OUTSIDE_DOMAIN


def _replace_child(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(sandbox, "_COMMAND", (sys.executable, "-c", code))


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.kill(os.getpid(), 9)",
        "import os; os.abort()",
        "raise MemoryError",
        "print('nonsense')",
        "pass",
        "print('{\"ok\": true}')",
        'print(\'{"ok": true, "rows": "20"}\')',
        'print(\'{"ok": false, "reason": "nobody knows", "detail": ""}\')',
        'print(\'{"ok": false, "reason": "not_parquet", "detail": "\\\\u001b[2J"}\')',
        "print('x' * 10_000_000)",
        "print('[' * 100_000)",
        # An answer, and then it dies of something else.
        'print(\'{"ok": false, "reason": "token_twice", "detail": ""}\'); raise SystemExit(1)',
        # It claims success, and has written nothing.
        'print(\'{"ok": true, "rows": 20}\')',
        "import time; time.sleep(60)",
    ],
)
def test_whatever_happens_to_the_child(tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    _replace_child(monkeypatch, code)
    outcome = _check(tmp_path, good, replace(LIMITS, wall_seconds=1))
    assert _reason(outcome) is Rejection.HOSTILE_OR_BROKEN_FILE


CONFINED = """
import resource
from cleanroom.intake.child import confine
from cleanroom.intake.limits import LIMITS
from dataclasses import replace
confine(replace(LIMITS, memory_bytes={memory}, cpu_seconds=1, open_files=40), largest_file=1000)
{act}
print('{{"ok": false, "reason": "token_twice", "detail": ""}}')
"""


@pytest.mark.parametrize(
    ("act", "stopped"),
    [
        ("pass", False),
        ("x = bytes(2**31)", True),
        ("while True: pass", True),
        ("assert open('large', 'wb', buffering=0).write(bytes(1001)) == 1001", True),
        ("files = [open('/dev/null') for _ in range(60)]", True),
        ("assert resource.getrlimit(resource.RLIMIT_CORE) != (0, 0)", True),
    ],
)
def test_the_childs_limits_hold(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, act: str, stopped: bool
) -> None:
    _replace_child(monkeypatch, CONFINED.format(act=act, memory=2**31))
    reason = _reason(_check(tmp_path, good))
    assert reason is (Rejection.HOSTILE_OR_BROKEN_FILE if stopped else Rejection.TOKEN_TWICE)


SEEN = """
import os, sys
task = sys.stdin.read()
seen = ' '.join([*sys.argv, *os.environ, *os.environ.values()])
fine = '{key}' in task and '{key}' not in seen
print('{{"ok": false, "reason": "%s", "detail": ""}}' % ('token_twice' if fine else 'too_large'))
"""


def test_the_key_is_on_stdin_only(tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEANROOM_TEST", REKEY_KEY.hex())
    _replace_child(monkeypatch, SEEN.format(key=REKEY_KEY.hex()))
    assert _reason(_check(tmp_path, good)) is Rejection.TOKEN_TWICE


def test_every_refusal_says_what_to_do() -> None:
    assert ADVICE.keys() == set(Rejection)
    for reason in Rejection:
        assert Rejected(reason).advice.endswith(".")

"""Publication is killed at every step that touches the disk, and begun again: nothing half-done is ever seen."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import NotPublished, Staged
from cleanroom.engine.sealed import open_sealed
from cleanroom.engine.store import Store
from policies.agreement import Audience, Measure
from policies.purpose import Purpose
from policies.question import AudienceRef, ColumnRef, Matched, Question
from tests import worlds
from tests.worlds import DAY, Row

ROOT = Path(__file__).parents[2]
A, B = AudienceRef("ada", "main"), AudienceRef("bea", "main")
AUDIENCES = {ref: Audience(ref, ("email",), (), ()) for ref in (A, B)}
AGREEMENT = worlds.agreement(AUDIENCES.values(), ("email",))
VERSIONS = {A: "a1", B: "b1"}
QUESTION = Question(A, None, (Matched(B),), (), Purpose.INSIGHTS)

# One process is killed at every step: it forks a child for each, so that imports are paid for once.
CHILD = """
import os, shutil, signal, sys
from pathlib import Path
from tests.engine.test_kill import AGREEMENT, DAY, VERSIONS
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Staged

folder = Path(sys.argv[1])
for step in range(200):
    at = folder / str(step)
    shutil.copytree(folder / "start", at)
    child = os.fork()
    if not child:
        left = iter(range(step))
        def killing(event, arguments):
            if event in ("open", "os.rename", "os.mkdir", "os.rmdir", "os.remove") and str(at) in str(arguments[0]):
                if next(left, None) is None:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(killing)
        os.fsync = lambda _: None
        engine = EmbeddedEngine(at / "data")
        engine.publish(Staged("b1", at / "staged", ("a1",)))
        engine.prepare(AGREEMENT, VERSIONS, DAY, {})
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not status:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
print(step)
"""


# The same for an erasure; the folder is put back after every kill. Writes into mapped columns are no events: the steps
# between two openings are cut short by killing after each of them.
ERASING = """
import os, shutil, signal, sys
from pathlib import Path
import numpy as np
from cleanroom.engine import columns
from cleanroom.engine.embedded import EmbeddedEngine

folder = Path(sys.argv[1])
for step in range(200):
    at = folder / str(step)
    shutil.copytree(folder / "start", at)
    child = os.fork()
    if not child:
        left = iter(range(step))
        def killing(*_):
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
        def opened(event, arguments):
            if event in ("open", "os.remove", "shutil.rmtree") and str(at) in str(arguments[0]):
                killing()
        overwrite = columns.overwrite
        def overwriting(*arguments):
            overwrite(*arguments)
            killing()
        columns.overwrite = overwriting
        sys.addaudithook(opened)
        EmbeddedEngine(at / "data").erase("b1", np.array([0], np.uint32))
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if not status:
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
print(step)
"""


def test_a_killed_erasure_begins_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    data = tmp_path / "start" / "data"
    engine = EmbeddedEngine(data)
    audience = Audience(B, ("email",), (), (Measure("spend", 0, 10**12, 0),))
    agreement = worlds.agreement([AUDIENCES[A], audience], ("email",))
    secret, amount = b"SecretTokenOfOne", 0x0023_4567_89AB
    one, other = Row({"email": secret}, {}, {"spend": amount}), Row({"email": b"z" * 16}, {}, {"spend": 1})
    engine.publish(Staged("a1", worlds.stage(tmp_path / "a", agreement.id, AUDIENCES[A], (other,)), ()))
    engine.publish(Staged("b1", worlds.stage(tmp_path / "b", agreement.id, audience, (one, other)), ("a1",)))
    question = Question(A, Matched(B), (), (ColumnRef(B, "spend"),), Purpose.INSIGHTS)
    back = Question(B, None, (), (ColumnRef(B, "spend"),), Purpose.INSIGHTS)
    for each in (question, back):
        engine.measure(each, agreement, VERSIONS, DAY, {})
    done = subprocess.run(
        [sys.executable, "-c", ERASING, tmp_path], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr
    steps, seen = int(done.stdout), set()
    assert steps > 20, "the erasure was killed at all of its steps"
    for step in range(steps):
        again = EmbeddedEngine(tmp_path / str(step) / "data")
        seen.add(_stored(tmp_path / str(step), secret, amount))
        again.erase("b1", np.array([0], np.uint32))
        assert _stored(tmp_path / str(step), secret, amount) == 0
        assert open_sealed(again.measure(question, agreement, VERSIONS, DAY, {})).counts == (1,)
        assert open_sealed(again.measure(back, agreement, VERSIONS, DAY, {})).counts == (1,)
    assert seen == {0, 1, 2}


def _stored(folder: Path, secret: bytes, amount: int) -> int:
    """How many of the two are found in some file."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return sum(any(form in file for file in files) for form in (secret, amount.to_bytes(8, "little")))


def _stage(folder: Path, ref: AudienceRef, row: Row) -> Path:
    return worlds.stage(folder, AGREEMENT.id, AUDIENCES[ref], (row,))


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders that a publication of B left which was killed at its first, second … step."""
    folder = tmp_path_factory.mktemp("killed")
    row = Row({"email": b"e" * 16}, {}, {})
    EmbeddedEngine(folder / "start" / "data").publish(Staged("a1", _stage(folder / "a", A, row), ()))
    _stage(folder / "start" / "staged", B, row)
    done = subprocess.run([sys.executable, "-c", CHILD, folder], cwd=ROOT, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    steps = int(done.stdout)
    assert steps > 20, "publication was killed at all of its steps"
    return [folder / str(step) for step in range(steps)]


def test_a_killed_publication_is_whole_or_not_there(killed: list[Path]) -> None:
    seen = set()
    for at in killed:
        engine, store = EmbeddedEngine(at / "data"), Store(at / "data")
        seen.add(store.has("b1"))
        if store.has("b1"):
            assert store.linked("a1", "b1")
            assert store.linked("b1", "a1")
            assert open_sealed(engine.measure(QUESTION, AGREEMENT, VERSIONS, DAY, {})).counts == (1, 0)
        else:
            assert (at / "staged" / "meta.json").is_file()
            with pytest.raises(NotPublished):
                engine.measure(QUESTION, AGREEMENT, VERSIONS, DAY, {})
        alone = Question(A, None, (), (), Purpose.INSIGHTS)
        assert open_sealed(engine.measure(alone, AGREEMENT, VERSIONS, DAY, {})).counts == (1,)
    assert seen == {True, False}


def test_a_killed_publication_begins_again_also_with_other_people(
    killed: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # nothing of this has to outlive a power cut
    for at in killed:
        again = at.with_name(f"{at.name}-again")
        shutil.copytree(at, again)
        engine = EmbeddedEngine(again / "data")
        if published := Store(again / "data").has("b1"):
            engine.publish(Staged("b1", again / "gone", ("a1",)))
        else:
            shutil.rmtree(again / "staged")
            engine.publish(Staged("b1", _stage(again / "staged", B, Row({"email": b"f" * 16}, {}, {})), ("a1",)))
        engine.prepare(AGREEMENT, VERSIONS, DAY, {})
        expected = (1, 0) if published else (0, 1)
        assert open_sealed(engine.measure(QUESTION, AGREEMENT, VERSIONS, DAY, {})).counts == expected
        engine.retire("b1")
        left = [path for path in (again / "data").rglob("*") if "b1" in path.name]
        assert left == []

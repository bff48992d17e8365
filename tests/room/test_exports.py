"""An export with everything in it: not one byte of it changes unnoticed, and the example verifier runs on its own."""

import contextlib
import io
import json
import random
import runpy
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest
from click.testing import CliRunner

from cleanroom import exporting
from cleanroom.audit import archive, verify
from cleanroom.audit.export import BODIES, DOCUMENTS, README, VERIFIER, VERIFIER_TEXT
from cleanroom.cli import cli
from cleanroom.naming import NotNamed
from cleanroom.replay.judge import Judge
from partners.transparency.merkle import leaf_hash
from partners.transparency.note import SigningKey, VerifierKey
from partners.transparency.tiles import decode_bundle, encode_bundle
from policies import canonical
from tests.audit.test_export_and_verify import Members, failed, pack, unpack
from tests.room.conftest import Collaboration
from tests.room.test_budget import grant
from tests.room.test_departures import tighten
from tests.room.test_gate import OVERLAP
from tests.soak import FACTOR

MUTATIONS = 500 * FACTOR
SEED = 20261122


@dataclass(frozen=True, slots=True)
class Exported:
    """An export, the key of its log, a checkpoint from before its last entries."""

    path: Path
    key: VerifierKey
    older: bytes


@pytest.fixture(scope="module")
def exported(shared_published: Collaboration, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exported]:
    """A log with agreements, tightened terms, a grant, a release, a refusal."""
    with shared_published.stage.copy(tmp_path_factory.mktemp("exported")) as stage:
        at = Collaboration(stage, shared_published.id)
        older = stage.room.publish()
        stage.ask("fresh", at.id, OVERLAP)
        stage.ask("fresh", at.id, {**OVERLAP, "purpose": "modelling"})
        assert grant(stage).status_code == 201
        tighten(at, minimum_size=120)
        path = stage.folder / "log.tar"
        with stage.room.catalog() as catalog:
            exporting.write(stage.room, catalog, path)
        yield Exported(path, stage.room.signer.verifier, older)


def test_it_verifies_and_has_the_documents(exported: Exported) -> None:
    verdict = verify.verify(exported.path, exported.key, exported.older, Judge)
    assert [check.name for check in verdict.checks if not check.passed] == []
    documents = [json.loads(line) for line in unpack(exported.path)[DOCUMENTS].splitlines()]
    kinds = sorted(tuple(sorted(each["partner"] for each in document["signatures"])) for document in documents)
    assert kinds == [("fresh",), ("fresh", "tasty"), ("tasty",)]


def test_no_changed_byte_passes(exported: Exported, tmp_path: Path) -> None:
    """Drawn from a fixed seed; `make soak` draws 10,000."""
    good, draw = exported.path.read_bytes(), random.Random(SEED)
    bad = tmp_path / "bad.tar"
    for _ in range(MUTATIONS):
        position, bits = draw.randrange(len(good)), draw.randrange(1, 256)
        bad.write_bytes(good[:position] + bytes([good[position] ^ bits]) + good[position + 1 :])
        assert not verify.verify(bad, exported.key).ok, (position, bits)


def with_line(members: Members, name: str, number: int, **changes: object) -> None:
    lines = members[name].splitlines()
    lines[number] = canonical.dumps({**canonical.loads(lines[number]), **changes})
    members[name] = b"".join(line + b"\n" for line in lines)


def test_documents_that_are_not_those_of_the_log(exported: Exported, tmp_path: Path) -> None:
    def told(documents: bytes) -> list[str]:
        return failed(verify.verify(pack(tmp_path / "bad.tar", {**good, DOCUMENTS: documents}), exported.key))

    good = unpack(exported.path)
    lines = good[DOCUMENTS].splitlines(keepends=True)
    assert told(b"".join(lines[1:])) == ["documents"]
    assert told(b"".join(lines[::-1])) == ["documents"]
    assert told(b"".join([*lines, lines[-1]])) == ["documents"]
    for number, line in enumerate(lines):
        value = canonical.loads(line[:-1])
        first, *others = value["signatures"]
        neighbour = canonical.loads(lines[number - 1][:-1])["signatures"][-1]
        for signatures in (
            [],
            [first, first, *others],
            [{**first, "partner": "sunny"}, *others],
            [{**first, "signature": f"AAAA{first['signature'][4:]}"}, *others],
            [{**first, "signature": neighbour["signature"]}, *others],
            [{**first, "key": f"{'A' * 43}="}, *others],
        ):
            changed = dict(good)
            with_line(changed, DOCUMENTS, number, signatures=signatures)
            assert told(changed[DOCUMENTS]) == ["documents"]


# The example verifier


def run(folder: Path, data: bytes, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The verifier of an export, alone with it in a folder: without site packages, environment or this project."""
    (folder / "log.tar").write_bytes(data)
    (folder / "verify.py").write_text(VERIFIER_TEXT)
    command = [sys.executable, "-I", "-S", "verify.py", "log.tar", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env={})


def test_the_example_verifier_alone_with_an_export(exported: Exported, tmp_path: Path) -> None:
    with tarfile.open(exported.path) as tar:
        file = tar.extractfile(VERIFIER)
        assert file is not None
        assert file.read().decode() == VERIFIER_TEXT
    assert VERIFIER_TEXT.count("\n") < 100
    (tmp_path / "older").write_bytes(exported.older)
    done = run(tmp_path, exported.path.read_bytes(), str(exported.key), "older")
    verdict = verify.verify(exported.path, exported.key)
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith(f"{verdict.size} entries, {verdict.opened} bodies, 3 documents")
    assert "older checkpoint" in second
    assert third == "not checked here: witnesses, signatures of documents, and what the decisions should have been"


def test_the_example_verifier_and_a_checkpoint_of_the_log_before(exported: Exported, tmp_path: Path) -> None:
    """One that was kept from before a restore: the same public key, under another name."""
    size_and_root = exported.older.decode().partition("\n\n")[0].partition("\n")[2]
    before = SigningKey("room.example/audit-v0", bytes(32))
    (tmp_path / "older").write_bytes(before.sign(f"{before.name}\n{size_and_root}\n"))
    told = run(tmp_path, exported.path.read_bytes(), str(exported.key), "older")
    assert told.returncode == 1
    assert told.stderr == "FAILED: it is of another log than this key's; cleanroom audit verify --older compares\n"


def test_entries_that_lead_to_another_root(exported: Exported, tmp_path: Path) -> None:
    """Another time in one entry, its tile made anew: only the signed root tells."""
    members = unpack(exported.path)
    bundle, tile = (next(name for name in members if name.startswith(each)) for each in ("tile/entries/", "tile/0/"))
    entries = decode_bundle(members[bundle])
    entries[2] = entries[2].replace(b'"time":1', b'"time":2')
    members |= {bundle: encode_bundle(entries), tile: b"".join(map(leaf_hash, entries))}
    path = pack(tmp_path / "other.tar", members)
    assert failed(verify.verify(path, exported.key)) == ["root"]
    told = run(tmp_path, path.read_bytes(), str(exported.key))
    assert told.stderr == "FAILED: the entries do not lead to the signed root\n"


def test_cosignatures_of_witnesses_are_left_to_others(exported: Exported, tmp_path: Path) -> None:
    members = unpack(exported.path)
    members["checkpoint"] += "— witness.example AAAABBBBCCCC\n".encode()
    path = pack(tmp_path / "seen.tar", members)
    assert verify.verify(path, exported.key).ok
    assert run(tmp_path, path.read_bytes(), str(exported.key)).returncode == 0
    members["checkpoint"] += members["checkpoint"].splitlines(keepends=True)[4]
    assert run(tmp_path, pack(path, members).read_bytes(), str(exported.key)).returncode == 1


def test_the_example_verifier_on_exports_that_do_not_hold(exported: Exported, tmp_path: Path) -> None:
    good, vkey = exported.path.read_bytes(), str(exported.key)
    other = f"{vkey[:-8]}{'A' * 7}="
    assert run(tmp_path, good, other).returncode == 1
    assert run(tmp_path, good[:-1], vkey).stderr.startswith("FAILED: ")
    assert run(tmp_path, b"nothing", vkey).stderr == "FAILED: not in the form of an export (ReadError)\n"
    (tmp_path / "older").write_bytes(exported.older.replace(b"\n", b"\n1", 1))
    assert run(tmp_path, good, vkey, "older").returncode == 1


def in_this_process(path: Path, vkey: str) -> bool:
    """Whether the verifier finds an export whole; the same program without the cost of a process."""
    streams = (contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()))
    with streams[0], streams[1], mock.patch.object(sys, "argv", ["verify.py", str(path), vkey]):
        try:
            runpy.run_path(str(path.with_name("verify.py")))
        except (SystemExit, ArithmeticError, LookupError, TypeError, ValueError, tarfile.TarError):
            return False
    return True


def test_the_example_verifier_sees_what_it_says_it_checks(exported: Exported, tmp_path: Path) -> None:
    """A changed byte anywhere but in its own text, the README, and the signatures of documents."""
    good, draw = exported.path.read_bytes(), random.Random(SEED)
    with exported.path.open("rb") as file:
        spared = [member for name, member in archive.read(file).items() if name in (README, VERIFIER, DOCUMENTS)]
    (tmp_path / "verify.py").write_text(VERIFIER_TEXT)
    bad = tmp_path / "bad.tar"
    bad.write_bytes(good)
    hook = sys.excepthook
    try:
        assert in_this_process(bad, str(exported.key))
        left = 20 * FACTOR
        while left:
            position, bits = draw.randrange(len(good)), draw.randrange(1, 256)
            if any(member.offset <= position < member.offset + member.size for member in spared):
                continue
            left -= 1
            bad.write_bytes(good[:position] + bytes([good[position] ^ bits]) + good[position + 1 :])
            assert not in_this_process(bad, str(exported.key)), (position, bits)
        members = unpack(exported.path)
        for name, number, changes in (
            (DOCUMENTS, 0, {"document": "{}"}),
            (BODIES, 3, {"seq": 4}),
            (BODIES, 3, {"nonce": "A" * 43 + "="}),
        ):
            changed = dict(members)
            with_line(changed, name, number, **changes)
            assert not in_this_process(pack(bad, changed), str(exported.key)), name
    finally:
        sys.excepthook = hook


def test_the_command_exports_one_collaboration(published: Collaboration, tmp_path: Path) -> None:
    settings = published.stage.room.settings
    where = ["--data", str(settings.data), "--keys", str(settings.keys)]
    told = CliRunner().invoke(cli, ["audit", "export", str(tmp_path / "a.tar"), "--collab", published.id, *where])
    assert told.exit_code == 0, told.output
    verdict = verify.verify(tmp_path / "a.tar", published.stage.room.signer.verifier, replay=Judge)
    assert verdict.ok
    told = CliRunner().invoke(cli, ["audit", "export", str(tmp_path / "b.tar"), "--collab", "nothing", *where])
    assert (type(told.exception), (tmp_path / "b.tar").exists()) == (NotNamed, False)


def test_a_quorum_of_nobody_is_no_check(exported: Exported) -> None:
    told = CliRunner().invoke(
        cli, ["audit", "verify", str(exported.path), "--vkey", str(exported.key), "--quorum", "1"]
    )
    assert (told.exit_code, "give each with --witness" in told.stderr) == (2, True)

"""The benchmarks run at tiny sizes and say what they measured; no figure of theirs is judged here."""

import json
import platform
import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as whole
from benchmarks import audit, common, engine, http, memory, overlap, people, prepare, table
from benchmarks.common import Environments, Options, Unavailable, run
from benchmarks.table import Cost, Part, Row, Side

PEOPLE = 2_000
OPTIONS = Options((PEOPLE,), 1, 0.3, Environments(None))
NOT_ASKED = "not asked for (--no-peers)"


def check(part: Part, peers: dict[str, bool]) -> None:
    """Every row has the room's side; a peer has one, or a word why not."""
    assert {row.peer.partition(" (")[0] for row in part.rows} == set(peers)
    for row in part.rows:
        assert all(value > 0 for value in row.ours.runs)
        assert row.trust
        if peers[row.peer.partition(" (")[0]]:
            assert row.theirs is not None
            assert row.ratio
            assert not row.note
        else:
            assert (row.theirs, row.ratio, row.note) == (None, None, NOT_ASKED)
    assert all(cost.value > 0 for cost in part.costs)
    text = json.dumps(table.document([part]))
    assert "/tmp" not in text
    assert platform.node() not in text


def test_prepare(tmp_path: Path) -> None:
    part = prepare.measured(tmp_path, OPTIONS)
    check(part, {"plain loop": True, "phonenumbers": True, "clkhash": False})
    assert [cost.people for cost in part.costs] == [PEOPLE]


def test_the_plain_loop_makes_the_tokens_that_a_script_would(tmp_path: Path) -> None:
    (tmp_path / "raw.csv").write_text("email,mobile\n Ann@Example.com ,06 12 34 56 78\n,n/a\n")
    prepare.plain_loop(tmp_path / "raw.csv", tmp_path / "out.csv")
    first, second = (tmp_path / "out.csv").read_text().split()
    assert [len(token) for token in first.split(",")] == [32, 32]
    assert second == ","


def test_engine(tmp_path: Path) -> None:
    part = engine.measured(tmp_path, OPTIONS)
    check(part, {"DuckDB": False, "Polars": False})
    assert {"publish", "prepare", "overlap", "crosstab", "first crosstab"} == set(part.detail[str(PEOPLE)])


def test_the_room_gives_the_answers_that_the_data_were_made_for(tmp_path: Path) -> None:
    engine.make(tmp_path, PEOPLE)
    found = engine.one_run(tmp_path, PEOPLE, 1)["answers"]
    assert found["overlap"] == PEOPLE * 4 // 10 == sum(there for there, _ in found["crosstab"].values())


def test_audit(tmp_path: Path) -> None:
    part = audit.measured(tmp_path, OPTIONS)
    check(part, {"example verifier": True})
    (told,) = part.detail[str(PEOPLE)]["verify"]
    assert told["says"].endswith(" decisions, each derived again")


def test_overlap(tmp_path: Path) -> None:
    part = overlap.measured(tmp_path, OPTIONS)
    (shown,) = part.detail[str(PEOPLE)]["room"]
    check(part, {"RR22": False, "openmined-psi, e-mail only": False})
    assert set(shown["steps"]) == {"start", "join", "read", "agree", "secret", "prepare", "upload", "ask"}
    assert shown["seconds"] == pytest.approx(sum(shown["steps"].values()))
    assert shown["figure"] == pytest.approx(PEOPLE // 2, abs=PEOPLE // 10)


def test_the_peers_addresses_are_normalised_and_unique(tmp_path: Path) -> None:
    raw, out = tmp_path / "raw.csv", tmp_path / "out.csv"
    raw.write_text("email,mobile,tier,spend\nAnn@Example.com,,,\n ann@example.com,,,\nn/a,,,\n")
    assert overlap._addresses(raw, out).to_pylist() == ["ann@example.com"]
    assert out.read_text() == "email\nann@example.com\n"


def test_a_peer_counts_with_its_slower_party_and_must_be_right() -> None:
    party = "import json, sys; print('a log line'); print(json.dumps({'seconds': float(sys.argv[1]), 'shared': 7}))"
    commands: list[list[str | Path]] = [[sys.executable, "-c", party, seconds] for seconds in ("1.5", "2.5")]
    peer = overlap._Peer("made up", commands)
    peer.measure(7)
    side = peer.side()
    assert side is not None
    assert side.runs == (2.5,)
    with pytest.raises(AssertionError, match="made up finds 7 shared addresses, there are 8"):
        peer.measure(8)


def test_http(tmp_path: Path) -> None:
    part = http.measured(tmp_path, OPTIONS, clients=(2,))
    check(part, {"a constant, same server": True})
    loads = part.detail["loads"]
    assert [(load["what"], load["clients"]) for load in loads] == [
        (what, clients) for clients in (2,) for what in ("constant", "never asked", "free repeat")
    ]
    assert [load["errors"] for load in loads] == [0] * 3


def test_one_table_and_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(folder: Path, options: Options) -> Part:
        assert folder.is_dir()
        rows = [Row("a thing", size, "s", Side((2.0,)), "a peer", "nothing", Side((3.0,))) for size in options.people]
        return Part("made", tuple(rows), tuple(Cost("a thing", "s", size, 2.0) for size in options.people), (0.0, 0.0))

    monkeypatch.setattr(whole, "PARTS", {"made": made})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "made", "--json", str(tmp_path / "new" / "found.json")])
    whole.main()
    printed = capsys.readouterr().out
    assert "1.50 ×" in printed
    assert "How costs grow" in printed
    found = json.loads((tmp_path / "new" / "found.json").read_text())
    assert [row["ratio"] for row in found["parts"][0]["rows"]] == [1.5, 1.5]
    assert found["machine"] == common.machine()
    assert platform.node() not in whole.kind()


def test_what_was_measured_before_a_failure_is_printed_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def made(_: Path, __: Options) -> Part:
        return Part("made", (Row("a thing", 5, "s", Side((2.0,)), "a peer", "nothing"),), (), (0.0, 0.0))

    def broken(_: Path, __: Options) -> Part:
        raise AssertionError("another answer")

    monkeypatch.setattr(whole, "PARTS", {"made": made, "broken": broken})
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--only", "made,broken", "--json", str(tmp_path / "found.json")])
    with pytest.raises(AssertionError, match="another answer"):
        whole.main()
    assert "a thing" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("unit", "ours", "theirs", "shown"),
    [
        ("s", 2.0, 5.0, "2.50 ×"),
        ("ms", 5.0, 2.0, "1/2.50 ×"),
        ("rows/s", 300.0, 3.0, "100 ×"),
        ("rows/s", 3.0, 300.0, "1/100 ×"),
        ("s", 0.5, 1234.0, "2,468 ×"),
    ],
)
def test_a_ratio_says_how_many_times_faster_the_room_is(unit: str, ours: float, theirs: float, shown: str) -> None:
    row = Row("", 1, unit, Side((ours, ours / 2, ours * 2)), "", "", Side((theirs,)))
    assert table.times(row.ratio) == shown


def test_a_peer_that_fails_is_named_by_its_error_and_by_no_path() -> None:
    with pytest.raises(Unavailable) as problem:
        run([sys.executable, "-c", "raise FileNotFoundError('/somewhere/on/this/machine')"])
    assert str(problem.value) == "it ended with FileNotFoundError"


def test_a_party_that_fails_ends_the_other() -> None:
    waiting = [sys.executable, "-c", "import time; time.sleep(3600)"]
    with pytest.raises(Unavailable, match="it ended with ModuleNotFoundError"):
        run(waiting, [sys.executable, "-c", "import no_such_module_anywhere"])


def test_what_pip_cannot_install_is_told_once_in_a_few_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def install(command: list[str]) -> None:
        tried.append(command)
        raise Unavailable("it could not be installed: pip failed")

    monkeypatch.setattr(common, "_install", install)
    environments = Environments(tmp_path)
    for _ in range(2):
        with pytest.raises(Unavailable, match="could not be installed: pip failed"):
            environments.python("peer", "a-package")
    assert len(tried) == 1


@pytest.mark.skipif(not memory.PROC.is_dir(), reason="the system does not tell processes' memory")
def test_memory_is_that_of_all_processes_by_role() -> None:
    inner = "import time; kept = b'x' * 80_000_000; time.sleep(0.5)"
    outer = f"import subprocess, sys; print('{{}}'); subprocess.run([sys.executable, '-c', {inner!r}, 'inner'])"
    (answer,) = run(
        [sys.executable, "-c", outer], role=lambda command: "child" if "inner" in command[-8:] else "parent"
    )
    assert answer.peaks["child"] > 80_000_000 > answer.peaks["parent"] > 1_000_000


def test_files_of_people_overlap(tmp_path: Path) -> None:
    people.write(tmp_path / "one.csv", 10)
    people.write(tmp_path / "two.csv", 10, first=5)
    one, two = ((tmp_path / name).read_text().splitlines()[1:] for name in ("one.csv", "two.csv"))
    assert one[5:] == two[:5]
    assert len({*one, *two}) == 15

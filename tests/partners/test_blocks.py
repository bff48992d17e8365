"""A file in blocks gives the rows of the same file in order, or it is left to that reader."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from partners.reading import BadFile, Source, blocks, read

NAMES = ("a", "b")
Rows = list[tuple[int, str, str]]


def in_order(source: Source) -> tuple[Rows, str | None]:
    """The rows, and what is wrong behind them."""
    found: Rows = []
    try:
        for chunk in read(source, NAMES, frozenset(), lambda done, total: None):
            found += zip(chunk.lines, chunk.column("a"), chunk.column("b"), strict=True)
    except BadFile as problem:
        return found, str(problem)
    return found, None


def in_blocks(source: Source) -> tuple[Rows, int, bool]:
    """The rows of the blocks that can be read, the last line of them, and whether that was the whole file."""
    form = blocks.layout(source, NAMES)
    if form is None:
        return [], 0, False
    found: Rows = []
    last, end = 0, form.start
    for block in blocks.blocks(form):
        chunk = blocks.read_block(form, block)
        if chunk is None:
            return found, last, False
        found += zip(map(int, chunk.lines), chunk.column("a"), chunk.column("b"), strict=True)
        last, end = block.next_line - 1, block.end
    return found, last, end == source.path.stat().st_size


CELL = st.sampled_from(
    ["", "x", " x ", "é", "\u00a0y", '"q"', '"a""b"', '"1\n2"', '"1\r\n2"', '"', 'x"y', ' "s"', "zz zz", "\x1fw"]
)
LINE = st.lists(CELL, min_size=3, max_size=3).map(",".join) | st.sampled_from(
    ["", " ", '""', "x", "x,y", "1,2,3,4", "\0,,"]
)
PLAIN = st.lists(st.sampled_from(["", "x", " x", "é", '"q, r"', '"1\n2"', '"a""b"']), min_size=3, max_size=3).map(
    ",".join
)
END = st.sampled_from(["\n", "\r\n"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    end = draw(END)
    lines = draw(st.lists(PLAIN, max_size=12)) + draw(st.lists(LINE, max_size=3)) + draw(st.lists(PLAIN, max_size=6))
    text = draw(st.sampled_from(["", "\ufeff", "\n"])) + end.join(["a,c,b", *lines]) + draw(st.sampled_from(["", end]))
    broken = draw(st.sampled_from([b"", b"", b"", b"\xff,,\n", b"1,2,3\r4,5,6\n"]))
    return text.encode() + broken


@given(files(), st.sampled_from([16, 40, 4000]))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_blocks_give_the_same_rows(tmp_path: Path, data: bytes, size: int) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    source = Source(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK_BYTES", size)
        found, last, whole = in_blocks(source)
    expected, problem = in_order(source)
    if whole and found:
        assert problem is None
        assert found == expected
    elif problem is None:
        assert found == [row for row in expected if row[0] <= last]


def test_usual_files_are_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without this, the test above would pass if no file were ever read in blocks."""
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 100)
    path = tmp_path / "f.csv"
    for text in ("{0},c,b{0}\n", '"{0}","c, d","b{0}"\r\n', '"1\n{0}",,é\n\n'):
        path.write_text("a,c,b\n" + "".join(text.format(row) for row in range(200)), newline="")
        found, _, whole = in_blocks(Source(path))
        assert whole
        assert found == in_order(Source(path))[0]
        assert len(found) == 200


def test_arrow_reads_what_is_regular(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "_any", lambda *_: None)
    path = tmp_path / "f.csv"
    for text in ("{0},c,b{0}\n", '"{0}","c, ""d""","b{0}"\r\n', " é{0},c,b\n"):
        path.write_text("a,c,b\n" + "".join(text.format(row) for row in range(200)), newline="")
        assert in_blocks(Source(path))[2]


@pytest.mark.parametrize(
    "data",
    [
        b"a,c,b\n1,2\n",
        b'a,c,b\n"1,2,3\n',
        b"a,c,b\n1,\xff,3\n",
        b"a,c,b\n1,\0,3\n",
        b"a,c,b\n1," + b"x" * 131_073 + b",3\n",
        b"a,b\r1,2\r3,4\r",
        "a,c,b\n1,2,3\n".encode("utf-16"),
    ],
)
def test_odd_files_are_left_to_the_other_reader(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "f.csv"
    path.write_bytes(data)
    assert not in_blocks(Source(path))[2]


@pytest.mark.parametrize(
    "row", [' "s",1,2', 'x"y,1,x"y', 'x,"1" ,2', '"a"" b",1,2', ' "a,b",1,2', "\u00a0x\u00a0, y\t,\x1fz"]
)
def test_single_rows_are_read_alike(tmp_path: Path, row: str) -> None:
    """What the two CSV readers might see differently."""
    path = tmp_path / "f.csv"
    path.write_bytes(f"a,c,b\n{row}\n1,2,3\n".encode())
    found, _, whole = in_blocks(Source(path))
    expected, problem = in_order(Source(path))
    assert found == expected if problem is None else not whole

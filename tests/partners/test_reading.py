import csv
import datetime as dt
import io
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from partners.reading import BadFile, Source, blocks, chunk, delimited, parquet, read


def rows(
    path: Path, *names: str, encoding: str = "utf-8", delimiter: str | None = None, exact: bool = False
) -> list[tuple[int, list[str]]]:
    """Every row as (line, values)."""
    found: list[tuple[int, list[str]]] = []
    chunks = read(Source(path, encoding, delimiter), names, frozenset(names if exact else ()), lambda done, total: None)
    for each in chunks:
        found += [(line, values) for line, *values in zip(each.lines, *map(each.column, names), strict=True)]
    return found


Write = Callable[..., Path]
"""Writes bytes or text to a file, `f.csv` unless it is told another name."""


@pytest.fixture
def file(tmp_path: Path) -> Write:
    def write(data: bytes | str, name: str = "f.csv") -> Path:
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / name

    return write


GOOD = [(2, ["1", "x"]), (3, ["2", "y"])]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y",
        "a,b\r1,x\r2,y\r",
        "\ufeffa,b\n1,x\n2,y\n",
        '\ufeff"a","b"\n"1","x"\n2,y\n',
        " a ,\tb\n 1, x \n2 ,y\n",
        "a;b\n1;x\n2;y\n",
        "a\tb\n1\tx\n2\ty\n",
        "a|b\n1|x\n2|y\n",
        "b,c,a\nx,,1\ny,z,2\n",
        'a;b;"c, d, e, f"\n1;x;\n2;y;\n',
        'a, "b"\n1, "x"\n2, "y"\n',
        "a,b\n1,x\n2,y\n\n  \n\n",
    ],
)
def test_the_same_rows_however_written(file: Write, text: str) -> None:
    assert rows(file(text), "a", "b") == GOOD


def test_lines_are_those_on_which_rows_begin(file: Write) -> None:
    path = file('\na,b\n"1\n1",x\n\n2,"y\n\ny"\n3,z\n')
    assert rows(path, "b") == [(3, ["x"]), (6, ["y\n\ny"]), (9, ["z"])]


def test_a_header_may_span_lines(file: Write) -> None:
    assert rows(file('"a\nlong";b\n1;x\n'), "a long") == [(3, ["1"])]


def test_a_single_column_may_have_blank_values(file: Write) -> None:
    assert rows(file('a\n1\n""\n\n2\n'), "a") == [(2, ["1"]), (3, [""]), (5, ["2"])]


@pytest.mark.parametrize("encoding", ["windows-1252", "utf-16", "latin-1", "utf-8"])
def test_a_stated_encoding(file: Write, encoding: str) -> None:
    assert rows(file("é,b\nñ,x\n".encode(encoding)), "é", encoding=encoding) == [(2, ["ñ"])]


@pytest.mark.parametrize("first", ["sep=;\n", "sep=;\r\n", "SEP=;\n", '"sep=;"\n', "\ufeffsep=;\n"])
def test_the_line_with_which_excel_names_the_delimiter(file: Write, first: str) -> None:
    assert rows(file(first + "a,1;b\n1;x\n"), "a,1", "b") == [(3, ["1", "x"])]
    assert blocks.layout(Source(file(first + "a,1;b\n1;x\n")), ("b",)) is None
    assert rows(file("sep=\t\na\n1\n"), "a") == [(3, ["1"])]
    assert rows(file("sep=;\na,b\n1,x\n"), "b", delimiter=",") == [(3, ["x"])]


def test_a_column_may_be_called_as_that_line_begins(file: Write) -> None:
    assert rows(file("sep=;b\n1;x\n"), "sep=", "b") == [(2, ["1", "x"])]


def test_a_stated_delimiter(file: Write) -> None:
    assert rows(file("a,b;c\n1,2;3\n"), "a,b", delimiter=";") == [(2, ["1,2"])]
    assert rows(file("a:b\n1:2\n"), "b", delimiter=":") == [(2, ["2"])]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"f\.csv is empty"),
        (b"\n \n", r"f\.csv is empty"),
        (b"\xef\xbb\xbf", r"f\.csv is empty"),
        (b"a,b\n", "no rows below its header"),
        (b"a,b\n\n\n", "no rows below its header"),
        (b"a;c\n1;2\n", r"no column b; it has: a, c$"),
        (
            b"Dupont;Jean;oui\nDurand;Anne;non\n",
            "no column a; its first line has none of the names a, b; put",
        ),
        (b"a:b\n1:2\n", "none of the names a, b; put the names of the columns there, or state their `delimiter`"),
        (b"a,b,b\n1,2,3\n", "several columns b"),
        (b"a,b, b\n1,2,3\n", "several columns b"),
        (b"a,b\n1,x\n1\n", "line 3: the row has 1 fields and the header 2"),
        (b"a,b\n1,x,\n", "line 2: the row has 3 fields and the header 2"),
        (b'a,b\n1,x\n2,"y\n3,z\n', "line 3: a quoted value is not closed"),
        (b'a,b\n1,x\n\n2,"y"z\n', "line 4: a quoted value"),
        (b'a,b\n"1\n1",x\n2,"y', "line 4: a quoted value"),
        (b"a,b\n1," + b"x" * 131_073 + b"\n", "line 2: a quoted value"),
        (b'"a,b\n1,x\n', "line 1: a quoted header is not closed"),
        (b'"a"x,b\n1,x\n', "line 1: a quoted value"),
        (b"a,b\n1,x\n2,\xe9\n", 'line 3: bytes that are not utf-8; state the `encoding`.*"windows-1252"'),
        (b"a,b\n" + b"1,x\n" * 5000 + b"2,\xe9\n" + b"1,x\n" * 5000, "line 5002: bytes that are not utf-8"),
        ("a,b\n1,x\n".encode("utf-16"), "line 1: bytes that are not utf-8"),
        ("a,b\n1,x\n".encode("utf-16-le"), 'line 1: a NUL character; the `encoding` may be "utf-16-le"'),
        (b"a,b\n1,x\n1,\0\n", "line 3: a NUL"),
    ],
)
def test_what_cannot_be_read_with_certainty_is_refused(file: Write, data: bytes, message: str) -> None:
    with pytest.raises(BadFile, match=message) as refusal:
        rows(file(data), "a", "b")
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("first", ["jane@x.fr,Jane", "01 99 00 12 34,Jane", "5f4dcc3b5aa765d61d8327deb882cf99,Jane"])
def test_a_file_without_headers_does_not_show_its_first_row(file: Write, first: str) -> None:
    with pytest.raises(BadFile, match="values, not headers") as refusal:
        rows(file(first + "\n" + first + "\n"), "email")
    assert "Jane" not in str(refusal.value)


def test_values_never_stand_in_messages(file: Write) -> None:
    for text in ("a,b\nsecret\n", 'a,b\nsecret,"secret\n', "a,b\nsecret,secret,secret\n", "a,b\nsecret,\0\n"):
        with pytest.raises(BadFile) as refusal:
            rows(file(text), "a")
        assert "secret" not in str(refusal.value)


def test_other_files(file: Write, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"f\.xlsx is neither"):
        rows(file("a\n1\n", "f.xlsx"), "a")
    with pytest.raises(BadFile, match=r"no\.csv cannot be read: No such file"):
        rows(tmp_path / "no.csv", "a")
    (tmp_path / "dir.csv").mkdir()
    with pytest.raises(BadFile, match=r"dir\.csv cannot be read: Is a directory"):
        rows(tmp_path / "dir.csv", "a")


CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@given(
    st.lists(st.tuples(CELL, CELL), min_size=1),
    st.sampled_from(",;\t|"),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@settings(max_examples=60)
def test_what_the_csv_module_writes_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, cells: list[tuple[str, str]], delimiter: str, quoting: Literal[0, 1]
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerows([("first", "second"), *cells])
    path = tmp_path_factory.mktemp("csv") / "f.csv"
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    assert [values for _, values in rows(path, "first", "second")] == [
        [first.strip(), second.strip()] for first, second in cells
    ]


def test_chunks_and_progress(file: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 10)
    monkeypatch.setattr(parquet, "CHUNK_ROWS", 10)
    path = file("a\n" + "1\n" * 25)
    pq.write_table(pa.table({"a": ["1"] * 25}), tmp_path / "f.parquet")
    for source in (Source(path), Source(tmp_path / "f.parquet")):
        seen: list[tuple[int, int]] = []
        sizes = [
            len(each.lines) for each in read(source, ("a",), frozenset(), lambda *step, seen=seen: seen.append(step))
        ]
        assert sizes == [10, 10, 5]
        size = source.path.stat().st_size
        assert len(seen) == 3
        assert seen[-1] == (size, size)
        assert all(done <= total for done, total in seen)


DAY = dt.date(2026, 3, 1)
TIME = dt.datetime(2026, 3, 1, 23, 30)  # noqa: DTZ001 (a column without a zone)


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([" x ", None, ""]), ["x", "", ""]),
        (pa.array(["x", None], pa.large_string()), ["x", ""]),
        (pa.array(["x", None, "x"]).dictionary_encode(), ["x", "", "x"]),
        (pa.array([612345678, None, -1], pa.int64()), ["612345678", "", "-1"]),
        (pa.array([2**64 - 1], pa.uint64()), ["18446744073709551615"]),
        (pa.array([True, False, None]), ["true", "false", ""]),
        (pa.array([DAY, None]), ["2026-03-01", ""]),
        (pa.array([TIME], pa.timestamp("s")), ["2026-03-01 23:30:00.000"]),
        (pa.array([TIME], pa.timestamp("us", "America/New_York")), ["2026-03-01 23:30:00.000000Z"]),
        (pa.array([Decimal("12.30")]), ["12.30"]),
        (pa.array([1.0, 0.1, 1e20, None]), ["1", "0.1", "1e+20", ""]),
        (pa.array([None, None]), ["", ""]),
    ],
)
def test_parquet_columns_as_text(tmp_path: Path, column: pa.Array, texts: list[str]) -> None:
    pq.write_table(pa.table({"other": column, " a ": column}), tmp_path / "f.parquet")
    assert rows(tmp_path / "f.parquet", "a") == [(row, [text]) for row, text in enumerate(texts, start=1)]


@pytest.mark.parametrize(
    ("column", "exact", "message"),
    [
        (pa.array([[1]]), False, "column a is not text"),
        (pa.array([{"b": 1}]), False, "column a is not text"),
        (pa.array([b"x"]), False, "column a is not text"),
        (pa.array([dt.time(1)]), False, "column a is not text"),
        (pa.array([612345678.0]), True, "column a holds identifiers as floating-point numbers"),
        (pa.array([], pa.string()), False, "no rows"),
    ],
)
def test_parquet_columns_that_are_refused(tmp_path: Path, column: pa.Array, exact: bool, message: str) -> None:
    pq.write_table(pa.table({"a": column}), tmp_path / "f.parquet")
    with pytest.raises(BadFile, match=message):
        rows(tmp_path / "f.parquet", "a", exact=exact)


def test_a_damaged_parquet_file(file: Write, tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": ["x" * 1000] * 1000}), tmp_path / "good.parquet")
    whole = (tmp_path / "good.parquet").read_bytes()
    for data in (b"", b"a,b\n1,2\n", whole[: len(whole) // 2], whole[:4] + b"\0" * 40 + whole[44:]):
        with pytest.raises(BadFile, match=r"bad\.parquet (is not a Parquet file|cannot be read)"):
            rows(file(data, "bad.parquet"), "a")
    with pytest.raises(BadFile, match="has no column b; its first line has none of the names b"):
        rows(tmp_path / "good.parquet", "b")


def test_columns_are_found_by_name() -> None:
    assert chunk.Chunk([1], ("a", "b"), (["x"], ["y"])).column("b") == ["y"]

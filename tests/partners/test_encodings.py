"""What a file is written in, against what its map states."""

import codecs
import gzip
import io
import os
import re
import tracemalloc
from pathlib import Path

import pytest

from partners.identifiers import DateOrder, EmailProfile, Rules
from partners.listing import Tally, read_list
from partners.reading import BadFile, Source, blocks, files_of, read
from partners.reading.encoding import bounded

TEXT = "email,name\nzoé@x.fr,Zoé\nb@x.fr,Bo\n"
RULES = Rules(EmailProfile.PLAIN, None, DateOrder.YMD)
SINGLE_BYTE = ["windows-1252", "latin-1", "cp1250", "cp850", "ascii"]


def rows(path: Path, encoding: str = "utf-8") -> list[tuple[str, ...]]:
    chunks = read(Source(path, encoding), ("email", "name"), frozenset(), lambda done, total: None)
    return [row for chunk in chunks for row in zip(*map(chunk.column, ("email", "name")), strict=True)]


def file(folder: Path, data: bytes, name: str = "f.csv") -> Path:
    (folder / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return folder / name


@pytest.mark.parametrize("encoding", SINGLE_BYTE)
@pytest.mark.parametrize("before", [0, 5_000, 50_000])
@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz"])
def test_utf_8_is_not_read_as_another_encoding(tmp_path: Path, encoding: str, before: int, name: str) -> None:
    path = file(tmp_path, ("email,name\n" + "a@x.fr,A\n" * before + "zoé@x.fr,Zoé\n").encode(), name)
    said = rf"line {before + 2}: not {encoding}, it looks like UTF-8; state encoding = .utf-8., or"
    with pytest.raises(BadFile, match=said):
        rows(path, encoding)
    assert rows(path)[-1] == ("zoé@x.fr", "Zoé")


def test_a_character_may_lie_across_blocks(tmp_path: Path) -> None:
    """Of two bytes, in files that put it at every place around the end of a block."""
    for short in range(6):
        lines = "email,name\n" + "a" * (32 * 1024 - 13 - short) + "é,x\n"
        with pytest.raises(BadFile, match=r"line 2: .* looks like UTF-8"):
            rows(file(tmp_path, lines.encode()), "windows-1252")


@pytest.mark.parametrize("encoding", ["windows-1252", "cp1251", "iso8859-7", "cp850", "shift_jis", "utf-16", "gbk"])
def test_what_the_map_states_rightly_is_read(tmp_path: Path, encoding: str) -> None:
    name = {"cp1251": "Жанна", "iso8859-7": "Ζωή", "shift_jis": "花子", "gbk": "小明"}.get(encoding, "Zoé «CAFÉ»")
    lines = [f"p{row}@x.fr,{name}" for row in range(4_000)]
    path = file(tmp_path, "\n".join(["email,name", *lines]).encode(encoding))
    assert rows(path, encoding)[-1] == ("p3999@x.fr", name)


def test_few_bytes_that_could_be_utf_8_are_not_enough_once_others_were_not(tmp_path: Path) -> None:
    data = b"email,name\nzo\xe9@x.fr,Zo\xe9\n" + b"a@x.fr,A\n" * 10_000 + "b@x.fr,NESCAFÉ®\n".encode("cp1252")
    assert rows(file(tmp_path, data), "windows-1252")[-1] == ("b@x.fr", "NESCAFÉ®")
    with pytest.raises(BadFile, match="looks like UTF-8; the file mixes encodings; export it again"):
        rows(file(tmp_path, data + TEXT.encode() * 2_000), "windows-1252")


def test_a_file_that_mixes_encodings_is_not_said_to_be_windows_1252(tmp_path: Path) -> None:
    path = file(tmp_path, TEXT.encode() + b"zo\xe9@x.fr,Zo\xe9\n")
    with pytest.raises(BadFile, match="line 4: bytes that are not utf-8; lines before it are UTF-8, so") as refusal:
        rows(path)
    assert "windows-1252" not in str(refusal.value)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", [TEXT, TEXT.replace("é", "e"), "é" + TEXT.replace("é", "e")])
def test_utf_16_without_its_mark(tmp_path: Path, encoding: str, text: str) -> None:
    """Whatever is stated, the refusal names the encoding with which it is read."""
    path = file(tmp_path, text.encode(encoding))
    for stated in ("utf-8", "utf-16", "utf-32", "ascii"):
        with pytest.raises(BadFile, match=f'"{encoding}"'):
            rows(path, stated)
    if not text.startswith("é"):
        assert len(rows(path, encoding)) == 2


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_with_its_mark(tmp_path: Path, encoding: str) -> None:
    path = file(tmp_path, ("\ufeff" + TEXT).encode(encoding))
    for stated in ("utf-8", "ascii"):
        with pytest.raises(BadFile, match='begins as UTF-16 does; state encoding = "utf-16"'):
            rows(path, stated)
    assert rows(path, "utf-16") == rows(path, encoding) == [("zoé@x.fr", "Zoé"), ("b@x.fr", "Bo")]


def test_two_marks(tmp_path: Path) -> None:
    path = file(tmp_path, ("\ufeff\ufeff" + TEXT).encode())
    assert rows(path)[0] == ("zoé@x.fr", "Zoé")
    assert blocks.layout(Source(path), ("email",)) is None


def test_a_hint_never_names_the_encoding_that_failed(tmp_path: Path) -> None:
    for stated in ("windows-1252", "utf-8"):
        with pytest.raises(BadFile, match="bytes that are not") as refusal:
            rows(file(tmp_path, b"email,name\nzo\x81 \xe9@x.fr,Zo\n"), stated)
        assert stated not in str(refusal.value).partition(";")[2]


def test_a_list_is_held_to_its_encoding_too() -> None:
    with pytest.raises(BadFile, match="the list, line 2: not windows-1252, it looks like UTF-8"):
        list(read_list(io.BytesIO("a@x.fr\nzoé@x.fr\n".encode()), "email", RULES, "windows-1252", 10, Tally()))


@pytest.mark.parametrize("name", ["f.csv", "f.csv.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252"])
def test_a_line_without_end_is_refused_before_it_is_read(tmp_path: Path, name: str, encoding: str) -> None:
    """A few megabytes unpack to gigabytes: the memory that a reader takes has a bound, whatever the line has."""
    path = file(tmp_path, b"email,name\na@x.fr,A\n" + b"a" * (64 * 2**20), name)
    tracemalloc.start()
    try:
        with pytest.raises(BadFile, match="line 3: longer than 16,777,216 characters"):
            rows(path, encoding)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 * 2**20
    listed = read_list(io.BytesIO(b"a@x.fr\n" + b"a" * (17 * 2**20)), "email", RULES, encoding, 10, Tally())
    with pytest.raises(BadFile, match="line 2: longer than"):
        list(listed)


@pytest.mark.parametrize(
    ("begins", "said"),
    [
        (b"PK\x03\x04\x14\0", "it is a workbook or another zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "workbook of an old Excel"),
        (b"\x1f\x8b\x08\0", r"the ending \.csv\.gz"),
        (b"\x28\xb5\x2f\xfd\x04", r"the ending \.csv\.zst"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "windows-1252", "utf-16"])
def test_a_file_of_another_kind_is_named(tmp_path: Path, begins: bytes, said: str, encoding: str) -> None:
    with pytest.raises(BadFile, match=said):
        rows(file(tmp_path, begins + bytes(range(256)) * 40), encoding)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
def test_utf_32_is_named(tmp_path: Path, mark: bytes) -> None:
    path = file(tmp_path, mark + TEXT.encode("utf-32-le" if mark == codecs.BOM_UTF32_LE else "utf-32-be"))
    with pytest.raises(BadFile, match=r"begins as UTF-32 does; state encoding = .utf-32."):
        rows(path)
    assert rows(path, "utf-32")[0] == ("zoé@x.fr", "Zoé")


@pytest.mark.parametrize("encoding", ["utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_utf_32_is_not_said_to_be_utf_16(tmp_path: Path, encoding: str, mark: str) -> None:
    """Whatever is stated, also where its bytes decode: the encoding that the refusal names reads the file."""
    path = file(tmp_path, (mark + TEXT).encode(encoding))
    for stated in ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "windows-1252"):
        with pytest.raises(BadFile) as refusal:
            rows(path, stated)
        if (named := re.search('"(utf-.*?)"', str(refusal.value))) is None:
            continue
        assert rows(path, named[1])[0] == ("zoé@x.fr", "Zoé"), (stated, str(refusal.value))


def test_utf_32_under_a_single_byte_encoding_is_named(tmp_path: Path) -> None:
    for encoding, named in (("utf-32-le", "utf-32-le"), ("utf-32-be", "utf-32-be"), ("utf-32", "utf-32")):
        with pytest.raises(BadFile, match=f'line 1: a NUL character; the `encoding` may be "{named}", or'):
            rows(file(tmp_path, TEXT.encode(encoding)), "windows-1252")


@pytest.mark.parametrize("inner", [b"\x1f\x8b\x08\0", b"\x28\xb5\x2f\xfd\x04"])
def test_a_file_that_is_packed_twice_has_its_ending_already(tmp_path: Path, inner: bytes) -> None:
    with pytest.raises(BadFile, match="packed twice; unpack it once"):
        rows(file(tmp_path, inner + bytes(range(256)), "f.csv.gz"))


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_line_is_as_long_as_it_may_be(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """The end of a line is no part of its length."""
    monkeypatch.setattr("partners.reading.encoding.MAX_LINE", 100)
    text = io.TextIOWrapper(io.BytesIO((f"{'a' * 100}{end}" * 2 if end else "a" * 100).encode()), newline="")
    assert {len(line.rstrip()) for line in bounded(text, "f.csv")} == {100}
    with pytest.raises(BadFile, match="line 1: longer than 100 characters"):
        list(bounded(io.TextIOWrapper(io.BytesIO(f"{'a' * 101}{end}".encode()), newline=""), "f.csv"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "f.csv")
    with pytest.raises(BadFile, match="neither a file nor a folder"):
        files_of(tmp_path / "f.csv")

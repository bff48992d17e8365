"""Files as they come: compressed, in folders, through spreadsheets, with TC strings and decimal commas."""

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from partners import gathering
from partners import values as looked
from partners.cli import main
from partners.identifiers import DateOrder, EmailProfile, Invalid, Rules, canonical
from partners.identifiers.columns import canonical_column
from partners.mapping import Map, parse
from partners.reading import BadFile, Source, files_of, read
from partners.rows import _with_point, to_units
from partners.tcf import consented
from tests.partners import world
from tests.partners.world import run, written

JANE, JOHN = ("jane@x.fr", "+33199001234", "gold", "10"), ("john@x.fr", "+33199001235", "silver", "20")
HEADER = ("email", "mobile", "tier", "spend")
TEXT = "a;b\n1;x\n2;y\n"


def packed(path: Path, data: bytes) -> Path:
    """`data`, compressed as the file's name says."""
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(data[: len(data) // 2]) + gzip.compress(data[len(data) // 2 :]))
    else:
        with pa.CompressedOutputStream(str(path), "zstd") as out:
            out.write(data)
    return path


def rows(path: Path, encoding: str = "utf-8") -> list[tuple[int, str, str]]:
    found = []
    for chunk in read(Source(path, encoding), ("a", "b"), frozenset(), lambda done, total: None):
        found += list(zip(chunk.lines, chunk.column("a"), chunk.column("b"), strict=True))
    return found


@pytest.mark.parametrize("name", ["f.csv.gz", "f.csv.zst", "f.TXT.GZ"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "windows-1252"])
def test_compressed_files(tmp_path: Path, name: str, encoding: str) -> None:
    assert rows(packed(tmp_path / name.lower(), TEXT.encode(encoding)), encoding) == [(2, "1", "x"), (3, "2", "y")]


@pytest.mark.parametrize("name", ["f.csv.gz", "f.csv.zst"])
def test_a_damaged_compressed_file_is_refused(tmp_path: Path, name: str) -> None:
    path = packed(tmp_path / name, TEXT.encode() * 100)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(BadFile, match=f"{name} cannot be read: the file is damaged|line 1"):
        rows(path)
    path.write_bytes(b"not compressed at all")
    with pytest.raises(BadFile, match=f"{name} cannot be read"):
        rows(path)


def test_bytes_of_another_encoding_in_a_compressed_file(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"line 3: bytes that are not utf-8; state the `encoding`"):
        rows(packed(tmp_path / "f.csv.gz", b"a,b\n1,x\n2,\xe9\n"))


def test_a_folder_is_one_audience(tmp_path: Path) -> None:
    """In the order of names; hidden files and those of clusters are not customer files; repeats go across files."""
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "b.csv").write_text(f"{','.join(HEADER)}\n{','.join(JANE)}\nx@x.fr,bad,gold,1\n")
    packed(folder / "a.csv.gz", f"{','.join(HEADER)}\n{','.join(JOHN)}\n{','.join(JANE)}\n".encode())
    (folder / "_SUCCESS").write_text("")
    (folder / ".b.csv.crc").write_text("")
    assert [path.name for path in files_of(folder)] == ["a.csv.gz", "b.csv"]
    prepared = run(tmp_path, [], HEADER, table={"file": "exports"})
    report = prepared.quality.to_json()
    assert (report["rows_read"], report["rows_kept"], report["dropped"]["duplicate"]) == (4, 3, 1)
    assert report["lines"]["dropped"]["duplicate"] == [3 + 2]
    assert report["lines"]["keys"]["phone"]["not_a_number"] == [3 + 3]
    assert len(written(prepared)) == 3


HEADER_LINE = ",".join(HEADER) + "\n"


def parts(folder: Path, *, rows: bool) -> None:
    folder.mkdir()
    (folder / "0.csv").write_text("")
    (folder / "1.csv").write_text(HEADER_LINE)
    packed(folder / "2.csv.gz", b"")
    pq.write_table(pa.table({name: pa.array([], pa.string()) for name in HEADER}), folder / "3.parquet")
    (folder / "5.csv").write_text(HEADER_LINE + "\n")
    if rows:
        (folder / "4.csv").write_text(HEADER_LINE + "jane@x.fr,,gold,1\n")


@pytest.mark.parametrize("workers_from", [1, 10**9])
def test_some_files_of_a_folder_may_be_without_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers_from: int
) -> None:
    monkeypatch.setattr(gathering, "WORKERS_FROM_BYTES", workers_from)
    parts(tmp_path / "exports", rows=True)
    mapping = world.mapped(
        tmp_path, file="exports", attributes={"tier": {"column": "tier", "values": ["gold", "silver"]}}
    )
    assert run(tmp_path, [], HEADER, table={"file": "exports"}).quality.rows_read == 1
    assert [each.rows for each in looked.values(mapping, lambda done, total: None)] == [1]


def test_all_files_of_a_folder_may_not(tmp_path: Path) -> None:
    parts(tmp_path / "exports", rows=False)
    mapping = world.mapped(
        tmp_path, file="exports", attributes={"tier": {"column": "tier", "values": ["gold", "silver"]}}
    )
    with pytest.raises(BadFile, match="the folder exports has no rows in any of its files"):
        run(tmp_path, [], HEADER, table={"file": "exports"})
    with pytest.raises(BadFile, match="the folder exports has no rows in any of its files"):
        looked.values(mapping, lambda done, total: None)


def test_a_file_whose_only_line_is_a_row_is_not_passed_over(tmp_path: Path) -> None:
    parts(tmp_path / "exports", rows=True)
    (tmp_path / "exports" / "6.csv").write_text("john@x.fr,,gold,1\n")
    with pytest.raises(BadFile, match=r"6\.csv has no column email"):
        run(tmp_path, [], HEADER, table={"file": "exports"})


def test_a_large_folder_is_read_by_workers_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "exports"
    folder.mkdir()
    for number in range(3):
        lines = [f"p{number}-{row}@x.fr,,gold,{row}" for row in range(200)] + ["jane@x.fr,,gold,1"]
        (folder / f"{number}.csv").write_text("\n".join([",".join(HEADER), *lines, ""]))
    alone = run(tmp_path, [], HEADER, table={"file": "exports"}).quality.to_json()
    monkeypatch.setattr(gathering, "WORKERS_FROM_BYTES", 1)
    assert run(tmp_path, [], HEADER, table={"file": "exports"}).quality.to_json() == alone
    assert alone["lines"]["dropped"]["duplicate"] == [2 * 202, 3 * 202]


@pytest.mark.parametrize("name", ["notes.md", "inner/a.csv", "data.gz"])
def test_a_folder_with_something_else_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "exports" / name
    path.parent.mkdir(parents=True)
    path.write_text("x")
    with pytest.raises(BadFile, match="neither CSV nor Parquet"):
        files_of(tmp_path / "exports")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="has no file in it"):
        files_of(tmp_path)


@pytest.mark.parametrize("key", ["phone", "id", "id.card"])
@pytest.mark.parametrize(
    "cell",
    [
        "2.98764E+12", "3,36123E+10", "5E+11", "2.98764e+12", "2.98764E12", "3,36123e10", "5.0E9", "298764000000.0",
        "298764,00",
    ],
)  # fmt: skip
def test_what_a_spreadsheet_rounded_is_no_identifier(key: str, cell: str) -> None:
    rules = Rules(EmailProfile.UID2, "FR", DateOrder.YMD)
    assert canonical(key, (cell,), rules) is Invalid.SPREADSHEET_NUMBER
    found = canonical_column(key, (pa.array([cell, "", "00042-a"]),), rules)
    assert found.invalid[Invalid.SPREADSHEET_NUMBER].tolist() == [0]


@pytest.mark.parametrize(
    "cell",
    [
        "12E5", "12E4", "5E11", "E+12", "E12", "2.98764E+1", "card-1.5E+12", "1.5E12-a", "2.98764E+123", "2.98764E123",
        "2.98764E-12", "2.E12", ".5E12", "12.5E12", "1.0.0", "1.01", "v1.0",
    ],
)  # fmt: skip
def test_other_ids_stay(cell: str) -> None:
    rules = Rules(EmailProfile.UID2, None, DateOrder.YMD)
    assert canonical("id", (cell,), rules) == cell
    assert canonical_column("id", (pa.array([cell]),), rules).texts.to_pylist() == [cell]


def test_a_phone_column_from_a_spreadsheet_is_refused_with_the_cause(tmp_path: Path) -> None:
    spoilt = [(f"p{n}@x.fr", "3.36123E+10", "gold", "1") for n in range(3)]
    with pytest.raises(BadFile, match="column mobile went through a spreadsheet"):
        run(tmp_path, [*spoilt, JANE], HEADER)


def test_decimal_commas(tmp_path: Path) -> None:
    """Stated in the map; else most values are no numbers, and the refusal says what to write."""
    texts = ["12,5", "1.234,56", "1 234,5", "1\u00a0234,5", "234", "", "12.5", "-,5", "1.23,4"]
    people = [(f"p{n}@x.fr", "", "gold", text) for n, text in enumerate(texts)]
    found = written(run(tmp_path, people, HEADER, table={"decimal": ","}))
    amounts = [row["measure.spend"] for row in found]
    assert sorted(each for each in amounts if each is not None) == [1250, 23400, 50000, 50000, 50000]
    assert amounts.count(None) == 4
    with pytest.raises(BadFile, match=r'no numbers with a decimal point; .* write decimal = "," in the map'):
        run(tmp_path, people[:4], HEADER)


@pytest.mark.parametrize("decimal", [".", ","])
@pytest.mark.parametrize("text", ["12 €", "12,00 €", "12.00 EUR", "n/a", "1.2.3,4,5"])
def test_the_other_decimal_is_named_only_where_it_helps(tmp_path: Path, decimal: str, text: str) -> None:
    people = [(f"p{n}@x.fr", "", "gold", text) for n in range(3)]
    with pytest.raises(BadFile, match=r"are no numbers with a decimal .*; take out .* currency signs") as refusal:
        run(tmp_path, people, HEADER, table={"decimal": decimal})
    assert "in the map" not in str(refusal.value)


def test_the_other_decimal_is_named_either_way(tmp_path: Path) -> None:
    people = [(f"p{n}@x.fr", "", "gold", "12.50") for n in range(3)]
    with pytest.raises(BadFile, match=r'decimal comma; if it is a point, write decimal = "\." in the map'):
        run(tmp_path, [*people, (*JANE[:3], "n/a")], HEADER, table={"decimal": ","})


@given(st.integers(-(10**9), 10**9), st.integers(0, 99), st.sampled_from(["", ".", " ", "\u202f"]))
def test_a_number_is_the_same_with_a_comma(whole: int, cents: int, grouping: str) -> None:
    written_out = f"{whole:,}".replace(",", grouping) + f",{cents:02}"
    assert to_units(_with_point(written_out), 2) == to_units(f"{whole}.{cents:02}", 2)


def tc_string(version: int, *purposes: int) -> str:
    """A core string with these consents, and ones in every other bit behind them."""
    bits = version << (176 + 24 - 6) | ((1 << 24) - 1)
    for number in purposes:
        bits |= 1 << (24 + 24 - number)
    return base64.urlsafe_b64encode(bits.to_bytes(25, "big")).decode().rstrip("=")


@given(st.frozensets(st.integers(1, 24)), st.sampled_from(["", ".IFukWSQh", ".YAAAAAAAAAA.x"]))
def test_the_consents_of_a_tc_string(purposes: frozenset[int], more: str) -> None:
    assert consented(tc_string(2, *purposes) + more) == purposes
    assert consented(tc_string(1, *purposes)) is None


@pytest.mark.parametrize("text", ["", "yes", "C", "C" * 29, tc_string(2, 9)[:20], "é" * 40, "C" * 5_000])
def test_what_is_no_tc_string(text: str) -> None:
    assert consented(text) is None


def test_a_tc_string_says_each_purpose(tmp_path: Path) -> None:
    header = (*HEADER, "tc")
    people = [
        (*JANE, tc_string(2, 7, 9)),
        (*JOHN, tc_string(2, 4) + ".IFukWSQh"),
        ("c@x.fr", "", "", "1", "GRANTED"),
        ("d@x.fr", "", "", "1", "DENIED"),
        ("e@x.fr", "", "", "1", tc_string(1, 9)),
    ]
    consent = {"insights": "tc", "measurement": "tc", "modelling": "tc"}
    prepared = run(tmp_path, people, header, table={"consent": consent})
    assert sorted(row["consent"] for row in written(prepared)) == [1 | 2, 1 | 2 | 4]
    assert prepared.quality.to_json()["consent"]["tc"] == {"missing": 0, "unreadable": 1}


def mapped(folder: Path, lines: list[str], **more: object) -> Map:
    (folder / "f.csv").write_text("\n".join(["email,ok,until,tier", *lines]))
    table = {"name": "fresh", "audience": "drive", "file": "f.csv", "keys": {"email": "email"}, **more}
    return parse(table, folder)


@pytest.fixture
def look(tmp_path: Path) -> Callable[..., dict[tuple[str, str], int]]:
    def look_at(lines: list[str], **more: object) -> dict[tuple[str, str], int]:
        found = looked.values(mapped(tmp_path, lines, **more), lambda done, total: None)
        return {(each.shown, each.becomes): each.rows for each in found}

    return look_at


def test_what_values_become(look: Callable[..., dict[tuple[str, str], int]]) -> None:
    lines = [
        "a@x.fr,yes,31/12/2026,gold",
        "b@x.fr,yes,1er mars 2027,tin",
        "c@x.fr,perhaps,12/31/2026,",
        f"d@x.fr,{tc_string(2, 9)},,gold",
    ]
    found = look(
        lines,
        consent={"insights": "ok", "expires": "until"},
        date_order="dmy",
        attributes={"tier": {"column": "tier", "values": ["gold"]}},
    )
    assert found == {
        ("yes", "yes"): 2,
        ("a…", "no: blank or unknown"): 1,
        (looked.form(tc_string(2, 9)), "insights"): 1,
        ("99/99/9999", "a day of 2026"): 1,
        ("9aa a… 9999", "a day of 2027"): 1,
        ("99/99/9999", "expired: blank or no date"): 1,
        ("(blank)", "expired: blank or no date"): 1,
        ("gold", "gold"): 2,
        ("aaa", "other"): 1,
        ("(blank)", "unknown"): 1,
    }


def test_a_column_mapped_by_mistake_puts_nobody_on_the_screen(look: Callable[..., dict[tuple[str, str], int]]) -> None:
    lines = [f"jane.doe{n}@mail.example,+3361234567{n},," for n in range(9)]
    found = look(lines, consent={"insights": "email", "measurement": "ok"})
    text = " ".join(form for form, _ in found)
    assert "jane" not in text
    assert "612" not in text
    assert found[("+99999999999", "no: blank or unknown")] == 9


def test_names_and_addresses_are_shown_by_their_form(look: Callable[..., dict[tuple[str, str], int]]) -> None:
    """Few people have each, or the column has many of them; a word that many rows have is a word."""
    lines = [f"a@x.fr,{text},," for text in ("Jean Dupont", "jean.dupont", "12 rue de Paris", "Oui")]
    found = look(lines * 9 + ["a@x.fr,peut-être,,"] * 10, consent={"insights": "ok"})
    assert found == {
        ("a… a…", "no: blank or unknown"): 9,
        ("a….a…", "no: blank or unknown"): 9,
        ("99 aaa aa a…", "no: blank or unknown"): 9,
        ("Oui", "yes"): 9,
        ("peut-être", "no: blank or unknown"): 10,
    }
    families = [f"a@x.fr,Dupont{chr(97 + n // 8)}{chr(97 + n % 8)},," for n in range(looked.FEW_VALUES + 1)]
    assert set(look(families * 20, consent={"insights": "ok"})) == {("a…", "no: blank or unknown")}


def test_many_forms_are_counted_together(
    look: Callable[..., dict[tuple[str, str], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looked, "MOST_FORMS", 2)
    found = look([f"a@x.fr,{'-' * n},," for n in range(1, 6)], consent={"insights": "ok"})
    assert found[(looked.REST, "no: blank or unknown")] == 3


def test_the_command_needs_no_room_and_names_what_comes_next(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("email,ok\na@x.fr,yes\n" + "b@x.fr,perhaps\n" * 10)
    path = tmp_path / "map.toml"
    names = 'name = "fresh"\naudience = "drive"\nfile = "f.csv"\n'
    path.write_text(names + 'keys = { email = "email" }\nconsent = { insights = "ok" }\n')
    home = tmp_path / "home"
    told = CliRunner().invoke(main, ["--home", str(home), "values", str(path)])
    assert told.exit_code == 0
    assert [line.split() for line in told.stdout.splitlines() if line.startswith((" yes", " perhaps"))] == [
        ["perhaps", "no:", "blank", "or", "unknown", "10"],
        ["yes", "yes", "1"],
    ]
    assert "cleanroom-partner prepare" in told.stderr + told.stdout
    as_json = CliRunner().invoke(main, ["--home", str(home), "values", str(path), "--json"])
    assert [each["rows"] for each in json.loads(as_json.stdout)["values"]] == [10, 1]
    assert not home.exists()

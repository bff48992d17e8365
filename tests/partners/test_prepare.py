"""`prepare` as a whole: what is in the three files."""

import hashlib
import json
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from partners import audience, manifest, prepare, protocol
from partners.identifiers import phone_metadata_version
from partners.prepare import NotAgreed
from partners.reading import BadFile, delimited
from tests.partners.world import AGREEMENT, AUDIENCE, FRESH, NOW, SECRET, TASTY, agree, mapped, run, write_csv, written

JANE = ("Jane.Doe@Gmail.com", "01 99 00 12 34", "gold", "12.50")
JOHN = ("john@example.fr", "", "silver", "")


def token(match_key: str, canonical: str) -> bytes:
    return protocol.token(protocol.token_key(SECRET, "c-1", 1, match_key), canonical)


def test_the_audience_file(tmp_path: Path) -> None:
    prepared = run(tmp_path, [JANE, JOHN])
    by_tier = {row["attribute.tier"]: row for row in written(prepared)}
    assert by_tier == {
        "gold": {
            "token.email": token("email", "janedoe@gmail.com"),
            "token.phone": token("phone", "+33199001234"),
            "attribute.tier": "gold",
            "measure.spend": 1250,
            "consent": 3,
        },
        "silver": {
            "token.email": token("email", "john@example.fr"),
            "token.phone": None,
            "attribute.tier": "silver",
            "measure.spend": None,
            "consent": 3,
        },
    }


def test_the_manifest(tmp_path: Path) -> None:
    prepared = run(tmp_path, [JANE, JOHN])
    data = prepared.audience_path.read_bytes()
    assert manifest.read_manifest(prepared.manifest_path) == prepared.manifest
    assert manifest.verify(prepared.manifest, FRESH.public.signing)
    assert prepared.manifest.manifest == manifest.Manifest(
        collaboration="c-1",
        partner="fresh",
        audience="drive",
        epoch=1,
        previous=None,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        rows=2,
        keys=("email", "phone"),
        attributes=AUDIENCE.attributes,
        measures=AUDIENCE.measures,
        expires_column=False,
        protocol=1,
        email_profile="uid2",
        key_check=protocol.key_check(SECRET, "c-1", 1),
        phone_metadata=phone_metadata_version(),
        created="2026-03-01T09:30:00Z",
        expires="2027-03-01",
    )


def test_the_files_and_what_is_in_none_of_them(tmp_path: Path) -> None:
    prepared = run(tmp_path, [JANE, JOHN])
    out = tmp_path / "out"
    assert sorted(path.name for path in out.iterdir()) == [
        "drive.audience.parquet",
        "drive.manifest.json",
        "drive.quality.json",
    ]
    assert {path.stat().st_mode & 0o777 for path in out.iterdir()} == {0o600}
    assert json.loads(prepared.quality_path.read_text()) == prepared.quality.to_json()
    for path in out.iterdir():
        for secret in (b"jane", b"Jane", b"example.fr", b"199001234", SECRET, FRESH.signing.private_bytes_raw()):
            assert secret not in path.read_bytes()


def test_the_parquet_file_is_what_the_manifest_says(tmp_path: Path) -> None:
    prepared = run(tmp_path, [JANE, JOHN])
    file = pq.ParquetFile(prepared.audience_path)
    assert file.schema_arrow.equals(audience.schema(prepared.manifest.manifest), check_metadata=True)
    column = file.metadata.row_group(0).column(0)
    assert (column.compression, column.statistics) == ("ZSTD", None)


def test_another_run_replaces_the_first(tmp_path: Path) -> None:
    run(tmp_path, [JANE, JOHN])
    assert run(tmp_path, [JANE]).manifest.manifest.rows == 1
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_rows_leave_in_random_order_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "ROW_GROUP_ROWS", 100)
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 70)
    people = [(f"p{number}@example.fr", "", "gold", str(number)) for number in range(300)]
    prepared = run(tmp_path, people)
    found = [(row["token.email"], row["measure.spend"]) for row in written(prepared)]
    expected = [(token("email", f"p{number}@example.fr"), 100 * number) for number in range(300)]
    assert found != expected
    assert sorted(found) == sorted(expected)
    assert found != [(row["token.email"], row["measure.spend"]) for row in written(run(tmp_path, people))]
    assert pq.ParquetFile(prepared.audience_path).num_row_groups == 3


def test_consent_by_columns(tmp_path: Path) -> None:
    header = ("email", "mobile", "tier", "spend", "ok", "model", "until")
    people = [
        ("a@example.fr", "", "", "", "yes", "", "2026-03-01"),  # the expiry day itself still counts
        ("b@example.fr", "", "", "", "no", "1", "2099-01-01T00:00:00Z"),
        ("c@example.fr", "", "", "", "oui", "true", "9999-12-31"),
        ("d@example.fr", "", "", "", "no", "", "2099-01-01"),  # no_consent
        ("e@example.fr", "", "", "", "maybe", "", ""),  # no_consent comes first
        ("f@example.fr", "", "", "", "yes", "", "2026-02-28"),  # expired
        ("g@example.fr", "", "", "", "yes", "", ""),  # blank: expired
        ("h@example.fr", "", "", "", "yes", "", "31/12/2099"),  # unreadable: expired
        ("nobody", "", "", "", "yes", "", "2099-01-01"),  # no_identifier
    ]
    table = {"consent": {"insights": "ok", "measurement": "ok", "modelling": "model", "expires": "until"}}
    prepared = run(tmp_path, people, header, table=table)
    found = {row["token.email"]: (row["consent"], row["expires"]) for row in written(prepared)}
    assert found == {
        token("email", "a@example.fr"): (3, date(2026, 3, 1)),
        token("email", "b@example.fr"): (4, date(2099, 1, 1)),
        token("email", "c@example.fr"): (7, date(9999, 12, 31)),
    }
    report = prepared.quality.to_json()
    assert report["dropped"] == {"no_consent": 2, "expired": 3, "no_identifier": 1, "duplicate": 0}
    assert report["lines"]["dropped"] == {"no_consent": [5, 6], "expired": [7, 8, 9], "no_identifier": [10]}
    assert report["keys"]["email"] == {"filled": 9, "valid": 8, "invalid": {"not_an_address": 1}}
    assert report["consent"] == {
        "ok": {"missing": 0, "unreadable": 1},
        "model": {"missing": 7, "unreadable": 0},
        "until": {"missing": 2, "unreadable": 1},
    }


def test_the_day_is_that_of_utc(tmp_path: Path) -> None:
    header = ("email", "mobile", "tier", "spend", "until")
    write_csv(tmp_path / "fresh.csv", [(*JANE, "2026-03-01")], header)
    mapping = mapped(tmp_path, consent={"purposes": ["insights"], "expires": "until"})
    late = datetime(2026, 3, 2, 1, 0, tzinfo=timezone(timedelta(hours=2)))
    prepared = prepare.prepare(mapping, AGREEMENT, 1, SECRET, FRESH, tmp_path, now=late)
    assert prepared.quality.rows_kept == 1
    assert prepared.manifest.manifest.created == "2026-03-01T23:00:00Z"
    with pytest.raises(BadFile, match="none of its 1 rows can be used: 1 expired"):
        prepare.prepare(mapping, AGREEMENT, 1, SECRET, FRESH, tmp_path, now=late + timedelta(hours=1))


def test_a_token_stands_in_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "CHUNK_ROWS", 2)
    people = [
        ("a@example.fr", "0199001234", "gold", "1"),
        ("A@example.fr ", "0199001235", "silver", "2"),  # keeps its phone only
        ("a@example.fr", "", "gold", "3"),  # duplicate
        ("", "+33 1 99 00 12 35", "gold", "4"),  # duplicate
        ("b@example.fr", "0199001234", "silver", "5"),  # keeps its e-mail only
    ]
    prepared = run(tmp_path, people)
    found = {row["measure.spend"]: (row["token.email"], row["token.phone"]) for row in written(prepared)}
    assert found == {
        100: (token("email", "a@example.fr"), token("phone", "+33199001234")),
        200: (None, token("phone", "+33199001235")),
        500: (token("email", "b@example.fr"), None),
    }
    report = prepared.quality.to_json()
    assert report["dropped"]["duplicate"] == 2
    assert report["lines"]["dropped"] == {"duplicate": [4, 5]}
    assert report["tokens_dropped"] == {"email": 2, "phone": 2}


def test_a_row_without_consent_takes_no_token_from_others(tmp_path: Path) -> None:
    header = ("email", "mobile", "tier", "spend", "ok")
    prepared = run(tmp_path, [(*JANE, "no"), (*JANE, "yes")], header, table={"consent": {"insights": "ok"}})
    assert prepared.quality.rows_kept == 1
    assert prepared.quality.to_json()["dropped"] == {"no_consent": 1, "expired": 0, "no_identifier": 0, "duplicate": 0}


def test_attributes_and_measures(tmp_path: Path) -> None:
    cells = [
        ("gold", "12.505"),
        ("  silver ", "12.515"),
        ("Gold", "-3"),
        ("", ""),
        ("unknown", "1e3"),
        ("other", "12,50"),
        ("gold", "NaN"),
        ("gold", "+.5"),
    ]
    prepared = run(tmp_path, [(f"p{row}@example.fr", "", *cell) for row, cell in enumerate(cells)])
    by_token = {row["token.email"]: (row["attribute.tier"], row["measure.spend"]) for row in written(prepared)}
    assert [by_token[token("email", f"p{row}@example.fr")] for row in range(len(cells))] == [
        ("gold", 1250),
        ("silver", 1252),
        ("other", 0),
        ("unknown", None),
        ("unknown", 50_000),
        ("other", None),
        ("gold", None),
        ("gold", 50),
    ]
    report = prepared.quality.to_json()
    assert report["attributes"] == {"tier": {"other": 2, "unknown": 2}}
    assert report["measures"] == {"spend": {"missing": 1, "not_a_number": 2, "clipped": 2}}
    assert report["lines"]["measures"] == {"spend": {"missing": [5], "not_a_number": [7, 8], "clipped": [4, 6]}}


HASHES = ["5f4dcc3b5aa765d61d8327deb882cf99", "a94a8fe5ccb19ba61c4c0873d391e987982fbbd3", "ab" * 32]


@pytest.mark.parametrize("hashed", HASHES)
def test_a_column_of_hashes_is_refused(tmp_path: Path, hashed: str) -> None:
    people = [(hashed, "", "", ""), (hashed.upper(), "", "", ""), JANE, ("", "0199001235", "", "")]
    with pytest.raises(BadFile, match="column email holds hashes instead of email; give the raw column") as refusal:
        run(tmp_path, people)
    assert hashed not in str(refusal.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_half_a_column_of_hashes_is_counted(tmp_path: Path) -> None:
    assert run(tmp_path, [JANE, (HASHES[0], "", "", "")]).quality.to_json()["keys"]["email"] == {
        "filled": 2,
        "valid": 1,
        "invalid": {"looks_hashed": 1},
    }


@pytest.mark.parametrize("setting", ["insights", "expires"])
def test_an_unreadable_consent_column_is_refused(tmp_path: Path, setting: str) -> None:
    header = ("email", "mobile", "tier", "spend", "ok", "c")
    people = [(*JANE, "yes", "perhaps"), (*JOHN, "yes", "perhaps"), (*JOHN, "yes", "")]
    consent = {"measurement": "ok", setting: "c"}
    with pytest.raises(BadFile, match="most values of the consent column c are not"):
        run(tmp_path, people, header, table={"consent": consent})
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("people", [[("x@", "", "", "")], [("", "", "gold", "5"), ("test@test.com", "123", "", "")]])
def test_nothing_valid_is_no_audience(tmp_path: Path, people: list[tuple[str, ...]]) -> None:
    with pytest.raises(BadFile, match=f"none of its {len(people)} rows can be used: {len(people)} no_identifier"):
        run(tmp_path, people)
    assert list((tmp_path / "out").iterdir()) == []


def test_every_kind_of_key(tmp_path: Path) -> None:
    keys = ("id.card", "maid", "person")
    header = ("card", "device", "given", "family", "born")
    table = {
        "keys": {"person": ["given", "family", "born"], "maid": "device", "id.card": "card"},
        "attributes": {},
        "measures": {},
        "date_order": "dmy",
    }
    agreement = agree(replace(AUDIENCE, keys=keys, attributes=(), measures=()))
    person = (" 00042-a ", "6D92078A82464BA4AE5B76104861E7DC", "Zoé", "O'Neil", "1/2/1990")
    prepared = run(tmp_path, [person], header, agreement, table)
    assert written(prepared) == [
        {
            "token.id.card": token("id.card", "00042-a"),
            "token.maid": token("maid", "6d92078a-8246-4ba4-ae5b-76104861e7dc"),
            "token.person": token("person", "ZOE|ONEIL|1990-02-01"),
            "consent": 3,
        }
    ]


def test_csv_and_parquet_give_the_same_audience(tmp_path: Path) -> None:
    first = run(tmp_path, [JANE, JOHN])
    columns = {"email": 0, "mobile": 1, "tier": 2, "spend": 3}
    table = pa.table({name: [person[at] or None for person in (JANE, JOHN)] for name, at in columns.items()})
    pq.write_table(table, tmp_path / "fresh.parquet")
    before = sorted(map(repr, written(first)))
    mapping = mapped(tmp_path, file="fresh.parquet")
    second = prepare.prepare(mapping, AGREEMENT, 1, SECRET, FRESH, tmp_path / "out", now=NOW)
    assert sorted(map(repr, written(second))) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": "stranger"}, "no audience stranger/drive"),
        ({"audience": "other"}, "no audience fresh/other"),
        ({"keys": {"email": "email"}}, "lacks the match key phone"),
        ({"keys": {"email": "email", "phone": "mobile", "id": "spend"}}, "has a match key id that"),
        ({"attributes": {}}, "lacks the attribute tier"),
        ({"attributes": {"tier": "tier", "more": "tier"}}, "has a attribute more that"),
        ({"attributes": {"tier": {"column": "tier", "values": ["gold"]}}}, "attribute tier: the code-list"),
        ({"measures": {}}, "lacks the measure spend"),
        ({"measures": {"spend": {"column": "spend", "lower": 0, "upper": 501}}}, "measure spend: bounds"),
    ],
)
def test_the_map_is_held_to_the_agreement(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(NotAgreed, match=message):
        run(tmp_path, [JANE], table=change)


def test_the_same_code_list_in_another_order_is_the_same(tmp_path: Path) -> None:
    table = {"attributes": {"tier": {"column": "tier", "values": ["silver", "gold"]}}}
    assert run(tmp_path, [JANE], table=table).manifest.manifest.attributes == AUDIENCE.attributes


def test_keys_and_protocol_are_held_to_the_agreement(tmp_path: Path) -> None:
    write_csv(tmp_path / "fresh.csv", [JANE])
    with pytest.raises(NotAgreed, match="other keys"):
        prepare.prepare(mapped(tmp_path), AGREEMENT, 1, SECRET, TASTY, tmp_path, now=NOW)
    with pytest.raises(NotAgreed, match="protocol 2"):
        prepare.prepare(mapped(tmp_path), replace(AGREEMENT, protocol=2), 1, SECRET, FRESH, tmp_path, now=NOW)


def test_tokens_depend_on_secret_and_epoch(tmp_path: Path) -> None:
    def emails(**changes: Any) -> set[bytes]:
        return {row["token.email"] for row in written(run(tmp_path, [JANE], **changes))}

    assert emails() == {token("email", "janedoe@gmail.com")}
    assert emails(secret=bytes(32)).isdisjoint(emails())

"""From a customer file to a published version, and what is never sent."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partners import mapping
from partners.failure import Failure
from partners.mapping import Map
from partners.prepare import NotAgreed, Prepared
from partners.room.answers import VersionState
from partners.room.connection import RoomUnreachable
from partners.steps import agreements, audiences, joining, secret
from partners.steps.audiences import UploadRefused
from partners.values import values
from tests.partners_cli.conftest import Partner, agreement_table
from tests.partners_cli.fake_room import FakeRoom

NOW = datetime(2026, 3, 14, 12, 0, tzinfo=UTC)
MAP = """
name = "fresh"
audience = "drive"
file = "fresh.csv"
region = "FR"
keys = { email = "email", phone = "mobile" }
attributes = { tier = "tier" }
measures = { spend = { column = "spend", lower = 0, upper = 499.99 } }
consent = { purposes = ["insights"] }
"""


def customer_file(folder: Path) -> Map:
    rows = [f"ann{number}@mail.example,+336120000{number:02},gold,{number}.5" for number in range(40)]
    (folder / "fresh.csv").write_text("\n".join(["email,mobile,tier,spend", *rows]))
    (folder / "map.toml").write_text(MAP)
    return mapping.load(folder / "map.toml")


def silent(step: str, done: int, whole: int) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def identifier(fresh: Partner, tasty: Partner) -> str:
    """An open agreement whose secret both partners have."""
    standing = agreements.propose(fresh.home, fresh.room, agreement_table())
    agreements.agree(tasty.home, tasty.room, agreements.read(tasty.home, tasty.room, standing.agreement.id))
    for mine, theirs in ((fresh, "tasty"), (tasty, "fresh")):
        joining.confirm(mine.home, joining.compare(mine.home, mine.room, theirs))
    secret.make(fresh.home, fresh.room, standing.agreement.id)
    secret.accept(tasty.home, tasty.room)
    return standing.agreement.id


def test_the_signed_lists_are_those_that_count(fresh: Partner, identifier: str, tmp_path: Path) -> None:
    """The guide's map names no list; what `prepare` would make `other` is seen before it."""
    mapped = customer_file(tmp_path)
    rows = (tmp_path / "fresh.csv").read_text().replace("12000", "12001").replace("gold", "Gold")
    (tmp_path / "fresh.csv").write_text(rows)
    assert values(mapped, lambda done, whole: None) == ()
    listed = audiences.with_lists(fresh.home, mapped)
    (found,) = values(listed, lambda done, whole: None)
    assert (found.setting, found.shown, found.becomes, found.rows) == ("attribute tier", "Gold", "other", 40)
    assert audiences.with_lists(fresh.home, replace(mapped, audience="others")).attributes == mapped.attributes
    with pytest.raises(NotAgreed, match="no agreement"):
        audiences.with_lists(fresh.home, mapped, "another-2026")


@pytest.fixture
def prepared(fresh: Partner, identifier: str, tmp_path: Path) -> Prepared:
    return audiences.prepare(fresh.home, customer_file(tmp_path), tmp_path / "out", NOW, silent)


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("partners.room.client.FIRST_WAIT_SECONDS", 0.0)


def test_preparing_needs_no_room(fake: FakeRoom, fresh: Partner, identifier: str, tmp_path: Path) -> None:
    asked = len(fake.requests)
    made = audiences.prepare(fresh.home, customer_file(tmp_path), tmp_path / "out", NOW, silent, "drive-2026")
    assert len(fake.requests) == asked
    assert made.manifest.manifest.collaboration == identifier
    assert made.quality.rows_kept == 40


def test_preparing_waits_for_agreement_and_secret(fresh: Partner, tasty: Partner, tmp_path: Path) -> None:
    mapped = customer_file(tmp_path)
    with pytest.raises(NotAgreed, match="run `agree` first"):
        audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent)
    agreements.propose(fresh.home, fresh.room, agreement_table())
    with pytest.raises(NotAgreed, match="no secret yet"):
        audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent)
    agreements.propose(fresh.home, fresh.room, agreement_table())
    with pytest.raises(NotAgreed, match="--collab") as refused:
        audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent)
    assert all(each in str(refused.value) for each in fresh.home.running())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("opened", [True, False])
def test_which_of_two_agreements_is_not_guessed(
    fresh: Partner, tasty: Partner, identifier: str, tmp_path: Path, opened: bool
) -> None:
    """`propose` once more after everybody signed, open or not: the older one has a secret, the newer may be meant."""
    newer = agreements.propose(fresh.home, fresh.room, agreement_table()).agreement.id
    if opened:
        agreements.agree(tasty.home, tasty.room, agreements.read(tasty.home, tasty.room, newer))
    mapped = customer_file(tmp_path)
    for named in (None, "drive-2026"):
        for step in (
            lambda text: audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent, text),
            lambda text: audiences.with_lists(fresh.home, mapped, text),
        ):
            with pytest.raises(NotAgreed, match="--collab") as refused:
                step(named)
            assert identifier in str(refused.value)
            assert newer in str(refused.value)
    with pytest.raises(NotAgreed, match="no secret yet"):
        audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent, newer)
    made = audiences.prepare(fresh.home, mapped, tmp_path / "out", NOW, silent, identifier)
    assert made.manifest.manifest.collaboration == identifier


@pytest.mark.parametrize("which", ["manifest_path", "audience_path"])
def test_an_upload_ends_published(fake: FakeRoom, fresh: Partner, prepared: Prepared, which: str) -> None:
    told: list[tuple[str, int, int]] = []
    path = getattr(prepared, which)
    uploaded = audiences.upload(fresh.home, fresh.room, path, lambda *progress: told.append(progress))
    assert uploaded.version.state is VersionState.PUBLISHED
    assert uploaded.version.receipt is not None
    assert not uploaded.known
    assert list(dict.fromkeys(step for step, _, _ in told)) == ["reading", "uploading", "checked by the room"]
    assert all(done <= whole for _, done, whole in told)
    assert told[-1] == ("checked by the room", 100, 100)


@pytest.mark.parametrize("name", ["nowhere.manifest.json", "nowhere.audience.parquet"])
def test_a_path_where_nothing_is(fake: FakeRoom, fresh: Partner, prepared: Prepared, name: str) -> None:
    with pytest.raises(UploadRefused, match=f"there is no {name} at"):
        audiences.upload(fresh.home, fresh.room, prepared.manifest_path.with_name(name), silent)


def test_the_same_audience_again_is_the_same_version(fake: FakeRoom, fresh: Partner, prepared: Prepared) -> None:
    first = audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    again = audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    assert again.known
    assert again.version == first.version
    assert len(fake.uploads) == 1


def test_a_cut_upload_goes_on_in_a_later_run(
    fake: FakeRoom, fresh: Partner, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = prepared.audience_path.stat().st_size
    monkeypatch.setattr("partners.room.upload.CHUNK_BYTES", size // 3)

    def interrupt(step: str, done: int, whole: int) -> None:
        if step == "uploading" and done > size // 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        audiences.upload(fresh.home, fresh.room, prepared.manifest_path, interrupt)
    fake.requests.clear()
    uploaded = audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    assert uploaded.version.state is VersionState.PUBLISHED
    assert len(fake.uploads) == 1
    assert fake.requests.count(("PATCH", "/v1/uploads/u-0")) <= 2


def test_an_upload_that_the_room_lost_begins_again(
    fake: FakeRoom, fresh: Partner, prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("partners.room.upload.ATTEMPTS", 1)
    fake.lose_answer_of = "/v1/uploads/u-0"
    with pytest.raises(RoomUnreachable):
        audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    fake.uploads = {"u-of-others": (1, b"")}
    assert audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent).version.id == "v-0"


def test_a_refused_audience_says_why(fake: FakeRoom, fresh: Partner, prepared: Prepared) -> None:
    fake.refuse_versions = True
    with pytest.raises(UploadRefused, match="the room refused the audience: A token stands twice"):
        audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    fake.refuse_versions = False
    assert not audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent).known


def changed(prepared: Prepared) -> Path:
    data = bytearray(prepared.audience_path.read_bytes())
    data[100] ^= 1
    prepared.audience_path.write_bytes(data)
    return prepared.manifest_path


def longer(prepared: Prepared) -> Path:
    prepared.audience_path.write_bytes(prepared.audience_path.read_bytes() + b"x")
    return prepared.manifest_path


def missing(prepared: Prepared) -> Path:
    prepared.audience_path.unlink()
    return prepared.manifest_path


def raw(prepared: Prepared) -> Path:
    return prepared.audience_path.parent.parent / "fresh.csv"


@pytest.mark.parametrize("spoil", [changed, longer, missing, raw])
def test_only_what_was_prepared_is_sent(
    fake: FakeRoom, fresh: Partner, prepared: Prepared, spoil: Callable[[Prepared], Path]
) -> None:
    with pytest.raises(UploadRefused):
        audiences.upload(fresh.home, fresh.room, spoil(prepared), silent)
    assert fake.uploads == {}


def test_somebody_elses_audience_is_not_sent(fake: FakeRoom, tasty: Partner, prepared: Prepared) -> None:
    with pytest.raises(UploadRefused, match="your keys"):
        audiences.upload(tasty.home, tasty.room, prepared.manifest_path, silent)
    assert fake.uploads == {}


def test_nothing_is_sent_before_everybody_signed(fake: FakeRoom, fresh: Partner, prepared: Prepared) -> None:
    del fake.agreements[prepared.manifest.manifest.collaboration][1]["tasty"]
    with pytest.raises(Failure, match="wait for tasty"):
        audiences.upload(fresh.home, fresh.room, prepared.manifest_path, silent)
    assert fake.uploads == {}

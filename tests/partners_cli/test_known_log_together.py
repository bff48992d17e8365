"""Several commands of one partner folder at a time: none takes what another one kept for a fork."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from partners.known_log import KnownLog, LogRefused
from partners.transparency.merkle import leaf_hash
from tests.partners_cli.fake_room import FakeRoom
from tests.partners_cli.test_known_log import Restored, grown, known_log


class SlowLine:
    """The room over a slow line: while its file `name` is on its way, another command of the folder does `work`."""

    def __init__(self, fake: FakeRoom, name: str, work: Callable[[], object]) -> None:
        self.fake, self.waiting = fake, {name: work}

    def log_file(self, name: str) -> bytes | None:
        data = self.fake.log_file(name)
        if data is None and name.startswith("tile/0/000.p/"):  # a room keeps those of smaller logs until one is full
            data = b"".join(map(leaf_hash, self.fake.leaves[: int(name.rpartition("/")[2])]))
        self.waiting.pop(name, lambda: None)()
        return data

    def successions(self) -> tuple[bytes, ...]:
        return self.fake.successions()


@pytest.mark.parametrize("during", ["checkpoint", "tile/0/000.p/30"])
def test_what_another_command_keeps_meanwhile_is_no_fork(fake: FakeRoom, tmp_path: Path, during: str) -> None:
    other = known_log(fake, tmp_path)
    grown(fake, 20)
    other.refresh()
    grown(fake, 30)

    def meanwhile() -> None:
        grown(fake, 40)
        other.refresh()

    mine = KnownLog(other.key, tmp_path / "checkpoint", SlowLine(fake, during, meanwhile), lambda _: None)
    assert mine.refresh().size == 40
    assert not (tmp_path / "fork").exists()
    last = mine.last()
    assert last is not None
    assert last.size == 40


def test_two_logs_shown_to_two_commands_at_once(fake: FakeRoom, tmp_path: Path) -> None:
    """Each extends what was kept before; together they are a fork."""
    other = known_log(fake, tmp_path)
    grown(fake, 20)
    other.refresh()
    grown(fake, 30)
    honest = list(fake.leaves)

    def meanwhile() -> None:
        fake.leaves = [*honest, b"and on"]
        other.refresh()
        fake.leaves = [*honest[:-1], b"another entry", b"and on"]

    line = SlowLine(fake, "tile/0/000.p/30", meanwhile)
    mine = KnownLog(other.key, tmp_path / "checkpoint", line, lambda _: None)
    with pytest.raises(LogRefused, match="another log than before"):
        mine.refresh()
    assert (tmp_path / "fork" / "kept").read_bytes() == (tmp_path / "checkpoint").read_bytes()


def test_a_new_log_that_another_command_followed(fake: FakeRoom, tmp_path: Path) -> None:
    """A command that runs on, as `witness --every` does, goes over to it, and never back."""
    at = Restored(fake, tmp_path, 20)
    running = Restored(fake, tmp_path, 20).known
    old, before = fake.signer, list(fake.leaves)
    at.begin()
    size = at.known.refresh().size
    new, after = fake.signer, fake.leaves
    fake.signer, fake.leaves = old, before  # the room goes back to the log that ended
    with pytest.raises(LogRefused, match="does not hold"):
        running.refresh()
    fake.signer, fake.leaves = new, after[:11]
    with pytest.raises(LogRefused, match="another log than before"):
        running.refresh()
    shutil.rmtree(tmp_path / "fork")
    fake.leaves = [*after, b"and on"]
    assert running.refresh().size == size + 1
    assert running.news == []
    assert running.key == at.known.key

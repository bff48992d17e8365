"""The embedded engine keeps the contract; and what holds for its files alone."""

import os
from pathlib import Path

import numpy as np
import pytest

from cleanroom.engine.columns import Damaged
from cleanroom.engine.embedded import EmbeddedEngine
from cleanroom.engine.interface import Engine, Staged
from cleanroom.engine.store import Store
from policies.agreement import Audience
from policies.question import AudienceRef
from tests import worlds
from tests.engine.contract import EngineContract
from tests.worlds import Row


class TestEmbedded(EngineContract):
    def engine(self, folder: Path) -> Engine:
        return EmbeddedEngine(folder)


def _staged(tmp_path: Path, name: str, owner: str) -> Path:
    audience = Audience(AudienceRef(owner, "main"), ("email",), (), ())
    return worlds.stage(tmp_path / name, "col-1", audience, (Row({"email": b"e" * 16}, {}, {}),))


def test_an_interrupted_publication_shows_nothing_and_can_be_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, store = EmbeddedEngine(tmp_path / "data"), Store(tmp_path / "data")
    engine.publish(Staged("a1", _staged(tmp_path, "a", "ada"), ()))
    for interrupted in ("fsync", "rename"):
        # Every call that makes something durable fails once, the first, the second … until publication gets through.
        for allowed in range(50):
            staged = Staged("b1", _staged(tmp_path, f"b-{interrupted}-{allowed}", "bea"), ("a1",))
            with monkeypatch.context() as patch:
                _fail_after(patch, interrupted, allowed)
                try:
                    engine.publish(staged)
                    break
                except OSError:
                    assert not store.has("b1") or not staged.folder.exists()
            if store.has("b1"):
                assert store.linked("b1", "a1")
                assert store.linked("a1", "b1")
        else:
            pytest.fail("publication never got through")
        assert allowed > 1
        engine.retire("b1")
        assert sorted(path.name for path in (tmp_path / "data").rglob("*") if path.is_dir()) == [
            "a1",
            "audiences",
            "links",
            "views",
        ]


def _fail_after(patch: pytest.MonkeyPatch, name: str, allowed: int) -> None:
    target = os if name == "fsync" else Path
    real, calls = getattr(target, name), iter(range(allowed))

    def failing(*arguments: object) -> object:
        if next(calls, None) is None:
            raise OSError("the disk is full")
        return real(*arguments)

    patch.setattr(target, name, failing)


def test_links_of_an_attempt_that_was_cut_off_are_made_anew(tmp_path: Path) -> None:
    engine, store = EmbeddedEngine(tmp_path / "data"), Store(tmp_path / "data")
    engine.publish(Staged("a1", _staged(tmp_path, "a", "ada"), ()))
    for pair in (("b1", "a1"), ("a1", "b1")):
        store.add_links(*pair, {"email": np.full(1, -1, np.int32)})
    engine.publish(Staged("b1", _staged(tmp_path, "b", "bea"), ("a1",)))
    assert store.links("b1", "a1", "email", 1).tolist() == [0]
    assert store.links("a1", "b1", "email", 1).tolist() == [0]


def test_publishing_one_audience_leaves_the_links_of_others_alone(tmp_path: Path) -> None:
    engine, links = EmbeddedEngine(tmp_path / "data"), tmp_path / "data" / "links"
    engine.publish(Staged("a1", _staged(tmp_path, "a", "ada"), ()))
    engine.publish(Staged("b1", _staged(tmp_path, "b", "bea"), ("a1",)))
    before = {path: path.stat().st_mtime_ns for path in links.rglob("*")}
    engine.publish(Staged("c1", _staged(tmp_path, "c", "cid"), ("a1", "b1")))
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list(links.iterdir())) == 6


def test_a_damaged_column_is_an_error_and_not_published(tmp_path: Path) -> None:
    engine = EmbeddedEngine(tmp_path / "data")
    for damage in ("shorter", "longer", "type", "gone", "meta"):
        folder = _staged(tmp_path, damage, "ada")
        consent = folder / "consent.npy"
        if damage == "shorter":
            consent.write_bytes(consent.read_bytes()[:-1])
        elif damage == "longer":
            np.save(consent, np.ones(2, np.uint8))
        elif damage == "type":
            np.save(consent, np.zeros(1, np.int64))
        elif damage == "gone":
            consent.unlink()
        else:
            (folder / "meta.json").write_bytes(b'{"rows":1}')
        with pytest.raises(Damaged):
            engine.publish(Staged("a1", folder, ()))
        assert not Store(tmp_path / "data").has("a1")


@pytest.mark.parametrize("version", ["", ".", "..", "a/b", "a--b", "-a", "A", "a_b", "../a"])
def test_the_id_of_a_version_is_no_path(tmp_path: Path, version: str) -> None:
    with pytest.raises(ValueError, match="id of a version"):
        EmbeddedEngine(tmp_path).retire(version)


def test_an_erased_row_has_no_links(tmp_path: Path) -> None:
    engine, store = EmbeddedEngine(tmp_path / "data"), Store(tmp_path / "data")
    engine.publish(Staged("a1", _staged(tmp_path, "a", "ada"), ()))
    engine.publish(Staged("b1", _staged(tmp_path, "b", "bea"), ("a1",)))
    pairs = (("a1", "b1"), ("b1", "a1"))
    assert [store.links(one, other, "email", 1).tolist() for one, other in pairs] == [[0], [0]]
    engine.erase("b1", np.array([0], np.uint32))
    assert [store.links(one, other, "email", 1).tolist() for one, other in pairs] == [[-1], [-1]]

"""What a partner takes along: every document that it signed and the room has, with the receipts."""

import json
from pathlib import Path
from typing import Any

from partners import manifest
from partners.key_change import Role, SignedChange
from partners.keys import verify
from partners.manifest import SignedManifest
from partners.receipts import Receipt, check
from partners.steps import exporting
from partners.transparency.encoding import decode_base64
from policies import canonical
from tests.room.conftest import Collaboration
from tests.room.stage import DRIVE, Stage, people
from tests.room.test_budget import grant
from tests.room.test_keys import colleague
from tests.room.test_replacements import come_back


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def exported(stage: Stage, name: str) -> Path:
    player, folder = stage.players[name], stage.folder / f"export-{name}"
    exporting.export(player.home, player.room, folder)
    return folder


def test_it_has_every_signed_document(published: Collaboration) -> None:
    stage = published.stage
    assert grant(stage).status_code == 201
    signing = stage.players["fresh"].identity.public.signing
    stage.publish(published.id, DRIVE, people(range(200)))
    colleague(stage, "fresh", Role.MARKETER)
    stage.compare("fresh", "tasty")
    come_back(stage, "tasty", "fresh")

    folder = exported(stage, "fresh")
    (given,) = read(folder / "grants.json")["grants"]
    assert given["grant"]["serial"] == 1
    assert verify(signing, "grant/v1", canonical.dumps(given["grant"]), decode_base64(given["signature"]))
    own = read(folder / "keys.json")
    assert [each["role"] for each in own["keys"]] == ["owner", "marketer"]
    (change,) = map(SignedChange.from_json, own["changes"])
    assert verify(signing, "key/v1", change.change.canonical(), change.signature)
    (replaced,) = read(folder / "replacements.json")["replacements"]
    assert (replaced["replacement"]["partner"], list(replaced["consents"]), replaced["made"]) == (
        "tasty",
        ["fresh"],
        True,
    )
    versions = [read(path) for path in (folder / "collaborations" / published.id / "versions").iterdir()]
    assert sorted(each["state"] for each in versions) == ["published", "retired"]
    for each in versions:
        signed = SignedManifest.from_json({name: each[name] for name in ("manifest", "signature")})
        assert manifest.verify(signed, signing)
        assert check(Receipt.from_json(each["receipt"]), stage.room.signer.verifier).ok
    assert {path.stat().st_mode & 0o077 for path in [folder, *folder.rglob("*")]} == {0}
    (key,) = read(exported(stage, "tasty") / "replacements.json")["replacements"]
    assert list(key["consents"]) == ["fresh"]


def test_a_colleague_gets_what_it_may_read(published: Collaboration) -> None:
    stage = published.stage
    ada = colleague(stage, "fresh", Role.MARKETER)
    folder = stage.folder / "ada-export"
    exporting.export(ada.home, ada.room, folder)
    assert read(folder / "keys.json")["changes"] == []
    assert not (folder / "replacements.json").exists()
    assert list((folder / "collaborations" / published.id / "versions").iterdir()) == []

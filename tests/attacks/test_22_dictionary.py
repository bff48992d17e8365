"""22. Dictionary: the room's whole data folder, and a list of everybody.

Somebody carries off the data folder, with catalog, columns, links and log, but without the keys folder. He has a list
of addresses that everybody in the room is on, and looks for each of them: as text, in other spellings, hashed in the
usual ways, and as a token, first without and then with the partners' secret. Nothing may be found. In the control he
has the keys folder, too, and the secret: then he finds everybody, which is why no one may hold both.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from cleanroom.engine import rekey
from cleanroom.engine.rekey import Rekeyer
from partners import protocol
from partners.transparency.encoding import encode_base64
from policies.terms import Mode
from tests.attacks.arena import ATTACKER, OWNER, Arena, Crowd, Person, arena
from tests.attacks.rules import in_process
from tests.attacks.score import CONTROL, Row, Verdict, rule_row

NUMBER, NAME = 22, "dictionary"
CANDIDATES = 20_000
"""Of each world of the run: 10^6 are `--worlds 50`."""
MEMBERS = 400
WIDTH = 16
Forms = Callable[[str], Iterable[bytes]]


def windows(folder: Path) -> set[bytes]:
    """Every run of 16 bytes of every file under a folder."""
    found: set[bytes] = set()
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            found.update(content[start : start + WIDTH] for start in range(len(content) - WIDTH + 1))
    return found


def hashes(address: str) -> Iterator[bytes]:
    """What can be looked for without any secret: the first 16 bytes of each form."""
    text = address.encode()
    yield text[:WIDTH]
    yield text.upper()[:WIDTH]
    yield encode_base64(text).encode()[:WIDTH]
    yield text.hex().encode()[:WIDTH]
    for name in ("md5", "sha1", "sha256", "sha512"):
        digest = hashlib.new(name, text, usedforsecurity=False).digest()
        yield digest[:WIDTH]
        yield digest.hex().encode()[:WIDTH]
        yield encode_base64(digest).encode()[:WIDTH]


def tokens(key: bytes) -> Forms:
    """What the partners' secret makes of an address."""

    def forms(address: str) -> Iterator[bytes]:
        token = protocol.token(key, address)
        yield token
        yield token.hex().encode()[:WIDTH]
        yield encode_base64(token).encode()[:WIDTH]

    return forms


def images(key: bytes, rekeyer: Rekeyer) -> Forms:
    """What is stored of an address, for whoever has both keys."""
    return lambda address: (rekeyer.tokens(protocol.token(key, address)),)


def found(stored: set[bytes], addresses: Iterable[str], forms: Forms) -> int:
    """How many of the addresses are recovered."""
    return sum(any(form in stored for form in forms(address)) for address in addresses)


def used(folder: Path) -> Iterator[Arena]:
    """A room in which things were uploaded, asked, replaced and refused."""
    drive = Crowd(OWNER, "drive", (("tier", ("gold", "silver")),), (0, 100))
    plants = Crowd(ATTACKER, "plants")
    with arena(folder, drive, plants, seed=0) as fight:
        members = [Person(number, {"tier": "gold"}, 5) for number in range(MEMBERS)]
        fight.publish(drive, members[: MEMBERS // 2])
        fight.publish(plants, members)
        fight.publish(drive, members)
        for who in (OWNER, ATTACKER):
            fight.ask(who, kind="overlap", audiences=[drive.ref, plants.ref])
        fight.ask(ATTACKER, kind="statistics", count=drive.ref, where={"is": [f"{drive.ref}.tier", ["x@y.example"]]})
        yield fight


@in_process()
def rows(folder: Path, worlds: int) -> list[Row]:
    """The attack's lines of the table."""
    for fight in used(folder):
        stage = fight.stage
        secret = stage.players[OWNER].home.secret(fight.id, 1)
        assert secret is not None
        key = protocol.token_key(secret.value, fight.id, 1, "email")
        rekeyer = Rekeyer(rekey.load(stage.room.settings.keys, fight.id, 1))
        stored = windows(stage.room.settings.data)
        addresses = [Person(number).email for number in range(2, CANDIDATES * worlds)]
        got = [found(stored, addresses, forms) for forms in (hashes, tokens(key))]
        control = found(stored, addresses[: 2 * MEMBERS], images(key, rekeyer)) / (MEMBERS - 2)
    rule = "no identifier recovered"
    return [
        rule_row(NUMBER, f"{NAME}, {what}", Mode.PRIVATE.value, len(addresses), count, rule, control)
        for what, count in zip(("without the secret", "with the secret"), got, strict=True)
    ]


def test_dictionary(tmp_path: Path) -> None:
    for row in rows(tmp_path, 1):
        assert row.verdict is Verdict.HOLDS, row
        assert (row.control or 0) >= CONTROL

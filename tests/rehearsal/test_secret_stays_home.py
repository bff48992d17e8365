"""The collaboration's secret is nowhere in the room's folders: searched while the partners still have it."""

from pathlib import Path

from cleanroom.rehearsal import scenario
from cleanroom.rehearsal.run import play
from cleanroom.rehearsal.server import running
from partners.home import Home
from partners.protocol import token, token_key
from partners.transparency.encoding import encode_base64
from tests.rehearsal import files


def test_neither_the_secret_nor_a_token_made_with_it_is_in_the_room(tmp_path: Path) -> None:
    loaded = scenario.load(files.write(tmp_path))
    data, keys = tmp_path / "room", tmp_path / "room-keys"
    with running(data, keys, "test.room") as room:
        play(loaded, room, tmp_path, lambda *_: None, lambda *_: None)
    home = Home.open(tmp_path / "partners" / "fresh")
    (identifier,) = home.collaborations()
    known = home.secret(identifier, 1)
    assert known is not None
    secret = known.value
    key = token_key(secret, identifier, 1, "email")
    wanted = [secret, secret.hex().encode(), encode_base64(secret).encode(), key]
    wanted += [token(key, files.email(number)) for number in files.FRESH]
    wanted += [files.email(number).encode() for number in files.FRESH]
    assert (keys / "serve.log").read_text().count('"event": "request"') > 10, "the room's log is searched, too"
    for path in [*data.rglob("*"), *keys.rglob("*")]:
        if path.is_file():
            content = path.read_bytes()
            assert not any(each in content for each in wanted), path.name

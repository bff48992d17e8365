"""The partner's folder: keys, what is pinned, what was signed, the secrets. Everything here stays on this machine.

    identity.json       the private keys                    terms.toml   own terms, optional, written by hand
    room.json           the room, pinned at `join`          checkpoint   the largest one that the room showed
    confirmed.json      keys compared with other partners   grants.json  the last grant, and one without an answer
    former.json         own public keys that went           identity-next.json  keys of a rotation without an answer
    collaborations/ID/  agreement.json (the bytes as signed), secret-EPOCH.json, epoch.json, upload-HASH.json,
                        amendment-HASH.json (signed, not in force yet), tightened.json (own terms, tightened alone),
                        over (once it was closed or left),
                        withdrawals/ (see `suppression.py`)

Rules: the folder is made with the keys; it is 0700 and every file in it 0600 from the moment it exists; nothing is ever
half-written. A confirmed key holds only for exactly these keys: when the room shows others, the partner counts as not
confirmed.
"""

import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from partners import fields, files, keys
from partners.failure import Failure
from partners.fields import OddAnswer
from partners.key_change import Role
from partners.keys import Identity
from partners.protocol import PublicKeys
from partners.suppression import Suppressions
from partners.terms_file import read_toml, terms_from_table
from partners.transparency.encoding import decode_base64, encode_base64
from partners.transparency.note import NoteError, VerifierKey
from policies.question import NAME
from policies.terms import Terms

DEFAULT = Path("~/.cleanroom-partner")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class BadHome(Failure):
    """A partner's folder that cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class PinnedRoom:
    """The room that this folder joined: its address, origin, log key, `aud` of assertions; this partner's name, and
    the role of the key in this folder. `former`: keys of logs that ended.
    """

    url: str
    name: str
    vkey: VerifierKey
    token_audience: str
    partner: str
    role: Role = Role.OWNER
    former: tuple[VerifierKey, ...] = ()


@dataclass(frozen=True, slots=True)
class Secret:
    """A collaboration's secret of one epoch, and which partner made it."""

    value: bytes
    epoch: int
    maker: str

    def __repr__(self) -> str:
        return f"Secret(epoch={self.epoch}, maker={self.maker!r})"


@dataclass(frozen=True, slots=True)
class Grants:
    """The serial of the last booked grant, and the signed grant that was sent without an answer so far."""

    last: int = 0
    waiting: tuple[Mapping[str, Any], bytes] | None = None


def nobody() -> str:
    """The answer where there is nobody to ask for a passphrase. Raises `BadHome`."""
    raise BadHome("the keys have a passphrase: set CLEANROOM_PARTNER_PASSPHRASE, or run the command on a terminal")


class Home:
    """One partner's folder. Nothing is read before it is asked for."""

    def __init__(self, path: Path, ask: keys.Ask) -> None:
        self.path, self._ask = path, ask
        self._identity: Identity | None = None

    @classmethod
    def open(cls, path: Path, ask: keys.Ask = nobody) -> "Home":
        """The folder, which need not exist. Raises `BadHome` where others on the machine can enter it.

        `ask` is called, once, where the keys have a passphrase.
        """
        folder = path.expanduser().absolute()
        if os.name == "posix" and folder.exists() and folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadHome(f"others on this machine can enter {folder}; take their rights away with chmod 700")
        return cls(folder, ask)

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

    def create_identity(self, passphrase: str | None = None) -> Identity:
        """New keys; the folder is made 0700 with them. Raises `keys.BadKeyFile` where there are some."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._identity = keys.create(self.path / "identity.json", passphrase)
        return self._identity

    def identity(self) -> Identity:
        """The keys. Raises `keys.BadKeyFile`."""
        if self._identity is None:
            self._identity = keys.load(self.path / "identity.json", self._ask)
        return self._identity

    def protect_identity(self, passphrase: str | None) -> None:
        """Stores the keys under another passphrase, or under none. Raises `keys.BadKeyFile`, and `BadHome` where it is
        the one that they have.
        """
        path = self.path / "identity.json"
        if passphrase is not None and keys.protected(path) and keys.opens(path, passphrase):
            raise BadHome("the keys have this passphrase already, so nothing was changed; choose another one")
        keys.protect(path, self.identity(), passphrase)

    def room(self) -> PinnedRoom:
        """The room that was joined. Raises `BadHome` before that."""
        if (found := self._read("room.json")) is None:
            raise BadHome("this partner has not joined a room yet; run `cleanroom-partner join URL CODE`")
        try:
            texts = (fields.text(found, name) for name in ("url", "name", "vkey", "token_audience", "partner"))
            url, name, vkey, audience, partner = texts
            role = Role(fields.optional_text(found, "role") or Role.OWNER.value)
            former = tuple(VerifierKey.parse(str(each)) for each in found.get("former_vkeys", []))
            return PinnedRoom(url, name, VerifierKey.parse(vkey), audience, partner, role, former)
        except (OddAnswer, NoteError, ValueError):
            raise _damaged("room.json") from None

    def has_room(self) -> bool:
        return (self.path / "room.json").exists()

    def save_room(self, room: PinnedRoom) -> None:
        self._write(
            "room.json",
            {
                "url": room.url,
                "name": room.name,
                "vkey": str(room.vkey),
                "token_audience": room.token_audience,
                "partner": room.partner,
                "role": room.role.value,
                "former_vkeys": [str(each) for each in room.former],
            },
        )

    def follow_log(self, vkey: VerifierKey) -> None:
        """Pins the log that took the place of the one before. What the room has of grants is for it to say again."""
        room = self.room()
        if room.vkey == vkey:
            return  # another command of this folder was there first
        self.save_grants(Grants(0, self.grants().waiting))
        self.save_room(replace(room, name=vkey.name, vkey=vkey, former=(*room.former, room.vkey)))

    def terms(self) -> Terms:
        """This partner's own terms; all open where it wrote none. Raises `terms_file.BadTermsFile`."""
        path = self.path / "terms.toml"
        return terms_from_table(read_toml(path), "terms.toml") if path.exists() else Terms()

    def confirmed(self) -> dict[str, PublicKeys]:
        """The keys of each partner whose fingerprint was compared."""
        found = self._read("confirmed.json", {})
        try:
            return {name: fields.public_keys(fields.table(entry, name)) for name, entry in found.items()}
        except OddAnswer:
            raise _damaged("confirmed.json") from None

    def former_of(self, partner: str) -> tuple[PublicKeys, ...]:
        """The former keys of a partner that its compared keys vouch for."""
        try:
            entry = fields.table(self._read("confirmed.json", {}).get(partner, {}), partner)
            return _all_keys(entry, "former")
        except OddAnswer:
            raise _damaged("confirmed.json") from None

    def confirm(self, partner: str, compared: PublicKeys, former: tuple[PublicKeys, ...] = ()) -> None:
        """Remembers that these keys of a partner were compared; others of the same partner no longer count.

        `former`: those that the compared keys vouch for, in agreements that were signed before.
        """
        everyone = self._read("confirmed.json", {})
        everyone[partner] = {**_written(compared), "former": [_written(each) for each in former]}
        self._write("confirmed.json", dict(sorted(everyone.items())))

    def former(self) -> tuple[PublicKeys, ...]:
        """This partner's own keys that were rotated away: agreements name them until they are amended."""
        try:
            return _all_keys(self._read("former.json", {}), "keys")
        except OddAnswer:
            raise _damaged("former.json") from None

    def came_back(self, gone: tuple[PublicKeys, ...]) -> None:
        """From now on the keys of this folder are in the place of `gone`, which were lost."""
        known = self.former()
        kept = (*known, *(each for each in gone if each not in known))
        self._write("former.json", {"keys": [_written(each) for each in kept]})
        self.save_room(replace(self.room(), role=Role.OWNER))

    def protected(self) -> bool:
        """Whether the keys have a passphrase. Raises `keys.BadKeyFile`."""
        return keys.protected(self.path / "identity.json")

    def next_identity(self, passphrase: str | None) -> Identity:
        """The keys of a rotation: new ones, or those of one that had no answer. Raises `keys.BadKeyFile`."""
        path = self.path / "identity-next.json"
        return keys.load(path, self._ask) if path.exists() else keys.create(path, passphrase)

    def rotated(self, new: Identity) -> None:
        """From now on the keys of the rotation are this folder's; of the old ones the public parts stay."""
        gone = (self.identity().public, *self.former())
        self._write("former.json", {"keys": [_written(each) for each in gone]})
        (self.path / "identity-next.json").replace(self.path / "identity.json")
        self._identity = new

    def collaborations(self) -> tuple[str, ...]:
        """The ids of the collaborations whose agreement was signed here."""
        return tuple(sorted(path.parent.name for path in self.path.glob("collaborations/*/agreement.json")))

    def running(self) -> tuple[str, ...]:
        """Those of them that are not known to be over."""
        return tuple(each for each in self.collaborations() if not (self._folder(each) / "over").exists())

    def end(self, collaboration: str) -> None:
        """From now on this collaboration is over: it was closed, or left. What is kept of it stays."""
        if self.agreement(collaboration) is not None:
            files.write(self._folder(collaboration) / "over", b"", private=True)

    def agreement(self, collaboration: str) -> bytes | None:
        """The bytes that this partner signed; None before it did."""
        return self._bytes(self._folder(collaboration) / "agreement.json")

    def save_agreement(self, collaboration: str, document: bytes) -> None:
        files.write(self._made(collaboration) / "agreement.json", document, private=True)

    def amendments(self, collaboration: str) -> tuple[bytes, ...]:
        """The bytes of each amendment that this partner signed and has not seen in force."""
        return tuple(path.read_bytes() for path in sorted(self._folder(collaboration).glob("amendment-*.json")))

    def save_amendment(self, collaboration: str, document: bytes) -> None:
        files.write(self._amendment(collaboration, document), document, private=True)

    def forget_amendment(self, collaboration: str, document: bytes) -> None:
        """From now on this amendment is not accepted, whatever the room says."""
        self._amendment(collaboration, document).unlink(missing_ok=True)

    def tightened(self, collaboration: str, agreement: str) -> int:
        """The serial of the last tightening that the room took under an agreement (its SHA-256); 0 for none."""
        name = f"{self._relative(collaboration)}/tightened.json"
        found = self._read(name, {"agreement": agreement, "serial": 0})
        try:
            return fields.integer(found, "serial") if fields.text(found, "agreement") == agreement else 0
        except OddAnswer:
            raise _damaged(name) from None

    def save_tightened(self, collaboration: str, agreement: str, serial: int) -> None:
        self._write(f"{self._relative(collaboration)}/tightened.json", {"agreement": agreement, "serial": serial})

    def secret(self, collaboration: str, epoch: int) -> Secret | None:
        """The secret of an epoch, also one that has not reached everybody yet."""
        name = f"{self._relative(collaboration)}/secret-{epoch}.json"
        if (found := self._read(name)) is None:
            return None
        try:
            value = decode_base64(fields.text(found, "secret"))
            return Secret(value, fields.integer(found, "epoch"), fields.text(found, "maker"))
        except (OddAnswer, ValueError):
            raise _damaged(name) from None

    def save_secret(self, collaboration: str, secret: Secret) -> None:
        self._made(collaboration)
        document = {"secret": encode_base64(secret.value), "epoch": secret.epoch, "maker": secret.maker}
        self._write(f"{self._relative(collaboration)}/secret-{secret.epoch}.json", document)

    def forget_secrets(self, collaboration: str, below: int) -> None:
        """Removes the secrets of epochs that have ended: nothing is compared under them any more."""
        for path in self._folder(collaboration).glob("secret-*.json"):
            if int(path.stem.partition("-")[2]) < below:
                path.unlink(missing_ok=True)

    def highest_epoch(self, collaboration: str) -> int:
        """The highest epoch whose secret was accepted; 0 before the first."""
        name = f"{self._relative(collaboration)}/epoch.json"
        try:
            return fields.integer(self._read(name, {"accepted": 0}), "accepted")
        except OddAnswer:
            raise _damaged(name) from None

    def accept_epoch(self, collaboration: str, epoch: int) -> None:
        """From now on the secret of `epoch` counts, and no older one is accepted."""
        assert epoch > self.highest_epoch(collaboration), "epochs only grow"
        self._write(f"{self._relative(collaboration)}/epoch.json", {"accepted": epoch})

    def pending_upload(self, collaboration: str, sha256: str) -> str | None:
        """The upload that was begun for a file, by the file's SHA-256 in hex."""
        found = self._read(self._upload(collaboration, sha256))
        return fields.text(found, "upload") if found else None

    def save_upload(self, collaboration: str, sha256: str, upload: str) -> None:
        self._made(collaboration)
        self._write(self._upload(collaboration, sha256), {"upload": upload})

    def forget_upload(self, collaboration: str, sha256: str) -> None:
        (self.path / self._upload(collaboration, sha256)).unlink(missing_ok=True)

    def suppressions(self, collaboration: str) -> Suppressions:
        """What was withdrawn, reinstated and erased in a collaboration."""
        return Suppressions(self._made(collaboration) / "withdrawals")

    def grants(self) -> Grants:
        found = self._read("grants.json", {"last": 0, "waiting": None})
        try:
            if found.get("waiting") is None:
                return Grants(fields.integer(found, "last"))
            waiting = fields.table(found["waiting"], "waiting")
            signed = (fields.table(waiting.get("grant"), "grant"), fields.signature(waiting))
            return Grants(fields.integer(found, "last"), signed)
        except OddAnswer:
            raise _damaged("grants.json") from None

    def save_grants(self, grants: Grants) -> None:
        waiting = grants.waiting and {"grant": grants.waiting[0], "signature": encode_base64(grants.waiting[1])}
        self._write("grants.json", {"last": grants.last, "waiting": waiting})

    def _upload(self, collaboration: str, sha256: str) -> str:
        assert _DIGEST.fullmatch(sha256), "a manifest holds a SHA-256 in hex"
        return f"{self._relative(collaboration)}/upload-{sha256}.json"

    def _amendment(self, collaboration: str, document: bytes) -> Path:
        return self._made(collaboration) / f"amendment-{hashlib.sha256(document).hexdigest()}.json"

    def _relative(self, collaboration: str) -> str:
        if not NAME.fullmatch(collaboration):
            raise BadHome("a collaboration's id has letters, digits, - and _; `cleanroom-partner status` lists yours")
        return f"collaborations/{collaboration}"

    def _folder(self, collaboration: str) -> Path:
        return self.path / self._relative(collaboration)

    def _made(self, collaboration: str) -> Path:
        folder = self._folder(collaboration)
        folder.parent.mkdir(mode=0o700, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _bytes(self, path: Path) -> bytes | None:
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None

    @overload
    def _read(self, name: str) -> dict[str, Any] | None: ...

    @overload
    def _read(self, name: str, default: dict[str, Any]) -> dict[str, Any]: ...

    def _read(self, name: str, default: dict[str, Any] | None = None) -> dict[str, Any] | None:
        if (data := self._bytes(self.path / name)) is None:
            return default
        try:
            found = json.loads(data)
        except ValueError:
            raise _damaged(name) from None
        if not isinstance(found, dict):
            raise _damaged(name)
        return found

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        files.write(self.path / name, json.dumps(value, indent=1).encode() + b"\n", private=True)


def _written(found: PublicKeys) -> dict[str, str]:
    return {"signing_key": encode_base64(found.signing), "sealing_key": encode_base64(found.sealing)}


def _all_keys(found: Mapping[str, Any], name: str) -> tuple[PublicKeys, ...]:
    entries = fields.items(found, name) if name in found else []
    return tuple(fields.public_keys(fields.table(entry, name)) for entry in entries)


def _damaged(name: str) -> BadHome:
    return BadHome(f"{name} in the partner's folder is damaged; bring it back from a backup")

"""A room and its partners in one process: a real catalog, engine and log in a folder, the real partner client over
WSGI, and a clock that only tests move.

    with Stage.make(tmp_path, "fresh", "tasty") as stage:
        identifier = stage.agree(DRIVE, READERS)
        stage.share_secret(identifier)
        stage.publish(identifier, DRIVE, people(range(100)))
        report = stage.ask("fresh", identifier, {"kind": "overlap", "audiences": ["fresh/drive", "tasty/readers"]})

`Stage.copy` opens a copy of the folder: a published collaboration is made once and then costs a tenth of a second.
Whatever its API answers must be in the API description (`described`).
While a stage is open, partners' clients of this process take the time from its clock: close it with its test area.
"""

import csv
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import jwt
from flask import Flask

from cleanroom import auditors, jobs, setup
from cleanroom.app import create_app
from cleanroom.audit.events import EventKind
from cleanroom.catalog import partners as invitations
from cleanroom.room import Room
from cleanroom.settings import Settings
from partners import mapping
from partners.home import Home
from partners.identifiers import DateOrder
from partners.keys import Identity, key_id
from partners.mapping import Map
from partners.prepare import Prepared
from partners.reports import Report
from partners.room import connection
from partners.room.client import Room as RoomClient
from partners.steps import agreements, audiences, joining, secret
from partners.transparency.entry import Body
from policies import request
from policies.terms import MICRO, Terms
from tests.room.described import held

URL = "http://127.0.0.1:8080"
NAME = "room.example"
START = datetime(2026, 3, 14, 12, tzinfo=UTC)
FLOOR = Terms(minimum_size=10)


class Clock:
    """The room's clock and the partners' machines': it stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)

    def time(self) -> float:
        """In place of `time.time` where the partner's client signs assertions."""
        return self.now.timestamp()


@dataclass(frozen=True, slots=True)
class Brand:
    """An audience as the tests know it: its columns `attribute` and `measure` in the customer file."""

    owner: str
    name: str
    keys: tuple[str, ...]
    attribute: tuple[str, tuple[str, ...]] | None = None
    measure: tuple[str, int, int] | None = None

    @property
    def ref(self) -> str:
        return f"{self.owner}/{self.name}"

    def agreed(self) -> dict[str, Any]:
        """Its `[[audience]]` table."""
        return {
            "owner": self.owner,
            "name": self.name,
            "keys": list(self.keys),
            "attributes": {self.attribute[0]: list(self.attribute[1])} if self.attribute else {},
            "measures": {self.measure[0]: self._bounds()} if self.measure else {},
        }

    def map(self, folder: Path) -> Map:
        """Its MAP.toml, for the customer file in `folder`."""
        columns = {"email": "email", "id.card": "card"}
        return mapping.parse(
            {
                "name": self.owner,
                "audience": self.name,
                "file": "customers.csv",
                "keys": {key: columns[key] for key in self.keys},
                "attributes": {self.attribute[0]: "attribute"} if self.attribute else {},
                "measures": {self.measure[0]: {"column": "measure", **self._bounds()}} if self.measure else {},
                "consent": {"insights": "insights", "measurement": "measurement", "expires": "until"},
                "date_order": DateOrder.YMD.value,
            },
            folder,
        )

    def _bounds(self) -> dict[str, Any]:
        assert self.measure is not None
        return {"lower": self.measure[1], "upper": self.measure[2], "decimals": 2}


DRIVE = Brand("fresh", "drive", ("email", "id.card"), ("tier", ("gold", "silver")), ("spend", 0, 500))
READERS = Brand("tasty", "readers", ("email", "id.card"), ("genre", ("food", "news")), ("clicks", 0, 20))
VISITS = Brand("sunny", "visits", ("email",))


@dataclass(frozen=True, slots=True)
class Customer:
    """A row of a customer file. Blank texts are missing; `until` is the last day of the consent."""

    email: str
    card: str = ""
    attribute: str = ""
    measure: int | None = None
    insights: bool = True
    measurement: bool = True
    until: date = date(2030, 1, 1)


def people(numbers: Iterable[int]) -> list[Customer]:
    """Plain customers who consent to everything; a number is the same person in every audience."""
    values = ("gold", "silver", "food", "news")
    return [Customer(f"p{n}@mail.example", f"card-{n}", values[n % 4], n % 10) for n in numbers]


@dataclass(frozen=True, slots=True)
class Player:
    """A partner at play: its folder and its connection."""

    name: str
    home: Home
    room: RoomClient

    @property
    def identity(self) -> Identity:
        return self.home.identity()


@dataclass(slots=True)
class Stage:
    """A running room. `folder` holds everything, the partners' folders included."""

    folder: Path
    room: Room
    clock: Clock
    app: Flask
    players: dict[str, Player] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def make(cls, folder: Path, *names: str, allowance: int = 5 * MICRO, floor: Terms = FLOOR) -> Iterator["Stage"]:
        """A new room in an empty folder, that the partners `names` have joined."""
        clock = Clock()
        room = setup.init(settings(folder, allowance, floor), NAME, clock)
        with cls._open(folder, room, clock) as stage:
            for name in names:
                stage.join(name)
            yield stage

    @contextmanager
    def copy(self, folder: Path, allowance: int | None = None) -> Iterator["Stage"]:
        """The same room once more, in a folder of its own, at this stage's time; with another allowance, if given."""
        for part in ("room", "keys", "partners"):
            shutil.copytree(self.folder / part, folder / part)
        clock = Clock()
        clock.now = self.clock.now
        before = self.room.settings
        room = setup.open_room(settings(folder, allowance or before.allowance, before.floor), clock)
        if allowance:
            room.note(EventKind.ROOM_START)
        with self._open(folder, room, clock) as stage:
            for name in self.players:
                stage._enter(Home.open(folder / "partners" / name), name)
            yield stage

    @classmethod
    @contextmanager
    def _open(cls, folder: Path, room: Room, clock: Clock) -> Iterator["Stage"]:
        # The newest stage's clock is the partners': a test plays on one stage at a time.
        with mock.patch.object(connection, "time", clock):
            stage = cls(folder, room, clock, held(create_app(room)))
            try:
                yield stage
            finally:
                for player in stage.players.values():
                    player.room.close()

    def invite(self, name: str) -> str:
        with self.room.catalog() as catalog:
            return invitations.invite(catalog, name, self.room.now)

    def join(self, name: str) -> Player:
        """A new partner with new keys."""
        home = Home.open(self.folder / "partners" / name)
        home.create_identity()
        joining.join(home, URL, self.invite(name), self.transport())
        return self._enter(home, name)

    def appoint(self, name: str, *identifiers: str) -> Player:
        """A new auditor, appointed to collaborations. It is none of `players`."""
        with self.room.catalog() as catalog:
            code = auditors.appoint(self.room, catalog, name, identifiers)
        assert code is not None, "this auditor is new"
        home = Home.open(self.folder / "partners" / name)
        home.create_identity()
        joining.join(home, URL, code, self.transport())
        return Player(name, home, joining.open_room(home, self.transport()))

    def _enter(self, home: Home, name: str) -> Player:
        self.players[name] = Player(name, home, joining.open_room(home, self.transport()))
        return self.players[name]

    def reopen(self) -> None:
        """What partners speak to from now on is the app of `room`, which a test has opened anew."""
        self.app = held(create_app(self.room))
        for name, player in self.players.items():
            player.room.close()
            self._enter(player.home, name)

    def transport(self) -> httpx.WSGITransport:
        return httpx.WSGITransport(app=self.app)

    def anybody(self) -> httpx.Client:
        """HTTP without a token."""
        return httpx.Client(transport=self.transport(), base_url=URL)

    def http(self, name: str) -> httpx.Client:
        """HTTP with a fresh token of a partner, for requests that the client would not send."""
        client = self.anybody()
        client.headers["Authorization"] = f"Bearer {self.token(name)}"
        return client

    def token(self, name: str, identity: Identity | None = None) -> str:
        answer = self.sign_in(self.assertion(name, identity))
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def assertion(self, name: str, identity: Identity | None = None, **changes: Any) -> str:
        """A client assertion of a partner; `changes` replace claims."""
        now = self.room.now
        claims = {"iss": name, "sub": name, "aud": f"{URL}/v1/token", "iat": now, "exp": now + 60}
        claims |= {"jti": secrets.token_hex(8), **changes}
        identity = identity or self.players[name].identity
        kid = key_id(identity.public.signing)
        return jwt.encode(claims, identity.signing, algorithm="EdDSA", headers={"kid": kid})

    def sign_in(self, assertion: str) -> httpx.Response:
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        with self.anybody() as client:
            return client.post("/v1/token", data=form)

    def propose(self, *brands: Brand, proposer: str | None = None, **head: Any) -> str:
        """Proposes an agreement over these audiences; its id. `head` are terms, as an AGREEMENT.toml writes them."""
        first = self.players[proposer or brands[0].owner]
        table = {
            "collaboration": {"name": "drive-2026", "match_keys": ["email", "id.card"], **head},
            "partner": [{"name": name} for name in dict.fromkeys(brand.owner for brand in brands)],
            "audience": [brand.agreed() for brand in brands],
        }
        return agreements.propose(first.home, first.room, table).agreement.id

    def agree(self, *brands: Brand, **head: Any) -> str:
        """An open agreement over these audiences; its id."""
        identifier = self.propose(*brands, **head)
        for name in dict.fromkeys(brand.owner for brand in brands):
            player = self.players[name]
            agreements.agree(player.home, player.room, agreements.read(player.home, player.room, identifier))
        return identifier

    def compare(self, *names: str) -> None:
        """Every partner compares keys with every other one."""
        for one in names:
            for other in names:
                if one != other:
                    player = self.players[one]
                    joining.confirm(player.home, joining.compare(player.home, player.room, other))

    def share_secret(self, identifier: str) -> None:
        """The first partner of the agreement makes the secret, the others accept it."""
        names = [party.name for party in self.agreement(identifier).parties]
        self.compare(*names)
        maker, *others = (self.players[name] for name in names)
        secret.make(maker.home, maker.room, identifier)
        for each in others:
            secret.accept(each.home, each.room, identifier)

    def agreement(self, identifier: str) -> Any:
        """The agreement of a collaboration, as whichever partner has it reads it."""
        for player in self.players.values():
            if any(each.id == identifier for each in player.room.collaborations()):
                return agreements.parsed(player.room.agreement(identifier))
        raise LookupError(identifier)

    def prepare(self, identifier: str, brand: Brand, customers: Iterable[Customer]) -> Prepared:
        """Prepares a customer file at its owner's; every call writes into a folder of its own."""
        folder = self.folder / "files" / secrets.token_hex(4)
        folder.mkdir(parents=True)
        write_customers(folder / "customers.csv", customers)
        home = self.players[brand.owner].home
        return audiences.prepare(home, brand.map(folder), folder, self.clock(), lambda *_: None, identifier)

    def upload(self, brand: Brand, made: Prepared) -> str:
        """Uploads what was prepared, without waiting; the id of the received version."""
        player = self.players[brand.owner]
        manifest = made.manifest.manifest
        upload = player.room.begin_upload(manifest.bytes)
        player.room.upload(upload, made.audience_path, lambda *_: None)
        return player.room.create_version(made.manifest, upload).id

    def work(self) -> int:
        """Does all the waiting work of the room; how much there was."""
        done = 0
        with self.room.catalog() as catalog:
            while jobs.run_next(self.room, catalog):
                done += 1
        return done

    def publish(self, identifier: str, brand: Brand, customers: Iterable[Customer]) -> str:
        """Prepares, uploads and publishes; the id of the version."""
        version = self.upload(brand, self.prepare(identifier, brand, customers))
        self.work()
        return version

    def version(self, identifier: str, brand: Brand, version: str) -> dict[str, Any]:
        """A version as its owner reads it."""
        with self.http(brand.owner) as client:
            answer = client.get(f"/v1/collaborations/{identifier}/audiences/{brand.name}/versions/{version}")
        found: dict[str, Any] = answer.json()
        return found

    def ask(self, name: str, identifier: str, asked: Mapping[str, Any]) -> Report:
        """Asks for a report, whatever the partner's folder knows: `cleanroom-partner ask` looks at that first."""
        return self.players[name].room.ask(identifier, request.from_json(dict(asked)))

    def leaves(self) -> list[tuple[str, dict[str, Any]]]:
        """Every entry of the log: its event and its body's details."""
        with self.room.catalog() as catalog:
            bodies = [Body.parse(row["body"]) for row in catalog.all("select body from log_entries order by seq")]
        return [(body.event, dict(body.details)) for body in bodies]

    def rows(self, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """What a query of the catalog gives."""
        with self.room.catalog() as catalog:
            return [tuple(row) for row in catalog.all(sql, *parameters)]


def settings(folder: Path, allowance: int = 5 * MICRO, floor: Terms = FLOOR) -> Settings:
    return Settings(folder / "room", folder / "keys", URL, floor, allowance)


def write_customers(path: Path, customers: Iterable[Customer]) -> None:
    header = ("email", "card", "attribute", "measure", "insights", "measurement", "until")
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for each in customers:
            amount = "" if each.measure is None else str(each.measure)
            consent = ("yes" if each.insights else "no", "yes" if each.measurement else "no", each.until.isoformat())
            writer.writerow([each.email, each.card, each.attribute, amount, *consent])

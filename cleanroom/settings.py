"""The room's settings: frozen, read once from the environment, validated before anything starts.

Rules: every setting is listed here with what it does; `cleanroom settings` and the docs print this list. A setting
that does not parse stops the start with one line that names it.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cleanroom.audit.quorum import NO_WITNESSES, Witnesses
from partners.transparency.cosignature import WitnessKey
from partners.transparency.note import NoteError
from policies import terms
from policies.terms import BadTerms, Terms

LOOPBACK = re.compile(r"http://(127\.\d+\.\d+\.\d+|\[::1\]|localhost)(:\d+)?$")


class BadSettings(ValueError):
    """A setting that does not parse; the message names it and is safe to print."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable of the environment: its name, its default as written, what it does."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting("CLEANROOM_DATA", "room", "folder of the catalog, the audiences, the links and the log"),
    Setting("CLEANROOM_KEYS", "", "folder of the room's keys; empty: the data folder's name with `-keys`, beside it"),
    Setting("CLEANROOM_URL", "http://127.0.0.1:8080", "address at which partners reach the room"),
    Setting("CLEANROOM_FLOOR_MINIMUM_SIZE", "10", "the least `minimum_size` that this room accepts"),
    Setting("CLEANROOM_FLOOR_EPSILON_PER_REPORT", "", "the most ε a report may cost an owner; empty: no floor"),
    Setting("CLEANROOM_FLOOR_MODE", "", "`private` forbids threshold mode; empty: the partners choose"),
    Setting("CLEANROOM_ALLOWANCE", "5.0", "lifetime ε of an owner over all collaborations, before its own grants"),
    Setting("CLEANROOM_WITNESSES", "", "witnesses of the log, each its key, with `=` and its address if it listens"),
    Setting("CLEANROOM_WITNESS_QUORUM", "0", "how many witnesses cosign the log before an answer leaves; 0: none"),
    Setting("CLEANROOM_LIMIT_QUESTIONS", "300", "questions of a partner in a minute; 0: no limit"),
    Setting("CLEANROOM_LIMIT_UPLOADS", "3000", "requests of a partner about uploads in a minute; 0: no limit"),
    Setting("CLEANROOM_LIMIT_REQUESTS", "1200", "other requests of a partner in a minute; 0: no limit"),
    Setting("CLEANROOM_LIMIT_GUESSES", "60", "wrong codes and assertions of a network in a minute; 0: no limit"),
)
LARGEST_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Requests in a minute, 0 for no limit: a partner's questions, uploads, others; a network's wrong guesses."""

    questions: int = 0
    uploads: int = 0
    requests: int = 0
    guesses: int = 0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a room. `allowance` in micro-ε."""

    data: Path
    keys: Path
    url: str
    floor: Terms
    allowance: int
    limits: RequestLimits = RequestLimits()
    witnesses: Witnesses = NO_WITNESSES

    @property
    def token_audience(self) -> str:
        """The `aud` of client assertions (RFC 7523 §3)."""
        return f"{self.url}/v1/token"

    @property
    def catalog(self) -> Path:
        return self.data / "catalog.sqlite"

    @property
    def incoming(self) -> Path:
        """Uploads, until they are checked."""
        return self.data / "incoming"

    @property
    def log(self) -> Path:
        """The published log: checkpoint and tiles."""
        return self.data / "log"

    @property
    def pace(self) -> Path:
        """The counters of `limits`."""
        return self.data / "pace"


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process. Raises `BadSettings`."""
    value = {setting.name: environment.get(setting.name, setting.default).strip() for setting in SETTINGS}
    data = Path(value["CLEANROOM_DATA"]).absolute()
    keys = Path(value["CLEANROOM_KEYS"]).absolute() if value["CLEANROOM_KEYS"] else beside(data)
    if keys == data or data in keys.parents:
        raise BadSettings("CLEANROOM_KEYS lies inside the data folder; keep the keys apart from what they protect")
    url = value["CLEANROOM_URL"].rstrip("/")
    if not (url.startswith("https://") or LOOPBACK.match(url)):
        raise BadSettings("CLEANROOM_URL begins with https://; http:// is for 127.0.0.1, [::1] and localhost only")
    allowance = _epsilon("CLEANROOM_ALLOWANCE", value["CLEANROOM_ALLOWANCE"])
    return Settings(data, keys, url, _floor(value), allowance, _limits(value), _witnesses(value))


def _witnesses(value: Mapping[str, str]) -> Witnesses:
    keys, listening = list[WitnessKey](), dict[WitnessKey, str]()
    for item in value["CLEANROOM_WITNESSES"].split():
        text, _, address = item.partition("=")
        try:
            keys.append(WitnessKey.parse(text))
        except NoteError as problem:
            raise BadSettings(f"CLEANROOM_WITNESSES: {problem}") from None
        if address:
            if not (address.startswith("https://") or LOOPBACK.match(address)):
                raise BadSettings("CLEANROOM_WITNESSES: a witness listens at https://; http:// is for loopback only")
            listening[keys[-1]] = address.rstrip("/")
    quorum = value["CLEANROOM_WITNESS_QUORUM"]
    if not (quorum.isascii() and quorum.isdecimal() and len(quorum) < 3 and int(quorum) <= len(listening)):
        raise BadSettings("CLEANROOM_WITNESS_QUORUM is a whole number, at most that of the witnesses that listen")
    if len({key.name for key in keys}) != len(keys):
        raise BadSettings("CLEANROOM_WITNESSES names a witness twice")
    return Witnesses(tuple(keys), listening, int(quorum))


def beside(data: Path) -> Path:
    """The default folder of the keys: beside the data, never inside it."""
    return data.with_name(f"{data.name}-keys")


def _limits(value: Mapping[str, str]) -> RequestLimits:
    numbers: list[int] = []
    for name in ("QUESTIONS", "UPLOADS", "REQUESTS", "GUESSES"):
        text = value[f"CLEANROOM_LIMIT_{name}"]
        if not (text.isascii() and text.isdecimal() and len(text) < 8 and int(text) <= LARGEST_LIMIT):
            raise BadSettings(f"CLEANROOM_LIMIT_{name} is a whole number from 0 to {LARGEST_LIMIT}; 0 is no limit")
        numbers.append(int(text))
    return RequestLimits(*numbers)


def _floor(value: Mapping[str, str]) -> Terms:
    stated: dict[str, Any] = {}
    if size := value["CLEANROOM_FLOOR_MINIMUM_SIZE"]:
        if not size.isdecimal():
            raise BadSettings("CLEANROOM_FLOOR_MINIMUM_SIZE is a whole number of people")
        stated["minimum_size"] = int(size)
    if epsilon := value["CLEANROOM_FLOOR_EPSILON_PER_REPORT"]:
        stated["epsilon_per_report"] = _epsilon("CLEANROOM_FLOOR_EPSILON_PER_REPORT", epsilon)
    if mode := value["CLEANROOM_FLOOR_MODE"]:
        stated["mode"] = mode
    try:
        return terms.from_json(stated)
    except BadTerms as problem:
        raise BadSettings(f"the floor (CLEANROOM_FLOOR_…): {problem}") from None


def _epsilon(name: str, text: str) -> int:
    try:
        return terms.micro(text)
    except BadTerms as problem:
        raise BadSettings(f"{name}: {problem}") from None

"""What attacks share that a rule has to stop in every case: raw answers, twin rooms, answers without their accidents.

    with arena(folder / "one", …) as one, twin(one, folder / "other") as other:
        desk = Desk(one, ATTACKER)
        desk.post(kind="statistics", …).status_code

Rules: `plain` takes out what is random in every answer (names, nonces, hashes, signatures) and keeps its length, so
that two answers that are equal after it tell nothing by their size either.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import httpx

from cleanroom import gate
from cleanroom.engine.rekey import Rekeyer
from cleanroom.engine.sealed import open_sealed
from cleanroom.intake import sandbox
from cleanroom.intake.limits import Limits
from cleanroom.intake.rejection import Rejected
from cleanroom.intake.translate import Refused, translate
from partners.manifest import Manifest
from policies.decision import Release
from policies.disclose import Measured
from tests.attacks.arena import Arena

RANDOM_NAME = re.compile(r"[0-9a-f]{16,}")


class Desk:
    """A partner's place at the API: plain HTTP with its token. Close it, or use it as a context."""

    def __init__(self, fight: Arena, who: str) -> None:
        self.http = fight.stage.http(who)
        self._reports = f"/v1/collaborations/{fight.id}/reports"

    def __enter__(self) -> "Desk":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, **asked: Any) -> httpx.Response:
        """The answer to a request, a refusal included; `dry_run=True` is its price."""
        return self.http.post(self._reports, json=asked)

    def listed(self) -> httpx.Response:
        """The list of every report."""
        return self.http.get(self._reports)


@contextmanager
def in_process() -> Iterator[None]:
    """For volume: intake reads files in this process, and nothing waits for the disk. Also a decorator."""

    def run(path: Path, manifest: Manifest, key: bytes, folder: Path, limits: Limits) -> int | Rejected:
        try:
            return translate(path, manifest, Rekeyer(key), folder, limits)
        except Refused as refused:
            return refused.why

    with mock.patch.object(sandbox, "run", run), mock.patch("os.fsync"):
        yield


@contextmanager
def twin(fight: Arena, folder: Path, allowance: int | None = None) -> Iterator[Arena]:
    """The same room once more, as it is now, in a folder of its own. Both clocks stand still."""
    folder.mkdir(parents=True)
    with fight.stage.copy(folder, allowance) as stage:
        yield Arena(stage, fight.id, Random(0), fight.mode, fight.crowds)


def plain(value: Any) -> Any:
    """JSON without what is random in it; every text as long as before. A receipt is random as a whole."""
    match value:
        case dict():
            return {key: _blank(each) if key == "receipt" else plain(each) for key, each in value.items()}
        case list():
            return [plain(each) for each in value]
        case str():
            return RANDOM_NAME.sub(lambda found: "x" * len(found[0]), value)
    return value


def _blank(value: Any) -> Any:
    match value:
        case dict():
            return {key: _blank(each) for key, each in value.items()}
        case list():
            return [_blank(each) for each in value]
        case str():
            return len(value)
    return value


def headers(answer: httpx.Response, *without: str) -> dict[str, str]:
    """The headers of an answer."""
    return {name: value for name, value in answer.headers.items() if name not in without}


def said(answer: httpx.Response) -> list[tuple[str, Any, Any]]:
    """The figures of a report: measure, cell, value."""
    return [(each["measure"], each["by"], each["value"]) for each in answer.json()["figures"]]


def log_entries(fight: Arena) -> list[tuple[int, str]]:
    """Every entry of the log: its length, and what it says but for random names."""
    bodies = [bytes(body) for (body,) in fight.stage.rows("select body from log_entries order by seq")]
    return [(len(body), RANDOM_NAME.sub("x", body.decode("latin-1"))) for body in bodies]


def telling(change: Callable[[Measured, Release], Release]) -> AbstractContextManager[Any]:
    """For positive controls: a room in which what was measured changes the answer."""
    disclose = gate._disclose

    def wrong(agreement: Any, asked: Any, price: Any, sealed: Any) -> Release:
        return change(open_sealed(sealed), disclose(agreement, asked, price, sealed))

    return mock.patch.object(gate, "_disclose", wrong)


def size_without_figures(answer: httpx.Response) -> int:
    """How many bytes a report has beside its figures; all of them where there are none."""
    head, found, figures = answer.text.partition('"figures":')
    if not found:
        return len(answer.content)
    _, end = json.JSONDecoder().raw_decode(figures.lstrip())
    return len(head.encode()) + len(figures.lstrip()[end:].encode())


def share(wins: Iterable[bool]) -> float:
    """The share of cases that are true."""
    listed = list(wins)
    return sum(listed) / len(listed)

"""The engine's interface, at the height of questions. What is written here is a contract; every engine keeps it.

* Matching. A question counts the people of one audience A. A person is matched in another audience D through the first
  match key, in the agreement's order, under which the person's token stands in D on a row that takes part.
* Absence comes before matching. A row that did not consent to the purpose, expired or was withdrawn is absent as if it
  had never been uploaded.
* Vectors are integers, exact, in the order of `policies.cells.cells`. Measures are clipped to the agreed bounds once
  more before they are added, whatever the files say, because the noise is scaled to those bounds; a missing value
  counts 0.
* A version is published whole or not at all, and never changes. `publish` and `retire` may be repeated after a crash.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cleanroom.engine.sealed import Sealed
from policies.agreement import Agreement
from policies.question import AudienceRef, Question

Rows = npt.NDArray[np.uint32]
Masks = npt.NDArray[np.uint8]
Tokens = npt.NDArray[np.uint8]
"""Re-keyed tokens, 16 bytes in each row."""


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The withdrawn rows of a version. `digest` names them: 32 hex digits, others for other rows or purposes.

    `read` gives the numbers of the rows, ascending, and for each the mask of purposes that it is withdrawn from (see
    `policies.purpose`; higher bits mean nothing here). It is called only where nothing was worked out for `digest` yet.
    """

    digest: str
    read: Callable[[], tuple[Rows, Masks]] = field(compare=False)


# Per version. One that is not named has nothing withdrawn.
Absent = Mapping[str, Withdrawn]


# Told how many percent of a publication are done, from the thread that publishes.
Progress = Callable[[int], None]


def ignore(_: int) -> None:
    """The `Progress` of whoever does not care."""


class NotPublished(LookupError):
    """A version that a question needs is not published here, or not linked to the counted one. Safe to print."""


@dataclass(frozen=True, slots=True)
class Staged:
    """A version that intake has accepted and nobody can ask about yet.

    `id`: lower-case letters and digits, single hyphens inside. `folder`: what intake wrote, on the file system of the
    data folder; `publish` takes it over. `against`: the published versions of every other audience of the same
    collaboration and epoch.
    """

    id: str
    folder: Path
    against: tuple[str, ...]


class Engine(Protocol):
    """What the room needs of an engine."""

    def publish(self, staged: Staged, progress: Progress = ignore) -> None:
        """Makes a version measurable together with each of `against`; durable when it returns.

        Repeating it is harmless; on a version that is published already it only adds links that are missing.
        """

    def retire(self, version: str) -> None:
        """Removes a version and its links from the disk; harmless when it is not there."""

    def measure(
        self, question: Question, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent
    ) -> Sealed:
        """The exact vectors of a canonical, admitted question on `day` (UTC).

        `versions` names the published version of every audience of the question. Raises `NotPublished`.
        """

    def prepare(self, agreement: Agreement, versions: Mapping[AudienceRef, str], day: date, absent: Absent) -> None:
        """Works ahead for the questions of one day over these published versions, and forgets what served other days.

        It changes no answer, only how soon the first one comes. Raises `NotPublished`.
        """

    def find(self, version: str, key: str, tokens: Tokens) -> npt.NDArray[np.int32]:
        """For each of some different tokens of a match key the row where it stands in a version, -1 for none.

        The version may be one that nobody can ask about yet. Raises `NotPublished`.
        """

    def tokens(self, version: str, rows: Rows) -> Mapping[str, tuple[Tokens, npt.NDArray[np.bool_]]]:
        """For each match key of a version, the tokens of some of its rows and whether each is there.

        Raises `NotPublished`.
        """

    def erase(self, version: str, rows: Rows) -> None:
        """Overwrites everything of some rows that is stored, and what was made from it; durable when it returns.

        The rows take part in nothing any more. Harmless to repeat, and on a version that is not there.
        """

"""How every command talks to people and programs.

Rules:
* What was asked for goes to stdout, everything else to stderr. Progress shows on a terminal only.
* Exit 0, 1 when the work failed, 2 for wrong usage, 130 when stopped. An error is one line, `error: … what to do`;
  never a trace, not even for a bug.
* Text that is not ours is never taken as markup.
"""

import io
import json
import os
import re
import shlex
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from types import TracebackType
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from partners.envelopes import BadEnvelope, EnvelopeRefused
from partners.failure import Failure, plain, refused
from partners.home import DEFAULT, Home, nobody
from partners.keys import BadKeyFile
from partners.manifest import BadManifest
from partners.mapping import BadMap
from partners.prepare import NotAgreed
from partners.reading import BadFile
from partners.receipts import ReceiptError
from partners.room.client import Room
from partners.room.connection import Transport
from partners.steps.joining import open_room
from partners.transparency.note import NoteError
from policies.question import BadQuestion
from policies.terms import BadTerms

KNOWN = (
    Failure,
    BadEnvelope,
    BadFile,
    BadKeyFile,
    BadManifest,
    BadMap,
    BadQuestion,
    BadTerms,
    EnvelopeRefused,
    NoteError,
    NotAgreed,
    ReceiptError,
)
"""Every error whose text is one line and safe to print."""

FAILED, USAGE, STOPPED = 1, 2, 130
PASSPHRASE = "CLEANROOM_PARTNER_PASSPHRASE"  # noqa: S105 - the name of a variable
NEW_PASSPHRASE = "CLEANROOM_PARTNER_NEW_PASSPHRASE"  # noqa: S105 - the name of a variable
SHORTEST_PASSPHRASE = 12
PIPED_WIDTH = 140

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
without_asking = click.option("--yes", is_flag=True, help="Answer yes; for scripts.")


GROUPS_A_ROW = 4


@dataclass(frozen=True, slots=True)
class Setup:
    """What every command is given: where the partner's folder is; tests hand in another transport."""

    path: Path
    transport: Transport | None = None

    def home(self) -> Home:
        return Home.open(self.path, _passphrase)

    @contextmanager
    def room(self) -> Iterator[tuple[Home, Room]]:
        """The folder and the room that it joined, whose log has only grown. Raises `LogRefused`."""
        home = self.home()
        with closing(open_room(home, self.transport)) as room:
            room.log.refresh()
            for line in room.log.news:
                click.echo(line, err=True)
            yield home, room


def _passphrase() -> str:
    """That of the environment, or what the person at the terminal types."""
    stated = os.environ.get(PASSPHRASE)
    if stated is not None:
        return stated
    return click.prompt("Passphrase of the keys", hide_input=True, err=True) if sys.stdin.isatty() else nobody()


def new_passphrase(variable: str = PASSPHRASE) -> str:
    """One to protect keys with: that of the environment, or one typed twice. Raises `Failure` for a short one."""
    stated = os.environ.get(variable)
    if stated is None:
        if not sys.stdin.isatty():
            raise Failure(f"the keys need a new passphrase: set {variable}, or run the command on a terminal")
        stated = click.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)
    if len(stated) < SHORTEST_PASSPHRASE:
        raise Failure(f"a passphrase has {SHORTEST_PASSPHRASE} characters or more; take several words")
    if any("\ud800" <= each <= "\udfff" for each in stated):  # bytes of the environment that are no text
        raise Failure("a passphrase is text in UTF-8")
    return stated


class OneLineErrors(click.Group):
    """A group of commands whose every error is one line."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # a terminal that cannot show ε or ± shows ?
        sys.excepthook = _bug
        kwargs["standalone_mode"] = False
        try:
            returned = super().main(*args, **kwargs)
            sys.exit(returned if isinstance(returned, int) else 0)
        except click.Abort:
            _end("stopped; nothing half-written is left", STOPPED)
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "cleanroom-partner"
            said = " ".join(error.format_message().split()).rstrip(".")
            _end(f"error: {said}; see `{command} --help`", USAGE)
        except click.ClickException as error:
            _end(f"error: {' '.join(error.format_message().split())}", FAILED)
        except KNOWN as error:
            _end(f"error: {error}", FAILED)
        except OSError as error:
            _end(f"error: {refused(error)}", FAILED)


def console() -> Console:
    """Where answers go; foreign text goes there as `rich.text.Text`. Piped, it is wide, so that tables keep rows."""
    width = None if sys.stdout.isatty() else PIPED_WIDTH
    return Console(highlight=False, emoji=False, width=width)


def table(*heads: str, numbers: int = 0) -> Table:
    """A table; its last `numbers` columns are aligned as numbers. Foreign text goes into it as `rich.text.Text`."""
    made = Table(box=SIMPLE_HEAD)
    for place, head in enumerate(heads):
        made.add_column(head, justify="right" if place >= len(heads) - numbers else "left")
    return made


def say(text: str) -> None:
    """One line, or several, to stdout."""
    click.echo(text)


def say_digits(digits: str) -> None:
    """The 60 digits of a comparison, in rows."""
    groups = digits.split()
    for start in range(0, len(groups), GROUPS_A_ROW):
        say("  " + " ".join(groups[start : start + GROUPS_A_ROW]))


def say_json(value: object) -> None:
    plain_output = (sys.stdout.encoding or "").lower().replace("-", "") != "utf8"  # on Windows, piped
    click.echo(json.dumps(value, ensure_ascii=plain_output, indent=2))


def quoted(path: PurePath) -> str:
    """A path as it is typed after a command that we suggest."""
    if os.name == "posix":
        return shlex.quote(str(path))
    return f'"{path}"' if re.search(r"[^\w.:\\/-]", str(path)) else str(path)


def confirm(question: str, yes: bool, word: str = "yes") -> None:
    """Returns when the person at the terminal types `word`. Raises `Failure` for any other answer."""
    if yes:
        return
    click.echo(f"{question} Type {word}: ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        raise Failure("nobody answered; give --yes to run it without a question")
    if answer.strip().lower() != word:
        raise Failure(f"you did not type {word}, so nothing was done; run it again when you are sure")


class _Rate(ProgressColumn):
    """How fast a step is: in rows, or in bytes. Nothing for a step that counts percent."""

    def __init__(self, rows: Collection[str], percent: Collection[str]) -> None:
        super().__init__()
        self._rows = rows
        self._percent = percent

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        if speed is None or task.description in self._percent:
            return Text("")
        return Text(f"{speed:,.0f} rows/s" if task.description in self._rows else f"{speed / 1e6:,.1f} MB/s")


@contextmanager
def progress(
    rows: Collection[str] = (),
    percent: Collection[str] = (),
    out: Console | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each step that is told, with its rate and the time left, on a terminal; elsewhere nothing.

    Steps count bytes, but for those named in `rows` and `percent`. `out` and `clock` (seconds) are for tests.
    """
    out = out or Console(stderr=True, markup=False)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TaskProgressColumn(),
        _Rate(rows, percent),
        TimeRemainingColumn(),
        TextColumn("left"),
    )
    with Progress(*columns, console=out, disable=not out.is_terminal, transient=True, get_time=clock) as bars:
        tasks: dict[str, TaskID] = {}

        def told(step: str, done: int, whole: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=whole)
            bars.update(tasks[step], completed=done, total=whole)

        yield told


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """A sign of life while the room works, on a terminal."""
    out = Console(stderr=True, markup=False)
    if not out.is_terminal:
        yield
        return
    with out.status(what):
        yield


def write_out(path: str, data: bytes, write: Callable[[Path, bytes], None]) -> None:
    """To a file by `write`, or to stdout for `-`."""
    if path == "-":
        click.echo(data, nl=False)
    else:
        write(Path(path), data)


def home_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--home DIR`, or the environment's CLEANROOM_PARTNER_HOME."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path, file_okay=False),
        default=DEFAULT,
        show_default=True,
        envvar="CLEANROOM_PARTNER_HOME",
        show_envvar=True,
        help="The folder of keys, secrets and signed agreements.",
    )(command)


def _end(line: str, code: int) -> None:
    click.echo(plain(line, limit=1000), err=True)
    sys.exit(code)


def _bug(kind: type[BaseException], _: BaseException, trace: TracebackType | None) -> None:
    """A bug tells where it is, and nothing of the data that it met."""
    while trace and trace.tb_next:
        trace = trace.tb_next
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "unknown place"
    click.echo(f"error: unexpected {kind.__name__} at {where}; this is a bug, please report this line", err=True)

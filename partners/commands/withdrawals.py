"""withdraw, reinstate, erase, consents."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import click
from rich.text import Text

from partners import mapping
from partners.commands.terminal import (
    Setup,
    as_json,
    confirm,
    console,
    say,
    say_json,
    table,
    waiting,
    without_asking,
)
from partners.identifiers import DateOrder
from partners.steps import withdrawals
from partners.steps.withdrawals import Listed, NotAcknowledged, Sent
from partners.withdrawal import Action
from partners.words import counted
from policies.purpose import Purpose

_EVERY = frozenset(Purpose)
_MEANING = {
    Action.WITHDRAW: "From the next measurement on, whoever is on the list is not counted for: {purposes}.",
    Action.REINSTATE: "What was withdrawn by these identifiers is undone for: {purposes}.",
    Action.ERASE: "Whoever is on the list is not counted any more, and their rows are overwritten in the room.",
}


def _listed(command: Callable[..., Any]) -> Callable[..., Any]:
    """The arguments of a command that takes a list."""
    for decorator in (
        click.option("--encoding", default="utf-8", show_default=True, help="Of the list."),
        click.option(
            "--date-order", type=click.Choice([order.value for order in DateOrder]), default=DateOrder.YMD.value,
            show_default=True, help="Of birth dates.",
        ),
        click.option("--region", help="Of phone numbers without a country, such as FR."),
        click.option(
            "--map", "map_file", type=click.Path(path_type=Path, dir_okay=False, exists=True),
            help="Take region, date order and encoding from this MAP.toml.",
        ),
        click.option("--key", "match_key", required=True, help="The match key of the list, such as email."),
        click.argument("list_file", metavar="FILE|-", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True)),
        click.argument("collab", metavar="COLLAB[/AUDIENCE]"),
        click.pass_obj,
    ):  # fmt: skip
        command = decorator(command)
    return command


def _purposes(command: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--purpose", "purposes", multiple=True, type=click.Choice([purpose.value for purpose in Purpose]),
        help="Only this purpose; may be repeated. Without it: all of them.",
    )(command)  # fmt: skip


@click.command()
@_purposes
@as_json
@_listed
def withdraw(setup: Setup, purposes: tuple[str, ...], as_json: bool, **listed: Any) -> None:
    """Withdraw consent: whoever is on the list is no longer counted.

    FILE has one identifier a line. It is read as `prepare` reads it and hashed here; only tokens are sent. Rows with
    one of these identifiers, and the same people in any later file, are absent from the next measurement on.
    For the key person, FILE has the columns given_name, family_name and birth_date.

    \b
    Example:
      cleanroom-partner withdraw drive-2026 unsubscribed.txt --key email
      cleanroom-partner withdraw drive-2026/drive - --key phone --region FR --purpose measurement
    """
    _send(setup, Action.WITHDRAW, frozenset(map(Purpose, purposes)) or _EVERY, as_json, **listed)


@click.command()
@_purposes
@as_json
@_listed
def reinstate(setup: Setup, purposes: tuple[str, ...], as_json: bool, **listed: Any) -> None:
    """Undo withdrawals: give the identifiers with which they were made.

    What was erased stays erased; the people can be uploaded again.

    \b
    Example:
      cleanroom-partner reinstate drive-2026 back.txt --key email
    """
    _send(setup, Action.REINSTATE, frozenset(map(Purpose, purposes)) or _EVERY, as_json, **listed)


@click.command()
@without_asking
@as_json
@_listed
def erase(setup: Setup, yes: bool, as_json: bool, **listed: Any) -> None:
    """Withdraw for good, and overwrite the rows in what the room stores.

    \b
    Example:
      cleanroom-partner erase drive-2026 to-delete.txt --key email
    """
    if str(listed["list_file"]) == "-" and not yes:
        raise click.UsageError("stdin cannot be both the list and your answer: give --yes, or the list as a file")
    confirm("The rows of everybody on the list are overwritten in the room, for good. Erase?", yes, word="erase")
    _send(setup, Action.ERASE, _EVERY, as_json, **listed)


@click.command()
@click.argument("day", required=False)
@as_json
@click.pass_obj
def consents(setup: Setup, day: str | None, as_json: bool) -> None:
    """Check that the log holds the withdrawals that the room acknowledged.

    DAY is a UTC day that has ended, such as 2026-03-14; yesterday, if none is given.

    \b
    Example:
      cleanroom-partner consents 2026-03-14
    """
    wanted = day or (datetime.now(UTC).date() - timedelta(days=1)).isoformat()
    try:
        date.fromisoformat(wanted)
    except ValueError:
        raise click.UsageError("DAY is a date such as 2026-03-14") from None
    with setup.room() as (home, room):
        found = withdrawals.check_day(home, room, wanted)
    if as_json:
        say_json({"day": found.day, "batches": found.batches, "unknown": found.unknown})
        return
    if not found.batches:
        say(f"{found.day}: the log commits to no batch of yours, and none was acknowledged to this folder")
        return
    say(f"{found.day}: the log commits to {found.batches} of your batches, among them all acknowledged to this folder")
    if found.unknown:
        say(f"{found.unknown} of them were not sent from this folder; if nobody else here sent them, tell the operator")


def _send(
    setup: Setup,
    action: Action,
    purposes: frozenset[Purpose],
    as_json: bool,
    *,
    collab: str,
    list_file: Path,
    match_key: str,
    map_file: Path | None,
    region: str | None,
    date_order: str,
    encoding: str,
) -> None:
    order = DateOrder(date_order)
    if map_file is not None:
        mapped = mapping.load(map_file)
        region, order, encoding = mapped.region, mapped.date_order, mapped.encoding
    with setup.room() as (home, room), _opened(list_file) as file, waiting("sending"):
        listed = Listed(match_key, file, region, order, encoding)
        sent = withdrawals.send(home, room, collab, action, purposes, listed, datetime.now(UTC))
    if as_json:
        say_json(_to_json(sent))
    else:
        _show(sent, action, purposes)
    if not sent.sent:
        raise NotAcknowledged("nothing was sent: no line of the list is an identifier of this key; check it and --key")


def _show(sent: Sent, action: Action, purposes: frozenset[Purpose]) -> None:
    tally = sent.tally
    shown = table("the list", "lines", "first lines")
    shown.columns[1].justify = "right"
    shown.add_row("read", f"{tally.lines:,}")
    shown.add_row("usable", f"{tally.usable:,}")
    for reason, count in sorted(tally.invalid.items(), key=lambda item: item[0].value):
        more = ", …" if count > len(tally.first[reason]) else ""
        shown.add_row(Text(reason.sentence), f"{count:,}", ", ".join(map(str, tally.first[reason])) + more)
    shown.add_row("different, and sent", f"{sent.sent:,}")
    console().print(shown)
    if sent.earlier:
        earlier = counted(sent.earlier, "batch", "batches")
        say(f"Sent first: {earlier} of an earlier run, which had no answer.")
    if not sent.sent:
        return
    say(_MEANING[action].format(purposes=", ".join(sorted(purpose.value for purpose in purposes))))
    if action is Action.ERASE:
        done = (
            "The log says that it is done." if sent.erased else "It is not done yet; `consents` and the log will tell."
        )
        say(done)
    say("The room does not tell how many of them it knows. Reports that were released before stay as they are.")
    say(f"The log commits to this when the day has ended: `cleanroom-partner consents {sent.days[-1]}`")


def _to_json(sent: Sent) -> dict[str, Any]:
    return {
        "collaboration": sent.collaboration,
        "read": sent.tally.lines,
        "usable": sent.tally.usable,
        "invalid": {reason.value: count for reason, count in sent.tally.invalid.items()},
        "sent": sent.sent,
        "batches": sent.batches,
        "earlier": sent.earlier,
        "days": sent.days,
        "erased": sent.erased,
    }


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    with path.open("rb") as file:
        yield file


COMMANDS = (withdraw, reinstate, erase, consents)

"""witness."""

import time
from datetime import UTC, datetime
from http import HTTPStatus

import click

from partners.commands.terminal import Setup, say
from partners.failure import Failure
from partners.home import Home
from partners.room.client import Room
from partners.room.connection import RoomRefused, RoomUnreachable
from partners.steps.witnessing import cosign_newest, witness_of
from partners.witness_server import serve
from partners.words import counted


@click.command()
@click.option("--key", "show_key", is_flag=True, help="Print the witness's key, for the operator and for auditors.")
@click.option("--every", type=click.IntRange(min=1), metavar="SECONDS", help="Go on, and look again so often.")
@click.option("--listen", metavar="HOST:PORT", help="Answer those who ask, as C2SP's tlog-witness says.")
@click.pass_obj
def witness(setup: Setup, show_key: bool, every: int | None, listen: str | None) -> None:
    """Cosign the room's log for the other partners.

    A cosignature says that the newest checkpoint extends all that was cosigned here before: who has one knows that the
    room did not show two logs. Without an option it cosigns once; with --listen the room comes and asks.

    \b
    Examples:
      cleanroom-partner witness --key
      cleanroom-partner witness --every 60
      cleanroom-partner witness --listen 127.0.0.1:8091
    """
    if show_key:
        say(str(witness_of(setup.home()).key))
        return
    if listen is not None:
        serve(witness_of(setup.home()), listen, lambda where: say(f"this witness listens at {where}; Ctrl-C stops it"))
        return
    with setup.room() as (home, room):
        while True:
            _round(home, room, patient=every is not None)
            if every is None:
                return
            time.sleep(every)


def _round(home: Home, room: Room, *, patient: bool) -> None:
    """One look. `patient`: a room that cannot be reached is asked again later."""
    try:
        size = cosign_newest(home, room, int(time.time()))
    except RoomUnreachable as problem:
        if not patient:
            raise
        say(str(problem))
        return
    except RoomRefused as refused:
        if refused.problem.status == HTTPStatus.FORBIDDEN:
            raise Failure(
                "the room does not know this witness; give the operator its key (`cleanroom-partner witness --key`)"
            ) from None
        raise
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    say(f"cosigned {counted(size, 'entry', 'entries')} at {now}")


COMMANDS = (witness,)

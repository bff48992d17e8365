"""secret make, accept, send, rotate."""

from datetime import UTC, datetime

import click

from partners.commands.terminal import Setup, say
from partners.notices import LONGEST_ROTATION, SHORTEST_ROTATION
from partners.steps import secret as secrets


@click.group()
def secret() -> None:
    """Make, accept or rotate a collaboration's secret.

    One partner makes it, the others accept it; the room cannot read it.
    """


@secret.command()
@click.argument("collab")
@click.pass_obj
def make(setup: Setup, collab: str) -> None:
    """Make the secret of COLLAB and send it, sealed, to every other partner.

    Refused before you compared keys with each of them.

    \b
    Example:
      cleanroom-partner secret make drive-2026
    """
    with setup.room() as (home, room):
        made = secrets.make(home, room, collab)
    say(f"made the secret of {made.collaboration}, epoch {made.epoch}")
    say("Next: the others run `cleanroom-partner secret accept`; you go on with `cleanroom-partner prepare`")


@secret.command()
@click.argument("collab", required=False)
@click.pass_obj
def accept(setup: Setup, collab: str | None) -> None:
    """Open the sealed secret of COLLAB, or of every agreement that you signed.

    \b
    Example:
      cleanroom-partner secret accept
    """
    with setup.room() as (home, room):
        accepted = secrets.accept(home, room, collab)
    for each in accepted:
        say(f"accepted the secret of {each.collaboration}, epoch {each.epoch}, made by {each.maker}")
    say("Next: `cleanroom-partner prepare MAP.toml`" if accepted else "no new secret is waiting for you")


@secret.command()
@click.argument("collab")
@click.argument("partner")
@click.pass_obj
def send(setup: Setup, collab: str, partner: str) -> None:
    """Seal the secret of COLLAB again, for PARTNER, which lost its keys and has new ones.

    \b
    Example:
      cleanroom-partner secret send drive-2026 tasty
    """
    with setup.room() as (home, room):
        sent = secrets.send(home, room, collab, partner)
    say(f"sent the secret of {sent.collaboration}, epoch {sent.epoch}, to {partner}")
    say(f"Next: {partner} runs `cleanroom-partner secret accept`")


@secret.command()
@click.argument("collab")
@click.option(
    "--days",
    type=click.IntRange(SHORTEST_ROTATION, LONGEST_ROTATION),
    default=14,
    show_default=True,
    help="Time for everybody to move.",
)
@click.pass_obj
def rotate(setup: Setup, collab: str, days: int) -> None:
    """Begin a new epoch of COLLAB with a new secret.

    Everybody accepts it, prepares and uploads anew. Until the last one has, or the days are over, questions are
    answered under the old secret; then its tokens are destroyed.

    \b
    Example:
      cleanroom-partner secret rotate drive-2026 --days 14
    """
    with setup.room() as (home, room):
        made = secrets.rotate(home, room, collab, datetime.now(UTC), days)
    say(f"began epoch {made.epoch} of {made.collaboration}")
    say(f"Next: the others run `cleanroom-partner secret accept`; everybody prepares and uploads within {days} days")


COMMANDS = (secret,)

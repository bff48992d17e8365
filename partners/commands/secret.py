"""secret make, secret accept."""

import click

from partners.commands.terminal import Setup, say
from partners.steps import secret as secrets


@click.group()
def secret() -> None:
    """Make or accept a collaboration's secret.

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


COMMANDS = (secret,)

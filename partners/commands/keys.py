"""key show, add, enter, list, rotate, revoke, consent, resume."""

from datetime import UTC, datetime
from pathlib import Path

import click
from rich.text import Text

from partners.commands.terminal import (
    Setup,
    as_json,
    confirm,
    console,
    new_passphrase,
    say,
    say_digits,
    say_json,
    table,
    without_asking,
)
from partners.key_change import Role
from partners.keys import key_id
from partners.steps import keys, replacing


@click.group()
def key() -> None:
    """Show, add, rotate or revoke this partner's keys.

    Every folder has a key of its own; what it may do is its role's: owner, marketer or auditor.
    """


@key.command()
@click.pass_obj
def show(setup: Setup) -> None:
    """Print the public key of this folder, for somebody who has an owner key.

    \b
    Example:
      cleanroom-partner key show > ada.pub
    """
    home = setup.home()
    click.echo(keys.public_file(home), nl=False)
    click.echo(f"key {key_id(home.identity().public.signing)}: tell this id with the file", err=True)


@key.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--role", type=click.Choice([Role.MARKETER.value, Role.AUDITOR.value]), required=True)
@click.pass_obj
def add(setup: Setup, file: Path, role: str) -> None:
    """Let the key in FILE act for this partner. A marketer asks and reads reports, and decides nothing.

    \b
    Example:
      cleanroom-partner key add ada.pub --role marketer
    """
    with setup.room() as (home, room):
        added = keys.add(home, room, Role(role), file, datetime.now(UTC))
        pinned = home.room()
    say(f"added key {added} as {role}; it is the id that your colleague told you, or else revoke it")
    say(f"Next, there: `cleanroom-partner key enter {pinned.url} {pinned.partner}`")


@key.command()
@click.argument("url")
@click.argument("partner")
@click.pass_obj
def enter(setup: Setup, url: str, partner: str) -> None:
    """Use this folder's key for PARTNER, after an owner added it. The room's log key is pinned.

    \b
    Example:
      cleanroom-partner key enter https://room.example fresh
    """
    pinned = keys.enter(setup.home(), url, partner, setup.transport)
    say(f"this folder acts for {pinned.partner} in {pinned.name}, as {pinned.role.value}")
    say(f"The room's log key is pinned: {pinned.vkey}")
    say("Compare it with the one that the operator published.")


@key.command("list")
@as_json
@click.pass_obj
def list_keys(setup: Setup, as_json: bool) -> None:
    """Show this partner's keys, ended ones too.

    \b
    Example:
      cleanroom-partner key list
    """
    with setup.room() as (_, room):
        found = room.own_keys()
    if as_json:
        lines = [
            {"id": each.id, "role": each.role.value, "counts": each.counts, "ends": _moment(each.ends)}
            for each in found.keys
        ]
        say_json({"partner": found.partner, "key": found.key, "keys": lines})
        return
    shown = table("key", "role", "counts", "ends")
    for each in found.keys:
        here = " (this folder)" if each.id == found.key else ""
        cells = (f"{each.id}{here}", each.role.value, "yes" if each.counts else "no", _moment(each.ends) or "–")
        shown.add_row(*map(Text, cells))
    console().print(shown)


@key.command()
@without_asking
@click.pass_obj
def rotate(setup: Setup, yes: bool) -> None:
    """Put new owner keys in the place of this folder's. The old ones still count for seven days.

    \b
    Example:
      cleanroom-partner key rotate
    """
    with setup.room() as (home, room):
        confirm("New keys are made, and every partner has to compare them with you again. Rotate?", yes)
        passphrase = new_passphrase() if home.protected() else None
        done = keys.rotate(home, room, passphrase, datetime.now(UTC))
        me = home.room().partner
    say(f"key {done.new} is in the place of {done.old}, which still counts for {keys.OVERLAP_DAYS} days")
    say(f"Next: back this folder up, and let every partner run `cleanroom-partner compare {me}` with you again")
    for each in done.collaborations:
        say(f"The agreement {each} names the old key: `amend` it, before a secret is made or terms are tightened there")
    say(f"Was the old key stolen? `cleanroom-partner key revoke {done.old}` ends it now")


@key.command()
@click.argument("identifier", metavar="KEYID")
@without_asking
@click.pass_obj
def revoke(setup: Setup, identifier: str, yes: bool) -> None:
    """End the key KEYID at once: nobody signs in with it, and its access tokens are gone.

    \b
    Example:
      cleanroom-partner key revoke 8f2c5d3a90b1e746
    """
    with setup.room() as (home, room):
        confirm("A key that ended never comes back. Revoke?", yes)
        ended = keys.revoke(home, room, identifier, datetime.now(UTC))
    say(f"the key {ended} counts no longer")


@key.command("consent")
@click.argument("partner")
@without_asking
@click.pass_obj
def consent(setup: Setup, partner: str, yes: bool) -> None:
    """Consent to new keys of PARTNER, which lost its own, after comparing them with it.

    Shows 60 digits; PARTNER sees the same with `compare`. From then on your client knows PARTNER by the new keys.

    \b
    Example:
      cleanroom-partner key consent tasty
    """
    with setup.room() as (home, room):
        wished = replacing.wish(home, room, partner)
        say_digits(wished.digits)
        say(
            f"{partner} says that it lost its keys. Call a person of {partner} whom you know, on a number that you had"
            " before, and read all 60 digits to each other: whoever has the new keys is that partner from then on."
        )
        confirm(f"Does {partner} see the same 60 digits?", yes)
        asked = replacing.consent(home, room, wished)
    say(f"consented to the new keys of {partner}")
    if asked.made:
        say(f"They are in place. Next: {partner} runs `cleanroom-partner key resume`")


@key.command()
@click.pass_obj
def resume(setup: Setup) -> None:
    """Take up the work with new keys in the place of lost ones, once every partner has consented.

    \b
    Example:
      cleanroom-partner key resume
    """
    with setup.room() as (home, room):
        back = replacing.resume(home, room)
        me = home.room().partner
    say(f"these keys are those of {me} now; every other key of {me} has ended")
    for each in back.collaborations:
        say(f"Next, for {each}: `amend {each} --keys`; all agree; then somebody runs `secret send {each} {me}`")


def _moment(seconds: int | None) -> str | None:
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M}Z"


COMMANDS = (key,)

"""keygen, passphrase, join, compare, status."""

from dataclasses import asdict

import click
from rich.text import Text

from partners.commands.terminal import (
    NEW_PASSPHRASE,
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
from partners.steps import joining
from partners.steps.status import notices
from partners.steps.status import status as read_status


@click.command()
@click.option("--passphrase", is_flag=True, help="Ask for one, which every later command will ask for.")
@click.pass_obj
def keygen(setup: Setup, passphrase: bool) -> None:
    """Make this partner's key pairs, once.

    \b
    Example:
      cleanroom-partner keygen
    """
    home = setup.home()
    identity = home.create_identity(new_passphrase() if passphrase else None)
    say(f"made key {key_id(identity.public.signing)} in {home.path}")
    say("Back this folder up: nobody else has these keys. Next: `cleanroom-partner join URL CODE`")


@click.command()
@click.option("--remove", is_flag=True, help="Store the keys without one.")
@click.pass_obj
def passphrase(setup: Setup, remove: bool) -> None:
    """Give the keys a passphrase, another one, or none.

    The keys stay the same. Scripts give the new one in CLEANROOM_PARTNER_NEW_PASSPHRASE, the one before in
    CLEANROOM_PARTNER_PASSPHRASE, as to every command. Who forgets it has lost the keys.

    \b
    Example:
      cleanroom-partner passphrase
    """
    home = setup.home()
    home.identity()
    home.protect_identity(None if remove else new_passphrase(NEW_PASSPHRASE))
    say("the keys have no passphrase now" if remove else "the keys are protected by the passphrase")
    say("Old backups of the folder still open as they did when they were made.")


@click.command()
@click.argument("url")
@click.argument("code")
@click.pass_obj
def join(setup: Setup, url: str, code: str) -> None:
    """Join the room at URL.

    CODE is the one-time code from the operator. Only public keys are sent; the room's log key is pinned.

    \b
    Example:
      cleanroom-partner join https://room.example 3vQk…
    """
    pinned, asked = joining.join(setup.home(), url, code, setup.transport)
    auditor = pinned.role is Role.AUDITOR
    if asked:
        say(f"these keys ask to be those of {pinned.partner} in {pinned.name}, and wait for {' and '.join(asked)}")
    else:
        say(f"joined {pinned.name} as {'the auditor ' if auditor else ''}{pinned.partner}")
    say(f"Its log key is pinned: {pinned.vkey}")
    if asked:
        say("Compare it with the one that the operator published, and keys with each of them:")
        for name in asked:
            say(f"  you `cleanroom-partner compare {name}`, {name} `cleanroom-partner key consent {pinned.partner}`")
        say("Then: `cleanroom-partner key resume`")
        return
    following = "audit export log.tar" if auditor else "status"
    say(f"Compare it with the one that the operator published. Next: `cleanroom-partner {following}`")


@click.command()
@click.argument("partner")
@without_asking
@click.pass_obj
def compare(setup: Setup, partner: str, yes: bool) -> None:
    """Compare keys with PARTNER.

    Shows 60 digits that must be the same on both sides; nothing is sealed or opened before.

    \b
    Example:
      cleanroom-partner compare tasty
    """
    with setup.room() as (home, room):
        comparison = joining.compare(home, room, partner)
        say_digits(comparison.digits)
        if comparison.confirmed:
            say(f"These keys of {partner} are confirmed already.")
            return
        if comparison.changed:
            say(f"WARNING: these are not the keys of {partner} that you confirmed before. Ask {partner} why.")
        say(
            f"Call {partner}, on a number you know, and read all 60 digits to each other. The keys came through the"
            " room; a dishonest one could put its own in their place, and would then read the secret."
        )
        confirm(f"Does {partner} see the same 60 digits?", yes)
        joining.confirm(home, comparison)
        say(f"confirmed {partner}. Next: `cleanroom-partner status`")


@click.command()
@as_json
@click.pass_obj
def status(setup: Setup, as_json: bool) -> None:
    """Show what stands where, and what to do next.

    \b
    Example:
      cleanroom-partner status
    """
    with setup.room() as (home, room):
        pinned, found = home.room(), read_status(home, room)
        waiting = notices(home, room)
        confirmed = sorted(home.confirmed())
    if as_json:
        lines = [
            {
                "id": each.id,
                "state": each.state.value,
                "signed": list(each.signed),
                "published": list(each.published),
                "missing": list(each.missing),
                "next": each.next,
                "sent_again": each.sent_again,
                "others": list(each.others),
                "auditors": [asdict(auditor) for auditor in each.auditors],
            }
            for each in found
        ]
        about = {"room": pinned.url, "partner": pinned.partner, "role": pinned.role.value, "confirmed": confirmed}
        say_json({**about, "notices": list(waiting), "collaborations": lines})
        return
    auditor = pinned.role is Role.AUDITOR
    compared = "" if auditor else f"; keys compared with: {', '.join(confirmed) or 'nobody yet'}"
    say(f"{pinned.partner}{', an auditor,' if auditor else ''} in {pinned.name} at {pinned.url}{compared}")
    for each in found:
        if each.sent_again:
            say(f"{each.id}: the room had lost {each.sent_again} of your batches of withdrawals; they were sent again")
    for notice in waiting:
        say(notice)
    if not found and pinned.role is Role.WAITING:
        return
    if not found and auditor:
        say("You are appointed to no collaboration. Ask the operator.")
        return
    if not found:
        say("No collaboration yet. Propose one with `cleanroom-partner propose AGREEMENT.toml`, or wait for another.")
        return
    shown = table("collaboration", "state", "signed by", "published", "next", "the others")
    for each in found:
        published, others = ", ".join(each.published) or "nothing", "\n".join(each.others) or "–"
        cells = (each.id, each.state.value, ", ".join(each.signed), published, each.next, others)
        shown.add_row(*map(Text, cells))
    console().print(shown)
    for each in found:
        for appointed in each.auditors:
            read = f"read its log last at {appointed.read}" if appointed.read else "has not read its log yet"
            say(f"{appointed.name} audits {each.id}: appointed by the operator at {appointed.appointed}, {read}")


COMMANDS = (keygen, passphrase, join, compare, status)

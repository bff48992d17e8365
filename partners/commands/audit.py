"""audit export, audit ledger: for an auditor whom the operator has appointed."""

from pathlib import Path

import click
from rich.text import Text

from partners import files, words
from partners.commands.terminal import Setup, as_json, console, progress, quoted, say, say_json, table


@click.group()
def audit() -> None:
    """Read the log and the ledgers of the collaborations that you are appointed to.

    Each reading is an entry of the log, and the partners are shown when you read last.
    """


@audit.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def export(setup: Setup, file: Path) -> None:
    """Write the room's log, with the bodies that you may read, to the archive FILE.

    \b
    Example:
      cleanroom-partner audit export log.tar
    """
    with setup.room() as (home, room), progress() as told, files.replacing(file, private=True) as (temporary,):
        with temporary.open("wb") as out:
            room.audit_export(out, lambda done, whole: told("archive", done, whole))
        key = home.room().vkey
    say(f"wrote {file.name}; entries of other collaborations are in it without what they say")
    name = quoted(Path(file.name))
    say(f"Next: `cleanroom audit verify {name} --vkey '{key}'`, then `cleanroom audit list {name}`")


@audit.command()
@as_json
@click.pass_obj
def ledger(setup: Setup, as_json: bool) -> None:
    """Show what each owner has spent in the collaborations that you are appointed to.

    \b
    Example:
      cleanroom-partner audit ledger
    """
    with setup.room() as (_, room):
        found = room.audited_ledger()
    if as_json:
        names = ("collaboration", "owner", "allotted", "spent", "unbounded")
        say_json({"lines": [{name: getattr(line, name) for name in names} for line in found]})
        return
    if not found:
        say("You are appointed to no collaboration; ask the operator.")
        return
    shown = table("collaboration", "owner", "allotted, ε", "spent, ε", numbers=2)
    for line in found:
        spent = "unbounded" if line.unbounded else words.epsilon(line.spent)
        shown.add_row(*map(Text, (line.collaboration, line.owner, words.epsilon(line.allotted), spent)))
    console().print(shown)


COMMANDS = (audit,)

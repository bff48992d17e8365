"""grant, ledger."""

from datetime import UTC, datetime

import click
from rich.text import Text

from partners import words
from partners.commands.terminal import Setup, as_json, confirm, console, say, say_json, table, without_asking
from partners.steps import reporting
from policies import terms


@click.command()
@click.argument("epsilon")
@without_asking
@click.pass_obj
def grant(setup: Setup, epsilon: str, yes: bool) -> None:
    """Add EPSILON to your lifetime allowance.

    A signed decision, which the log keeps and nobody takes back.

    \b
    Example:
      cleanroom-partner grant 1.5
    """
    micro = terms.micro(epsilon)
    with setup.room() as (home, room):
        confirm(
            f"Reports may then tell more about the people in your audiences, by ε {words.epsilon(micro)}. Grant?", yes
        )
        receipt = reporting.grant(home, room, micro, datetime.now(UTC))
    say(f"granted ε {words.epsilon(micro)}" if receipt else "this grant was booked already; nothing was added twice")


@click.command()
@as_json
@click.pass_obj
def ledger(setup: Setup, as_json: bool) -> None:
    """Show what reports have cost, and what is left.

    \b
    Example:
      cleanroom-partner ledger
    """
    with setup.room() as (_, room):
        found = room.ledger()
    if as_json:
        lines = [
            {
                "id": line.id,
                "name": line.name,
                "allotted": line.allotted,
                "spent": line.spent,
                "unbounded": line.unbounded,
            }
            for line in found.collaborations
        ]
        totals = {"partner": found.partner, "allowance": found.allowance, "spent": found.spent}
        say_json({**totals, "collaborations": lines})
        return
    shown = table("collaboration", "allotted, ε", "spent, ε", numbers=2)
    for line in found.collaborations:
        spent = "unbounded" if line.unbounded else words.epsilon(line.spent)
        shown.add_row(*map(Text, (line.id, words.epsilon(line.allotted), spent)))
    shown.add_section()
    shown.add_row(Text("lifetime"), Text(words.epsilon(found.allowance)), Text(words.epsilon(found.spent)))
    console().print(shown)


COMMANDS = (grant, ledger)

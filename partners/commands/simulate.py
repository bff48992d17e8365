"""simulate."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
from rich.text import Text

from partners import words
from partners.commands.terminal import as_json, console, progress, say, say_json, table
from partners.simulate import Simulation, Table
from partners.steps.simulating import simulated
from policies import terms
from policies.purpose import Purpose
from policies.terms import DEFAULTS


@click.command()
@click.argument("audience", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--minimum-size", type=click.IntRange(1), default=DEFAULTS.minimum_size, show_default=True)
@click.option("--epsilon", default="0.25", show_default=True, help="ε of one report (private mode).")
@click.option("--rounding", type=click.IntRange(1), default=DEFAULTS.rounding, show_default=True)
@click.option(
    "--matched", type=click.IntRange(1, 100), default=100, show_default=True,
    help="Percent of your people whom the other audience has, as you guess.",
)  # fmt: skip
@click.option(
    "--purpose", type=click.Choice([each.value for each in Purpose]), default="insights", show_default=True
)  # fmt: skip
@as_json
def simulate(
    audience: Path, minimum_size: int, epsilon: str, rounding: int, matched: int, purpose: str, as_json: bool
) -> None:
    """See what a minimum size and an ε would withhold of your own file.

    AUDIENCE is a MAP.toml, or either file that `prepare` wrote. Nothing is sent and no budget is spent: your people are
    counted here, as the room would count those of them who are matched in one other audience on the same keys.

    \b
    Examples:
      cleanroom-partner simulate map.toml --matched 30
      cleanroom-partner simulate prepared/drive.manifest.json --minimum-size 100 --epsilon 0.1
    """
    asked = replace(DEFAULTS, minimum_size=minimum_size, epsilon_per_report=terms.micro(epsilon), rounding=rounding)
    with progress() as told:
        found = simulated(audience, Purpose(purpose), matched, asked, datetime.now(UTC), told)
    if as_json:
        say_json(found.to_json())
        return
    _show(found)


def _show(found: Simulation) -> None:
    stated = found.terms
    counted = words.number(Decimal(found.people), 0)
    say(f"{found.audience}: {counted} people take part; {found.matched} % of them count as matched elsewhere")
    say(f"minimum size {stated.minimum_size}, ε {words.epsilon(stated.epsilon_per_report or 0)} a report")
    shown = table(
        "by", "cells", "empty", "shown", "withheld", "people in withheld, %", "a cell needs", "margin ±",
        "error to expect, %", "shown in\nthreshold mode", numbers=9,
    )  # fmt: skip
    for each in found.tables:
        shown.add_row(*map(Text, _row(each)))
    console().print(shown)
    say("error to expect: of the middle one of the cells that show; half of all errors are smaller.")
    say("Withheld cells are never told apart in a report: small, empty and unknown look the same.")
    say("Next: drop or coarsen attributes whose people are mostly withheld, then put the rest into the agreement")


def _row(each: Table) -> tuple[str, ...]:
    by = " × ".join(each.by) or "everybody"
    error = "none shows" if each.error is None else words.number(each.error, 1)
    numbers = (each.cells, each.empty, each.shown, each.cells - each.shown)
    return (
        by,
        *(words.number(Decimal(value), 0) for value in numbers),
        words.number(each.hidden, 1),
        words.number(Decimal(each.needs), 0),
        words.number(Decimal(each.margin95), 0),
        error,
        words.number(Decimal(each.shown_threshold), 0),
    )


COMMANDS = (simulate,)

"""A rehearsal's results for people: quality reports, reports, budgets, the log."""

from dataclasses import replace

from rich.console import Console
from rich.table import Table

from cleanroom.rehearsal.results import Results
from partners import tables
from partners.mapping import AttributeColumn
from partners.quality import Quality, render
from policies.terms import MICRO


def quality(read: tuple[AttributeColumn, ...], made: Quality, console: Console) -> None:
    """One partner's quality report, and the code-lists that its file was read for."""
    render(made, console)
    for attribute in read:
        console.print(f"{attribute.name}: its code-list was read from the file: {', '.join(attribute.values or ())}")
    console.print()


def results(found: Results, console: Console) -> None:
    """Every report, then what is left of the budgets, then the log."""
    for report in found.reports:
        console.rule(style="dim")
        tables.show(replace(report, id=None), console)  # the report ends with the room, and so has no name
        console.print()
    console.rule(style="dim")
    _budgets(found, console)
    console.print()
    seconds = sum(found.seconds.values())
    console.print(f"{found.receipts} receipts hold; the log of {found.audit.size} leaves verifies offline.")
    console.print(f"{seconds:.1f} s in all: " + ", ".join(f"{step} {took:.1f}" for step, took in found.seconds.items()))


def _budgets(found: Results, console: Console) -> None:
    table = Table(title="Privacy budgets (ε)", title_justify="left", title_style="bold")
    for heading, justify in (("owner", "left"), ("spent here", "right"), ("of", "right"), ("left", "right")):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type]  # rich types this as its own literals
    for ledger in found.ledgers:
        for line in ledger.collaborations:
            if line.unbounded:
                table.add_row(ledger.partner, "unbounded", "–", "–")
            else:
                left = min(line.allotted - line.spent, ledger.allowance - ledger.spent)
                table.add_row(ledger.partner, *(f"{micro / MICRO:.3f}" for micro in (line.spent, line.allotted, left)))
    console.print(table)

"""ask, report, disclose."""

import json
from pathlib import Path

import click
from rich.text import Text

from partners import files, tables, words
from partners.commands.terminal import Setup, as_json, console, quoted, say, say_json, table, waiting, write_out
from partners.failure import Failure, plain
from partners.room.answers import Quote
from partners.steps import reporting
from partners.terms_file import read_toml
from policies import question
from policies import request as requests


@click.command()
@click.argument("request", metavar="REQUEST.toml", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--collab", help="The collaboration's id or name; or write `collaboration` in the file.")
@click.option("--dry-run", is_flag=True, help="Only tell what it would cost; nothing is measured or charged.")
@as_json
@click.pass_obj
def ask(setup: Setup, request: Path, collab: str | None, dry_run: bool, as_json: bool) -> None:
    """Ask for a report. The same question on the same day is free.

    \b
    Example of REQUEST.toml:
      collaboration = "drive-2026"
      kind = "overlap"
      audiences = ["fresh/drive", "tasty/readers"]
    \b
    Another:
      collaboration = "drive-2026"
      kind = "statistics"
      count = "fresh/drive"
      where = { matched = "tasty/readers" }
      by = ["fresh/drive.tier"]
      sum = ["fresh/drive.spend"]
    \b
    Examples:
      cleanroom-partner ask request.toml --dry-run
      cleanroom-partner ask request.toml
    """
    content = read_toml(request)
    named = content.pop("collaboration", None)
    chosen = collab or named
    if not isinstance(chosen, str):
        raise Failure('the request names no collaboration; write collaboration = "drive-2026", or give --collab')
    wanted = requests.from_json(content)
    with setup.room() as (home, room), waiting("the room measures"):
        if dry_run:
            quoted = reporting.quote(home, room, chosen, wanted)
        else:
            report = reporting.ask(home, room, chosen, wanted)
    if dry_run:
        _show_quote(quoted, as_json)
    elif as_json:
        click.echo(report.document, nl=False)
    else:
        tables.show(report, console())


@click.command()
@click.argument("identifier", metavar="ID")
@click.option("--json", "json_file", metavar="FILE", help="Write the report as JSON; - for stdout.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write the figures as CSV; - for stdout.")
@click.pass_obj
def report(setup: Setup, identifier: str, json_file: str | None, csv_file: str | None) -> None:
    """Read a stored report, free of charge.

    \b
    Example:
      cleanroom-partner report r-0123456789abcdef --csv figures.csv
    """
    with setup.room() as (_, room):
        found = room.report(identifier)
    for path, data in ((json_file, found.document), (csv_file, tables.to_csv(found))):
        if path is not None:
            write_out(path, data.encode(), lambda target, content: files.write(target, content, private=True))
    if "-" not in (json_file, csv_file):
        tables.show(found, console())
        for name in filter(None, (json_file, csv_file)):
            say(f"wrote {name}")


@click.command()
@click.argument("identifier", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.pass_obj
def disclose(setup: Setup, identifier: str, file: Path) -> None:
    """Write into FILE what proves a report's figures, to be handed to an auditor.

    FILE holds the receipt, the figures in the bytes that the log commits to, and their nonce. Whoever has it can run
    `cleanroom-partner verify FILE`.

    \b
    Example:
      cleanroom-partner disclose r-0123456789abcdef figures.json
    """
    with setup.room() as (_, room):
        opened = reporting.disclosed(room, identifier)
    files.write(file, json.dumps(opened.to_json(), ensure_ascii=False, indent=1).encode() + b"\n", private=True)
    say(f"wrote {file.name}: whoever has it reads the figures of {identifier} and can prove them")
    say(f"Next: hand it to the auditor, who runs `cleanroom-partner verify {quoted(Path(file.name))} --vkey KEY`")


def _show_quote(quoted: Quote, as_json: bool) -> None:
    if as_json:
        say_json(
            {
                "cost": dict(quoted.cost),
                "left": dict(quoted.left),
                "unbounded": quoted.unbounded,
                "questions": [question.to_json(each) for each in quoted.questions],
                "refused": quoted.refused,
                "explanation": quoted.explanation,
            }
        )
        return
    for each in quoted.questions:
        by = f", by {', '.join(map(question.by_key, each.by))}" if each.by else ""
        say(f"asks: people of {each.count}, {words.where(each.where)}{by}")
    if quoted.refused is not None:
        say(f"It would be refused: {plain(quoted.explanation or quoted.refused)}")
        say("Nothing was asked, measured or charged.")
        return
    if quoted.unbounded:
        say("Nothing is charged in threshold mode, because nothing bounds what is told.")
        return
    left = dict(quoted.left)
    shown = table("owner", "cost, ε", "left here, ε", numbers=2)
    for owner, micro in quoted.cost:
        rest = words.epsilon(left[owner]) if owner in left else "not told"
        shown.add_row(*map(Text, (plain(owner), words.epsilon(micro), rest)))
    console().print(shown)
    say("Nothing was asked, measured or charged.")


COMMANDS = (ask, report, disclose)

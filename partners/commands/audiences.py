"""values, prepare, upload."""

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from partners import mapping
from partners import values as looked
from partners.commands.terminal import Setup, as_json, console, progress, quoted, say, say_json
from partners.prepare import READING, WRITING
from partners.quality import render
from partners.steps import audiences


@click.command()
@click.argument("map_file", metavar="MAP.toml", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--collab", help="The collaboration's id or name, where several have this audience.")
@as_json
@click.pass_obj
def values(setup: Setup, map_file: Path, collab: str | None, as_json: bool) -> None:
    """Show what each value of the consent columns and attributes becomes.

    Code-lists are those of the agreement that you signed; before that, those of the map. Nothing is hashed or written.
    Values that may be somebody's are shown by their form: 99/99/9999.

    \b
    Example:
      cleanroom-partner values map.toml
    """
    mapped = mapping.load(map_file)
    if collab is not None or setup.path.expanduser().exists():
        mapped = audiences.with_lists(setup.home(), mapped, collab)
    with progress() as told:
        found = looked.values(mapped, partial(told, READING))
    if as_json:
        say_json({"values": [asdict(each) for each in found]})
        return
    if not found:
        say("The map has no consent column and no attribute with a code-list: there is nothing to look at.")
    for item in mapped.attributes:
        if item.values is None:
            say(f"{item.name}: not shown, as neither the map nor an agreement that you signed lists its values")
    for (column, setting), rows in groupby(found, key=lambda each: (each.column, each.setting)):
        table = Table(box=SIMPLE_HEAD, pad_edge=False, title=f"{escape(column)}: {setting}", title_justify="left")
        table.add_column("value", min_width=24)
        table.add_column("becomes", min_width=24)
        table.add_column("rows", justify="right")
        for each in rows:
            table.add_row(escape(each.shown), escape(each.becomes), f"{each.rows:,}")
        console().print(table)
    say(f"Next: correct {map_file.name} if a value becomes what you did not mean; then `cleanroom-partner prepare`")


@click.command()
@click.argument("map_file", metavar="MAP.toml", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), default=Path("prepared"), show_default=True,
    help="The folder that the three files go to.",
)  # fmt: skip
@click.option("--collab", help="The collaboration's id or name, where several have this audience.")
@as_json
@click.pass_obj
def prepare(setup: Setup, map_file: Path, out: Path, collab: str | None, as_json: bool) -> None:
    """Turn a customer file into an audience file.

    Identifiers are hashed, rows without consent dropped, the rest shuffled. Nothing is sent.

    \b
    Example of MAP.toml:
      name = "fresh"
      audience = "drive"
      file = "fresh.csv"
      region = "FR"                       # of phone numbers without a country
      keys = { email = "email", phone = "mobile" }
      attributes = { tier = "loyalty_tier" }
      measures = { spend = { column = "spend_eur", lower = 0, upper = 500 } }
      consent = { purposes = ["insights", "measurement"] }
    \b
    Example:
      cleanroom-partner prepare map.toml --out prepared
    """
    home, mapped = setup.home(), mapping.load(map_file)
    with progress(rows=[WRITING]) as told:
        prepared = audiences.prepare(home, mapped, out, datetime.now(UTC), told, collab)
    if as_json:
        collaboration = prepared.manifest.manifest.collaboration
        say_json(
            {**prepared.quality.to_json(), "collaboration": collaboration, "manifest": str(prepared.manifest_path)}
        )
        return
    render(prepared.quality, console())
    say(f"prepared for {prepared.manifest.manifest.collaboration}")
    if prepared.suppressed:
        say(
            f"{prepared.suppressed:,} rows stand on your withdrawal list: they count for fewer purposes, or for none. "
            "Where they consented anew: `cleanroom-partner reinstate`"
        )
    if prepared.withdrawals:
        say(f"{prepared.withdrawals:,} tokens of people who lost consent since the last file go with the upload.")
    say(f"Next: `cleanroom-partner upload {quoted(prepared.manifest_path)}`")


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@as_json
@click.pass_obj
def upload(setup: Setup, file: Path, as_json: bool) -> None:
    """Upload a prepared audience.

    FILE is its manifest or its audience file. After a cut, the same command goes on where it stopped.

    \b
    Example:
      cleanroom-partner upload prepared/drive.manifest.json
    """
    with setup.room() as (home, room), progress(percent=[audiences.CHECKING]) as shown:
        uploaded = audiences.upload(home, room, file, shown)
    manifest, version = uploaded.manifest, uploaded.version
    if as_json:
        told = {"collaboration": manifest.collaboration, "audience": f"{manifest.partner}/{manifest.audience}"}
        say_json({**told, "version": version.id, "known": uploaded.known})
        return
    already = " (the room had it already)" if uploaded.known else ""
    state = version.state.value
    where = f"version {version.id} in {manifest.collaboration}"
    say(f"{state}: {manifest.partner}/{manifest.audience}, {manifest.rows:,} rows, {where}{already}")
    if uploaded.waits:
        say(f"It is under the new secret, of epoch {manifest.epoch}: unseen until every partner has moved there.")
        say("Next: `cleanroom-partner status`, which says who has not")
    else:
        say("Next: `cleanroom-partner status`, then `cleanroom-partner ask REQUEST.toml`")


COMMANDS = (values, prepare, upload)

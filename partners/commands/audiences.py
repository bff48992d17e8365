"""prepare, upload."""

from datetime import UTC, datetime
from pathlib import Path

import click

from partners import mapping
from partners.commands.terminal import Setup, as_json, console, progress, say, say_json
from partners.quality import render
from partners.steps import audiences


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
    with progress() as told:
        prepared = audiences.prepare(home, mapped, out, datetime.now(UTC), told, collab)
    if as_json:
        say_json({**prepared.quality.to_json(), "manifest": str(prepared.manifest_path)})
        return
    render(prepared.quality, console())
    say(f"Next: `cleanroom-partner upload {prepared.manifest_path}`")


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
    with setup.room() as (home, room), progress() as told:
        uploaded = audiences.upload(home, room, file, told)
    manifest, version = uploaded.manifest, uploaded.version
    if as_json:
        say_json(
            {"audience": f"{manifest.partner}/{manifest.audience}", "version": version.id, "known": uploaded.known}
        )
        return
    already = " (the room had it already)" if uploaded.known else ""
    state = version.state.value
    say(f"{state}: {manifest.partner}/{manifest.audience}, {manifest.rows} rows, version {version.id}{already}")
    say("Next: `cleanroom-partner status`, then `cleanroom-partner ask REQUEST.toml`")


COMMANDS = (prepare, upload)

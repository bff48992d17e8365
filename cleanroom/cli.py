"""The command `cleanroom`, for the room's operator.

Rules: exit 0 done, 1 the work failed, 2 wrong usage. An error is one line on stderr that says what is wrong and what
to do, never an identifier, never a trace. Slow imports happen inside the commands.
"""

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from cleanroom.auditing import audit
from cleanroom.options import DATA, KEYS
from cleanroom.options import settings as _settings
from cleanroom.settings import SETTINGS
from partners.failure import plain, refused


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
def cli() -> None:
    """Runs a clean room.

    Example, to try everything on one machine: cleanroom demo
    """


@cli.command()
@click.argument("name")
@DATA
@KEYS
def init(name: str, data: Path | None, keys: Path | None) -> None:
    """Makes a room called NAME.

    Example: cleanroom init room.example --data /srv/room
    """
    from cleanroom import setup

    room = setup.init(_settings(data, keys), name)
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"The room [bold]{name}[/] is ready.")
    console.print(f"Give its log key to every partner and auditor, on paper if you can:\n  {room.vkey}")
    console.print("Next: cleanroom invite PARTNER, then cleanroom serve")


@cli.command()
@click.argument("name")
@DATA
@KEYS
def invite(name: str, data: Path | None, keys: Path | None) -> None:
    """Prints a one-time code with which the partner NAME can join, within seven days.

    Example: cleanroom invite fresh --data /srv/room
    """
    from cleanroom import setup
    from cleanroom.audit.events import EventKind
    from cleanroom.catalog import appointments, partners
    from policies.question import NAME

    if not NAME.fullmatch(name):
        raise click.UsageError("A partner's name has 1 to 64 letters, digits, - and _.")
    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog:
        if partners.joined(catalog, name):
            raise click.ClickException(f"{name} has joined already; one that lost its keys comes back by `readmit`")
        if appointments.known(catalog, name):
            raise click.ClickException(f"{name} is an auditor's name; give the partner another one")
        if other := partners.lookalike(catalog, name):
            raise click.ClickException(f"{name} reads like {other}; give the partner another name")
        code = partners.invite(catalog, name, room.now)
        with catalog.transaction() as connection:
            room.record(connection, EventKind.PARTNER_INVITE, None, None, {"partner": name})
    room.publish()
    click.echo(code)
    click.echo(f"Send it to {name} with the address. There: cleanroom-partner join {room.settings.url} CODE", err=True)


@cli.command()
@click.argument("name")
@DATA
@KEYS
def readmit(name: str, data: Path | None, keys: Path | None) -> None:
    """Prints a one-time code with which the partner NAME, which lost its keys, asks for new ones, within seven days.

    Ask the partner on a channel you know first; end keys that were stolen with `revoke-key`. The new keys come in
    place once every partner of an open collaboration with NAME has compared them and consented.

    Example: cleanroom readmit fresh --data /srv/room
    """
    from cleanroom import setup
    from cleanroom.audit.events import EventKind
    from cleanroom.catalog import appointments, partners, replacements

    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog:
        if not partners.joined(catalog, name):
            raise click.ClickException("no partner of this name has joined; see `cleanroom status`, or `invite` it")
        if appointments.known(catalog, name):
            raise click.ClickException("this is an auditor; appoint it under another name, with a new key")
        code = partners.invite(catalog, name, room.now)
        asked = replacements.sharing(catalog, name)
        with catalog.transaction() as connection:
            room.record(connection, EventKind.PARTNER_READMIT, None, None, {"partner": name})
    room.publish()
    click.echo(code)
    click.echo(f"There, in a new folder: keygen, cleanroom-partner join {room.settings.url} CODE", err=True)
    click.echo(f"Whose consent it needs: {', '.join(asked) or 'nobody, so the code alone decides'}", err=True)


@cli.command("appoint-auditor")
@click.argument("name")
@click.argument("collaborations", nargs=-1, required=True, metavar="COLLABORATION...")
@DATA
@KEYS
def appoint_auditor(name: str, collaborations: tuple[str, ...], data: Path | None, keys: Path | None) -> None:
    """Lets the auditor NAME read the log of each COLLABORATION, by its id or name. Every partner in it is shown that.

    Prints a one-time code with which the auditor joins, within seven days, unless it has joined already.

    Example: cleanroom appoint-auditor eve drive-2026-1a2f22b6 --data /srv/room
    """
    from cleanroom import auditors, naming, setup
    from cleanroom.catalog import partners
    from policies.question import NAME

    if not NAME.fullmatch(name):
        raise click.UsageError("An auditor's name has 1 to 64 letters, digits, - and _.")
    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog:
        if other := partners.lookalike(catalog, name):
            raise click.ClickException(f"{name} reads like {other}; give the auditor another name")
        ids = naming.ids(catalog, collaborations)
        code = auditors.appoint(room, catalog, name, ids)
    if code:
        click.echo(code)
        click.echo(
            f"Send it to {name} with the address. There: cleanroom-partner join {room.settings.url} CODE", err=True
        )
    click.echo(f"{name} may read the log of {', '.join(ids)}. Each partner in it sees that.", err=True)


@cli.command("dismiss-auditor")
@click.argument("name")
@click.argument("collaborations", nargs=-1, metavar="[COLLABORATION]...")
@DATA
@KEYS
def dismiss_auditor(name: str, collaborations: tuple[str, ...], data: Path | None, keys: Path | None) -> None:
    """Ends the appointment of the auditor NAME to each COLLABORATION, by its id or name, or to all of them.

    Example: cleanroom dismiss-auditor eve --data /srv/room
    """
    from cleanroom import auditors, naming, setup

    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog:
        ended = auditors.dismiss(room, catalog, name, naming.ids(catalog, collaborations))
    click.echo(f"{name} audits no longer: {', '.join(ended)}. What it has read and exported, it keeps.")


@cli.command("revoke-key")
@click.argument("name")
@click.argument("key")
@DATA
@KEYS
def revoke_key(name: str, key: str, data: Path | None, keys: Path | None) -> None:
    """Ends a KEY of the partner NAME at once, and every access token that it had: for a theft.

    KEY is its id, as `cleanroom-partner key list` shows it. Ask the partner on a channel you know first.

    Example: cleanroom revoke-key fresh 8f2c5d3a90b1e746 --data /srv/room
    """
    from cleanroom import setup
    from cleanroom.audit.events import EventKind
    from cleanroom.catalog import keys as partner_keys

    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog, catalog.transaction() as connection:
        if not partner_keys.end(connection, name, key, room.now):
            raise click.ClickException("this partner has no such key, or it has ended already; nothing was done")
        room.record(connection, EventKind.KEY_REVOKE, None, None, {"partner": name, "key": key})
    with room.catalog() as catalog:
        left = partner_keys.current(catalog, name, room.now)
    room.publish()
    click.echo(f"The key {key} of {name} counts no longer.")
    if left is None:
        click.echo(f"{name} has no owner key left. `cleanroom readmit {name}` lets it ask for new ones.", err=True)


@cli.command()
@click.option("--bind", default="127.0.0.1:8080", show_default=True, help="Address and port, or fd://N.")
@click.option("--workers", default=2, show_default=True, help="Processes that answer questions.")
@click.option("--parent", type=int, hidden=True, help="The process with which this one ends.")
@DATA
@KEYS
def serve(bind: str, workers: int, parent: int | None, data: Path | None, keys: Path | None) -> None:
    """Runs the room until Ctrl-C: questions, checks, publications.

    Example: cleanroom serve --data /srv/room --bind 127.0.0.1:8080
    """
    from cleanroom import serving, setup
    from cleanroom.audit.events import EventKind

    settings = _settings(data, keys)
    # Bound before anything is recorded: a port that is taken ends here.
    with serving.listen(bind) as listener:
        room = setup.start(settings)
        click.echo(f"The room {room.origin.partition('/')[0]} listens at {bind}. Ctrl-C stops it.", err=True)
        code = serving.serve(listener, workers, parent)
    room.note(EventKind.ROOM_STOP)
    sys.exit(code)


@cli.command()
@DATA
@KEYS
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(data: Path | None, keys: Path | None, as_json: bool) -> None:
    """Shows the partners, collaborations and audiences of the room, and its log.

    Example: cleanroom status --data /srv/room
    """
    from cleanroom import setup
    from cleanroom.status import read_status, render

    found = read_status(setup.open_room(_settings(data, keys)))
    if as_json:
        click.echo(json.dumps(found.to_json(), indent=1))
    else:
        render(found, Console(highlight=False))


@cli.command()
@click.argument("collaboration")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA
@KEYS
def close(collaboration: str, yes: bool, data: Path | None, keys: Path | None) -> None:
    """Closes a COLLABORATION, by its id or name, for all its partners and for good.

    Example: cleanroom close drive-2026-1a2f22b6 --data /srv/room
    """
    from cleanroom import changes, naming, setup

    room = setup.open_room(_settings(data, keys))
    with room.catalog() as catalog:
        found = naming.find(catalog, collaboration)
        if found.state != "closed":
            if not yes:
                ends = f"Every audience in {found.id} ends, for all partners, for good. Close it?"
                click.confirm(ends, abort=True, err=True)
            changes.close(room, catalog, found)
    click.echo(f"{found.id} is closed. Its audiences are retired; the worker of `cleanroom serve` removes the files.")
    click.echo("What remains: agreements, signatures, sealed envelopes, reports, the ledger, the log.", err=True)
    click.echo("Lists of withdrawals go with the files: nothing is left that could be compared.", err=True)


@cli.command()
@click.argument("folder", type=click.Path(path_type=Path))
@DATA
@KEYS
def backup(folder: Path, data: Path | None, keys: Path | None) -> None:
    """Copies the data folder to the new FOLDER, also while the room serves. The keys are not copied.

    Example: cleanroom backup /backups/2026-03-14 --data /srv/room
    """
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    from cleanroom import backup, setup
    from partners.words import counted

    room = setup.open_room(_settings(data, keys), older=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    out = Console(stderr=True)
    with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as bars:
        task = bars.add_task("copying")
        made = backup.backup(room, folder, lambda _, done, whole: bars.update(task, completed=done, total=whole))
    copied = f"{counted(made.versions, 'audience', 'audiences')}, {counted(made.leaves, 'leaf', 'leaves')} of the log"
    click.echo(f"{copied}, {made.size / 2**20:,.1f} MiB in {folder}")
    click.echo("The keys are not in it: keep a copy of log.key and the .rekey files, never of log.state.", err=True)


@cli.command()
@click.option("--from", "source", type=click.Path(path_type=Path), help="The newer catalog.sqlite, or an export of it.")
@click.option(
    "--checkpoint",
    "checkpoints",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    multiple=True,
    help="The file `checkpoint` of a partner's folder, where the signer's state is gone; may be repeated.",
)
@click.option("--new-log", is_flag=True, help="Begin a new log where entries stay missing: for good.")
@DATA
@KEYS
def recover(
    source: Path | None, checkpoints: tuple[Path, ...], new_log: bool, data: Path | None, keys: Path | None
) -> None:
    """Lets a room go on after its data folder was restored from a backup, without forgetting any charge.

    Stop the room first. Where entries stay missing, it says which, and does nothing without --new-log: then what was
    spent is not known any more, and nothing of any owner's allowance is left until it signs a grant.

    Example: cleanroom recover --from /damaged/catalog.sqlite --data /srv/room
    """
    from cleanroom import recovery

    kept = [path.read_bytes() for path in checkpoints]
    made = recovery.recover(_settings(data, keys), source, kept, new_log=new_log)
    if made is None:
        click.echo("Nothing is missing: the room has all that was signed. It can serve.")
        return
    for line in recovery.told(made):
        click.echo(line)


@cli.command()
def settings() -> None:
    """Lists the settings, which come from the environment.

    Example: CLEANROOM_FLOOR_MINIMUM_SIZE=100 cleanroom serve
    """
    table = Table(box=None, pad_edge=False, show_edge=False)
    for heading in ("setting", "default", "what it does"):
        table.add_column(heading, overflow="fold", no_wrap=heading == "setting")
    for setting in SETTINGS:
        table.add_row(setting.name, setting.default or "–", setting.meaning)
    Console(highlight=False).print(table)


@cli.command()
@click.argument("scenario", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Writes the results here.")
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), help="Leaves the room's data here.")
def rehearse(scenario: Path, json_file: Path | None, keep: Path | None) -> None:
    """Rehearses a whole collaboration on this machine: a real room, every partner, every report of SCENARIO.

    Example: cleanroom rehearse drive-2026.toml --json results.json
    """
    from cleanroom.rehearsal import command

    sys.exit(command.run(scenario, json_file, keep))


@cli.command()
@click.option("--check", is_flag=True, help="Ends by itself after the last table.")
@click.option("--people", default=60_000, show_default=True, help="Customers of the largest brand.")
@click.option("--seed", default=2026, show_default=True, help="The same seed makes the same customers.")
def demo(check: bool, people: int, seed: int) -> None:
    """Three French brands, made up, meet in a room on this machine; the room then stays open until Ctrl-C.

    Example: cleanroom demo --check
    """
    from cleanroom.demo import command

    sys.exit(command.run(check=check, people=people, seed=seed))


cli.add_command(audit)


def main() -> None:
    """The entry point: runs a command and turns what failed into one line."""
    try:
        from cleanroom.failures import EXPECTED  # slow, and Ctrl-C may come at any moment

        try:
            cli.main(prog_name="cleanroom", standalone_mode=False)
        except EXPECTED as error:
            _end(f"error: {error}", 1)
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "cleanroom"
        _end(f"error: {' '.join(error.format_message().split()).rstrip('.')}; see `{command} --help`", 2)
    except (click.Abort, KeyboardInterrupt):
        _end("stopped; nothing half-written is left", 130)
    except click.ClickException as error:
        _end(f"error: {error.format_message()}", 1)
    except OSError as error:
        _end(f"error: {refused(error)}", 1)


def _end(line: str, code: int) -> None:
    click.echo(plain(line, limit=1000), err=True)
    sys.exit(code)

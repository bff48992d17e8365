"""amend, tighten, leave, export."""

import tomllib
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import click
from rich.text import Text

from partners.commands.terminal import Setup, confirm, console, say, table, waiting, without_asking
from partners.difference import Difference, difference
from partners.room.collaborations import CollaborationState
from partners.steps import agreements, changes, exporting
from partners.terms_file import NAMES, read_toml, terms_from_table

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("collab")
@click.argument("agreement", type=_FILE, required=False)
@click.option("--keys", is_flag=True, help="Keep the text; write everybody's current keys into it.")
@click.pass_obj
def amend(setup: Setup, collab: str, agreement: Path | None, keys: bool) -> None:
    """Propose another text of COLLAB's agreement, and sign it.

    AGREEMENT is the whole agreement as it shall be, as for `propose`. It is in force once everybody has signed.

    \b
    Examples:
      cleanroom-partner amend drive-2026 agreement.toml
      cleanroom-partner amend drive-2026 --keys
    """
    if keys == (agreement is not None):
        raise click.UsageError("Give AGREEMENT or --keys.", click.get_current_context())
    content = read_toml(agreement) if agreement else None
    with setup.room() as (home, room):
        before = agreements.read(home, room, collab).in_force
        if content is None:
            amended = agreements.renew_keys(home, room, collab)
        else:
            amended = agreements.amend(home, room, collab, content)
    show_difference(difference(before, amended.agreement))
    say(f"proposed amendment {amended.agreement.number} of {amended.agreement.id}, signed by you")
    say(f"Next: {' and '.join(amended.missing)} run `cleanroom-partner agree {amended.agreement.id}`")


@click.command()
@click.argument("collab")
@click.argument("terms", nargs=-1, required=True, metavar="TERM=VALUE...")
@without_asking
@click.pass_obj
def tighten(setup: Setup, collab: str, terms: tuple[str, ...], yes: bool) -> None:
    """Tighten your own terms in COLLAB: for all, at once, without the others.

    Only an amendment, which everybody signs, loosens them again. Values are written as in terms.toml.

    \b
    Examples:
      cleanroom-partner tighten drive-2026 minimum_size=100
      cleanroom-partner tighten drive-2026 'kinds=["overlap"]' epsilon_per_report=0.1
    """
    stated = terms_from_table(_table(terms), "TERM=VALUE")
    with setup.room() as (home, room):
        found = agreements.read(home, room, collab)
        before, own = found.in_force, changes.alone(home, found, stated)
        if before.tightened(home.room().partner, own).terms.admit_nothing:
            say("Nothing can be asked there from then on, and only an amendment that everybody signs changes that.")
        confirm("These terms hold for everybody from now on, and you cannot take them back alone. Tighten?", yes)
        standing = changes.tighten(home, room, collab, stated, datetime.now(UTC))
    show_difference(difference(before, standing.in_force))
    say(f"tightened your terms in {standing.agreement.id}")


@click.command()
@click.argument("collab")
@without_asking
@click.pass_obj
def leave(setup: Setup, collab: str, yes: bool) -> None:
    """End your part in COLLAB, for good.

    Your audiences there are retired at once. Reports that were made, what they cost and the log stay. Leaving what is
    only proposed takes the proposal away. COLLAB is the collaboration's id, or its name where only one has it.

    \b
    Example:
      cleanroom-partner leave drive-2026
    """
    with setup.room() as (home, room):
        found = changes.to_leave(home, room, collab)
        proposed = found.state is CollaborationState.PROPOSED
        ends = f"The proposal {found.id} ends" if proposed else f"Your audiences in {found.id} end"
        before = home.room().partner in found.left  # it was left already, and the answer may have been lost
        confirm(f"{ends} now, and you cannot come back. Leave?", yes or before)
        left = changes.leave(home, room, found, datetime.now(UTC))
    if proposed and left.closed:  # it may have opened while the question waited
        say(f"left {left.collaboration}: the proposal is closed by that, for everybody. The log and signatures remain.")
        return
    ended = ", ".join(map(str, left.ended))
    removed = f"ended: {ended}. The room's worker removes the files within a minute."
    say(f"left {left.collaboration}; {removed if ended else 'you had no published audience.'}")
    say("What remains: the reports that were made, what they cost you, your signatures, and the log.")
    if left.closed:
        say("It is closed by that, for everybody: its reports can be read, and nothing else is done there any more.")
        return
    say("You can read reports from before, withdraw and erase; you are not asked about and do not ask any more.")
    say(f"Tell {' and '.join(left.staying)}: you still know the collaboration's secret; they should make a new one.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.pass_obj
def export(setup: Setup, folder: Path) -> None:
    """Write what the room has about you into the new FOLDER.

    Agreements, versions with their manifests, reports, receipts, your ledger, grants, keys and their changes, consents,
    the log's checkpoint; and the signed batches of withdrawals that were sent from this folder.

    \b
    Example:
      cleanroom-partner export fresh-2026
    """
    with setup.room() as (home, room), waiting("everything is fetched and verified"):
        made = exporting.export(home, room, folder)
    say(
        f"wrote {folder}: collaborations: {made.collaborations}, agreements: {made.agreements},"
        f" versions: {made.versions}, reports: {made.reports}, batches of withdrawals: {made.batches}"
    )


def show_difference(found: Difference) -> None:
    """What changes, as a table, and who must prepare anew."""
    if not found.changes:
        say("It changes nothing that holds.")
        return
    shown = table("what", "before", "after", "")
    for each in found.changes:
        shown.add_row(*map(Text, (each.what, each.before, each.after, each.direction.value)))
    console().print(shown)
    if found.prepare:
        say(f"Once in force, to be prepared and uploaded anew: {', '.join(found.prepare)}")


def _table(stated: tuple[str, ...]) -> dict[str, object]:
    """TERM=VALUE, VALUE as TOML writes it; a word without quotes is text."""
    table: dict[str, object] = {}
    for each in stated:
        name, mark, value = each.partition("=")
        if not mark or name not in NAMES:
            raise click.UsageError(f"write TERM=VALUE; the terms are {', '.join(NAMES)}")
        try:
            table |= tomllib.loads(f"{name} = {value}", parse_float=Decimal)
        except tomllib.TOMLDecodeError:
            table[name] = value
    return table


COMMANDS = (amend, tighten, leave, export)

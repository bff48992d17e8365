"""propose, explain, agree."""

from pathlib import Path

import click
from rich.text import Text

from partners import explain as explaining
from partners import files, mapping, presets
from partners.commands.changes import show_difference
from partners.commands.terminal import (
    Setup,
    as_json,
    confirm,
    console,
    progress,
    quoted,
    say,
    say_json,
    table,
    without_asking,
)
from partners.difference import difference, to_json
from partners.domains import read_domains
from partners.draft import draft_audience
from partners.explain import Explanation
from partners.home import Home
from partners.presets import Preset
from partners.room.client import Room
from partners.steps import agreements, naming
from partners.steps import status as steps
from partners.steps.agreements import Standing
from partners.terms_file import read_text, read_toml
from policies.agreement import Agreement

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.argument("agreement", type=_FILE, required=False)
@click.option(
    "--draft-domains", type=_FILE, metavar="MAP.toml", help="Print an [[audience]] for your own file; send nothing."
)
@click.option(
    "--into",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="AGREEMENT.toml",
    help="With --draft-domains: add it to the end of this file, instead of printing it.",
)
@as_json
@click.pass_obj
def propose(setup: Setup, agreement: Path | None, draft_domains: Path | None, into: Path | None, as_json: bool) -> None:
    """Propose an agreement, a TOML file, and sign it.

    \b
    Example of the file:
      [collaboration]
      name = "drive-2026"
      match_keys = ["email", "phone"]     # in order of priority
      mode = "private"
      minimum_size = 50
      epsilon_per_report = 0.25
      epsilon_total = 5.0
      [[partner]]
      name = "fresh"
      [[partner]]
      name = "tasty"
      terms = { minimum_size = 100 }
      [[audience]]
      owner = "fresh"
      name = "drive"
      keys = ["email", "phone"]
      attributes = { tier = ["gold", "silver"] }
      measures = { spend = { lower = 0, upper = 500 } }
    \b
    Examples:
      cleanroom-partner propose --draft-domains map.toml --into agreement.toml
      cleanroom-partner propose agreement.toml
    """
    if draft_domains is not None:
        with progress() as told:
            mapped = read_domains(mapping.load(draft_domains), lambda done, whole: told("reading", done, whole))
        draft = draft_audience(mapped).encode()
        if into is None:
            click.echo(draft, nl=False)  # bytes: a terminal's encoding has no say in data
            return
        files.write(into, _before(into) + draft, private=False)
        say(f"added the audience {mapped.name}/{mapped.audience} to {into.name}; nothing was sent")
        say(f"Next: take out of its lists what names a person; then `cleanroom-partner propose {quoted(into)}`")
        return
    if into is not None:
        raise click.UsageError("--into goes with --draft-domains.", click.get_current_context())
    if agreement is None:
        raise click.UsageError("Missing argument 'AGREEMENT'.", click.get_current_context())
    content = read_toml(agreement)
    with setup.room() as (home, room):
        standing = agreements.propose(home, room, content)
        before = naming.proposed_before(home, room, standing.agreement)
    if as_json:
        made = {"id": standing.agreement.id, "sha256": standing.agreement.sha256(), "waiting": list(standing.missing)}
        say_json({**made, "older": [each.id for each in before]})
        return
    say(f"proposed {standing.agreement.id}, signed by you")
    say(f"Next: {' and '.join(standing.missing)} run `cleanroom-partner agree {standing.agreement.id}`")
    for each in before:
        say("An older proposal of this name waits, too. Does the new one take its place? Take the older one away:")
        say(f"  cleanroom-partner leave {each.id} --yes")


@click.command()
@click.argument("collab")
@click.option(
    "--check", "preset", type=click.Choice(presets.NAMES), help="Hold it to a preset, requirement by requirement."
)
@click.option("--changes", is_flag=True, help="What the amendment that waits changes.")
@as_json
@click.pass_obj
@click.pass_context
def explain(
    context: click.Context, setup: Setup, collab: str, preset: str | None, changes: bool, as_json: bool
) -> None:
    """Read an agreement in plain words.

    COLLAB is the collaboration's id, or its name: an open one goes before those that are only proposed.

    \b
    Examples:
      cleanroom-partner explain drive-2026
      cleanroom-partner explain drive-2026 --check pair
      cleanroom-partner explain drive-2026 --changes

    With --check, the exit code is 1 where a requirement is not met.
    """
    with setup.room() as (home, room):
        standing = agreements.read(home, room, collab)
        amended = agreements.waiting(home, room, standing) if changes else None
    if changes:
        _explain_changes(standing, amended, as_json)
        return
    if preset is not None:
        if not _check(standing.in_force, presets.load(preset), as_json):
            context.exit(1)
        return
    explanation = explaining.explain(standing.in_force)
    if as_json:
        signed = {"signed": sorted(standing.signed), "waiting": list(standing.missing)}
        say_json({**explaining.to_json(explanation), "id": standing.agreement.id, **signed})
        return
    _show(explanation, standing)


@click.command()
@click.argument("collab")
@click.option("--restored", is_flag=True, help="Go back to the one before: the room was restored from a backup.")
@without_asking
@click.pass_obj
def agree(setup: Setup, collab: str, restored: bool, yes: bool) -> None:
    """Read an agreement, or the amendment of it that waits, and sign it.

    It is held against your own terms.toml first. COLLAB is the collaboration's id, or its name where only one has it.

    \b
    Example:
      cleanroom-partner agree drive-2026
    """
    with setup.room() as (home, room):
        named = naming.find_only(room, collab).id
        if restored:
            _go_back(home, room, named, yes)
            return
        if newer := agreements.newer(home, room, named):
            _take_over(home, *newer, yes)
            return
        standing = agreements.read(home, room, named)
        amended = agreements.waiting(home, room, standing)
        if amended and home.room().partner not in amended.signed:
            _agree_to_amendment(home, room, standing, amended, yes)
            return
        _show(explaining.explain(standing.in_force), standing)
        agreements.check(home, standing.agreement)
        confirm("Do you sign this agreement?", yes)
        signed = agreements.agree(home, room, standing)
        following = steps.following(home, room, signed.collaboration)
    before = " before" if home.room().partner in standing.signed else ""
    say(f"signed {signed.agreement.id}{before}")
    if signed.missing:
        say(f"Next: wait for {' and '.join(signed.missing)}")
    else:
        say(f"The agreement is {signed.collaboration.state.value}. Next: {following}")


def _take_over(home: Home, standing: Standing, kept: Agreement, yes: bool) -> None:
    show_difference(difference(kept, standing.in_force))
    confirm("Everybody signed this, you in a copy of this folder, and did not tighten since. Does it count here?", yes)
    agreements.go_back(home, standing)
    say(f"{standing.agreement.id} counts here as it is in force")
    say("Next: `cleanroom-partner status`")


def _go_back(home: Home, room: Room, collab: str, yes: bool) -> None:
    standing, kept = agreements.older(home, room, collab)
    show_difference(difference(kept, standing.in_force))
    confirm("Did the operator restore the room, and does this agreement, which you signed before, count again?", yes)
    agreements.go_back(home, standing)
    say(f"{standing.agreement.id} counts again as it was in the backup")
    say("Next: `amend` and `tighten` what was lost; `cleanroom-partner status` says what must be prepared anew")


def _before(file: Path) -> bytes:
    """What stands in an agreement's file before a draft that is added to it, with a blank line after it.

    Raises `BadTerms` for a file that is none of agreements.
    """
    if not file.exists():
        return b""
    if file.is_symlink() or not file.is_file():
        raise click.UsageError("--into names a plain file.")
    if read_toml(file).keys() - {"collaboration", "partner", "audience"}:
        raise click.UsageError("--into names the file of an agreement, and of nothing else.")
    text = read_text(file).rstrip("\n")
    return f"{text}\n\n".encode() if text else b""


def _agree_to_amendment(home: Home, room: Room, standing: Standing, amended: Standing, yes: bool) -> None:
    show_difference(difference(standing.in_force, amended.agreement))
    agreements.check(home, amended.agreement)
    confirm("Do you sign this amendment?", yes)
    signed = agreements.agree_to_amendment(home, room, amended)
    say(f"signed amendment {amended.agreement.number} of {signed.agreement.id}")
    if signed.agreement.number == amended.agreement.number:
        say("It is in force. Next: `cleanroom-partner status` says what must be prepared anew")
    else:
        waiting = [name for name in amended.missing if name != home.room().partner]
        say(f"Next: wait for {' and '.join(waiting)}; until then the agreement stands as it is")


def _explain_changes(standing: Standing, amended: Standing | None, as_json: bool) -> None:
    if amended is None:
        say_json({"amendment": None}) if as_json else say("No amendment waits for signatures.")
        return
    found = difference(standing.in_force, amended.agreement)
    if as_json:
        signed = {"signed": sorted(amended.signed), "waiting": list(amended.missing)}
        say_json({"amendment": amended.agreement.number, **to_json(found), **signed})
        return
    say(f"Amendment {amended.agreement.number} of {amended.agreement.id}:")
    show_difference(found)
    say(f"Signed by {', '.join(sorted(amended.signed))}; waiting for {', '.join(amended.missing)}.")


def _check(agreement: Agreement, preset: Preset, as_json: bool) -> bool:
    """Shows an agreement held to a preset; whether it meets all of it."""
    found = presets.check(agreement, preset)
    if as_json:
        say_json({"id": agreement.id, **presets.to_json(preset, found)})
        return not any(each.looser for each in found)
    lines = {line.term: line for line in explaining.explain(agreement).terms}
    shown = table("requirement", "", "by", "what remains with the partners")
    for each in found:
        by = ", ".join(f"{name}: {lines[name].value}" if name in lines else name for name in each.requirement.terms)
        verdict = f"not met: {', '.join(each.looser)}" if each.looser else "met"
        shown.add_row(*map(Text, (each.requirement.says, verdict, by, each.requirement.remains or "nothing")))
    out = console()
    out.print(Text(f"{agreement.name}, held to preset {preset.name}: {preset.summary}"))
    out.print(shown)
    met = not any(each.looser for each in found)
    if not met:
        say("Next: propose an agreement with `preset` in [collaboration], or tighten these terms in terms.toml")
    return met


def _show(explanation: Explanation, standing: agreements.Standing) -> None:
    out = console()
    for sentence in explanation.about:
        out.print(Text(sentence))
    shown = table("term", "value", "set by", "meaning")
    for line in explanation.terms:
        shown.add_row(*map(Text, (line.term, line.value, ", ".join(line.sources), line.meaning)))
    out.print(shown)
    for sentence in explanation.caveats:
        out.print(Text(sentence))
    waiting = f"; waiting for {', '.join(standing.missing)}" if standing.missing else "; open"
    out.print(Text(f"Signed by {', '.join(sorted(standing.signed)) or 'nobody'}{waiting}."))


COMMANDS = (propose, explain, agree)

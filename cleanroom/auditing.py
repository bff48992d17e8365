"""The operator's and the auditor's commands about the log: `cleanroom audit list | export | verify`."""

import json
import shlex
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from cleanroom.options import DATA, KEYS, settings
from partners.transparency.encoding import encode_base64
from partners.words import counted

if TYPE_CHECKING:
    from cleanroom.audit.listing import Line
    from cleanroom.audit.verify import Verdict

SIGNS = {"passed": "✓", "failed": "✗", "skipped": "–"}
SHOWN = 20
DATES = ["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


@click.group()
def audit() -> None:
    """Lists, exports and verifies the audit log."""


@audit.command("list")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--partner", help="What this partner did, or what was about it.")
@click.option("--event", help="An event, or a pattern such as 'decision:*'.")
@click.option("--decision", type=click.Choice(["release", "repeat", "refuse"]), help="Decisions of the gate.")
@click.option("--reason", help="The code of a refusal, such as budget_spent.")
@click.option("--collab", help="A collaboration, by its id or name; in FILE, by its id.")
@click.option("--since", type=click.DateTime(DATES), help="From this UTC day or time on.")
@click.option("--until", type=click.DateTime(DATES), help="Before this UTC day or time.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@DATA
@KEYS
def audit_list(
    file: Path | None,
    partner: str | None,
    event: str | None,
    decision: str | None,
    reason: str | None,
    collab: str | None,
    since: datetime | None,
    until: datetime | None,
    as_json: bool,
    data: Path | None,
    keys: Path | None,
) -> None:
    """Lists what the log says, a line an entry: of a room, or of the export FILE, which is not verified by this.

    Example: cleanroom audit list --data /srv/room --decision refuse --since 2026-03-01
    """
    from cleanroom import naming, setup
    from cleanroom.audit.listing import Filter, of_catalog, of_export
    from cleanroom.catalog import collaborations

    instants = [moment.replace(tzinfo=UTC) if moment else None for moment in (since, until)]
    wanted = Filter(event, collab, partner, decision, reason, *instants)
    if file:
        if not _list(filter(wanted.takes, of_export(file)), as_json) and collab:
            click.echo("In FILE, --collab wants the collaboration's id, not its name.", err=True)
        return
    with setup.open_room(settings(data, keys)).catalog() as catalog:
        if collab and collaborations.named(catalog, collab):  # a restore may have lost one that entries name
            wanted = replace(wanted, collaboration=naming.find(catalog, collab).id)
        _list(filter(wanted.takes, of_catalog(catalog.connection)), as_json)


def _list(lines: "Iterator[Line]", as_json: bool) -> int:
    """Prints the lines; how many there were."""
    shown = 0
    for line in lines:
        body = line.body
        by = (line.by or "the room") if body else ""
        if as_json:
            told = {"seq": line.seq, "time": line.time.isoformat(timespec="milliseconds").replace("+00:00", "Z")}
            if body:
                told |= {"event": body.event, "collaboration": body.collaboration, "by": by}
                told["details"] = dict(body.details)
            click.echo(_plain(json.dumps(told, ensure_ascii=False)))
        else:
            if not shown:
                click.echo(f"{'entry':>7}  {'time (UTC)':19}  {'event':19}  {'by':16}  {'collaboration':22}  what")
            event, where = (body.event, body.collaboration or "–") if body else ("not opened to you", "")
            what = "  ".join(filter(None, (line.reason, _about(line))))
            shown_as = f"{line.seq:>7}  {line.time:%Y-%m-%d %H:%M:%S}  {event:19}  {by:16}  {where:22}  {what}"
            click.echo(_plain(shown_as.rstrip()))
        shown += 1
    click.echo(f"{counted(shown, 'entry', 'entries')}.", err=True)
    return shown


def _plain(text: str) -> str:
    """Text of an archive that nobody vouches for, for a terminal: escaped, as in JSON, what is not printable."""
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _about(line: "Line") -> str | None:
    """The thing that an entry is about, by its id or name."""
    if line.body is None:
        return None
    found = (line.body.details.get(name) for name in ("report", "version", "audience", "partner", "key", "day"))
    return next((each for each in found if isinstance(each, str)), None)


@audit.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--collab", "only", multiple=True, help="Opens the bodies of this one only, by id or name; repeatable.")
@DATA
@KEYS
def audit_export(file: Path, only: tuple[str, ...], data: Path | None, keys: Path | None) -> None:
    """Writes the whole log, with its bodies and the documents that they name, to the archive FILE.

    Example: cleanroom audit export log.tar --data /srv/room
    """
    from cleanroom import exporting, naming, setup

    room = setup.open_room(settings(data, keys))
    with room.catalog() as catalog:
        exporting.write(room, catalog, file, naming.ids(catalog, only) or None)
    click.echo(f"Verify it anywhere: cleanroom audit verify {shlex.quote(str(file))} --vkey '{room.vkey}'", err=True)


@audit.command("verify")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--vkey", required=True, help="The log's verifier key, from the operator, never from the archive.")
@click.option("--older", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="A checkpoint you kept.")
@click.option("--witness", "witnesses", metavar="KEY", multiple=True, help="A witness's key; may be repeated.")
@click.option("--quorum", type=click.IntRange(min=1), help="How many of them must have cosigned. [default: all]")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def audit_verify(
    file: Path, vkey: str, older: Path | None, witnesses: tuple[str, ...], quorum: int | None, as_json: bool
) -> None:
    """Verifies an archive of the log offline: entries, tiles, signatures, bodies; then each decision by the policies.

    Example: cleanroom audit verify log.tar --vkey 'room.example/audit-v1+2bca130e+AQOh…'
    """
    from cleanroom.audit import verify
    from cleanroom.replay.judge import Judge
    from partners.transparency.cosignature import WitnessKey
    from partners.transparency.note import NoteError, VerifierKey

    try:
        key = VerifierKey.parse(vkey)
        known = tuple(dict.fromkeys(map(WitnessKey.parse, witnesses)))
    except NoteError as problem:
        raise click.UsageError(f"--vkey or --witness: {problem}") from None
    if quorum is not None and not known:
        raise click.UsageError("--quorum counts keys of witnesses; give each with --witness")
    if quorum is not None and quorum > len(known):
        raise click.UsageError("--quorum wants more witnesses than --witness names")
    wanted = len(known) if quorum is None else quorum
    verdict = verify.verify(file, key, older.read_bytes() if older else None, Judge, known, wanted)
    _show(verdict, as_json)
    sys.exit(0 if verdict.ok else 1)


def _show(verdict: "Verdict", as_json: bool) -> None:
    if as_json:
        root = encode_base64(verdict.root) if verdict.root else None
        checks = [{"name": each.name, "outcome": each.outcome.value, "detail": each.detail} for each in verdict.checks]
        findings = [asdict(each) for each in verdict.findings]
        told = {"ok": verdict.ok, "size": verdict.size, "root": root, "checks": checks, "findings": findings}
        click.echo(json.dumps(told, indent=1))
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    for each in verdict.checks:
        table.add_row(SIGNS[each.outcome.value], each.name, _plain(each.detail))
    console = Console(highlight=False)
    console.print(table)
    for finding in verdict.findings[:SHOWN]:
        console.print(f"entry {finding.seq}, {_plain(finding.what)}:", markup=False)
        for which, text in (("derived", finding.derived), ("written", finding.written)):
            console.print(f"  {which} {_plain(text)}", markup=False, soft_wrap=True)
    if len(verdict.findings) > SHOWN:
        console.print(f"and {len(verdict.findings) - SHOWN} more; --json has all.")
    verified = counted(verdict.size or 0, "leaf", "leaves")
    console.print(f"{verified} verified." if verdict.ok else "The archive does not hold.")

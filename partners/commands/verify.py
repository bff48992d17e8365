"""verify, accept-log."""

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from partners import evidence, receipts, words
from partners.commands.terminal import Setup, as_json, console, say, say_json, table
from partners.evidence import Opened
from partners.failure import Failure, plain
from partners.receipts import Receipt, ReceiptError, Verdict
from partners.steps.joining import open_room
from partners.transparency.cosignature import WitnessKey
from partners.transparency.encoding import decode_base64, encode_base64
from partners.transparency.merkle import HASH_SIZE
from partners.transparency.note import VerifierKey
from policies import question


@click.command()
@click.argument("receipt", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--vkey", metavar="KEY", help="The log's verifier key; without it, the one pinned when you joined.")
@click.option("--witness", "witnesses", metavar="KEY", multiple=True, help="A witness's key; may be repeated.")
@click.option("--quorum", type=click.IntRange(min=1), help="How many of them must have cosigned. [default: all]")
@as_json
@click.pass_obj
def verify(
    setup: Setup, receipt: Path, vkey: str | None, witnesses: tuple[str, ...], quorum: int | None, as_json: bool
) -> None:
    """Prove offline that a decision is in the log.

    RECEIPT is a receipt, a report as JSON, or what `disclose` wrote: then its figures are proven and shown, too.

    \b
    Examples:
      cleanroom-partner report r-0123456789abcdef --json report.json
      cleanroom-partner verify report.json
      cleanroom-partner verify receipt.json --vkey room.example/audit-v1+2bca130e+AQOh…
    """
    if vkey is None:
        room = setup.home().room()
        keys = (room.vkey, *reversed(room.former))
    else:
        keys = (VerifierKey.parse(vkey.strip()),)
    known = tuple(dict.fromkeys(WitnessKey.parse(text.strip()) for text in witnesses))
    if quorum is not None and not known:
        raise click.UsageError("--quorum counts keys of witnesses; give each with --witness")
    if quorum is not None and quorum > len(known):
        raise click.UsageError("--quorum wants more witnesses than --witness names")
    value = _read(receipt)
    opened = Opened.from_json(value) if value.keys() == evidence.FIELDS else None
    found = opened.receipt if opened else Receipt.from_json(value.get("receipt", value))
    verdicts = {key: receipts.check(found, key, known, len(known) if quorum is None else quorum) for key in keys}
    key = next((key for key, each in verdicts.items() if each.ok), keys[0])
    verdict = verdicts[key]
    if opened:
        verdict = replace(verdict, checks=(*verdict.checks, evidence.check(opened)))
    if as_json:
        say_json({"log": key.name, **_to_json(verdict)})
    else:
        _show(verdict)
        if key != keys[0]:
            say(f"It is in {key.name}, a log of this room that a restore ended since.")
        if opened and verdict.ok:
            _show_figures(opened)
    if not verdict.ok:
        failed = next(check for check in verdict.checks if not check.passed)
        raise Failure(
            f"the receipt does not hold ({failed.name}); fetch it again, and if it still fails tell the auditor"
        )


@click.command("accept-log")
@click.argument("root")
@click.pass_obj
def accept_log(setup: Setup, root: str) -> None:
    """Go on with a new log of the room, though entries that you saw are gone.

    A room that lost a part of its log in a restore begins a new one, and names the last checkpoint of the old one. ROOT
    is that checkpoint's root, the third line of the file `checkpoint` in the folders of the OTHER partners: ask them,
    not the room.

    
    Example:
      cleanroom-partner accept-log LExmXcfXTcQ0FVOLGJzrSk6Fu1ju36gM6diMJ1T0860=
    """
    try:
        confirmed = decode_base64(root.strip())
    except ValueError:
        confirmed = b""
    if len(confirmed) != HASH_SIZE:
        raise click.UsageError("ROOT is 44 characters of base64, as in a checkpoint")
    home = setup.home()
    with closing(open_room(home, setup.transport)) as room:
        room.log.refresh(confirmed)
        for line in room.log.news:
            say(line)
    say(f"the log is {home.room().vkey.name}")


def _read(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        raise ReceiptError(f"{path.name} is not JSON; give a receipt, or a report from `report ID --json`") from None
    if not isinstance(value, dict):
        raise ReceiptError(f"{path.name} is no receipt; give one, or a report from `report ID --json`")
    return value


def _show_figures(opened: Opened) -> None:
    for asked, release in evidence.releases(opened):
        by = f", by {', '.join(map(question.by_key, asked.by))}" if asked.by else ""
        shown = table("cell", "measure", "value", "± 95 %", numbers=2)
        for figure in release.figures:
            cell = ", ".join(f"{plain(name)}: {words.cell(value)}" for name, value in figure.by) or "all"
            at_least = "at least " if figure.at_least else ""
            value = "withheld" if figure.value is None else f"{at_least}{figure.value}"
            margin = "" if figure.margin95 is None else str(figure.margin95)
            shown.add_row(*map(Text, (cell, figure.measure, value, margin)))
        console().print(Text(f"people of {asked.count}, {words.where(asked.where)}{by}"))
        console().print(shown)


def _to_json(verdict: Verdict) -> dict[str, object]:
    checks = [{"name": check.name, "outcome": check.outcome.value, "detail": check.detail} for check in verdict.checks]
    return {
        "ok": verdict.ok,
        "checks": checks,
        "event": verdict.event,
        "time_ms": verdict.time_ms,
        "index": verdict.index,
        "size": verdict.size,
        "root": encode_base64(verdict.root) if verdict.root else None,
    }


def _show(verdict: Verdict) -> None:
    shown = table("check", "outcome", "detail")
    for check in verdict.checks:
        shown.add_row(*map(Text, (check.name, check.outcome.value, check.detail)))
    console().print(shown)
    if verdict.ok and verdict.time_ms is not None:
        when = datetime.fromtimestamp(verdict.time_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        say(f"{verdict.event}, entry {verdict.index} of {verdict.size}, logged {when}")


COMMANDS = (verify, accept_log)

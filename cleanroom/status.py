"""What an operator sees of the room: partners, collaborations, audiences, the log. No figure, no token."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from cleanroom.catalog import collaborations, partners, versions
from cleanroom.room import Room
from partners.transparency.checkpoint import read_unverified


@dataclass(frozen=True, slots=True)
class CollaborationStatus:
    """One collaboration: its state, how many signed, which audiences are published."""

    id: str
    state: str
    partners: tuple[str, ...]
    signed: int
    published: tuple[str, ...]
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """The room at a glance. `log_size` in leaves."""

    room: str
    url: str
    vkey: str
    log_size: int
    partners: tuple[str, ...]
    collaborations: tuple[CollaborationStatus, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def read_status(room: Room) -> Status:
    """The status now."""
    with room.catalog() as catalog:
        names = partners.names(catalog)
        found = {each.id: each for name in names for each in collaborations.of_partner(catalog, name)}
        listed = []
        for each in found.values():
            published = versions.published(catalog, each.id)
            refs = [audience.ref for audience in each.agreement.audiences]
            listed.append(
                CollaborationStatus(
                    each.id,
                    each.state,
                    tuple(party.name for party in each.agreement.parties),
                    len(each.signatures),
                    tuple(str(ref) for ref in refs if ref in published),
                    tuple(str(ref) for ref in refs if ref not in published),
                )
            )
    size = read_unverified(room.publish()).size
    return Status(room.origin, room.settings.url, room.vkey, size, tuple(names), tuple(listed))


def render(status: Status, console: Console) -> None:
    """Prints the status as tables, with what to do next."""
    console.print(f"[bold]{status.room.partition('/')[0]}[/]  {status.url}")
    console.print(f"log: {status.log_size:,} leaves, key {status.vkey}", soft_wrap=True)
    console.print(f"partners: {', '.join(status.partners) or 'none yet; run `cleanroom invite NAME`'}")
    if not status.collaborations:
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("collaboration", "state", "signed", "published", "still missing"):
        table.add_column(heading)
    for each in status.collaborations:
        signed = f"{each.signed} of {len(each.partners)}"
        table.add_row(each.id, each.state, signed, ", ".join(each.published) or "–", ", ".join(each.missing) or "–")
    console.print(table)

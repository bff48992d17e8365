"""A transcript's text: paragraphs, and commands with what they answer.

    Each partner makes its keys.

        fresh$ cleanroom-partner keygen
        made key …

    1 day later.

A paragraph begins at the margin. A command is indented by four, begins with who types it, and is followed by its
answer; `<<END` takes lines up to END. A paragraph that says so moves the clock.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.transcripts.names import Names
from tests.transcripts.world import World

INDENT = "    "
_COMMAND = re.compile(r"    (\w+)\$ (.+)")
_LATER = re.compile(r"(\d+) days? later\.")


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """`line` with the lines of its here-document, if it has one."""

    who: str
    line: str


def parse(text: str) -> Iterator[Paragraph | Command]:
    """The paragraphs and commands of a transcript; answers are left out."""
    paragraph: list[str] = []
    lines = iter(text.splitlines())
    for line in lines:
        if paragraph and (not line or line.startswith(INDENT)):
            yield Paragraph("\n".join(paragraph))
            paragraph = []
        if found := _COMMAND.fullmatch(line):
            typed = [found[2]]
            if typed[0].endswith("<<END"):
                while typed[-1] != "END":
                    typed.append(next(lines).removeprefix(INDENT))
            yield Command(found[1], "\n".join(typed))
        elif line and not line.startswith(INDENT):
            paragraph.append(line)
    if paragraph:
        yield Paragraph("\n".join(paragraph))


def played(path: Path, folder: Path) -> str:
    """The transcript as it is when its commands are run, on machines in an empty folder."""
    parts, names = [], Names(str(folder))
    with World.opened(folder) as world:
        for item in parse(path.read_text(encoding="utf-8")):
            if isinstance(item, Paragraph):
                parts.append(item.text)
                if later := _LATER.fullmatch(item.text):
                    world.later(int(later[1]))
                continue
            told = names.told(world.run(item.who, names.typed(item.line)))
            lines = [f"{item.who}$ {item.line}", *told.rstrip("\n").splitlines()]
            parts.append("\n".join(f"{INDENT}{line}".rstrip() for block in lines for line in block.split("\n")))
    return "\n\n".join(parts) + "\n"

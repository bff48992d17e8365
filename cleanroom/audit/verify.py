"""Verifies an export offline: everything is rebuilt from the entries and compared byte for byte.

Needs the archive and the log's verifier key, no network and no room. The archive may come from anybody: nothing of it
is extracted, and anything missing, unexpected or not spelled canonically fails a check.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, TypeVar

from cleanroom.audit import archive
from cleanroom.audit.archive import ArchiveError, Member
from cleanroom.audit.events import EventKind
from cleanroom.audit.export import BODIES, README, README_TEXT, member_names
from cleanroom.audit.publisher import CHECKPOINT
from cleanroom.audit.tiles import MAX_BUNDLE_BYTES, WIDTH, decode_bundle, tiles
from partners.transparency.check import Check, Outcome
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import MAX_BODY_BYTES, Body, Entry, EntryError, commitment
from partners.transparency.merkle import HASH_SIZE, Node, leaf_hash, nodes_of, root
from partners.transparency.note import MAX_NOTE_BYTES, NoteError, VerifierKey
from policies import canonical

_MAX_LINE = 2 * MAX_BODY_BYTES + 1024  # a body as a JSON string escapes at most every byte of it once
Value = TypeVar("Value")


class _Wrong(ValueError):
    """What a check found wrong, as one safe line: archives may be hostile, so it never quotes them."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every check with its own outcome. Size, root and the number of opened bodies are given only when all passed."""

    checks: tuple[Check, ...]
    size: int | None = None
    root: bytes | None = None
    opened: int | None = None

    @property
    def ok(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Leaves:
    """What the entries give: their commitments in order, and the tree over them."""

    commits: list[str]
    node: Node


def verify(path: Path, key: VerifierKey, older: bytes | None = None) -> Verdict:
    """Check the export at `path` against the log's key and, when given, a signed checkpoint kept from earlier."""
    checks: list[Check] = []

    def run(name: str, work: Callable[..., tuple[Value, str]], *needs: object) -> Value | None:
        if any(need is None for need in needs):
            checks.append(Check(name, Outcome.SKIPPED, "an earlier check failed"))
            return None
        try:
            value, detail = work(*needs)
        except (ArchiveError, NoteError, EntryError, _Wrong) as error:
            checks.append(Check(name, Outcome.FAILED, str(error)))
            return None
        checks.append(Check(name, Outcome.PASSED, detail))
        return value

    with path.open("rb") as file:
        members = run("archive", _archive, file)
        run("readme", _readme, file, members)
        checkpoint = run("checkpoint", _checkpoint, file, members, key)
        complete = run("members", _members, members, checkpoint)
        leaves = run("entries", _entries, file, members, checkpoint, complete)
        run("tiles", _tiles, file, members, checkpoint, leaves)
        run("root", _root, checkpoint, leaves)
        opened = run("bodies", _bodies, file, members, leaves)
        if older is not None:
            run("older", _older, checkpoint, leaves, key, older)

    verdict = Verdict(tuple(checks))
    if not verdict.ok or checkpoint is None:
        return verdict
    return Verdict(verdict.checks, checkpoint.size, checkpoint.root, opened)


def _archive(file: BinaryIO) -> tuple[dict[str, Member], str]:
    members = archive.read(file)
    return members, f"{len(members)} plain files with fixed headers"


def _readme(file: BinaryIO, members: dict[str, Member]) -> tuple[bool, str]:
    expected = README_TEXT.encode()
    if _content(file, members, README, len(expected)) != expected:
        raise _Wrong("the README is not the one that exports carry")
    return True, "the text that exports carry"


def _checkpoint(file: BinaryIO, members: dict[str, Member], key: VerifierKey) -> tuple[Checkpoint, str]:
    checkpoint = open_checkpoint(_content(file, members, CHECKPOINT, MAX_NOTE_BYTES), key)
    if checkpoint.size == 0:
        raise _Wrong("the checkpoint is of an empty log, which is never published")
    return checkpoint, f"signed by the given key, {checkpoint.size} entries"


def _members(members: dict[str, Member], checkpoint: Checkpoint) -> tuple[bool, str]:
    # Each bundle is a member: a size that needs more bundles than there are members is not worth listing.
    if checkpoint.size > WIDTH * len(members) or members.keys() != member_names(checkpoint.size):
        raise _Wrong("files are missing or unexpected for a log of this size")
    return True, "no file missing, none unexpected"


def _entries(file: BinaryIO, members: dict[str, Member], checkpoint: Checkpoint, _: bool) -> tuple[_Leaves, str]:
    commits: list[str] = []
    hashes: list[bytes] = []
    for tile in takewhile(lambda tile: tile.level == 0, tiles(checkpoint.size)):
        data = _content(file, members, tile.entries_path, MAX_BUNDLE_BYTES)
        try:
            bundle = decode_bundle(data)
        except ValueError:
            raise _Wrong("an entry bundle is cut off") from None
        if len(bundle) != tile.width:
            raise _Wrong("an entry bundle holds too few or too many entries")
        for leaf in bundle:
            entry = Entry.parse(leaf)
            if entry.seq != len(commits):
                raise _Wrong("an entry does not stand at its own number")
            commits.append(entry.commit)
            hashes.append(leaf_hash(leaf))
    return _Leaves(commits, nodes_of(hashes)), f"{len(commits)} entries in canonical form, each at its number"


def _tiles(file: BinaryIO, members: dict[str, Member], checkpoint: Checkpoint, leaves: _Leaves) -> tuple[bool, str]:
    count = 0
    for tile in tiles(checkpoint.size):
        numbers = range(tile.first, tile.first + tile.width)
        expected = b"".join(leaves.node(8 * tile.level, number) for number in numbers)
        if _content(file, members, tile.path, WIDTH * HASH_SIZE) != expected:
            raise _Wrong("a tile is not what the entries give")
        count += 1
    return True, f"{count} tiles, byte for byte what the entries give"


def _root(checkpoint: Checkpoint, leaves: _Leaves) -> tuple[bool, str]:
    if root(checkpoint.size, leaves.node) != checkpoint.root:
        raise _Wrong("the entries do not lead to the signed root")
    return True, "the entries lead to the signed root"


def _bodies(file: BinaryIO, members: dict[str, Member], leaves: _Leaves) -> tuple[int, str]:
    opened, last = 0, -1
    for line in _lines(file, members[BODIES]):
        seq, body, nonce = _opened(line)
        if not last < seq < len(leaves.commits):
            raise _Wrong("bodies are not sorted by number, or one has no entry")
        if commitment(nonce, body) != leaves.commits[seq]:
            raise _Wrong("a body is not the one that its entry commits to")
        if (Body.parse(body).event == EventKind.ROOM_INIT) != (seq == 0):
            raise _Wrong("room:init is not the first event, or not the only one")
        opened, last = opened + 1, seq
    return opened, f"{opened} of {len(leaves.commits)} bodies opened, each the one that its entry commits to"


def _older(checkpoint: Checkpoint, leaves: _Leaves, key: VerifierKey, older: bytes) -> tuple[bool, str]:
    kept = open_checkpoint(older, key)
    if kept.size > checkpoint.size:
        raise _Wrong("the log is shorter than the checkpoint that you kept")
    if root(kept.size, leaves.node) != kept.root:
        raise _Wrong("the log does not begin with what the checkpoint that you kept commits to")
    return True, f"the first {kept.size} entries are those of the checkpoint that you kept"


def _content(file: BinaryIO, members: dict[str, Member], name: str, limit: int) -> bytes:
    if name not in members:
        raise _Wrong("the file is missing")
    if members[name].size > limit:
        raise _Wrong("the file is larger than it can be")
    return archive.content(file, members[name])


def _lines(file: BinaryIO, member: Member) -> Iterator[bytes]:
    """The lines of a member without their newlines, none longer than a body can make it."""
    file.seek(member.offset)
    left = member.size
    while left:
        line = file.readline(min(left, _MAX_LINE))
        if not line.endswith(b"\n"):
            raise _Wrong("a line of bodies is cut off or longer than it can be")
        left -= len(line)
        yield line[:-1]


def _opened(line: bytes) -> tuple[int, bytes, bytes]:
    """Number, body and nonce of a line."""
    try:
        value = canonical.loads(line)
        seq, body, nonce = value["seq"], value["body"].encode(), decode_base64(value["nonce"])
    except (ValueError, TypeError, KeyError, AttributeError):
        raise _Wrong("a line of bodies is not canonical JSON with body, nonce and seq") from None
    if len(value) != 3 or type(seq) is not int:
        raise _Wrong("a line of bodies is not canonical JSON with body, nonce and seq")
    return seq, body, nonce

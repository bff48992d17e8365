"""Verifies an export offline: everything is rebuilt from the entries and compared byte for byte.

Needs the archive and the log's verifier key, no network and no room. The archive may come from anybody: nothing of it
is extracted, and anything missing, unexpected or not spelled canonically fails a check. What the policies say of the
decisions is for the caller's replay: this package knows the log only.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import BinaryIO, TypeVar

from cleanroom.audit import archive, documents, older, rebuild
from cleanroom.audit.archive import ArchiveError, Member
from cleanroom.audit.documents import Document, DocumentError, Named
from cleanroom.audit.events import EventKind
from cleanroom.audit.export import BODIES, DOCUMENTS, README, README_TEXT, VERIFIER, VERIFIER_TEXT, member_names
from cleanroom.audit.older import Ended, ended
from cleanroom.audit.publisher import CHECKPOINT
from cleanroom.audit.reading import (
    MAX_DOCUMENT_LINE,
    Finding,
    Opened,
    Replayed,
    Replaying,
    Wrong,
    body_line,
    content,
    lines,
)
from partners.transparency.check import Check, Outcome
from partners.transparency.checkpoint import Checkpoint, open_checkpoint
from partners.transparency.cosignature import WitnessKey, check_witnesses
from partners.transparency.entry import Body, Entry, EntryError, commitment
from partners.transparency.merkle import HASH_SIZE, Node, leaf_hash, nodes_of, root
from partners.transparency.note import MAX_NOTE_BYTES, NoteError, VerifierKey
from partners.transparency.tiles import MAX_BUNDLE_BYTES, WIDTH, decode_bundle, tiles
from partners.words import counted

Value = TypeVar("Value")
Replay = Callable[[Mapping[str, Document], bool], Replaying]
"""(documents by SHA-256, whether every body was opened) -> a replay that takes the bodies."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Every check with its own outcome. Size, root and the number of opened bodies are given only when all passed.

    `findings`: where the policies, replayed, say something else than the log.
    """

    checks: tuple[Check, ...]
    size: int | None = None
    root: bytes | None = None
    opened: int | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def ok(self) -> bool:
        return all(check.passed for check in self.checks)


@dataclass(frozen=True, slots=True)
class _Leaves:
    """What the entries give: their commitments and times in order, and the tree over them."""

    commits: list[str]
    times: "array[int]"
    node: Node


@dataclass(frozen=True, slots=True)
class _Bodies:
    """How many bodies were opened, whether these are all, what they name, and the logs that they say ended."""

    count: int
    whole: bool
    named: Named
    endings: tuple[Ended, ...]


def verify(
    path: Path,
    key: VerifierKey,
    kept: bytes | None = None,
    replay: Replay | None = None,
    witnesses: Sequence[WitnessKey] = (),
    quorum: int = 0,
) -> Verdict:
    """Check the export at `path` against the log's key and, when given, a signed checkpoint kept from earlier.

    With `replay`, the decisions are held to the policies, too; with `witnesses`, `quorum` of them must have cosigned.
    """
    checks: list[Check] = []

    def run(name: str, work: Callable[..., tuple[Value, str]], *needs: object) -> Value | None:
        if any(need is None for need in needs):
            checks.append(Check(name, Outcome.SKIPPED, "an earlier check failed"))
            return None
        try:
            value, detail = work(*needs)
        except (ArchiveError, NoteError, EntryError, DocumentError, Wrong) as error:
            checks.append(Check(name, Outcome.FAILED, str(error)))
            return None
        checks.append(Check(name, Outcome.PASSED, detail))
        return value

    findings: tuple[Finding, ...] = ()
    with path.open("rb") as file:
        members = run("archive", _archive, file)
        run("readme", _readme, file, members)
        checkpoint = run("checkpoint", _checkpoint, file, members, key)
        complete = run("members", _members, members, checkpoint)
        leaves = run("entries", _entries, file, members, checkpoint, complete)
        run("tiles", _tiles, file, members, checkpoint, leaves)
        rooted = run("root", _root, checkpoint, leaves)
        replaying = _replaying(file, members, leaves, replay) if replay and members and leaves and rooted else None
        bodies = run("bodies", partial(_bodies, replaying), file, members, leaves)
        signed = run("documents", _documents, file, members, bodies)
        run("rebuilt", _rebuilt, file, members, checkpoint, leaves, bodies, signed)
        if witnesses:
            note = content(file, members, CHECKPOINT, MAX_NOTE_BYTES) if members and checkpoint else None
            checks.append(check_witnesses(note, witnesses, quorum))
        if kept is not None:
            run("older", partial(_older, key, kept), checkpoint, leaves, bodies)
        if replay is not None:
            if replaying and all(check.passed for check in checks):
                told = replaying.told()
                findings = told.findings
                checks.append(_policy(told))
            else:
                checks.append(Check("policy", Outcome.SKIPPED, "an earlier check failed"))

    verdict = Verdict(tuple(checks), findings=findings)
    if not verdict.ok or checkpoint is None or bodies is None:
        return verdict
    return Verdict(verdict.checks, checkpoint.size, checkpoint.root, bodies.count)


def _archive(file: BinaryIO) -> tuple[dict[str, Member], str]:
    members = archive.read(file)
    return members, f"{counted(len(members), 'plain file', 'plain files')} with fixed headers"


def _readme(file: BinaryIO, members: dict[str, Member]) -> tuple[bool, str]:
    for name, text in ((README, README_TEXT), (VERIFIER, VERIFIER_TEXT)):
        expected = text.encode()
        if content(file, members, name, len(expected)) != expected:
            raise Wrong("the README or the example verifier is not the one that exports carry")
    return True, "the text and the example verifier that exports carry"


def _checkpoint(file: BinaryIO, members: dict[str, Member], key: VerifierKey) -> tuple[Checkpoint, str]:
    checkpoint = open_checkpoint(content(file, members, CHECKPOINT, MAX_NOTE_BYTES), key)
    if checkpoint.size == 0:
        raise Wrong("the checkpoint is of an empty log, which is never published")
    return checkpoint, f"signed by the given key, {counted(checkpoint.size, 'entry', 'entries')}"


def _members(members: dict[str, Member], checkpoint: Checkpoint) -> tuple[bool, str]:
    # Each bundle is a member: a size that needs more bundles than there are members is not worth listing.
    if checkpoint.size > WIDTH * len(members) or members.keys() != member_names(checkpoint.size):
        raise Wrong("files are missing or unexpected for a log of this size")
    return True, "no file missing, none unexpected"


def _entries(file: BinaryIO, members: dict[str, Member], checkpoint: Checkpoint, _: bool) -> tuple[_Leaves, str]:
    commits: list[str] = []
    times = array("q")
    hashes: list[bytes] = []
    for tile in takewhile(lambda tile: tile.level == 0, tiles(checkpoint.size)):
        data = content(file, members, tile.entries_path, MAX_BUNDLE_BYTES)
        try:
            bundle = decode_bundle(data)
        except ValueError:
            raise Wrong("an entry bundle is cut off") from None
        if len(bundle) != tile.width:
            raise Wrong("an entry bundle holds too few or too many entries")
        for leaf in bundle:
            entry = Entry.parse(leaf)
            if entry.seq != len(commits):
                raise Wrong("an entry does not stand at its own number")
            commits.append(entry.commit)
            times.append(entry.time_ms)
            hashes.append(leaf_hash(leaf))
    detail = counted(
        len(commits), "entry in canonical form, at its number", "entries in canonical form, each at its number"
    )
    return _Leaves(commits, times, nodes_of(hashes)), detail


def _tiles(file: BinaryIO, members: dict[str, Member], checkpoint: Checkpoint, leaves: _Leaves) -> tuple[bool, str]:
    count = 0
    for tile in tiles(checkpoint.size):
        numbers = range(tile.first, tile.first + tile.width)
        expected = b"".join(leaves.node(8 * tile.level, number) for number in numbers)
        if content(file, members, tile.path, WIDTH * HASH_SIZE) != expected:
            raise Wrong("a tile is not what the entries give")
        count += 1
    return True, f"{counted(count, 'tile', 'tiles')}, byte for byte what the entries give"


def _root(checkpoint: Checkpoint, leaves: _Leaves) -> tuple[bool, str]:
    if root(checkpoint.size, leaves.node) != checkpoint.root:
        raise Wrong("the entries do not lead to the signed root")
    return True, "the entries lead to the signed root"


def _replaying(file: BinaryIO, members: dict[str, Member], leaves: _Leaves, replay: Replay) -> Replaying | None:
    """A replay that has the documents before the bodies come; None where the documents cannot be read."""
    try:
        signed = _read_documents(file, members)
        count = sum(1 for _ in lines(file, members[BODIES]))
    except (DocumentError, Wrong):
        return None
    return replay(signed, count == len(leaves.commits))


def _bodies(
    replaying: Replaying | None, file: BinaryIO, members: dict[str, Member], leaves: _Leaves
) -> tuple[_Bodies, str]:
    count, last, named, endings = 0, -1, Named(), list[Ended]()
    for line in lines(file, members[BODIES]):
        seq, body, nonce = body_line(line)
        if not last < seq < len(leaves.commits):
            raise Wrong("bodies are not sorted by number, or one has no entry")
        if commitment(nonce, body) != leaves.commits[seq]:
            raise Wrong("a body is not the one that its entry commits to")
        parsed = Body.parse(body)
        if (parsed.event == EventKind.ROOM_INIT) != (seq == 0):
            raise Wrong("room:init is not the first event, or not the only one")
        named.add(seq, parsed)
        if ending := ended(seq, parsed):
            endings.append(ending)
        if replaying:
            replaying.take(Opened(seq, leaves.times[seq], parsed))
        count, last = count + 1, seq
    size = len(leaves.commits)
    detail = f"{count} of {counted(size, 'body', 'bodies')} opened, each the one that its entry commits to"
    return _Bodies(count, count == size, named, tuple(endings)), detail


def _documents(file: BinaryIO, members: dict[str, Member], bodies: _Bodies) -> tuple[dict[str, Document], str]:
    found = _read_documents(file, members)
    count = documents.check(found, bodies.named, whole=bodies.whole)
    signed = counted(len(found), "signed document, named by a body", "signed documents, each named by a body")
    return found, f"{signed}; {counted(count, 'signature holds', 'signatures hold')}"


def _read_documents(file: BinaryIO, members: dict[str, Member]) -> dict[str, Document]:
    found: dict[str, Document] = {}
    last = ""
    for line in lines(file, members[DOCUMENTS], MAX_DOCUMENT_LINE):
        document = Document.parse(line)
        if document.sha256 <= last:
            raise Wrong("documents are not sorted by their SHA-256")
        last = document.sha256
        found[last] = document
    return found


def _older(key: VerifierKey, kept: bytes, checkpoint: Checkpoint, leaves: _Leaves, bodies: _Bodies) -> tuple[bool, str]:
    return True, older.check(kept, key, checkpoint.size, leaves.node, bodies.endings)


def _rebuilt(
    file: BinaryIO,
    members: dict[str, Member],
    checkpoint: Checkpoint,
    leaves: _Leaves,
    _: _Bodies,
    signed: dict[str, Document],
) -> tuple[bool, str]:
    made = rebuild.members(file, members, checkpoint.size, leaves.node, signed)
    if not rebuild.same(file, made):
        raise Wrong("the archive, made anew from what it holds, is another one")
    return True, "the archive, made anew from what it holds, has the same bytes"


def _policy(told: Replayed) -> Check:
    if told.findings:
        found = counted(len(told.findings), "finding", "findings")
        return Check("policy", Outcome.FAILED, f"{found}: the policies say something else than the log")
    detail = counted(told.decisions, "decision, derived again", "decisions, each derived again")
    if told.unjudged:
        rest = counted(told.unjudged, "not: it rests", "not: they rest")
        detail += f"; {rest} on bodies that were not opened, or documents that a restore lost"
    return Check("policy", Outcome.PASSED, detail)

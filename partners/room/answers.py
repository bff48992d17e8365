"""The values that the room answers with, and how its JSON becomes them. Pure.

Nothing here is verified: signatures, receipts and keys are checked where they are used (`partners.steps`,
`partners.known_log`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

from partners import fields
from partners.evidence import FIELDS as EVIDENCE
from partners.evidence import Opened
from partners.failure import plain
from partners.fields import OddAnswer
from partners.key_change import BadKeyChange, Role, SignedChange
from partners.receipts import Receipt, ReceiptError
from partners.replacement import BadReplacement, Replacement
from partners.transparency.encoding import decode_base64
from partners.transparency.entry import NONCE_BYTES
from partners.transparency.note import NoteError, VerifierKey
from policies import question, terms
from policies.question import BadQuestion, Question
from policies.terms import BadTerms, Terms

E = TypeVar("E", bound=Enum)


@dataclass(frozen=True, slots=True)
class Problem:
    """What the room says is wrong (RFC 9457), as lines that a terminal can show. `code` is the last part of `type`."""

    status: int
    code: str
    title: str
    detail: str
    hint: str


@dataclass(frozen=True, slots=True)
class RoomFacts:
    """What a room says of itself: its log's origin and key, the `aud` of assertions, its floor, an owner's micro-ε.

    `successions`: signed notes about the logs before this one, unverified.
    """

    name: str
    token_audience: str
    vkey: VerifierKey
    floor: Terms
    version: str
    allowance: int
    successions: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class OwnKey:
    """One of this partner's keys; `sealing` None: it opens nothing. `ends`: seconds since 1970, None without an end.

    `over`: it was revoked or replaced, and counts no more whatever the clock says.
    """

    id: str
    role: Role
    signing: bytes
    sealing: bytes | None
    counts: bool
    ends: int | None
    over: bool


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """A partner's keys, the id and role of the one that asks, the number of the last signed change, and, for an owner,
    every change.
    """

    partner: str
    key: str
    role: Role
    serial: int
    keys: tuple[OwnKey, ...]
    changes: tuple[SignedChange, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The name that the operator gave, and as what; whose consent the keys still wait for, where there were others."""

    partner: str
    role: Role
    waiting: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Asked:
    """New keys of a partner that lost its own. `consents`: partner → signature; who asks about others sees its own.

    `missing`: who has not consented yet. `made`: whether they are in place. `rotations` led to the keys that go. All of
    it is unverified.
    """

    replacement: Replacement
    consents: tuple[tuple[str, bytes], ...]
    missing: tuple[str, ...]
    made: bool
    rotations: tuple[SignedChange, ...]


@dataclass(frozen=True, slots=True)
class AuditedLine:
    """What an owner was allotted and has spent in an audited collaboration, in micro-ε; `unbounded`: threshold mode."""

    collaboration: str
    owner: str
    allotted: int
    spent: int
    unbounded: bool


class VersionState(Enum):
    RECEIVED = "received"
    CHECKING = "checking"
    PUBLISHED = "published"
    REFUSED = "refused"
    RETIRED = "retired"

    @property
    def settled(self) -> bool:
        return self not in (VersionState.RECEIVED, VersionState.CHECKING)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an audience: `progress` of its check in percent, `problem` where it was refused."""

    id: str
    state: VersionState
    problem: Problem | None
    progress: int
    receipt: Receipt | None


@dataclass(frozen=True, slots=True)
class Quote:
    """What a report would cost: micro-ε per owner, what each owner has left here, the questions it is made of.

    `unbounded`: threshold mode, where nothing is charged because nothing bounds the loss. `refused` is the code of the
    refusal that asking would meet, `explanation` its words.
    """

    cost: tuple[tuple[str, int], ...]
    left: tuple[tuple[str, int], ...]
    unbounded: bool
    questions: tuple[Question, ...]
    refused: str | None
    explanation: str | None


@dataclass(frozen=True, slots=True)
class LedgerLine:
    """What one collaboration was allotted and spent, in micro-ε; `unbounded` in threshold mode."""

    id: str
    name: str
    allotted: int
    spent: int
    unbounded: bool


@dataclass(frozen=True, slots=True)
class Ledger:
    """An owner's privacy budget over its lifetime, in micro-ε; `grants` is the serial of its last grant.

    `forfeited`: a restore of the room ended the allowance, and there was no grant since.
    """

    partner: str
    allowance: int
    spent: int
    forfeited: bool
    grants: int
    collaborations: tuple[LedgerLine, ...]


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A batch that the room took: its hash, the UTC day, the signed note; `erased` once an erasure is done."""

    batch: str
    day: str
    acknowledgement: bytes
    erased: Receipt | None


@dataclass(frozen=True, slots=True)
class Consents:
    """A day's commitment, opened: the hashes of the batches, the nonce, the receipt of its entry."""

    batches: tuple[str, ...]
    nonce: bytes
    receipt: Receipt


def room_facts(value: object) -> RoomFacts:
    found = fields.table(value, "room")
    try:
        key = VerifierKey.parse(fields.text(found, "vkey"))
        floor = terms.from_json(found.get("floor"))
    except (NoteError, BadTerms):
        raise OddAnswer("vkey, floor") from None
    return RoomFacts(
        plain(fields.text(found, "name")),
        fields.text(found, "token_audience"),
        key,
        floor,
        plain(fields.text(found, "version")),
        fields.integer(found, "allowance"),
        tuple(str(note).encode() for note in fields.items(found, "successions")),
    )


def joined(value: object) -> Joined:
    found = fields.table(value, "join")
    return Joined(
        fields.identifier(found, "partner"), enum_of(Role, found, "role"), fields.identifiers(found, "waiting")
    )


def asked(value: object) -> Asked:
    found = fields.table(value, "replacement")
    try:
        replacement = Replacement.from_json(found.get("replacement"))
    except BadReplacement:
        raise OddAnswer("replacement") from None
    consents = [fields.table(item, "consents") for item in fields.items(found, "consents")]
    return Asked(
        replacement,
        tuple((fields.identifier(item, "partner"), fields.signature(item)) for item in consents),
        fields.identifiers(found, "waiting"),
        fields.optional_text(found, "made") is not None,
        rotations(found),
    )


def own_keys(value: object) -> OwnKeys:
    found = fields.table(value, "keys")
    listed = [fields.table(item, "keys") for item in fields.items(found, "keys")]
    return OwnKeys(
        fields.identifier(found, "partner"),
        fields.identifier(found, "key"),
        enum_of(Role, found, "role"),
        fields.integer(found, "serial"),
        tuple(
            OwnKey(
                fields.identifier(item, "id"),
                enum_of(Role, item, "role"),
                fields.key(item, "signing_key"),
                None if item.get("sealing_key") is None else fields.key(item, "sealing_key"),
                fields.boolean(item, "counts"),
                None if item.get("ends") is None else fields.integer(item, "ends"),
                fields.boolean(item, "over"),
            )
            for item in listed
        ),
        _changes(found, "changes"),
    )


def rotations(value: object) -> tuple[SignedChange, ...]:
    """The rotations of a partner's keys, unverified."""
    return _changes(fields.table(value, "partner"), "rotations")


def _changes(found: Mapping[str, Any], name: str) -> tuple[SignedChange, ...]:
    try:
        return tuple(SignedChange.from_json(item) for item in fields.items(found, name))
    except BadKeyChange:
        raise OddAnswer(name) from None


def version(value: object) -> Version:
    found = fields.table(value, "version")
    told = found.get("problem")
    return Version(
        fields.identifier(found, "id"),
        enum_of(VersionState, found),
        None if told is None else problem(told, status=422),
        fields.integer(found, "progress"),
        receipt(found),
    )


def quote(value: object) -> Quote:
    found = fields.table(value, "report")
    cost, left = fields.table(found.get("cost"), "cost"), fields.table(found.get("left"), "left")
    try:
        questions = tuple(question.from_json(item) for item in fields.items(found, "questions"))
    except BadQuestion:
        raise OddAnswer("questions") from None
    return Quote(
        tuple((owner, fields.integer(cost, owner)) for owner in cost),
        tuple((owner, fields.integer(left, owner)) for owner in left),
        fields.boolean(found, "unbounded"),
        questions,
        fields.optional_text(found, "refused"),
        fields.optional_text(found, "explanation"),
    )


def ledger(value: object) -> Ledger:
    found = fields.table(value, "ledger")
    lines = [fields.table(item, "collaborations") for item in fields.items(found, "collaborations")]
    return Ledger(
        fields.identifier(found, "partner"),
        fields.integer(found, "allowance"),
        fields.integer(found, "spent"),
        fields.boolean(found, "forfeited"),
        fields.integer(found, "grants"),
        tuple(
            LedgerLine(
                fields.identifier(line, "id"),
                fields.identifier(line, "name"),
                fields.integer(line, "allotted"),
                fields.integer(line, "spent"),
                fields.boolean(line, "unbounded"),
            )
            for line in lines
        ),
    )


def audited(value: object) -> tuple[AuditedLine, ...]:
    lines = (fields.table(item, "lines") for item in fields.items(fields.table(value, "ledger"), "lines"))
    return tuple(
        AuditedLine(
            fields.identifier(line, "collaboration"),
            fields.identifier(line, "owner"),
            fields.integer(line, "allotted"),
            fields.integer(line, "spent"),
            fields.boolean(line, "unbounded"),
        )
        for line in lines
    )


def evidence(value: object) -> Opened:
    found = fields.table(value, "evidence")
    try:
        return Opened.from_json({name: found.get(name) for name in EVIDENCE})
    except ReceiptError:
        raise OddAnswer("receipt, evidence, nonce") from None


def acknowledged(value: object) -> Acknowledged:
    found = fields.table(value, "withdrawal")
    note = fields.text(found, "acknowledgement").encode()
    return Acknowledged(fields.identifier(found, "batch"), fields.text(found, "day"), note, receipt(found, "erased"))


def consents(value: object) -> Consents:
    found = fields.table(value, "consents")
    batches = fields.items(found, "batches")
    try:
        nonce = decode_base64(fields.text(found, "nonce"))
    except ValueError:
        raise OddAnswer("nonce") from None
    proof = receipt(found)
    if proof is None or len(nonce) != NONCE_BYTES or not all(isinstance(each, str) for each in batches):
        raise OddAnswer("batches, nonce, receipt")
    return Consents(tuple(batches), nonce, proof)


def receipt(found: Mapping[str, Any], name: str = "receipt") -> Receipt | None:
    """The receipt that an answer carries, unverified; None where it carries none."""
    if found.get(name) is None:
        return None
    try:
        return Receipt.from_json(found[name])
    except ReceiptError:
        raise OddAnswer(name) from None


def problem(value: object, status: int) -> Problem:
    """A problem; whatever it lacks is filled, because a proxy in between may answer in a form of its own."""
    found = value if isinstance(value, dict) else {}

    def line(name: str) -> str:
        return plain(item) if isinstance(item := found.get(name), str) else ""

    return Problem(status, line("type").rpartition("/")[2], line("title"), line("detail"), line("hint"))


def enum_of(kind: type[E], found: Mapping[str, Any], name: str = "state") -> E:
    try:
        return kind(fields.text(found, name))
    except ValueError:
        raise OddAnswer(name) from None

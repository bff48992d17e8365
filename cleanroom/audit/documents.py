"""The signed documents that bodies name by their SHA-256: agreements, tightened terms, grants. In exports, a line each.

A line of `documents.jsonl` is canonical JSON `{"document", "sha256", "signatures"}`, sorted by `sha256`; a signature is
`{"key", "partner", "signature"}`, sorted by partner, both bytes in base64. An export has exactly the documents that its
opened bodies name.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from cleanroom.audit.events import EventKind
from partners.key_change import Role
from partners.keys import Label, key_id, verify
from partners.notices import BadNotice, Tightening
from partners.transparency.encoding import decode_base64, encode_base64
from partners.transparency.entry import Body
from policies import agreement, canonical
from policies.agreement import Agreement, BadAgreement

_NAMES: dict[str, tuple[str, Label]] = {
    EventKind.AGREEMENT_PROPOSE: ("agreement", "agreement/v1"),
    EventKind.AGREEMENT_AMEND: ("agreement", "agreement/v1"),
    EventKind.AGREEMENT_TIGHTEN: ("terms", "terms/v1"),
    EventKind.BUDGET_GRANT: ("grant", "grant/v1"),
}
"""Event -> the detail that names a document, and the label under which it is signed."""

KEYS_BEGIN = frozenset({EventKind.PARTNER_JOIN, EventKind.KEY_ADD, EventKind.KEY_ROTATE, EventKind.KEY_REPLACE})
"""Events from which on a key is a partner's."""


class DocumentError(ValueError):
    """A document that is not what it should be; the message is safe to print and quotes nothing."""


@dataclass(frozen=True, slots=True)
class Signature:
    """Who signed, with which Ed25519 key (32 bytes), and the signature (64 bytes)."""

    partner: str
    key: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Document:
    """The exact bytes that were signed, and the signatures that the room holds, sorted by partner."""

    data: bytes
    signatures: tuple[Signature, ...]

    @property
    def sha256(self) -> str:
        """The name of these bytes, in hex."""
        return hashlib.sha256(self.data).hexdigest()

    def encode(self) -> bytes:
        """The line, without its newline."""
        signatures = [
            {"key": encode_base64(each.key), "partner": each.partner, "signature": encode_base64(each.signature)}
            for each in self.signatures
        ]
        return canonical.dumps({"document": self.data.decode(), "sha256": self.sha256, "signatures": signatures})

    @classmethod
    def parse(cls, line: bytes) -> "Document":
        """The document of a line; DocumentError unless the line is exactly what `encode` writes."""
        try:
            value = canonical.loads(line)
            signatures = tuple(
                Signature(each["partner"], decode_base64(each["key"]), decode_base64(each["signature"]))
                for each in value["signatures"]
            )
            found = cls(value["document"].encode(), signatures)
            if found.encode() == line:
                return found
        except (ValueError, TypeError, KeyError, AttributeError):
            pass
        raise DocumentError("a line of documents is not one with document, sha256 and signatures")

    def agreement(self) -> Agreement:
        """The document as an agreement; DocumentError when it is none."""
        try:
            return agreement.from_json(json.loads(self.data))
        except (ValueError, RecursionError, BadAgreement):
            raise DocumentError("a document that an agreement's entry names is no agreement") from None

    def tightening(self) -> Tightening:
        """The document as tightened terms; DocumentError when it is none."""
        try:
            return Tightening.from_json(json.loads(self.data))
        except (ValueError, RecursionError, BadNotice):
            raise DocumentError("a document that an entry of tightened terms names is none") from None


@dataclass(slots=True)
class Named:
    """What bodies say of documents and keys, gathered body by body.

    `documents`: SHA-256 -> the label of its signatures; `keys`: id of an owner key -> its partner. `lost`:
    documents that only entries name which a restored backup had not: the room may not have them any more.
    """

    documents: dict[str, Label] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    _first: dict[str, int] = field(default_factory=dict)

    def add(self, seq: int, body: Body) -> None:
        """Takes the next body of the log into account, by the number of its entry."""
        details = body.details
        if body.event in _NAMES:
            name, label = _NAMES[body.event]
            document = str(details.get(name))
            self.documents[document] = label
            if document not in self._first or document in self.lost:
                self._first[document] = seq
                self.lost.discard(document)
        had = details.get("had")
        if body.event == EventKind.ROOM_RESTORE and isinstance(had, int):
            self.lost |= {document for document, first in self._first.items() if first >= had}
        partner = details.get("partner")
        key = body.actor if body.event == EventKind.PARTNER_JOIN else details.get("key")
        signs = details.get("role") in (None, Role.OWNER)  # a new owner key that others consented to has no role
        if isinstance(partner, str) and isinstance(key, str) and body.event in KEYS_BEGIN and signs:
            self.keys.setdefault(key, partner)


def check(documents: Mapping[str, Document], named: Named, *, whole: bool) -> int:
    """How many signatures hold: all of them, each by a key of the partner that it names. DocumentError otherwise.

    `whole`: every body was opened, so that every key has been named.
    """
    if not named.documents.keys() - named.lost <= documents.keys() <= named.documents.keys():
        raise DocumentError("the documents are not exactly those that the opened bodies name")
    count = 0
    for sha256, document in documents.items():
        label = named.documents[sha256]
        names = [each.partner for each in document.signatures]
        if not names or sorted(set(names)) != names:
            raise DocumentError("a document is signed by nobody, or its signatures are not sorted by partner")
        signers = _signers(document, label, documents)
        for each in document.signatures:
            if each.partner not in signers or signers[each.partner] not in (None, each.key):
                raise DocumentError("a document has a signature of a partner or a key that is not its own")
            if named.keys.get(key_id(each.key), None if whole else each.partner) != each.partner:
                raise DocumentError("a document is signed with a key that the log does not give to its signer")
            if not verify(each.key, label, document.data, each.signature):
                raise DocumentError("a signature of a document does not hold")
            count += 1
    return count


def _signers(document: Document, label: Label, documents: Mapping[str, Document]) -> dict[str, bytes | None]:
    """Who may have signed a document, each with the key that it has to be; None where any of its keys will do."""
    if label == "agreement/v1":
        return {party.name: party.signing_key for party in document.agreement().parties}
    if label == "terms/v1":
        tightening = document.tightening()
        of = documents.get(tightening.agreement)
        party = of.agreement().party(tightening.partner) if of else None
        if party is None:
            raise DocumentError("tightened terms belong to an agreement that no entry names, or to none of its parties")
        return {party.name: party.signing_key}
    try:
        return {canonical.loads(document.data)["partner"]: None}
    except (ValueError, TypeError, KeyError):
        raise DocumentError("a document that a grant's entry names is no grant") from None

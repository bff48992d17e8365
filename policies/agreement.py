"""The agreement: the one document that every partner signs, byte for byte.

Rules: what is signed is the canonical JSON of the document, so equal bytes mean equal meaning. It names the partners
with their public keys, the audiences with their code-lists and bounds, and everybody's terms; the terms in force are
the strictest of all of them, the room's floor included. Code-lists live here, so cells never depend on data.
An amendment is a document of its own, with its number and the SHA-256 of the one that it replaces, so that an older one
cannot be signed or shown as if it were newer. The first agreement of a collaboration has neither.
A public wire form: fields may be added only with a new `version`; tests pin the bytes.
"""

import base64
import hashlib
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import Any

from policies import canonical, terms
from policies.canonical import NotCanonical
from policies.question import NAME, AudienceRef, BadQuestion, ColumnRef
from policies.terms import BadTerms, InForce, Terms

VERSION = 1
AMENDMENT_VERSION = 2
SIGNING_LABEL = b"cleanroom/agreement/v1\n"
MATCH_KEY = re.compile(r"email|phone|maid|person|id(\.[a-z0-9][a-z0-9_-]{0,31})?")
EMAIL_PROFILES = ("uid2", "plain")
OTHER, UNKNOWN = "other", "unknown"
MAX_VALUES = 1_000
MAX_BOUND = 10**10
_BREAKS = {"Cc", "Zl", "Zp"}  # Unicode categories: controls, line and paragraph separators
_SHA256 = re.compile(r"[0-9a-f]{64}")


class BadAgreement(ValueError):
    """A document that is not an agreement; the message says what to change and is safe to print."""


@dataclass(frozen=True, slots=True)
class Party:
    """A partner: its name, its Ed25519 and X25519 public keys (32 bytes each), its own terms."""

    name: str
    signing_key: bytes
    sealing_key: bytes
    terms: Terms


@dataclass(frozen=True, slots=True)
class Attribute:
    """A categorical column with its code-list. Other values become `other`, missing ones `unknown`."""

    name: str
    values: tuple[str, ...]

    @property
    def domain(self) -> tuple[str, ...]:
        """Every value a row can have: the code-list in its order, then `other` and `unknown` where it lacks them."""
        return self.values + tuple(value for value in (OTHER, UNKNOWN) if value not in self.values)


@dataclass(frozen=True, slots=True)
class Measure:
    """A numeric column in whole units of 10^-`decimals`, clipped to `lower`..`upper` (in those units)."""

    name: str
    lower: int
    upper: int
    decimals: int

    @property
    def weight(self) -> int:
        """The most that one person can add to a sum: the largest absolute bound, in units."""
        return max(abs(self.lower), abs(self.upper))


@dataclass(frozen=True, slots=True)
class Audience:
    """What an audience carries: match keys, attributes, measures."""

    ref: AudienceRef
    keys: tuple[str, ...]
    attributes: tuple[Attribute, ...]
    measures: tuple[Measure, ...]

    def attribute(self, name: str) -> Attribute | None:
        return next((item for item in self.attributes if item.name == name), None)

    def measure(self, name: str) -> Measure | None:
        return next((item for item in self.measures if item.name == name), None)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The document. `base` are the terms written for all, `floor` the room operator's.

    `number` counts a collaboration's agreements from 1; `previous` is the SHA-256 of the one before.
    """

    id: str
    name: str
    protocol: int
    match_keys: tuple[str, ...]
    email_profile: str
    parties: tuple[Party, ...]
    audiences: tuple[Audience, ...]
    base: Terms
    floor: Terms
    number: int = 1
    previous: str | None = None

    @property
    def terms(self) -> InForce:
        """The terms in force: the strictest of the base, every party's and the floor."""
        return terms.in_force((self.base, self.floor, *(party.terms for party in self.parties)))

    def party(self, name: str) -> Party | None:
        return next((item for item in self.parties if item.name == name), None)

    def audience(self, ref: AudienceRef) -> Audience | None:
        return next((item for item in self.audiences if item.ref == ref), None)

    def attribute(self, column: ColumnRef) -> Attribute | None:
        audience = self.audience(column.audience)
        return audience.attribute(column.column) if audience else None

    def domain(self, column: ColumnRef) -> tuple[str, ...] | None:
        """Every value that a row can have in an attribute; None where the agreement has no such attribute."""
        attribute = self.attribute(column)
        return attribute.domain if attribute else None

    def measure(self, column: ColumnRef) -> Measure | None:
        audience = self.audience(column.audience)
        return audience.measure(column.column) if audience else None

    def common_keys(self, one: AudienceRef, other: AudienceRef) -> tuple[str, ...]:
        """The match keys under which two audiences can be matched, in the agreement's order of priority."""
        first, second = self.audience(one), self.audience(other)
        if first is None or second is None:
            return ()
        return tuple(key for key in self.match_keys if key in first.keys and key in second.keys)

    def tightened(self, name: str, own: Terms) -> "Agreement":
        """The same, with what one party has tightened alone since everybody signed."""
        parties = tuple(
            replace(each, terms=terms.combine((each.terms, own))) if each.name == name else each
            for each in self.parties
        )
        return replace(self, parties=parties)

    def canonical(self) -> bytes:
        """The bytes that the partners sign."""
        return canonical.dumps(to_json(self))

    def sha256(self) -> str:
        """The name of these bytes, in hexadecimal."""
        return hashlib.sha256(self.canonical()).hexdigest()


def to_json(agreement: Agreement) -> dict[str, Any]:
    """The JSON form of the document."""
    amended = {"number": agreement.number, "previous": agreement.previous}
    return {
        "version": VERSION if agreement.number == 1 else AMENDMENT_VERSION,
        **({} if agreement.number == 1 else amended),
        "id": agreement.id,
        "name": agreement.name,
        "protocol": agreement.protocol,
        "match_keys": list(agreement.match_keys),
        "email_profile": agreement.email_profile,
        "partners": [
            {
                "name": party.name,
                "signing_key": base64.b64encode(party.signing_key).decode(),
                "sealing_key": base64.b64encode(party.sealing_key).decode(),
                "terms": terms.to_json(party.terms),
            }
            for party in agreement.parties
        ],
        "audiences": [
            {
                "audience": str(audience.ref),
                "keys": list(audience.keys),
                "attributes": [{"name": item.name, "values": list(item.values)} for item in audience.attributes],
                "measures": [
                    {"name": item.name, "lower": item.lower, "upper": item.upper, "decimals": item.decimals}
                    for item in audience.measures
                ],
            }
            for audience in agreement.audiences
        ],
        "terms": terms.to_json(agreement.base),
        "floor": terms.to_json(agreement.floor),
    }


def from_json(value: Any) -> Agreement:
    """The inverse of `to_json`; checks that the document is whole and consistent. Raises `BadAgreement`."""
    agreement = _read(value)
    _check(agreement)
    try:
        same = canonical.dumps(value) == agreement.canonical()
    except NotCanonical as problem:
        raise BadAgreement(str(problem)) from None
    if not same:
        raise BadAgreement("not in the one form that is signed: lists are lists, sets are sorted, no field is unknown")
    return agreement


def useless(before: Agreement, after: Agreement) -> frozenset[AudienceRef]:
    """The audiences whose prepared files an amendment makes useless: gone, or of other columns, protocol or profile."""
    same = (before.protocol, before.email_profile) == (after.protocol, after.email_profile)
    return frozenset(each.ref for each in before.audiences if not same or after.audience(each.ref) != each)


def _read(value: Any) -> Agreement:
    try:
        amendment = value["version"] == AMENDMENT_VERSION
        known = _FIELDS | ({"number", "previous"} if amendment else set())
        if set(value) != known or value["version"] not in (VERSION, AMENDMENT_VERSION):
            raise BadAgreement(f"an agreement of version {VERSION} has exactly: {', '.join(sorted(_FIELDS))}")
        return Agreement(
            id=_name(value["id"]),
            name=_name(value["name"]),
            protocol=_integer(value["protocol"]),
            match_keys=tuple(_match_key(key) for key in value["match_keys"]),
            email_profile=value["email_profile"],
            parties=tuple(_party(item) for item in value["partners"]),
            audiences=tuple(_audience(item) for item in value["audiences"]),
            base=terms.from_json(value["terms"]),
            floor=terms.from_json(value["floor"]),
            number=_integer(value["number"]) if amendment else 1,
            previous=_hash(value["previous"]) if amendment else None,
        )
    except (BadTerms, BadQuestion) as problem:
        raise BadAgreement(str(problem)) from None
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        if isinstance(problem, BadAgreement):
            raise
        raise BadAgreement("the agreement lacks a field, or a field has a value of the wrong kind") from None


def _check(agreement: Agreement) -> None:
    """Raises `BadAgreement` when the parts do not fit each other."""
    if agreement.number < (1 if agreement.previous is None else 2):
        raise BadAgreement("the number of an amendment is 2 or more")
    names = [party.name for party in agreement.parties]
    refs = [audience.ref for audience in agreement.audiences]
    if len(set(names)) != len(names) or not 2 <= len(names) <= 16:
        raise BadAgreement("an agreement has 2 to 16 partners, each named once")
    if len(set(refs)) != len(refs) or not 1 <= len(refs) <= 16:
        raise BadAgreement("an agreement has 1 to 16 audiences, each named once")
    if any(ref.owner not in names for ref in refs):
        raise BadAgreement("an audience belongs to somebody who is not a partner of the agreement")
    if not 1 <= len(agreement.match_keys) <= 6 or len(set(agreement.match_keys)) != len(agreement.match_keys):
        raise BadAgreement("match_keys names 1 to 6 keys, each once")
    if agreement.email_profile not in EMAIL_PROFILES:
        raise BadAgreement(f"email_profile is one of {', '.join(EMAIL_PROFILES)}")
    for audience in agreement.audiences:
        _check_audience(audience, agreement.match_keys)
    try:
        terms.in_force((agreement.base, agreement.floor, *(party.terms for party in agreement.parties)))
    except BadTerms as problem:
        raise BadAgreement(str(problem)) from None


def _check_audience(audience: Audience, match_keys: tuple[str, ...]) -> None:
    if not audience.keys or len(set(audience.keys)) != len(audience.keys) or not set(audience.keys) <= set(match_keys):
        raise BadAgreement(f"{audience.ref}: keys must be some of the agreement's match_keys, each once")
    columns = [item.name for item in audience.attributes] + [item.name for item in audience.measures]
    if len(set(columns)) != len(columns):
        raise BadAgreement(f"{audience.ref}: two columns have the same name")
    for attribute in audience.attributes:
        if not 1 <= len(attribute.values) <= MAX_VALUES or len(set(attribute.values)) != len(attribute.values):
            raise BadAgreement(f"{audience.ref}.{attribute.name}: a code-list has 1 to {MAX_VALUES} values, each once")
    for measure in audience.measures:
        if measure.lower > measure.upper or measure.weight == 0 or measure.weight > MAX_BOUND:
            raise BadAgreement(
                f"{audience.ref}.{measure.name}: bounds need lower ≤ upper, not both 0, at most 10^10 units"
            )
        if not 0 <= measure.decimals <= 6:
            raise BadAgreement(f"{audience.ref}.{measure.name}: decimals is 0 to 6")


_FIELDS = {
    "version", "id", "name", "protocol", "match_keys", "email_profile", "partners", "audiences", "terms", "floor",
}  # fmt: skip


def _party(value: Any) -> Party:
    keys = [base64.b64decode(value[name], validate=True) for name in ("signing_key", "sealing_key")]
    if set(value) != {"name", "signing_key", "sealing_key", "terms"} or any(len(key) != 32 for key in keys):
        raise BadAgreement("a partner has name, signing_key, sealing_key (32 bytes in base64) and terms")
    return Party(_name(value["name"]), keys[0], keys[1], terms.from_json(value["terms"]))


def _audience(value: Any) -> Audience:
    return Audience(
        AudienceRef.parse(value["audience"]),
        tuple(_match_key(key) for key in value["keys"]),
        tuple(
            Attribute(_name(item["name"]), tuple(_text(each, item["name"]) for each in item["values"]))
            for item in value["attributes"]
        ),
        tuple(
            Measure(_name(item["name"]), _integer(item["lower"]), _integer(item["upper"]), _integer(item["decimals"]))
            for item in value["measures"]
        ),
    )


def is_one_line(text: str) -> bool:
    """Whether a text has no control character and no end of a line in it."""
    return not any(unicodedata.category(character) in _BREAKS for character in text)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise BadAgreement("a name has 1 to 64 letters, digits, - and _, and begins with a letter or a digit")
    return value


def _match_key(value: Any) -> str:
    if not isinstance(value, str) or not MATCH_KEY.fullmatch(value):
        raise BadAgreement("a match key is email, phone, maid, person, id or id.<name>")
    return value


def _text(value: Any, column: str) -> str:
    if not isinstance(value, str) or not value or value != value.strip() or len(value) > 128:
        raise BadAgreement(f"{column}: a value of a code-list is text of 1 to 128 characters without space around it")
    if not is_one_line(value):
        raise BadAgreement(f"{column}: a value of a code-list is one line, without tabs and other control characters")
    return value


def _hash(value: Any) -> str:
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise BadAgreement("an amendment names the agreement that it replaces by its SHA-256, 64 hex digits")
    return value


def _integer(value: Any) -> int:
    if type(value) is not int:
        raise BadAgreement("a number of the agreement is not a whole number")
    return value

"""Proposing, reading and signing agreements.

Rules: what is signed are the exact bytes that the room relays, after they parsed, named this partner's own keys, and
named for others the keys that were compared with them. Signatures of others are verified, never believed.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from partners.failure import Failure
from partners.home import Home
from partners.keys import verify
from partners.proposal import BadProposal, checked, read_proposal
from partners.protocol import PROTOCOL_VERSION, PublicKeys
from partners.room.answers import Collaboration
from partners.room.client import Room
from partners.steps.joining import NotConfirmed
from policies import agreement as agreements
from policies import canonical, terms
from policies.agreement import Agreement, BadAgreement, Party
from policies.canonical import NotCanonical


class AgreementRefused(Failure):
    """An agreement that this partner's client does not sign or rely on."""


class UnknownCollaboration(Failure):
    """A name that means none, or several, of this partner's collaborations."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement and who signed it, everything verified. `signed` are names of partners."""

    collaboration: Collaboration
    agreement: Agreement
    document: bytes
    signed: frozenset[str]

    @property
    def missing(self) -> tuple[str, ...]:
        """The partners who have not signed yet."""
        return tuple(party.name for party in self.agreement.parties if party.name not in self.signed)

    def others(self, me: str) -> tuple[Party, ...]:
        return tuple(party for party in self.agreement.parties if party.name != me)


def find(room: Room, text: str) -> Collaboration:
    """A collaboration by its id, or by its name where only one has it."""
    everyone = room.collaborations()
    named = [each for each in everyone if each.id == text] or [each for each in everyone if each.name == text]
    if len(named) == 1:
        return named[0]
    problem = "several collaborations have this name; give the id" if named else "you have no such collaboration"
    raise UnknownCollaboration(f"{problem}; `cleanroom-partner status` lists yours")


def propose(home: Home, room: Room, table: Mapping[str, Any]) -> Standing:
    """Creates a collaboration from a parsed AGREEMENT.toml; this partner's signature travels with it.

    This partner's own terms take part: its terms in the agreement are the strictest of the file's and of `terms.toml`.
    """
    pinned, identity, confirmed = home.room(), home.identity(), home.confirmed()
    facts = room.facts()
    if facts.vkey != pinned.vkey:
        raise AgreementRefused("the room shows another log key than when you joined; ask the operator before going on")

    def keys_of(name: str) -> PublicKeys:
        if name == pinned.partner:
            return identity.public
        found = room.keys_of(name)
        if found != confirmed.get(name, found):
            raise _other_keys(name)
        return found

    proposed = read_proposal(table, facts.floor, keys_of)
    if proposed.party(pinned.partner) is None:
        raise BadProposal(f"the agreement file names the partners, but not you; add a [[partner]] {pinned.partner}")
    own = home.terms()
    proposed = checked(
        replace(
            proposed,
            parties=tuple(
                replace(party, terms=terms.combine((party.terms, own))) if party.name == pinned.partner else party
                for party in proposed.parties
            ),
        )
    )
    document = proposed.canonical()
    room.propose(proposed, identity.sign("agreement/v1", document))
    home.save_agreement(proposed.id, document)
    return read(home, room, proposed.id)


def read(home: Home, room: Room, text: str) -> Standing:
    """An agreement as the room relays it, checked. `text` is its id or its name. Raises `AgreementRefused`."""
    collaboration = find(room, text)
    document = room.agreement(collaboration.id)
    agreement = parsed(document)
    if agreement.id != collaboration.id or agreement.sha256() != collaboration.agreement_sha256:
        raise AgreementRefused("the room relays an agreement that is not this collaboration's; tell the operator")
    kept = home.agreement(agreement.id)
    if kept is not None and not hmac.compare_digest(kept, document):
        raise AgreementRefused("the room relays another agreement than the one you signed; do not go on, ask why")
    _check_keys(home, agreement)
    return Standing(collaboration, agreement, document, _signed(collaboration, agreement, document))


def check(home: Home, agreement: Agreement) -> None:
    """Raises `AgreementRefused` where the agreement is looser than this partner's own terms, or of another protocol."""
    stated = terms.combine((agreement.base, agreement.floor, *(party.terms for party in agreement.parties)))
    if names := terms.looser(stated, home.terms()):
        raise AgreementRefused(
            f"the agreement is looser than your own terms in {', '.join(names)}; ask for a new proposal with your"
            " terms, or change terms.toml"
        )
    if agreement.protocol != PROTOCOL_VERSION:
        raise AgreementRefused("the agreement is of another protocol version; update cleanroom-partner")


def agree(home: Home, room: Room, standing: Standing) -> Standing:
    """Signs an agreement that `read` returned. Raises `AgreementRefused`, as `check` does."""
    check(home, standing.agreement)
    if home.room().partner not in standing.signed:
        room.sign(standing.agreement.id, home.identity().sign("agreement/v1", standing.document))
    home.save_agreement(standing.agreement.id, standing.document)
    return read(home, room, standing.agreement.id)


def check_confirmed(home: Home, party: Party) -> PublicKeys:
    """The keys of a party, once its user compared exactly these. Raises `NotConfirmed`."""
    keys = PublicKeys(party.signing_key, party.sealing_key)
    if home.confirmed().get(party.name) != keys:
        raise NotConfirmed(
            f"the keys of {party.name} are not compared yet, so the room could have put in its own;"
            f" run `cleanroom-partner compare {party.name}` first"
        )
    return keys


def parsed(document: bytes) -> Agreement:
    """The agreement of the bytes that are signed. Raises `AgreementRefused`."""
    try:
        agreement = agreements.from_json(canonical.loads(document))
    except (BadAgreement, NotCanonical) as problem:
        raise AgreementRefused(f"the room relays what is no agreement: {problem}") from None
    if agreement.canonical() != document:
        raise AgreementRefused("the room relays an agreement in another form than is signed; tell the operator")
    return agreement


def _check_keys(home: Home, agreement: Agreement) -> None:
    me, mine = home.room().partner, home.identity().public
    party = agreement.party(me)
    if party is None or PublicKeys(party.signing_key, party.sealing_key) != mine:
        raise AgreementRefused("the agreement does not name you with your own keys; ask for a new proposal")
    for name, confirmed in home.confirmed().items():
        other = agreement.party(name)
        if other and PublicKeys(other.signing_key, other.sealing_key) != confirmed:
            raise _other_keys(name)


def _signed(collaboration: Collaboration, agreement: Agreement, document: bytes) -> frozenset[str]:
    for name, signature in collaboration.signatures:
        party = agreement.party(name)
        if party is None or not verify(party.signing_key, "agreement/v1", document, signature):
            raise AgreementRefused(f"the room shows a signature of {name} that does not hold; tell {name}")
    return frozenset(name for name, _ in collaboration.signatures)


def _other_keys(name: str) -> NotConfirmed:
    return NotConfirmed(
        f"{name} appears with other keys than those you compared; ask {name} on another channel,"
        f" then run `cleanroom-partner compare {name}`"
    )

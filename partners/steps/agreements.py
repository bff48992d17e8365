"""Proposing, reading and signing agreements.

Rules: what is signed are the exact bytes that the room relays, after they parsed, named this partner's own keys, and
named for others the keys that were compared with them. Signatures of others are verified, never believed. Another
agreement than the one that was signed is accepted only as an amendment that was signed here, too, by everybody in it,
with a higher number.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from partners import notices
from partners.failure import Failure
from partners.home import Home
from partners.key_change import Role
from partners.keys import verify
from partners.proposal import BadProposal, checked, read_proposal
from partners.protocol import PROTOCOL_VERSION, PublicKeys
from partners.room.client import Room
from partners.room.collaborations import Collaboration
from partners.steps.joining import NotConfirmed
from partners.steps.naming import find
from policies import agreement as agreements
from policies import canonical, terms
from policies.agreement import Agreement, BadAgreement, Party
from policies.canonical import NotCanonical
from policies.terms import Terms


class AgreementRefused(Failure):
    """An agreement that this partner's client does not sign or rely on."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An agreement and who signed it, everything verified. `signed` are names of partners."""

    collaboration: Collaboration
    agreement: Agreement
    document: bytes
    signed: frozenset[str]

    @property
    def in_force(self) -> Agreement:
        """The agreement with what parties have tightened alone since."""
        return in_force(self.agreement, self.collaboration)

    @property
    def missing(self) -> tuple[str, ...]:
        """The partners who have not signed yet."""
        return tuple(party.name for party in self.agreement.parties if party.name not in self.signed)

    def others(self, me: str) -> tuple[Party, ...]:
        return tuple(party for party in self.agreement.parties if party.name != me)


def in_force(agreement: Agreement, collaboration: Collaboration) -> Agreement:
    """An agreement with what parties have tightened alone since, as the room tells it."""
    for tightening, _ in collaboration.tightened:
        agreement = agreement.tightened(tightening.partner, tightening.terms)
    return agreement


def propose(home: Home, room: Room, table: Mapping[str, Any]) -> Standing:
    """Creates a collaboration from a parsed AGREEMENT.toml; this partner's signature travels with it.

    This partner's own terms take part: its terms in the agreement are the strictest of the file's and of `terms.toml`.
    """
    pinned = home.room()
    facts = room.facts()
    if facts.vkey != pinned.vkey:
        raise AgreementRefused("the room shows another log key than when you joined; ask the operator before going on")
    proposed = _proposed(home, room, table, facts.floor)
    document = proposed.canonical()
    room.propose(proposed, home.identity().sign("agreement/v1", document))
    home.save_agreement(proposed.id, document)
    return read(home, room, proposed.id)


def _proposed(home: Home, room: Room, table: Mapping[str, Any], floor: Terms) -> Agreement:
    """The agreement of a parsed AGREEMENT.toml with the partners' keys, and this partner's own terms in it."""
    pinned = home.room()
    proposed = read_proposal(table, floor, _known_keys(home, room))
    if proposed.party(pinned.partner) is None:
        raise BadProposal(f"the agreement file names the partners, but not you; add a [[partner]] {pinned.partner}")
    own = home.terms()
    return checked(
        replace(
            proposed,
            parties=tuple(
                replace(party, terms=terms.combine((party.terms, own))) if party.name == pinned.partner else party
                for party in proposed.parties
            ),
        )
    )


def read(home: Home, room: Room, text: str, *, came_back: bool = False) -> Standing:
    """An agreement as the room relays it, checked. `text` is its id or its name. Raises `AgreementRefused`.

    `came_back`: it may name keys that this partner lost, as one that was signed in this folder may.
    """
    collaboration, document, agreement = _relayed(room, text)
    kept = home.agreement(agreement.id)
    if kept is not None and document not in (kept, *home.amendments(agreement.id)):
        raise _another(agreement, parsed(kept))
    _check_keys(home, agreement, signed_here=came_back or kept is not None)
    standing = Standing(collaboration, agreement, document, _signed(collaboration.signatures, agreement, document))
    if kept is not None and not hmac.compare_digest(kept, document):
        _accept(home, standing, parsed(kept))
    _check_tightened(home, standing)
    return standing


def older(home: Home, room: Room, text: str) -> tuple[Standing, Agreement]:
    """The agreement that a room relays after a restore, signed by all before the one that this folder has; that one.

    Raises `AgreementRefused` for any other. Whether there was a restore is for a person to know.
    """
    collaboration, document, agreement = _relayed(room, text)
    kept = home.agreement(agreement.id)
    if kept is None or (kept != document and agreement.number >= parsed(kept).number):
        raise AgreementRefused("the room's agreement is not older than the one you signed; run it without --restored")
    return _of_all(home, collaboration, document, agreement), parsed(kept)


def newer(home: Home, room: Room, text: str) -> tuple[Standing, Agreement] | None:
    """An agreement that everybody signed, this partner in a copy of this folder, and the one here; None where it is the
    same. Whether it counts is for a person: tightening takes signatures back. Raises `AgreementRefused`.
    """
    collaboration, document, agreement = _relayed(room, text)
    kept = home.agreement(agreement.id)
    if kept is None or document in (kept, *home.amendments(agreement.id)):
        return None
    if agreement.number <= parsed(kept).number:
        raise _another(agreement, parsed(kept))
    return _of_all(home, collaboration, document, agreement), parsed(kept)


def _of_all(home: Home, collaboration: Collaboration, document: bytes, agreement: Agreement) -> Standing:
    _check_keys(home, agreement, signed_here=True)
    standing = Standing(collaboration, agreement, document, _signed(collaboration.signatures, agreement, document))
    if standing.missing:
        raise AgreementRefused("the room relays an agreement that is not signed by everybody; tell the operator")
    return standing


def _relayed(room: Room, text: str) -> tuple[Collaboration, bytes, Agreement]:
    """A collaboration, by its id or name, with its agreement's bytes and what they say. Raises `AgreementRefused`."""
    collaboration = find(room, text)
    document = room.agreement(collaboration.id)
    agreement = parsed(document)
    if agreement.id != collaboration.id or agreement.sha256() != collaboration.agreement_sha256:
        raise AgreementRefused("the room relays an agreement that is not this collaboration's; tell the operator")
    return collaboration, document, agreement


def go_back(home: Home, standing: Standing) -> None:
    """Takes an older agreement as the one that counts again. What was tightened since has to be tightened again."""
    agreement = standing.agreement
    home.save_agreement(agreement.id, standing.document)
    home.save_tightened(agreement.id, agreement.sha256(), own_serial(home, standing.collaboration))


def _known_keys(home: Home, room: Room) -> Callable[[str], PublicKeys]:
    """The current keys of a partner by its name: one's own, or the room's where they are not other than compared."""
    pinned, identity, confirmed = home.room(), home.identity(), home.confirmed()

    def keys_of(name: str) -> PublicKeys:
        if name == pinned.partner:
            return identity.public
        found = room.keys_of(name)
        if found != confirmed.get(name, found):
            raise _other_keys(name)
        return found

    return keys_of


def take_over(home: Home, room: Room, text: str) -> Standing:
    """Takes an agreement that everybody signed, this partner with keys that it lost, as signed in this folder.

    Raises `AgreementRefused`; `NotConfirmed` where a party's keys were not compared.
    """
    standing = read(home, room, text, came_back=True)
    agreement, me, confirmed = standing.agreement, home.room().partner, home.confirmed()
    if standing.missing:
        raise AgreementRefused("the room relays an agreement that is not signed by everybody; tell the operator")
    for party in standing.others(me):
        known = (confirmed.get(party.name), *home.former_of(party.name))
        keys = PublicKeys(party.signing_key, party.sealing_key)
        if party.name not in standing.collaboration.left and keys not in known:
            raise _not_compared(party.name)
    home.save_agreement(agreement.id, standing.document)
    return standing


def _accept(home: Home, standing: Standing, kept: Agreement) -> None:
    """Takes an amendment over as the agreement that counts. Raises `AgreementRefused`."""
    agreement, mine = standing.agreement, home.amendments(standing.agreement.id)
    if standing.missing or agreement.number <= kept.number:
        raise _another(agreement, kept)
    home.save_agreement(agreement.id, standing.document)
    for each in mine:
        home.forget_amendment(agreement.id, each)


def follow(home: Home, room: Room, collaboration: Collaboration) -> None:
    """Takes over what came in force since this folder looked. Raises `AgreementRefused` where that cannot be."""
    kept, me = home.agreement(collaboration.id), home.room().partner
    if kept is None or me in collaboration.left:
        return
    named = (collaboration.id, collaboration.agreement_sha256)
    if parsed(kept).sha256() != named[1] or own_serial(home, collaboration) < home.tightened(*named):
        read(home, room, collaboration.id)


def _check_tightened(home: Home, standing: Standing) -> None:
    """Raises `AgreementRefused` for terms that nobody tightened so, or where the room has forgotten one's own."""
    agreement, collaboration = standing.agreement, standing.collaboration
    named = (agreement.id, collaboration.agreement_sha256)
    for tightening, signature in collaboration.tightened:
        party = agreement.party(tightening.partner)
        if (
            party is None
            or (tightening.collaboration, tightening.agreement) != named
            or not notices.verify(party.signing_key, tightening, signature)
        ):
            raise AgreementRefused("the room shows tightened terms that nobody signed; tell the operator")
    if own_serial(home, collaboration) < home.tightened(*named):
        raise AgreementRefused(
            "the room has forgotten terms that you tightened; do not go on, ask the operator why; after a restore of"
            f" the room: `cleanroom-partner agree {agreement.id} --restored`"
        )


def own_serial(home: Home, collaboration: Collaboration) -> int:
    """The serial of this partner's last tightening, as the room tells it; 0 for none."""
    me = home.room().partner
    return max((each.serial for each, _ in collaboration.tightened if each.partner == me), default=0)


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


def waiting(home: Home, room: Room, standing: Standing) -> Standing | None:
    """The amendment that waits for signatures, everything of it verified; None where none does."""
    amendment = standing.collaboration.amendment
    if amendment is None:
        return None
    document = room.older_agreement(standing.agreement.id, amendment.sha256)
    proposed = parsed(document)
    follows = (standing.agreement.id, standing.agreement.number + 1, standing.collaboration.agreement_sha256)
    if proposed.sha256() != amendment.sha256 or (proposed.id, proposed.number, proposed.previous) != follows:
        raise AgreementRefused("the room relays an amendment of another agreement; tell the operator")
    _check_keys(home, proposed)
    return Standing(standing.collaboration, proposed, document, _signed(amendment.signatures, proposed, document))


def amend(home: Home, room: Room, text: str, table: Mapping[str, Any]) -> Standing:
    """Proposes an amendment from a parsed AGREEMENT.toml, the whole agreement as it shall be; signs it.

    This partner's own terms take part as in `propose`. Raises `AgreementRefused`, `BadProposal`.
    """
    standing = read(home, room, text)
    before = standing.agreement
    proposed = _proposed(home, room, table, room.facts().floor)
    if proposed.name != before.name:
        raise BadProposal(f"an amendment keeps the name: write {before.name} in [collaboration], or propose a new one")
    return _propose_amendment(home, room, standing, proposed)


def renew_keys(home: Home, room: Room, text: str) -> Standing:
    """Proposes the agreement in force with everybody's current keys and nothing else; signs it.

    Raises `AgreementRefused`, `NotConfirmed`; `BadProposal` where that changes nothing: the keys are the current ones,
    the room's floor is the same, and nobody has left.
    """
    standing = read(home, room, text)
    known = _known_keys(home, room)
    parties = []
    for party in standing.in_force.parties:
        if party.name not in standing.collaboration.left:
            now = known(party.name)
            parties.append(replace(party, signing_key=now.signing, sealing_key=now.sealing))
    proposed = checked(replace(standing.in_force, parties=tuple(parties), floor=room.facts().floor))
    return _propose_amendment(home, room, standing, proposed)


def _propose_amendment(home: Home, room: Room, standing: Standing, proposed: Agreement) -> Standing:
    before, now = standing.agreement, standing.in_force
    if replace(proposed, id=now.id, number=now.number, previous=now.previous) == now:
        raise BadProposal("this is what holds already, keys and tightened terms included; there is nothing to amend")
    numbered = replace(proposed, id=before.id, number=before.number + 1, previous=before.sha256())
    document = numbered.canonical()
    home.save_amendment(before.id, document)
    room.amend(numbered, home.identity().sign("agreement/v1", document))
    amended = waiting(home, room, read(home, room, before.id))
    if amended is None:
        raise AgreementRefused("the amendment is not there any more; look at it with `explain`")
    return amended


def agree_to_amendment(home: Home, room: Room, amended: Standing) -> Standing:
    """Signs an amendment that `waiting` returned; the agreement as it stands then. Raises `AgreementRefused`."""
    check(home, amended.agreement)
    home.save_amendment(amended.agreement.id, amended.document)
    signature = home.identity().sign("agreement/v1", amended.document)
    room.sign_amendment(amended.agreement.id, amended.agreement.sha256(), signature)
    return read(home, room, amended.agreement.id)


def check_confirmed(home: Home, party: Party) -> PublicKeys:
    """The keys of a party, once its user compared exactly these. Raises `NotConfirmed`."""
    keys = PublicKeys(party.signing_key, party.sealing_key)
    if keys in home.former_of(party.name):
        raise NotConfirmed(f"{party.name} has rotated its keys since this agreement was signed; `amend` it first")
    if home.confirmed().get(party.name) != keys:
        raise _not_compared(party.name)
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


def _check_keys(home: Home, agreement: Agreement, *, signed_here: bool = False) -> None:
    """Raises where the agreement names other keys than are known. One that was signed here may name former ones.

    A marketer's folder has not the owner keys that an agreement names, and signs none.
    """
    if home.room().role is Role.AUDITOR:
        return  # it is not among the parties, has compared no keys, and signs nothing
    me = home.room().partner
    mine = (home.identity().public, *(home.former() if signed_here else ()))
    party = agreement.party(me)
    owner = home.room().role is Role.OWNER
    if party is None or (owner and PublicKeys(party.signing_key, party.sealing_key) not in mine):
        raise AgreementRefused("the agreement does not name you with your own keys; ask for a new proposal")
    for name, confirmed in home.confirmed().items():
        other, known = agreement.party(name), (confirmed, *(home.former_of(name) if signed_here else ()))
        if other and PublicKeys(other.signing_key, other.sealing_key) not in known:
            raise _other_keys(name)


def _signed(signatures: tuple[tuple[str, bytes], ...], agreement: Agreement, document: bytes) -> frozenset[str]:
    for name, signature in signatures:
        party = agreement.party(name)
        if party is None or not verify(party.signing_key, "agreement/v1", document, signature):
            raise AgreementRefused(f"the room shows a signature of {name} that does not hold; tell {name}")
    return frozenset(name for name, _ in signatures)


def _another(agreement: Agreement, kept: Agreement) -> AgreementRefused:
    """What to do where the room relays another agreement than the one that this folder has."""
    told = "the room relays another agreement than the one you signed; do not go on, ask why"
    if agreement.number > kept.number:
        return AgreementRefused(f"{told}; signed in a copy of this folder: `cleanroom-partner agree {agreement.id}`")
    return AgreementRefused(f"{told}; after a restore of the room: `cleanroom-partner agree {agreement.id} --restored`")


def _not_compared(name: str) -> NotConfirmed:
    return NotConfirmed(
        f"the keys of {name} are not compared yet, so the room could have put in its own;"
        f" run `cleanroom-partner compare {name}` first"
    )


def _other_keys(name: str) -> NotConfirmed:
    return NotConfirmed(
        f"{name} appears with other keys than those you compared; ask {name} on another channel,"
        f" then run `cleanroom-partner compare {name}`"
    )

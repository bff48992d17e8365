"""The room's API as methods that return values. Nothing here decides: `partners.steps` does.

Rules: an answer that carries a receipt is returned only after the receipt was verified against the pinned key; names
in paths are checked before they are sent.
"""

import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote as quoted

from partners import fields, reports
from partners.envelopes import SignedEnvelope
from partners.evidence import Opened
from partners.failure import Failure
from partners.fields import OddAnswer
from partners.key_change import SignedChange, vouched
from partners.keys import Identity, key_id
from partners.known_log import About, KnownLog
from partners.manifest import SignedManifest
from partners.notices import Leaving, Rotation, Tightening
from partners.protocol import PublicKeys
from partners.receipts import Receipt
from partners.reports import Report
from partners.room import answers, collaborations, upload
from partners.room.answers import (
    Acknowledged,
    Asked,
    AuditedLine,
    Consents,
    Joined,
    Ledger,
    OwnKeys,
    Quote,
    RoomFacts,
    Version,
)
from partners.room.collaborations import Collaboration
from partners.room.connection import Connection, RoomRefused
from partners.room.signed import SignedGrant, signed_grants, signed_version
from partners.room.upload import Progress
from partners.transparency.encoding import encode_base64
from partners.withdrawal import SignedBatch
from policies import agreement as agreements
from policies import canonical
from policies.agreement import Agreement
from policies.question import NAME
from policies.request import Request

FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
"""A version is asked for again after 0.1 s, then 1.5 times as long each time, at most 5 s."""


class NotAName(Failure):
    """Something that stands for a name and is none."""


class Room:
    """A room. `log` verifies its receipts; None before this partner joined, when nothing comes with a receipt."""

    def __init__(
        self, connection: Connection, log: KnownLog | None = None, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._connection = connection
        self._log = log
        self._sleep = sleep

    @property
    def url(self) -> str:
        return self._connection.url

    @property
    def log(self) -> KnownLog:
        assert self._log is not None, "a room that was joined has a pinned log"
        return self._log

    def close(self) -> None:
        self._connection.close()

    def facts(self) -> RoomFacts:
        """What the room says of itself; anybody may ask."""
        return answers.room_facts(self._connection.get("/v1/room", signed_in=False))

    def join(self, code: str, identity: Identity) -> Joined:
        """Registers the public keys under a one-time code."""
        claim = {
            "code": code,
            "signing_key": encode_base64(identity.public.signing),
            "sealing_key": encode_base64(identity.public.sealing),
        }
        signature = identity.sign("join/v1", canonical.dumps(claim))
        body = {**claim, "signature": encode_base64(signature)}
        return answers.joined(self._connection.post("/v1/join", body, signed_in=False))

    def replacements(self) -> tuple[Asked, ...]:
        """New keys of this partner and of others that ask for its consent: those that wait, and those in place."""
        found = fields.table(self._connection.get("/v1/replacements"), "replacements")
        return tuple(answers.asked(item) for item in fields.items(found, "replacements"))

    def consent(self, key: str, signature: bytes) -> Asked:
        """Consents to new keys of another partner, by the id of the new key."""
        body = {"signature": encode_base64(signature)}
        return answers.asked(self._connection.post(f"/v1/replacements/{_part(key)}/consents", body))

    def keys_of(self, partner: str) -> PublicKeys:
        """The public keys that the room has for a partner: to be compared before they are trusted."""
        return fields.public_keys(self._partner(partner))

    def keys_with_former(self, partner: str) -> tuple[PublicKeys, tuple[PublicKeys, ...]]:
        """The same, and the former keys that these vouch for, newest first."""
        found = self._partner(partner)
        now = fields.public_keys(found)
        return now, vouched(now, answers.rotations(found))

    def own_keys(self) -> OwnKeys:
        return answers.own_keys(self._connection.get("/v1/keys"))

    def change_keys(self, signed: SignedChange) -> None:
        """Adds, rotates or revokes a key of this partner; its receipt is verified."""
        receipt = answers.receipt(fields.table(self._connection.post("/v1/keys", signed.to_json()), "keys"))
        if receipt is None:
            raise OddAnswer("receipt")
        self.log.check(receipt, About("key", None, ("key", key_id(signed.change.signing_key))))

    def propose(self, proposed: Agreement, signature: bytes) -> Collaboration:
        body = {"agreement": agreements.to_json(proposed), "signature": encode_base64(signature)}
        return collaborations.collaboration(self._connection.post("/v1/collaborations", body))

    def collaborations(self) -> tuple[Collaboration, ...]:
        found = fields.table(self._connection.get("/v1/collaborations"), "collaborations")
        return tuple(collaborations.collaboration(item) for item in fields.items(found, "collaborations"))

    def collaboration(self, identifier: str) -> Collaboration:
        return collaborations.collaboration(self._connection.get(_collaboration(identifier)))

    def agreement(self, identifier: str) -> bytes:
        """The exact bytes that the partners sign."""
        return self._connection.send("GET", f"{_collaboration(identifier)}/agreement").content

    def sign(self, identifier: str, signature: bytes) -> Collaboration:
        body = {"signature": encode_base64(signature)}
        return collaborations.collaboration(self._connection.post(f"{_collaboration(identifier)}/signatures", body))

    def older_agreement(self, identifier: str, sha256: str) -> bytes:
        """Any agreement of a collaboration, also one that waits, in the exact bytes that are signed."""
        return self._connection.send("GET", f"{_collaboration(identifier)}/agreements/{_part(sha256)}").content

    def amend(self, proposed: Agreement, signature: bytes) -> Collaboration:
        body = {"agreement": agreements.to_json(proposed), "signature": encode_base64(signature)}
        return collaborations.collaboration(self._connection.post(f"{_collaboration(proposed.id)}/amendments", body))

    def sign_amendment(self, identifier: str, sha256: str, signature: bytes) -> Collaboration:
        path = f"{_collaboration(identifier)}/amendments/{_part(sha256)}/signatures"
        return collaborations.collaboration(self._connection.post(path, {"signature": encode_base64(signature)}))

    def tighten(self, tightening: Tightening, signature: bytes) -> None:
        """Returns once the log has it."""
        body = {"tightening": tightening.to_json(), "signature": encode_base64(signature)}
        answer = self._connection.post(f"{_collaboration(tightening.collaboration)}/tightenings", body)
        about = About("agreement", tightening.collaboration, ("serial", tightening.serial))
        self.log.check(_receipt(answer), about)

    def rotate(self, rotation: Rotation, signature: bytes) -> Collaboration:
        body = {"rotation": rotation.to_json(), "signature": encode_base64(signature)}
        return collaborations.collaboration(
            self._connection.post(f"{_collaboration(rotation.collaboration)}/rotations", body)
        )

    def leave(self, leaving: Leaving, signature: bytes) -> None:
        """Returns once the log has it."""
        body = {"leaving": leaving.to_json(), "signature": encode_base64(signature)}
        answer = self._connection.post(f"{_collaboration(leaving.collaboration)}/departures", body)
        self.log.check(_receipt(answer), About("collaboration", leaving.collaboration, ("partner", leaving.partner)))

    def send_envelope(self, signed: SignedEnvelope) -> None:
        path = f"{_collaboration(signed.envelope.collaboration)}/envelopes"
        self._connection.send("POST", path, json=signed.to_json())

    def envelopes(self, identifier: str) -> tuple[SignedEnvelope, ...]:
        """The sealed secrets that are addressed to this partner, nothing of them verified."""
        found = fields.table(self._connection.get(f"{_collaboration(identifier)}/envelopes"), "envelopes")
        return tuple(SignedEnvelope.from_json(item) for item in fields.items(found, "envelopes"))

    def begin_upload(self, length: int) -> str:
        return upload.create(self._connection, length)

    def uploaded(self, identifier: str, length: int) -> int | None:
        """How many bytes of an upload the room has; None where it does not know it."""
        return upload.offset(self._connection, _part(identifier), length)

    def upload(self, identifier: str, path: Path, progress: Progress) -> None:
        """Sends what the room lacks of the file."""
        upload.send(self._connection, _part(identifier), path, progress, self._sleep)

    def create_version(self, signed: SignedManifest, uploaded: str) -> Version:
        """Hands an uploaded file over to be checked and published, as what its manifest says."""
        body = {**signed.to_json(), "upload": uploaded}
        manifest = signed.manifest
        path = _versions(manifest.collaboration, manifest.audience)
        return self._verified(answers.version(self._connection.post(path, body)), manifest.collaboration)

    def version_of(self, collaboration: str, audience: str, manifest_sha256: str) -> Version | None:
        """The version that was made from this very manifest, if the room has it."""
        found = self._connection.get(_versions(collaboration, audience), {"sha256": manifest_sha256})
        listed = [answers.version(item) for item in fields.items(fields.table(found, "versions"), "versions")]
        return self._verified(listed[0], collaboration) if listed else None

    def versions(self, collaboration: str, audience: str) -> tuple[tuple[Version, SignedManifest], ...]:
        """Every version of this partner's audience, newest first, with its manifest; receipts are verified."""
        found = fields.table(self._connection.get(_versions(collaboration, audience)), "versions")
        listed = (signed_version(item) for item in fields.items(found, "versions"))
        return tuple((self._verified(version, collaboration), signed) for version, signed in listed)

    def version(self, collaboration: str, audience: str, identifier: str) -> Version:
        path = f"{_versions(collaboration, audience)}/{_part(identifier)}"
        return self._verified(answers.version(self._connection.get(path)), collaboration)

    def settled_version(
        self, collaboration: str, audience: str, identifier: str, progress: Callable[[int], None]
    ) -> Version:
        """Waits until a version is published or refused. `progress` is told the percents of its check."""
        wait = FIRST_WAIT_SECONDS
        while not (found := self.version(collaboration, audience, identifier)).state.settled:
            progress(found.progress)
            self._sleep(wait)
            wait = min(wait * 1.5, LONGEST_WAIT_SECONDS)
        progress(100)
        return found

    def withdraw(self, signed: SignedBatch) -> Acknowledged:
        """Hands a batch over; the room's acknowledgement, unverified."""
        path = f"{_collaboration(signed.batch.collaboration)}/withdrawals"
        return answers.acknowledged(self._connection.post(path, signed.to_json()))

    def has_batch(self, collaboration: str, batch: str) -> bool:
        """Whether the room has a batch of this partner, by its hash."""
        try:
            self._connection.get(f"{_collaboration(collaboration)}/withdrawals/{_part(batch)}")
        except RoomRefused as refused:
            if refused.problem.status == HTTPStatus.NOT_FOUND:
                return False
            raise
        return True

    def erased(self, collaboration: str, batch: str, seconds: float) -> bool:
        """Waits, so many seconds at most, until the log says that an erasure is done."""
        path, waited, wait = f"{_collaboration(collaboration)}/withdrawals/{_part(batch)}", 0.0, FIRST_WAIT_SECONDS
        while (receipt := answers.acknowledged(self._connection.get(path)).erased) is None:
            if waited >= seconds:
                return False
            self._sleep(wait)
            waited, wait = waited + wait, min(wait * 1.5, LONGEST_WAIT_SECONDS)
        self.log.check(receipt, About("erasure", collaboration, ("batch", batch)))
        return True

    def consents(self, day: str) -> Consents:
        """What the log commits to for this partner and an ISO day, unverified."""
        return answers.consents(self._connection.get(f"/v1/consents/{_part(day)}"))

    def ask(self, collaboration: str, request: Request) -> Report:
        """Asks for a report. A refusal by policy is a report too."""
        body = {**request.to_json(), "dry_run": False}
        return self._report(self._connection.post(f"{_collaboration(collaboration)}/reports", body))

    def quote(self, collaboration: str, request: Request) -> Quote:
        """What asking would cost now; nothing is measured or charged."""
        body = {**request.to_json(), "dry_run": True}
        return answers.quote(self._connection.post(f"{_collaboration(collaboration)}/reports", body))

    def reports(self, collaboration: str) -> tuple[Report, ...]:
        """The reports of a collaboration without their figures."""
        found = fields.table(self._connection.get(f"{_collaboration(collaboration)}/reports"), "reports")
        return tuple(reports.read_report(item) for item in fields.items(found, "reports"))

    def report(self, identifier: str) -> Report:
        """A stored report; reading it is free."""
        try:
            found = self._report(self._connection.get(f"/v1/reports/{_part(identifier)}"))
        except RoomRefused as refused:
            if refused.problem.status != HTTPStatus.NOT_FOUND:
                raise
            raise RoomRefused(
                refused.problem,
                "you have no report with this id; `ask` prints it, and `cleanroom-partner export FOLDER` has every one",
            ) from None
        if found.id != identifier:
            raise OddAnswer("id")
        return found

    def grant(self, grant: Mapping[str, Any], signature: bytes) -> Receipt:
        """Books a signed grant; its receipt."""
        answer = self._connection.post("/v1/grants", {"grant": dict(grant), "signature": encode_base64(signature)})
        receipt = _receipt(answer)
        self.log.check(receipt, About("budget", None, ("serial", grant["serial"])))
        return receipt

    def ledger(self) -> Ledger:
        return answers.ledger(self._connection.get("/v1/ledger"))

    def signed_grants(self) -> tuple[SignedGrant, ...]:
        """This partner's grants as it signed them, in their order."""
        return signed_grants(self._connection.get("/v1/ledger"))

    def log_file(self, name: str) -> bytes | None:
        """A file of the published log, such as `checkpoint`, unverified; None where the room has none."""
        try:
            return self._connection.send("GET", f"/v1/log/{name}", signed_in=False).content
        except RoomRefused as refused:
            if refused.problem.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    def cosign(self, checkpoint: bytes, line: bytes) -> None:
        """Hands a witness's cosignature of a checkpoint over. Raises `RoomRefused`, where it is not the newest too."""
        body = {"checkpoint": checkpoint.decode(), "cosignature": line.decode()}
        self._connection.send("POST", "/v1/cosignatures", json=body, signed_in=False)

    def successions(self) -> tuple[bytes, ...]:
        """The successions of the room's logs, oldest first, unverified."""
        return self.facts().successions

    def evidence(self, identifier: str) -> Opened:
        """A released report's figures, as its log entry commits to them. Only the receipt is verified."""
        collaboration = self.report(identifier).collaboration
        found = answers.evidence(self._connection.get(f"/v1/reports/{_part(identifier)}/evidence"))
        self.log.check(found.receipt, About("decision", collaboration, ("report", identifier)))
        return found

    def audited_ledger(self) -> tuple[AuditedLine, ...]:
        """For an auditor: what each owner has spent in the collaborations that it is appointed to."""
        return answers.audited(self._connection.get("/v1/audit/ledger"))

    def audit_export(self, out: BinaryIO, progress: Callable[[int, int], None]) -> None:
        """For an auditor: writes the whole log as an archive, with the bodies that it may read. Nothing is verified.

        `progress`: bytes until now, and in all (0: unknown).
        """
        self._connection.download("/v1/audit/export", out, progress)

    def _partner(self, name: str) -> Mapping[str, Any]:
        try:
            return fields.table(self._connection.get(f"/v1/partners/{_part(name)}"), "partner")
        except RoomRefused as refused:
            if refused.problem.status != HTTPStatus.NOT_FOUND:
                raise
            raise RoomRefused(
                refused.problem,
                f"there is no partner {name} here with a key; check the name, or wait until it has joined",
            ) from None

    def _report(self, value: object) -> Report:
        report = reports.read_report(value)
        if report.receipt is None or report.id is None:
            raise OddAnswer("id, receipt")
        self.log.check(report.receipt, About("decision", report.collaboration, ("report", report.id)))
        return report

    def _verified(self, version: Version, collaboration: str) -> Version:
        if version.receipt is not None:
            self.log.check(version.receipt, About("audience", collaboration, ("version", version.id)))
        return version


def _receipt(answer: object) -> Receipt:
    receipt = answers.receipt(fields.table(answer, "answer"))
    if receipt is None:
        raise OddAnswer("receipt")
    return receipt


def _part(name: str) -> str:
    """A name as a part of a path. Raises `NotAName` for what could lead elsewhere."""
    if not NAME.fullmatch(name):
        raise NotAName("a name or an id has 1 to 64 letters, digits, - and _; `cleanroom-partner status` lists yours")
    return quoted(name, safe="")


def _collaboration(identifier: str) -> str:
    return f"/v1/collaborations/{_part(identifier)}"


def _versions(collaboration: str, audience: str) -> str:
    return f"{_collaboration(collaboration)}/audiences/{_part(audience)}/versions"

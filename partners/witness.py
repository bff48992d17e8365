"""A witness for logs (C2SP `tlog-witness`): it cosigns a checkpoint only where that extends all that it saw before.

Rules: the last checkpoint that was cosigned is durable before its cosignature leaves; looking at it, deciding and
storing are one step under a lock, across processes too. One file for each log, named by the SHA-256 of its origin.
An answer is a value: its status is that of the specification, whoever carries it.
"""

import hashlib
import json
import secrets
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from partners import files
from partners.failure import Failure
from partners.lock import held
from partners.transparency.checkpoint import Checkpoint, open_checkpoint, read_unverified
from partners.transparency.cosignature import WitnessKey, WitnessSigner, cosigned
from partners.transparency.encoding import decode_base64, decode_decimal, encode_base64
from partners.transparency.merkle import EMPTY_ROOT, HASH_SIZE, verify_consistency
from partners.transparency.note import NoteError, VerifierKey, split_note

MAX_PROOF = 63
SIZE_TYPE = "text/x.tlog.size"
TEXT_TYPE = "text/plain; charset=utf-8"
_KEY = "witness.json"


class BadWitness(Failure):
    """A witness's folder that cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a witness answers: a status of HTTP, a content type, and the body's bytes."""

    status: HTTPStatus
    body: bytes
    type: str = TEXT_TYPE

    @property
    def ok(self) -> bool:
        return self.status is HTTPStatus.OK


class Malformed(ValueError):
    """A request that is not of the form of `add-checkpoint`; the message is safe to print."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of `add-checkpoint`: the size that the log thinks the witness has, the proof from there, the note."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The request's body."""
        lines = (f"old {self.old}", *map(encode_base64, self.proof))
        return "\n".join(lines).encode() + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, body: bytes) -> "Request":
        """The inverse of `encode`. Raises `Malformed`."""
        head, blank, checkpoint = body.partition(b"\n\n")
        try:
            first, *rest = head.decode("ascii").split("\n")
            old = decode_decimal(first.removeprefix("old "))
            proof = tuple(map(decode_base64, rest))
        except ValueError:
            raise Malformed("a line is not of the form `old <size>` or not base64") from None
        if not first.startswith("old ") or not blank or len(proof) > MAX_PROOF:
            raise Malformed("it needs the line `old <size>`, at most 63 lines of proof, an empty line, a checkpoint")
        if any(len(each) != HASH_SIZE for each in proof):
            raise Malformed("a line of the proof has not 32 bytes")
        return cls(old, proof, checkpoint)


class Witness:
    """The witness in `folder`, for the logs of `logs`. `signer` has its name and key."""

    def __init__(self, folder: Path, signer: WitnessSigner, logs: tuple[VerifierKey, ...]) -> None:
        self._folder, self._signer = folder, signer
        self._logs = {log.name: log for log in logs}

    @property
    def key(self) -> WitnessKey:
        return self._signer.key

    def last(self, log: VerifierKey) -> Checkpoint:
        """The last checkpoint of a log that was cosigned; size 0 before the first. Raises `BadWitness`."""
        message = self.monitored(log)
        return Checkpoint(log.name, 0, EMPTY_ROOT) if message is None else self._read(message, log)

    def monitored(self, log: VerifierKey) -> bytes | None:
        """The last checkpoint as a note, with the log's signature and this witness's; None before the first."""
        try:
            return self._file(log).read_bytes()
        except FileNotFoundError:
            return None

    def monitored_by_path(self, path: str) -> bytes | None:
        """The same for the path `/<SHA-256 of the origin in hex>/checkpoint`."""
        for log in self._logs.values():
            if path == f"/{_digest(log)}/checkpoint":
                return self.monitored(log)
        return None

    def add_checkpoint(self, body: bytes, time: int) -> Answer:
        """Decides a request at a time in seconds since 1970."""
        try:
            request = Request.parse(body)
            stated = read_unverified(request.checkpoint)
        except (Malformed, NoteError) as problem:
            return _refused(HTTPStatus.BAD_REQUEST, str(problem))
        log = self._logs.get(stated.origin)
        if log is None:
            return _refused(HTTPStatus.NOT_FOUND, "this witness does not know the log")
        try:
            shown = open_checkpoint(request.checkpoint, log)
        except NoteError as problem:
            return _refused(HTTPStatus.FORBIDDEN, str(problem))
        if request.old > shown.size:
            return _refused(HTTPStatus.BAD_REQUEST, "the old size is larger than the checkpoint's")
        with held(self._folder / ".lock"):
            last = self.last(log)
            if request.old != last.size:
                return Answer(HTTPStatus.CONFLICT, f"{last.size}\n".encode(), SIZE_TYPE)
            if not verify_consistency(last.size, shown.size, request.proof, last.root, shown.root):
                return _refused(HTTPStatus.UNPROCESSABLE_ENTITY, "the checkpoint does not extend what was cosigned")
            line = self._signer.cosign(shown.text(), time).encode()
            files.write(self._file(log), _logs_own(request.checkpoint, log) + line, private=True)
        return Answer(HTTPStatus.OK, line)

    def _read(self, message: bytes, log: VerifierKey) -> Checkpoint:
        try:
            found = open_checkpoint(message, log) if cosigned(message, [self.key]) else None
        except NoteError:
            found = None
        if found is not None:
            return found
        raise BadWitness("the witness's memory of the log is damaged; without it nothing is cosigned: restore it")

    def _file(self, log: VerifierKey) -> Path:
        return self._folder / f"{_digest(log)}.checkpoint"


def open_witness(folder: Path, name: str, logs: tuple[VerifierKey, ...]) -> Witness:
    """The witness of a folder; with a new key and this name where there is none yet. Raises `BadWitness`."""
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / _KEY
    if not path.exists():
        made = {"name": name, "seed": encode_base64(secrets.token_bytes(32))}
        files.write_new(path, json.dumps(made).encode() + b"\n", private=True)
    try:
        found = json.loads(path.read_bytes())
        signer = WitnessSigner(str(found["name"]), decode_base64(found["seed"]))
        _ = signer.key
        return Witness(folder, signer, logs)
    except (ValueError, KeyError, TypeError):  # a NoteError, too
        raise BadWitness(f"{_KEY} of the witness is damaged; restore it") from None


def _digest(log: VerifierKey) -> str:
    return hashlib.sha256(log.name.encode()).hexdigest()


def _logs_own(message: bytes, log: VerifierKey) -> bytes:
    """The note with the log's own signature and no other."""
    text, signatures = split_note(message)
    own = next(each for each in signatures if (each.name, each.key_id) == (log.name, log.id))
    return f"{text}\n{own.line()}".encode()


def _refused(status: HTTPStatus, why: str) -> Answer:
    return Answer(status, f"{why}\n".encode())

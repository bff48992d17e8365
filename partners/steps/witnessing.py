"""Witnessing the room's log: one look at its newest checkpoint, cosigned where it extends the last one."""

from http import HTTPStatus

from partners.failure import Failure
from partners.home import Home
from partners.known_log import LogRefused
from partners.room.client import Room
from partners.room.connection import RoomRefused
from partners.transparency.checkpoint import read_unverified
from partners.witness import Request, Witness, open_witness

ATTEMPTS = 3


class NotCosigned(Failure):
    """The newest checkpoint was not cosigned."""


def witness_of(home: Home) -> Witness:
    """The witness in a partner's folder, for the room's log and those before it."""
    pinned = home.room()
    return open_witness(home.path / "witness", f"{pinned.partner}/witness", (pinned.vkey, *pinned.former))


def cosign_newest(home: Home, room: Room, time: int) -> int:
    """Cosigns the newest checkpoint, and hands that to the room; its size. Raises `NotCosigned`, `LogRefused`."""
    grew = NotCosigned("the log kept growing while it was cosigned; run it again")
    failed: Failure = grew
    for _ in range(ATTEMPTS):  # another command of this folder may cosign, and keep, a newer one at any step
        room.log.refresh()
        witness = witness_of(home)
        last = witness.last(room.log.key)
        try:
            message, proof = room.log.extension(last.size)
        except ValueError:
            failed = LogRefused("the room's log is smaller than what was cosigned here; tell the other partners")
            continue
        failed = grew
        answer = witness.add_checkpoint(Request(last.size, proof, message).encode(), time)
        if answer.status is HTTPStatus.CONFLICT:
            continue
        if not answer.ok:
            raise NotCosigned(f"not cosigned: {answer.body.decode().strip()}; tell the other partners")
        try:
            room.cosign(message, answer.body)
        except RoomRefused as refused:
            if refused.problem.status != HTTPStatus.CONFLICT:
                raise
            continue
        return read_unverified(message).size
    raise failed

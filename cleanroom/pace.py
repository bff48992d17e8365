"""How often a partner may ask: requests in a minute, counted across all processes of the room.

Rules: one file of numbers, mapped into every process, so that a worker more is no allowance more; it holds no name and
no address. Each number is the time at which its bucket is empty again (a leaky bucket): a whole minute's worth at once
is fine, then one request for each that leaked out. A partner's numbers are its own. The file may be lost: everybody
then begins with an empty bucket.

Guesses (bad codes, bad assertions) are counted by address. Only further wrong ones are told to wait, so nobody can lock
out others, also where a proxy gives everybody the same address.
"""

import fcntl
import hashlib
import ipaddress
import mmap
import os
import struct
import threading
from enum import Enum
from pathlib import Path

from cleanroom.settings import RequestLimits

WINDOW_SECONDS = 60
PARTNERS = 4096
"""Partners whose numbers are their own; more would share."""
ADDRESSES = 4096
_NUMBER = struct.Struct("=d")


class Kind(Enum):
    """What is counted apart."""

    QUESTIONS = 0
    UPLOADS = 1
    REQUESTS = 2
    GUESSES = 3


_KINDS = Kind.GUESSES.value
"""Kinds that are counted for partners."""
_SIZE = _NUMBER.size * (PARTNERS * _KINDS + ADDRESSES)


class Pace:
    """The counters of a room in the file `path`, which is made when something is limited for the first time."""

    def __init__(self, path: Path, limits: RequestLimits) -> None:
        self._path = path
        self._limits = {
            Kind.QUESTIONS: limits.questions,
            Kind.UPLOADS: limits.uploads,
            Kind.REQUESTS: limits.requests,
            Kind.GUESSES: limits.guesses,
        }
        self._lock = threading.Lock()
        self._opened: tuple[int, mmap.mmap] | None = None

    def of_partner(self, number: int, kind: Kind, now: float) -> float:
        """Counts a request of the partner `number` (see `catalog.keys`); seconds to wait, 0 where it may go on."""
        return self._count(number % PARTNERS * _KINDS + kind.value, kind, now)

    def of_address(self, address: str | None, now: float) -> float:
        """Counts a wrong guess from an address; seconds to wait. IPv6 counts by /48, IPv4 by /24."""
        digest = hashlib.sha256(_neighbours(address).encode()).digest()
        place = int.from_bytes(digest[:4]) % ADDRESSES
        return self._count(PARTNERS * _KINDS + place, Kind.GUESSES, now)

    def _count(self, place: int, kind: Kind, now: float) -> float:
        limit = self._limits[kind]
        if limit == 0:
            return 0.0
        offset = place * _NUMBER.size
        with self._lock:  # threads of this process; the lock of the file is for the others
            file, numbers = self._opened or self._open()
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                (empty,) = _NUMBER.unpack_from(numbers, offset)
                # A clock that was set back must not shut anybody out for longer than a window.
                empty = min(max(empty, now), now + WINDOW_SECONDS)
                wait: float = empty + WINDOW_SECONDS / limit - now - WINDOW_SECONDS
                admitted = wait <= 1e-6  # the numbers are not exact
                _NUMBER.pack_into(numbers, offset, empty + WINDOW_SECONDS / limit if admitted else empty)
                return 0.0 if admitted else wait
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)

    def _open(self) -> tuple[int, mmap.mmap]:
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if os.fstat(file).st_size < _SIZE:
            os.ftruncate(file, _SIZE)
        self._opened = file, mmap.mmap(file, _SIZE)
        return self._opened


def _neighbours(address: str | None) -> str:
    """The network that an address counts with."""
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return ""
    length = 24 if found.version == 4 else 48
    return str(ipaddress.ip_network((found, length), strict=False))

"""What differs at each run, under names that do not: ids, keys, codes, fingerprints, hashes.

A name has the width of what it stands for, so that tables keep their columns.
"""

import re
from dataclasses import dataclass, field

VKEY = "room.example/audit-v1+2bca130e+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
"""Stands for the log's key: that of the log's test vector."""
_KINDS = {
    "report": (re.compile(r"\br-[0-9a-f]{16}\b"), "r-{:016x}"),
    "version": (re.compile(r"\bv-[0-9a-f]{16}\b"), "v-{:016x}"),
    "hash": (re.compile(r"\b[0-9a-f]{64}\b"), "{:064x}"),
    "collaboration": (re.compile(r"(?<=\bdrive-2026-)[0-9a-f]{8}\b"), "{:08x}"),
    "key": (re.compile(r"(?<!-)\b[0-9a-f]{16}\b"), "{:02x}cdef0123456789"),
    "code": (re.compile(r"^[0-9a-f]{32}$", re.MULTILINE), "CODE-{}"),
}
_VKEY = re.compile(r"room\.example/audit-v1\+[0-9a-f]{8}\+[A-Za-z0-9+/]{44}")
_DISK = re.compile(r"disk: [0-9.,]+ GiB used, [0-9.,]+ GiB free")
_DIGITS = re.compile(r"^  (?:\d{5} ){3}\d{5}$", re.MULTILINE)


@dataclass(slots=True)
class Names:
    """The names of one transcript, numbered as they come up. `folder` stands for `/home`."""

    folder: str
    _real: dict[str, str] = field(default_factory=dict)
    _known: dict[str, dict[str, str]] = field(default_factory=dict)

    def told(self, text: str) -> str:
        """What came back, with names in the place of what differs."""
        text = _VKEY.sub(self._vkey, text.replace(self.folder, "/home"))
        text = _DIGITS.sub("  ddddd ddddd ddddd ddddd", text)
        text = _DISK.sub("disk: 0.01 GiB used, 40.00 GiB free", text)
        for kind, (pattern, form) in _KINDS.items():
            known = self._known.setdefault(kind, {})

            def named(found: re.Match[str], known: dict[str, str] = known, form: str = form) -> str:
                real = found[0]
                if real not in self._real:  # it may be a name already
                    known.setdefault(real, form.format(len(known) + 1))
                    self._real[known[real]] = real
                return known.get(real, real)

            text = pattern.sub(named, text)
        return text

    def typed(self, text: str) -> str:
        """What was typed, with what the names stand for."""
        for name in sorted(self._real, key=len, reverse=True):
            text = text.replace(name, self._real[name])
        return text

    def _vkey(self, found: re.Match[str]) -> str:
        self._real[VKEY] = found[0]
        return VKEY

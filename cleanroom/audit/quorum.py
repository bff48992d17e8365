"""Who witnesses the log, and how many must."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from partners.transparency.cosignature import WitnessKey


@dataclass(frozen=True, slots=True)
class Witnesses:
    """The witnesses' keys; where those listen that do; how many must cosign before an answer leaves."""

    keys: tuple[WitnessKey, ...] = ()
    listening: Mapping[WitnessKey, str] = field(default_factory=dict)
    quorum: int = 0


NO_WITNESSES = Witnesses()

"""What an engine measured, sealed until the gate opens it.

Rules: a `Sealed` shows nothing of its contents: no repr, no comparison, no length, no iteration, no number, no JSON, no
pickle, no copy. `open_sealed` is the one way in, and only `cleanroom/gate.py` may import it (a test reads the imports).
This stops accidents, such as exact counts in a log line; it is no barrier against code that means harm.
"""

from typing import NoReturn, SupportsIndex, final

from policies.disclose import Measured


@final
class Sealed:
    """Exact figures that have not passed the gate."""

    __slots__ = ("__measured",)

    def __init__(self, measured: Measured) -> None:
        self.__measured = measured

    def __repr__(self) -> str:
        return "<Sealed>"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("what an engine measured is neither pickled nor copied; only the gate opens it")

    @staticmethod
    def _open(sealed: "Sealed") -> Measured:
        return sealed.__measured


def open_sealed(sealed: Sealed) -> Measured:
    """The exact figures. For `cleanroom/gate.py` alone."""
    return Sealed._open(sealed)

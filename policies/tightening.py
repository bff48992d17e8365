"""What a party may tighten alone, after everybody has signed.

Rules: nothing becomes looser. In threshold mode, where figures are exact, sizes and the rounding move to multiples of
the rounding in force only: every figure is then a function of one that could be had before. Other steps are not. Counts
rounded down to tens, then to elevens, then to twelves, or a minimum size raised by ones until a count vanishes, spell
the exact count out.
"""

from policies import terms
from policies.terms import InForce, Mode, Terms

_STEPS = ("minimum_size", "minimum_audience", "rounding")


def refused(own: Terms, before: Terms, force: InForce) -> str | None:
    """Why a party's terms `before` cannot become `own` without the others, in one line; None where they can.

    `force` are the terms in force for all.
    """
    if looser := terms.looser(own, before):
        return f"looser than before in {', '.join(looser)}; that takes an amendment, which everybody signs"
    if force.mode is not Mode.THRESHOLD:
        return None
    for name in _STEPS:
        value = getattr(own, name)
        if value is not None and value != getattr(before, name) and value % force.rounding:
            return f"{name} is a multiple of {force.rounding}, the rounding in force: figures here are exact"
    return None

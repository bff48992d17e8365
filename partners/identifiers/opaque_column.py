"""The match keys `id` and `id.<name>`, a whole column at once.

Rules:
* Decided here: blank values, and those with ASCII that is no space or control at both ends, which stay as they are.
* Every other value stays open for `opaque`.
"""

import numpy as np
import pyarrow as pa

from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Decided, Flat

_NEVER_TRIMMED = np.zeros(256, np.bool_)
_NEVER_TRIMMED[0x21:0x7F] = True


def opaque_column(values: pa.StringArray) -> Decided:
    """What can be said of a column without looking at each value."""
    flat = Flat.of(values)
    filled = np.flatnonzero(flat.lengths > 0)
    ends = _NEVER_TRIMMED[flat.data[flat.starts[filled]]] & _NEVER_TRIMMED[flat.data[flat.starts[filled + 1] - 1]]
    valid = filled[ends]
    return Decided(
        values.take(pa.array(valid)), valid, {Invalid.EMPTY: np.flatnonzero(flat.lengths == 0)}, filled[~ends]
    )

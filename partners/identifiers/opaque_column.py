"""The match keys `id` and `id.<name>`, a whole column at once.

Rules:
* Decided here: blank values, and those with ASCII that is no space or control at both ends, which stay as they are, but
  for what a spreadsheet has spoilt.
* Every other value stays open for `opaque`.
"""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partners.identifiers.opaque import MARKS, SPREADSHEET
from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Decided, Flat

_NEVER_TRIMMED = np.zeros(256, np.bool_)
_NEVER_TRIMMED[0x21:0x7F] = True


def opaque_column(values: pa.StringArray) -> Decided:
    """What can be said of a column without looking at each value."""
    flat = Flat.of(values)
    filled = np.flatnonzero(flat.lengths > 0)
    ends = _NEVER_TRIMMED[flat.data[flat.starts[filled]]] & _NEVER_TRIMMED[flat.data[flat.starts[filled + 1] - 1]]
    data = flat.data.tobytes()
    if any(mark in data for mark in MARKS):  # seldom, and a search of bytes is quicker than a pattern
        ends &= ~pc.match_substring_regex(values, SPREADSHEET).to_numpy(zero_copy_only=False)[filled]
    valid = filled[ends]
    return Decided(
        values.take(pa.array(valid)), valid, {Invalid.EMPTY: np.flatnonzero(flat.lengths == 0)}, filled[~ends]
    )

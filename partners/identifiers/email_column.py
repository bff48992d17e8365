"""The match key `email`, a whole column at once.

Rules:
* Decided here: ASCII addresses of the usual form, whose domain IDNA leaves as it is. `email` says of them what stands
  here, and a test over made-up and broken addresses holds the two together.
* Every other value, and everything near the published lists, stays open for `email`.
"""

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from partners.identifiers.email import MAX_ADDRESS_BYTES, MAX_LOCAL_BYTES, EmailProfile, ascii_domain
from partners.identifiers.lists import PLACEHOLDER_ADDRESSES, ROLE_LOCAL_PARTS
from partners.identifiers.reason import Invalid
from partners.identifiers.texts import Counts, Decided, Flat, column, ends_of

_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_USUAL = rf"\A{_ATOM}(?:\.{_ATOM})*@[a-z0-9.-]+\z"  # RE2: \z is the very end
_ROLE = rf"\A(?:{'|'.join(map(re.escape, sorted(ROLE_LOCAL_PARTS)))})(?:\+[^@]*)?@"
_AT, _DOT, _PLUS = b"@.+"


def email_column(values: pa.StringArray, profile: EmailProfile) -> Decided:
    """What can be said of a column without looking at each value."""
    lower = pc.ascii_lower(values)
    usual = pc.match_substring_regex(lower, _USUAL).to_numpy(zero_copy_only=False)
    blank = pc.equal(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero(usual)
    flat = Flat.of(lower.filter(pa.array(usual)))
    at = np.flatnonzero(flat.data == _AT)  # the form has exactly one in each
    local, length = at - flat.starts[:-1], flat.lengths
    place = np.arange(len(flat.data))
    in_domain = place > np.repeat(at, length)
    domains = column(flat.data[in_domain], ends_of(length - local - 1)).dictionary_encode()
    plain = np.array([ascii_domain(domain) == domain for domain in domains.dictionary.to_pylist()], np.bool_)
    codes = domains.indices.to_numpy()
    fits = (local <= MAX_LOCAL_BYTES) & (length <= MAX_ADDRESS_BYTES)
    fits &= plain[codes] if len(codes) else True
    gmail = pc.index(domains.dictionary, "gmail.com").as_py()
    canonical = lower.filter(pa.array(usual))
    if profile is EmailProfile.UID2 and gmail >= 0:
        canonical, local = _folded(flat, at, codes == gmail)
        fits &= local > 0
    listed = pc.or_(
        pc.is_in(canonical, pa.array(sorted(PLACEHOLDER_ADDRESSES))), pc.match_substring_regex(canonical, _ROLE)
    )
    fits &= ~listed.to_numpy(zero_copy_only=False)
    decided = blank.copy()
    decided[rows[fits]] = True
    return Decided(
        canonical.filter(pa.array(fits)), rows[fits], {Invalid.EMPTY: np.flatnonzero(blank)}, np.flatnonzero(~decided)
    )


def _folded(flat: Flat, at: Counts, gmail: Counts) -> tuple[pa.StringArray, Counts]:
    """Addresses without the dots of gmail's local parts and what follows a `+` there, and how long local parts are."""
    length = flat.lengths
    end = at.copy()
    signs = np.flatnonzero(flat.data == _PLUS)
    row = np.searchsorted(flat.starts, signs, side="right") - 1
    signs, row = signs[(signs < at[row]) & gmail[row]], row[(signs < at[row]) & gmail[row]]
    end[row[::-1]] = signs[::-1]  # of several in a row, the first is written last
    place = np.arange(len(flat.data))
    local = np.repeat(gmail, length) & (place < np.repeat(at, length))
    kept = ~(local & ((place >= np.repeat(end, length)) | (flat.data == _DOT)))
    return flat.only(kept), flat.count(kept & (place < np.repeat(at, length)))
